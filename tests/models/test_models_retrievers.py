"""Interactions and the counting retrievers, against plain Python on generated logs."""

from __future__ import annotations

from typing import Any

import model_oracles as oracles
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.retrievers import CoPurchase, PersonalHistory, Popularity
from bottega.errors import DataError
from bottega.models.co_purchase import CoPurchaseModel
from bottega.models.interactions import Interactions
from bottega.models.personal_history import PersonalHistoryModel
from bottega.models.popularity import PopularityModel
from bottega.models.retrieving import both_lists, retrieved, top_k
from bottega.models.vocabulary import code_of, codes_of

DAY = 86_400_000_000
AT = 20 * DAY
NAMES = st.sampled_from(["a", "B", "é", "z9", "10", "9", "", "日本"])
ROWS = st.lists(st.tuples(NAMES, NAMES, st.integers(0, 25).map(lambda day: day * DAY)), min_size=1, max_size=40)
LOGS = ROWS.filter(lambda rows: any(time < AT for _, _, time in rows))
quick = settings(max_examples=60, deadline=None)


def log_of(rows: list[oracles.Row]) -> Interactions:
    return Interactions.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def compare(model: Any, rows: list[oracles.Row], expected: Any) -> None:
    """Scores and lists of all people, and of a stranger, are those of the oracle."""
    model.fit(log_of(rows), AT)
    names = model.items.to_pylist()
    assert names == sorted({item for _, item, time in rows if time < AT}, key=str.encode)
    people = [*sorted({person for person, _, _ in rows}), "a stranger"]
    for person, scores in zip(people, model.scores(people), strict=True):
        right = expected(person)
        np.testing.assert_allclose(scores, [right.get(name, 0.0) for name in names], rtol=1e-5, atol=1e-9)
        taken = {item for who, item, time in rows if who == person and time < AT}
        exact = dict(zip(names, scores.tolist(), strict=True))
        for k in (1, 3, 20):
            for seen in (True, False):
                codes, found = retrieved(model, [person], k, seen)
                wanted = oracles.best(exact, k, set() if seen else taken)
                assert [names[code] for code in codes[0] if code >= 0] == wanted
                assert found[0, : len(wanted)].tolist() == [exact[name] for name in wanted]
    for k, unseen in ((3, 0), (2, 5), (0, 1)):
        both = both_lists(model, people, [{}] * len(people), k, unseen)
        apart = [retrieved(model, people, n, seen)[0] for n, seen in ((k, True), (unseen, False)) if n]
        assert np.array_equal(both, np.hstack(apart))


@given(LOGS, st.sampled_from([None, 1, 7]))
@quick
def test_popularity(rows: list[oracles.Row], days: int | None) -> None:
    model = PopularityModel(Popularity(span=None if days is None else f"{days}d"))
    compare(model, rows, lambda _: oracles.popularity(rows, AT, None if days is None else days * DAY))


@given(LOGS, st.sampled_from([1, 10]))
@quick
def test_personal_history(rows: list[oracles.Row], days: int) -> None:
    expected = oracles.personal(rows, AT, days * DAY)
    model = PersonalHistoryModel(PersonalHistory(half_life=f"{days}d"))
    compare(model, rows, lambda person: expected.get(person, expected[None]))


def test_what_is_only_popular_is_ordered_but_never_retrieved() -> None:
    rows = [("ann", "a", 0), ("bob", "b", 19 * DAY), ("bob", "c", 19 * DAY), ("cid", "c", 19 * DAY)]
    model = PersonalHistoryModel(PersonalHistory(half_life="5d"))
    model.fit(log_of(rows), AT)
    for person, own in (("ann", [0]), ("a stranger", [])):
        a, b, c = model.person_scores(person)
        assert c > b
        assert (a > 0) == bool(own)
        assert c <= 0
        assert retrieved(model, [person], 3)[0][0].tolist() == [*own, -1, -1, -1][:3]


@given(LOGS, st.sampled_from([1, 2, 50]), st.sampled_from([0.0, 2.5]), st.sampled_from([None, 10]))
@quick
def test_co_purchase(rows: list[oracles.Row], neighbours: int, shrinkage: float, days: int | None) -> None:
    half_life = None if days is None else f"{days}d"
    expected = oracles.co_purchase(rows, AT, neighbours, shrinkage, None if days is None else days * DAY)
    model = CoPurchaseModel(CoPurchase(neighbours=neighbours, shrinkage=shrinkage, half_life=half_life))
    compare(model, rows, lambda person: expected.get(person, {}))


