"""What a network for several labels learns from: which values are known, and how sampling is undone."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, VALIDATE, Requests
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.errors import DesignError
from bottega.features.frame import text
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.lessons import CHOICE, FINAL, Lesson
from bottega.runs.steps.tasks import with_tasks

DAY = 86_400_000_000
SEVERAL = bt.MultiTask(objectives={"bought": 3.0, "clicked": 1.0})


def a_design(**data: Any) -> bt.Design:
    labels = [bt.Label("clicked"), bt.Label("bought", given="clicked", matures_after="4d")]
    return bt.Design(
        name="test",
        scope=bt.Scope(question="Does it work?"),
        data=bt.Data(
            tables=[bt.Table("log", time="time")],
            examples=bt.Logged("log", request=["user"], candidate="ad"),
            labels=labels,
            split=bt.TimeSplit(test="10d", validate="10d"),
            **data,
        ),
        features=[],
        models={"rank": [bt.Logistic(), SEVERAL]},
        evaluation=bt.Evaluation(primary="roc_auc"),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank()]),
    )


def of_log(design: bt.Design) -> Examples:
    rng = np.random.default_rng(0)
    time = np.sort(rng.integers(0, 60 * DAY, 400))
    clicked, bought = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    columns = {"time": time, "user": [f"u{i}" for i in range(400)], "ad": ["a"] * 400, "clicked": clicked}
    made = logged(design, Log("log", pa.table({**columns, "bought": bought}), time, time))
    whole = np.ones(len(made), bool)
    assert made.candidate is not None
    return Examples(
        made.requests, "ad", made.group, text(made.candidate), made.label, made.weight, whole, whole, more=made
    )


def lesson_over(rows: Examples, parts: list[int], kept: float = 1.0) -> Lesson:
    learn = np.flatnonzero(np.isin(rows.part, parts))
    nothing = np.zeros(0, np.int64)
    own = rows.label[learn]
    return Lesson(learn, own, np.full(len(learn), 2, np.float32), nothing, nothing, nothing, kept, 0.5)


@pytest.mark.parametrize(("fit", "parts"), [(CHOICE, [TRAIN]), (FINAL, [TRAIN, VALIDATE])])
def test_each_objective_has_a_column_with_what_was_known_then(fit: str, parts: list[int]) -> None:
    design = a_design()
    rows = of_log(design)
    plain = lesson_over(rows, parts)
    found = with_tasks(design, rows, plain, SEVERAL, fit)
    assert rows.more is not None
    assert rows.more.borders is not None
    end = rows.more.borders.before(VALIDATE if fit == CHOICE else TEST)
    assert found.label.shape == (len(plain.learn), 2)
    np.testing.assert_array_equal(found.label[:, 1], plain.label)
    time = rows.requests.time[rows.group[plain.learn]]
    given = rows.more.labels["bought"][plain.learn]
    known = (plain.label > 0) & (time + 4 * DAY <= end)
    np.testing.assert_array_equal(np.isnan(found.label[:, 0]), ~known)
    np.testing.assert_array_equal(found.label[known, 0], given[known])
    assert 20 < known.sum() < (plain.label > 0).sum()
    np.testing.assert_array_equal(found.weight, plain.weight)
    assert (found.kept, found.late) == (1.0, 1.0)


def test_sampling_is_undone_by_weights() -> None:
    rows = of_log(a_design())
    plain = lesson_over(rows, [TRAIN], kept=0.25)
    found = with_tasks(a_design(), rows, plain, SEVERAL, CHOICE)
    np.testing.assert_array_equal(found.weight, np.where(plain.label > 0, 2, 8))


def test_other_rungs_learn_as_before() -> None:
    rows = of_log(a_design())
    plain = lesson_over(rows, [TRAIN], kept=0.25)
    assert with_tasks(a_design(), rows, plain, bt.Logistic(), CHOICE) is plain


def test_labels_of_positives_are_taken_as_they_were_made() -> None:
    asked = Requests(
        pa.table({"user": ["a", "b"]}), np.array([1, 2]), np.array([TRAIN, TEST], np.int8), np.zeros(0, np.int32),
        pa.array([], pa.string()),
    )  # fmt: skip
    three, known = np.ones(3, np.float32), np.array([1, np.nan, 0], np.float32)
    rows = Examples(
        asked, "ad", np.array([0, 0, 1], np.int32), text(pa.array(["x", "y", "x"])), three, three, three > 0, three > 0,
        further={"bought": known},
    )  # fmt: skip
    found = with_tasks(a_design(), rows, lesson_over(rows, [TRAIN]), SEVERAL, CHOICE)
    np.testing.assert_array_equal(found.label, [[1, 1], [np.nan, 1]])


def test_an_objective_that_is_no_label_is_refused() -> None:
    with pytest.raises(DesignError, match="'baught'") as error:
        msgspec.structs.replace(a_design(), models={"rank": [bt.MultiTask(objectives={"baught": 1.0})]})
    assert error.value.where == "models.rank[0].objectives"
