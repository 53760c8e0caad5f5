"""The contract of a model, as checks that run on any `Retriever` or `Scorer`, bundled or your own.

from bottega.testing.model_checks import check_retriever

def test_my_retriever():
    check_retriever(lambda: MyRetriever(MySetting()))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import BottegaError
from bottega.files import sha256
from bottega.models.inputs import Inputs
from bottega.models.interactions import Interactions
from bottega.models.protocols import Retriever, Scorer
from bottega.models.retrieving import retrieved, scores_of
from bottega.testing.arrival_checks import check_arrivals
from bottega.testing.model_examples import AT, DAY, STRANGER, World, rows, shop_world

MakeRetriever = Callable[[], Retriever]
MakeScorer = Callable[[], Scorer]
MakeWorld = Callable[[], World]
_FEWEST = 1.2  # times chance that a model must reach on the planted signal


def check_retriever(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """Run every check of `RETRIEVER_CHECKS` on a retriever and raise on the first failure.

    When it is wrong: the checks know what every retriever must hold, not what this one computes; test that against an
    independent source too.

    make: gives a new retriever, not fitted, always with the same setting. world: gives what it is fitted on and asked
    for: `shop_world`, or `search_world` for one that reads a request's `text` and a catalogue's `title` and `text`.
    Raises `AssertionError` that names the model, the check and what was found.

    >>> from bottega.design.retrievers import Popularity
    >>> from bottega.models.making import make_retriever
    >>> check_retriever(lambda: make_retriever(Popularity()))
    """
    for check in RETRIEVER_CHECKS:
        check(make, world)


def check_scorer(make: MakeScorer) -> None:
    """Run every check of `SCORER_CHECKS` on a scorer and raise on the first failure.

    make: gives a new scorer, not fitted, always with the same setting. It is fitted on `rows`: numbers `price` and
    `rate` (with nulls), categories `colour` and `shelf`, ids `item` and `person`, a group. Raises `AssertionError`.

    >>> from bottega.design.models import HistoricalRate
    >>> from bottega.models.making import make_scorer
    >>> check_scorer(lambda: make_scorer(HistoricalRate(by="item")))
    """
    for check in SCORER_CHECKS:
        check(make)


def check_same_bytes(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """Fitted twice on one log, it writes the same files, and no pickle among them."""
    with tempfile.TemporaryDirectory() as home:
        first, again = (_saved(_fitted(make, world()), Path(home) / name) for name in ("first", "again"))
    _hold(make, "check_same_bytes", first == again, f"files differ: {_differences(first, again)}")
    _hold(make, "check_same_bytes", _no_pickle(first), f"a file of pickle: {sorted(first)}")


def check_no_leak(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """What happens from the cut on, new people and items too, changes no byte of what it learns."""
    this = world()
    other = make()
    other.fit(_otherwise_later(this.log), AT)
    with tempfile.TemporaryDirectory() as home:
        first, again = _saved(_fitted(make, this), Path(home) / "first"), _saved(other, Path(home) / "again")
    _hold(make, "check_no_leak", first == again, f"later rows changed {_differences(first, again)}")


def check_reads_back(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """What is read from its folder answers as what was saved."""
    this = world()
    model, people, requests = _fitted(make, this), this.people, this.requests(this.people)
    with tempfile.TemporaryDirectory() as home:
        model.save(Path(home) / "model")
        read = type(model).load(Path(home) / "model", model.setting)
        _hold(make, "check_reads_back", read.items.equals(model.items), "other items")
        same = np.array_equal(scores_of(read, people, requests), scores_of(model, people, requests))
        _hold(make, "check_reads_back", same, "other scores")
        for seen in (True, False):
            lists = (retrieved(one, people, 7, seen, requests) for one in (read, model))
            for a, b in zip(*lists, strict=True):
                _hold(make, "check_reads_back", np.array_equal(a, b), "other lists")


def check_answers_are_pure(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """Answering twice gives the same, neither the log nor the model's files change, and order plays no part."""
    this = world()
    log = this.log
    columns: list[npt.NDArray[Any]] = [log.person, log.item, log.time]
    before = [column.copy() for column in columns]
    for column in columns:
        column.setflags(write=False)
    model, people, requests = _fitted(make, this), this.people, this.requests(this.people)
    with tempfile.TemporaryDirectory() as home:
        first = _saved(model, Path(home) / "first")
        codes, scores = retrieved(model, people, 9, False, requests)
        for row in np.random.default_rng(0).permutation(len(people)):
            one = retrieved(model, [people[row]], 9, False, [requests[row]])
            same = np.array_equal(one[0][0], codes[row]) and np.array_equal(one[1][0], scores[row])
            _hold(make, "check_answers_are_pure", same, f"another answer for {people[row]} alone, or asked again")
        again = _saved(model, Path(home) / "again")
    _hold(make, "check_answers_are_pure", first == again, "answering changed the model")
    kept = all(np.array_equal(a, b) for a, b in zip(before, columns, strict=True))
    _hold(make, "check_answers_are_pure", kept, "the log was written into")


