"""The contract of a network for several labels, beside that of every `Scorer`.

from bottega.testing.task_checks import check_multi_task

def test_my_network():
    check_multi_task(lambda: MyNetwork(bt.MultiTask(objectives={"seen": 1, "liked": 5})))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bottega.errors import BottegaError
from bottega.files import sha256
from bottega.models.inputs import Inputs
from bottega.models.networks.multi_task_network import MultiTaskModel
from bottega.testing.model_examples import rows

MakeTasks = Callable[[], MultiTaskModel]
_MISSING = 0.2  # of the labels beside the first
_LEAST = 0.55  # area under the ROC curve that each label must reach on the planted signal


def check_multi_task(make: MakeTasks) -> None:
    """Run every check of `TASK_CHECKS` on a network for several labels and raise on the first failure.

    When it is wrong: it knows what every such network must hold, not what this one computes.

    make: gives a new network, not fitted, always with the same setting, of at least two objectives; it is fitted on
    `task_rows`. Raises `AssertionError` that names the check and what was found.
    """
    for check in TASK_CHECKS:
        check(make)


def task_rows(tasks: int, count: int = 1200, seed: int = 0) -> tuple[Inputs, npt.NDArray[np.float32]]:
    """The rows of the contract of scorers, with labels (n, tasks): each further one half as common, some missing.

    >>> inputs, labels = task_rows(3, 50)
    >>> len(inputs), labels.shape
    (50, (50, 3))
    """
    inputs, label = rows(count, seed)
    rng = np.random.default_rng(seed)
    columns = [label]
    for _ in range(1, tasks):
        columns.append((columns[-1] * (rng.random(count) < 0.5)).astype(np.float32))
    labels = np.column_stack(columns)
    labels[:, 1:][rng.random((count, tasks - 1)) < _MISSING] = np.nan
    return inputs, labels


def check_probabilities(make: MakeTasks) -> None:
    """A column a label, in the order of the objectives, each above 0 and under 1; the score is their weighted sum."""
    model, inputs = _learnt(make), rows(300, seed=1)[0]
    chances, scores = model.probabilities(inputs), model.score(inputs)
    weights = np.array(list(model.setting.objectives.values()))
    shaped = chances.shape == (300, len(weights)) and chances.dtype == scores.dtype == np.float32
    _hold("check_probabilities", shaped and scores.shape == (300,), f"{chances.shape} of {chances.dtype}")
    _hold("check_probabilities", bool(((chances > 0) & (chances < 1)).all()), "no probabilities")
    near = np.allclose(scores, chances.astype(float) @ weights, rtol=1e-5, atol=1e-6)
    _hold("check_probabilities", near, "the score is not the weighted sum")
    few = [model.probabilities(inputs.take(np.arange(low, low + 1))) for low in range(20)]
    _hold("check_probabilities", np.allclose(np.concatenate(few), chances[:20], atol=1e-6), "rows disturb each other")
    _hold("check_probabilities", model.probabilities(inputs.take([])).shape == (0, len(weights)), "no rows")


def check_task_bytes(make: MakeTasks) -> None:
    """Fitted twice it writes the same files, and what is read from them answers the same to the bit."""
    inputs = rows(300, seed=1)[0]
    with tempfile.TemporaryDirectory() as home:
        found = []
        for name in ("first", "again"):
            folder = Path(home) / name
            (model := _learnt(make)).save(folder)
            found.append({path.name: sha256(path) for path in sorted(folder.iterdir())})
        read = type(model).load(folder, model.setting)
        same = np.array_equal(read.probabilities(inputs), model.probabilities(inputs))
    _hold("check_task_bytes", found[0] == found[1], "files differ")
    _hold("check_task_bytes", same, "other probabilities")


def check_missing_labels(make: MakeTasks) -> None:
    """A row without any label plays no part, nor does one of weight 0; nothing is written into the labels."""
    inputs, labels = task_rows(_tasks(make))
    out = np.arange(len(inputs)) % 7 == 0
    scores = []
    for known, weight in (
        (np.where(out[:, None], np.float32(np.nan), labels), None),
        (np.where(out[:, None], 1, labels), ~out),
    ):
        known = known.astype(np.float32)
        known.setflags(write=False)
        model = make()
        model.fit(inputs, known, weight)
        scores.append(model.probabilities(inputs))
    left = make()
    left.fit(inputs.take(~out), labels[~out])
    scores.append(left.probabilities(inputs))
    near = all(np.allclose(one, scores[0], atol=1e-6) for one in scores)
    _hold("check_missing_labels", near, "rows without a label change the probabilities")


def check_task_refusals(make: MakeTasks) -> None:
    """A label of one class or of none, another number of columns or rows, and values below 0 are refused by name."""
    inputs, labels = task_rows(_tasks(make), 200)
    last = np.arange(labels.shape[1]) == labels.shape[1] - 1
    wrong = {
        "a label of one class": (np.where(last, np.float32(0), labels), None),
        "a label of none": (np.where(last, np.float32(np.nan), labels), None),
        "a column too few": (labels[:, 1:], None),
        "one column": (labels[:, 0], None),
        "a row too few": (labels[1:], None),
        "a value below 0": (labels - last, None),
        "a weight too few": (labels, np.ones(len(labels) - 1)),
        "a weight below 0": (labels, np.full(len(labels), -1.0)),
    }
    for name, (given, weight) in wrong.items():
        try:
            make().fit(inputs, given, weight)
        except BottegaError as error:
            _hold(f"check_task_refusals ({name})", bool(error.fix), "the error has no fix")
        else:
            _hold(f"check_task_refusals ({name})", False, "nothing was raised")


def check_learns_each(make: MakeTasks) -> None:
    """On new rows it puts a positive of each label above a negative more often than chance does."""
    model, (inputs, labels) = _learnt(make), task_rows(_tasks(make), 2000, seed=4)
    chances = model.probabilities(inputs)
    for place, name in enumerate(model.tasks):
        said, truth = chances[:, place], labels[:, place]
        high, low = said[truth > 0], said[truth == 0]
        above = float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)
        _hold("check_learns_each", above > _LEAST, f"ROC-AUC {above:.3f} of {name} on a planted signal")


TASK_CHECKS: tuple[Callable[[MakeTasks], None], ...] = (
    check_probabilities,
    check_task_bytes,
    check_missing_labels,
    check_task_refusals,
    check_learns_each,
)


def _tasks(make: MakeTasks) -> int:
    return len(make().tasks)


def _learnt(make: MakeTasks) -> MultiTaskModel:
    model = make()
    model.fit(*task_rows(_tasks(make)))
    return model


def _hold(check: str, holds: bool, found: str) -> None:
    if not holds:
        raise AssertionError(f"{check}: {found}")