def test_co_purchase_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    log = Interactions.of(
        rng.integers(0, 30, 400).astype(str), rng.integers(0, 20, 400).astype(str), np.zeros(400, int)
    )
    whole, blocks = CoPurchaseModel(CoPurchase()), CoPurchaseModel(CoPurchase())
    whole.fit(log, 1)
    monkeypatch.setattr("bottega.models.co_purchase._BLOCK", 60)
    blocks.fit(log, 1)
    assert np.array_equal(whole.near, blocks.near)
    assert np.array_equal(whole.likeness, blocks.likeness)


@given(ROWS, st.integers(0, 26))
@quick
def test_before_is_the_log_of_the_rows_before(rows: list[oracles.Row], day: int) -> None:
    cut, right = log_of(rows).before(day * DAY), [row for row in rows if row[2] < day * DAY]
    people, items = cut.people.to_pylist(), cut.items.to_pylist()
    assert people == sorted({row[0] for row in right}, key=str.encode)
    assert items == sorted({row[1] for row in right}, key=str.encode)
    triples = zip(cut.person, cut.item, cut.time, strict=True)
    assert [(people[p], items[i], int(t)) for p, i, t in triples] == right


@given(LOGS)
@quick
def test_matrices(rows: list[oracles.Row]) -> None:
    log = log_of(rows)
    counts, binary = log.matrix("counts").toarray(), log.matrix().toarray()
    for p, person in enumerate(log.people.to_pylist()):
        for i, item in enumerate(log.items.to_pylist()):
            times = [time for who, what, time in rows if (who, what) == (person, item)]
            assert counts[p, i] == len(times)
            assert binary[p, i] == bool(times)
            decayed = log.matrix("decayed", at=30 * DAY, half_life=3 * DAY)[p, i]
            assert decayed == pytest.approx(sum(0.5 ** ((30 * DAY - time) / (3 * DAY)) for time in times))


def test_rows_without_a_person_or_an_item_are_left_out() -> None:
    log = Interactions.of(pa.array(["ann", None, "bob"]), pa.array(["tea", "cup", None]), [1, 2, 3])
    assert (log.people.to_pylist(), log.items.to_pylist(), log.time.tolist()) == (["ann"], ["tea"], [1])


@given(ROWS, st.lists(st.sampled_from(["x", "y", None]), min_size=40, max_size=40), st.integers(1, 26))
@quick
def test_newest_text(rows: list[oracles.Row], names: list[str | None], day: int) -> None:
    columns = {"name": pa.array(names[: len(rows)], pa.string())}
    log = Interactions.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], columns)
    right: dict[str, tuple[int, str]] = {}
    for (_, item, time), name in zip(rows, names, strict=False):
        if time < day * DAY and name is not None and (item not in right or time >= right[item][0]):
            right[item] = (time, name)
    cut = log.before(day * DAY)
    assert cut.newest("name").to_pylist() == [right.get(item, (0, None))[1] for item in cut.items.to_pylist()]


def test_a_column_of_texts_that_is_not_there_is_named() -> None:
    log = Interactions.of(["ann"], ["tea"], [1], {"description": ["Tea"]})
    with pytest.raises(DataError, match="did you mean 'description'"):
        log.newest("descripton")
    with pytest.raises(DataError, match="a text for each row"):
        Interactions.of(["ann"], ["tea"], [1]).newest("name")


def test_columns_that_disagree_are_refused() -> None:
    with pytest.raises(DataError, match="2 name"):
        Interactions.of(["ann"], ["tea"], [1], {"name": ["a", "b"]})
    with pytest.raises(DataError, match="one length"):
        Interactions.of(["ann"], ["tea", "cup"], [1, 2])
    with pytest.raises(DataError, match="int64 microseconds"):
        Interactions.of(["ann"], ["tea"], [0.5])


@given(st.lists(st.sampled_from([0.0, -1.0, 0.5, 1.0, 2.0, 3.5]), max_size=30), st.integers(1, 35))
@quick
def test_top_k(values: list[float], k: int) -> None:
    scores = np.array(values, dtype=np.float32)
    right = sorted((code for code, value in enumerate(values) if value > 0), key=lambda code: (-values[code], code))[:k]
    assert top_k(scores, k).tolist() == right
    assert scores.tolist() == values


@given(st.lists(st.text(max_size=4), max_size=40), st.lists(st.text(max_size=4), max_size=40))
@quick
def test_codes_of_texts(known: list[str], asked: list[str]) -> None:
    vocabulary = pa.array(sorted(set(known), key=str.encode), pa.string())
    place = {name: code for code, name in enumerate(vocabulary.to_pylist())}
    right = [place.get(name, -1) for name in [*known, *asked]]
    assert codes_of(vocabulary, [*known, *asked]).tolist() == right
    assert [code_of(vocabulary, name) for name in [*known, *asked]] == right
    assert code_of(vocabulary, None) == -1