def check_lists(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """Lists have the promised shape: k wide, scores falling and as in `scores`, ties by code, no item twice, none
    without evidence, −1 and 0 where they end; also for k over the catalogue, nobody, a stranger and an empty name.
    """
    this = world()
    model = _fitted(make, this)
    people = [*this.people, STRANGER, ""]
    requests = this.requests(people)
    for k in (1, 5, len(model.items) * 3):
        codes, scores = retrieved(model, people, k, requests=requests)
        all_scores = scores_of(model, people, requests)
        name = f"check_lists (k={k})"
        _hold(make, name, codes.shape == scores.shape == (len(people), k), f"shapes {codes.shape}, {scores.shape}")
        _hold(make, name, codes.dtype == np.int32 and scores.dtype == np.float32, f"{codes.dtype}, {scores.dtype}")
        for person, request, row, score, every in zip(people, requests, codes, scores, all_scores, strict=True):
            right = np.lexsort((np.arange(len(every)), -every))
            right = right[every[right] > 0][:k]
            found = row[: len(right)]
            _hold(make, name, np.array_equal(found, right), f"{person}: {found.tolist()}, not {right.tolist()}")
            _hold(make, name, np.array_equal(score[: len(right)], every[right]), f"{person}: scores of other items")
            ended = (row[len(right) :] == -1).all() and not score[len(right) :].any()
            _hold(make, name, bool(ended), f"{person}: the list goes on after its end")
            lost = model.ask(person, request).of(np.array([-1], np.int32)).tolist()
            _hold(make, name, lost == [0], f"{person}: {lost} for an item that it does not know")
    codes, scores = retrieved(model, [], 4)
    _hold(make, "check_lists", codes.shape == scores.shape == (0, 4), f"shapes {codes.shape} for nobody")


def check_unseen(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """With seen=False nothing comes that the person has in the log, and all else in the same order."""
    this = world()
    log = this.log.before(AT)
    model, people = _fitted(make, this), [*this.people, STRANGER]
    taken = set(zip(_names(log.people, log.person), _names(log.items, log.item), strict=True))
    names = model.items.to_pylist()
    requests = this.requests(people)
    every, fresh = (retrieved(model, people, len(names), seen, requests)[0] for seen in (True, False))
    for person, with_seen, without in zip(people, every, fresh, strict=True):
        right = [code for code in with_seen if code >= 0 and (person, names[code]) not in taken]
        found = without[without >= 0].tolist()
        _hold(make, "check_unseen", found == right, f"{person}: {found}, not {right}")


def check_asked_together(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """Asked for many people at once it knows what it knows of each alone."""
    this = world()
    model, people = _fitted(make, this), [*this.people, STRANGER, ""]
    requests = this.requests(people)
    codes = np.arange(len(model.items), dtype=np.int32)
    for person, request, one in zip(people, requests, model.ask_all(people, requests), strict=True):
        same = np.array_equal(model.ask(person, request).of(codes), one.of(codes))
        _hold(make, "check_asked_together", same, f"{person}: other scores than alone")


def check_refusals(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """A k of 0, and a log without a row before the cut, are refused by an error of ours."""
    this = world()
    _refuses(make, "check_refusals (k=0)", lambda: retrieved(_fitted(make, this), this.people, 0))
    _refuses(make, "check_refusals (no rows)", lambda: make().fit(this.log, this.begin()))


def check_finds_what_comes(make: MakeRetriever, world: MakeWorld = shop_world) -> None:
    """It finds more of what people take after the cut than chance does."""
    this = world()
    model, later = _fitted(make, this), this.later
    people = sorted({person for person, _ in later})
    names = model.items.to_pylist()
    found = {
        (p, names[code])
        for p, row in zip(people, retrieved(model, people, 6, requests=this.requests(people))[0], strict=True)
        for code in row
        if code >= 0
    }
    recall, chance = len(found & set(later)) / len(later), 6 / len(names)
    _hold(make, "check_finds_what_comes", recall > _FEWEST * chance, f"recall@6 {recall:.3f}, chance {chance:.3f}")


def check_scorer_bytes(make: MakeScorer) -> None:
    """Fitted twice on the same rows, it writes the same files, and no pickle among them."""
    with tempfile.TemporaryDirectory() as home:
        first, again = (_saved(_learnt(make), Path(home) / name) for name in ("first", "again"))
    _hold(make, "check_scorer_bytes", first == again, f"files differ: {_differences(first, again)}")
    _hold(make, "check_scorer_bytes", _no_pickle(first), f"a file of pickle: {sorted(first)}")


def check_scorer_reads_back(make: MakeScorer) -> None:
    """What is read from its folder scores as what was saved, to the bit."""
    model, (inputs, _) = _learnt(make), rows(300, seed=1)
    with tempfile.TemporaryDirectory() as home:
        model.save(Path(home) / "model")
        read = type(model).load(Path(home) / "model", model.setting)
        same = np.array_equal(read.score(inputs), model.score(inputs))
    _hold(make, "check_scorer_reads_back", same, "other scores")


def check_scoring_is_pure(make: MakeScorer) -> None:
    """Neither fit nor score writes into the inputs, and scoring changes nothing in the model."""
    inputs, label = rows()
    weight = np.ones(len(label), dtype=np.float32)
    before = inputs.values.copy(), label.copy()
    for column in (inputs.values, label, weight):
        column.setflags(write=False)
    model = make()
    model.fit(inputs, label, weight)
    with tempfile.TemporaryDirectory() as home:
        first = _saved(model, Path(home) / "first")
        once, twice = model.score(inputs), model.score(inputs)
        again = _saved(model, Path(home) / "again")
    kept = np.array_equal(before[0], inputs.values, equal_nan=True) and np.array_equal(before[1], label)
    _hold(make, "check_scoring_is_pure", kept, "the inputs were written into")
    _hold(make, "check_scoring_is_pure", np.array_equal(once, twice), "scoring again gives other scores")
    _hold(make, "check_scoring_is_pure", first == again, "scoring changed the model")


def check_rows_alone(make: MakeScorer) -> None:
    """A row's score does not depend on the rows beside it, or on their order (to 1e-6); no rows give no scores.

    Of a model that says that it is `listwise` it does not depend on other requests, or on the order of its own.
    """
    model, (inputs, _) = _learnt(make), rows(300, seed=2)
    group = inputs.group if getattr(model, "listwise", False) else None
    inputs = Inputs(inputs.names, inputs.kinds, inputs.values, inputs.ids, group)
    scores = model.score(inputs)
    shaped = scores.shape == (300,) and scores.dtype == np.float32
    _hold(make, "check_rows_alone", shaped, f"{scores.shape} of {scores.dtype}")
    order = np.random.default_rng(0).permutation(300)
    if group is not None:  # whole requests, in another order, and their rows too
        order = order[np.argsort(np.random.default_rng(1).permutation(30)[group[order]], kind="stable")]
    for places in (order, order[:1] if group is None else order[:10], order[-20:], order[:0]):
        ids = {name: column.take(pa.array(places)) for name, column in inputs.ids.items()}
        runs = None if group is None else _runs(group[places])
        some = Inputs(inputs.names, inputs.kinds, inputs.values[places], ids, runs)
        near = np.allclose(model.score(some), scores[places], rtol=1e-6, atol=1e-7)
        _hold(make, "check_rows_alone", near, f"other scores for {len(places)} of the rows")


def check_unknowns(make: MakeScorer) -> None:
    """Nulls, infinities, unknown categories and unknown or missing ids have finite scores."""
    model, (inputs, _) = _learnt(make), rows(8, seed=3)
    values = inputs.values.copy()
    values[0], values[1], values[2], values[3, :2], values[4, :2] = np.nan, -1, 1e6, np.inf, -np.inf
    ids = {name: pa.array([None, STRANGER, "", *ids.to_pylist()[3:]]) for name, ids in inputs.ids.items()}
    scores = model.score(Inputs(inputs.names, inputs.kinds, values, ids))
    _hold(make, "check_unknowns", bool(np.isfinite(scores).all()), f"scores {scores.tolist()}")


def check_scorer_refusals(make: MakeScorer) -> None:
    """Labels of one class, of another length, missing ones, and negative weights are refused by an error of ours."""
    inputs, label = rows(100)
    wrong: dict[str, tuple[Any, Any]] = {
        "only 0": (label * 0, None),
        "only 1": (label * 0 + 1, None),
        "no weight on 1": (label, 1 - label),
        "a label too few": (label[1:], None),
        "a label missing": (np.where(np.arange(100) == 3, np.nan, label), None),
        "a weight below 0": (label, label - 1),
    }
    for name, (labels, weights) in wrong.items():
        fit = partial(make().fit, inputs, labels, weights)
        _refuses(make, f"check_scorer_refusals ({name})", fit)


def check_weight_zero(make: MakeScorer) -> None:
    """A weight of 0 leaves a row out: what stands in it then plays no part."""
    inputs, label = rows()
    out = np.arange(len(label)) % 10 == 0
    values = np.where(out[:, None], np.float32(3), inputs.values)
    scores = []
    for known, labels in ((inputs.values, label), (values, np.where(out, 1 - label, label))):
        model = make()
        model.fit(Inputs(inputs.names, inputs.kinds, known, inputs.ids, inputs.group), labels, ~out)
        scores.append(model.score(inputs))
    near = np.allclose(scores[0], scores[1], atol=1e-6)
    _hold(make, "check_weight_zero", near, "rows of weight 0 change the scores")


def check_learns(make: MakeScorer) -> None:
    """On new rows it puts a positive above a negative more often than chance does."""
    model, (inputs, label) = _learnt(make), rows(2000, seed=4)
    scores = model.score(inputs)
    high, low = scores[label > 0], scores[label == 0]
    above = float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)
    _hold(make, "check_learns", above > 0.5 * _FEWEST, f"ROC-AUC {above:.3f} on a planted signal")


RETRIEVER_CHECKS: tuple[Callable[[MakeRetriever, MakeWorld], None], ...] = (
    check_same_bytes,
    check_no_leak,
    check_reads_back,
    check_answers_are_pure,
    check_lists,
    check_unseen,
    check_asked_together,
    check_refusals,
    check_arrivals,
    check_finds_what_comes,
)
SCORER_CHECKS: tuple[Callable[[MakeScorer], None], ...] = (
    check_scorer_bytes,
    check_scorer_reads_back,
    check_scoring_is_pure,
    check_rows_alone,
    check_unknowns,
    check_scorer_refusals,
    check_weight_zero,
    check_learns,
)


def _fitted(make: MakeRetriever, world: World) -> Retriever:
    model = make()
    model.fit(world.log, AT)
    return model


def _otherwise_later(log: Interactions) -> Interactions:
    """The same log until `AT`, with other people, items and texts from then on."""
    past, rng = log.time < AT, np.random.default_rng(1)
    person = _other(_names(log.people, log.person), past, [f"later-{n}" for n in rng.integers(9, size=len(log))])
    item = _other(_names(log.items, log.item), past, [f"later-{n}" for n in rng.integers(9, size=len(log))])
    time = np.where(past, log.time, rng.integers(AT, AT + 9 * DAY, len(log)))
    texts = {name: _other(column.to_pylist(), past, ["later"] * len(log)) for name, column in log.texts.items()}
    other = Interactions.of(person, item, time, texts)
    if log.known is None:
        return other
    there = log.known < AT
    ids = _other(log.items.to_pylist(), there, [f"later-{n}" for n in range(len(there))])
    later = ["later"] * len(there)
    columns = {name: _other(column.to_pylist(), there, later) for name, column in log.catalogue.items()}
    return other.with_catalogue(ids, columns, np.where(there, log.known, AT + DAY)).asked_by(log.who)


def _other(values: list[Any], keep: npt.NDArray[np.bool_], others: list[Any]) -> list[Any]:
    return [value if kept else other for value, kept, other in zip(values, keep, others, strict=True)]


def _learnt(make: MakeScorer) -> Scorer:
    model = make()
    model.fit(*rows())
    return model


def _names(vocabulary: pa.StringArray, codes: npt.NDArray[np.int32]) -> Any:
    return vocabulary.take(pa.array(codes)).to_pylist()


def _saved(model: Retriever | Scorer, folder: Path) -> dict[str, str]:
    """Save a model and give the hash of each of its files."""
    model.save(folder)
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _runs(group: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Number runs of equal values (n,) from 0 up."""
    return np.cumsum(np.r_[False, group[1:] != group[:-1]][: len(group)], dtype=np.int32)


def _no_pickle(files: dict[str, str]) -> bool:
    return bool(files) and {Path(name).suffix for name in files} <= {".npy", ".arrow", ".json", ".txt", ".onnx"}


def _differences(first: dict[str, str], again: dict[str, str]) -> list[str]:
    return sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))


def _refuses(make: Callable[[], Any], check: str, call: Callable[[], object]) -> None:
    try:
        call()
    except BottegaError as error:
        _hold(make, check, bool(error.fix and str(error.found)), "the error has no fix")
        return
    _hold(make, check, False, "nothing was raised")


def _hold(make: Callable[[], Any], check: str, holds: bool, found: str) -> None:
    if not holds:
        raise AssertionError(f"{type(make()).__name__}: {check}: {found}")
