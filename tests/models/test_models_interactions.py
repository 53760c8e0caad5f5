"""Interactions with a catalogue: what could be taken, also where nobody took it, against plain dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.errors import DataError
from bottega.models.interactions import Interactions

NAMES = st.sampled_from(["a", "b", "ü", "10", "9", ""])
ROWS = st.lists(st.tuples(st.sampled_from(["x", "y"]), NAMES, st.integers(1, 9)), max_size=12)
LISTED = st.lists(
    st.tuples(st.one_of(st.none(), NAMES), st.sampled_from([None, "t", "u", "v"]), st.integers(1, 9)), max_size=12
)
NEVER = np.iinfo(np.int64).max
quick = settings(max_examples=150, deadline=None)


def made(rows: list[tuple[str, str, int]], listed: list[tuple[Any, Any, int]]) -> Interactions:
    person, item, time = ([row[side] for row in rows] for side in range(3))
    ids, texts, known = ([row[side] for row in listed] for side in range(3))
    log = Interactions.of(person, item, np.array(time, np.int64), {"label": [f"{i}!" for i in item]})
    columns = {"text": pa.array(texts, pa.string())}
    return log.with_catalogue(pa.array(ids, pa.string()), columns, np.array(known, np.int64)).asked_by("who")


def told(log: Interactions) -> tuple[Any, ...]:
    rows = sorted(
        (log.people[int(p)].as_py(), log.items[int(i)].as_py(), int(t))
        for p, i, t in zip(log.person, log.item, log.time, strict=True)
    )
    assert log.known is not None
    texts = dict(zip(log.items.to_pylist(), log.newest("text").to_pylist(), strict=True))
    return (
        log.items.to_pylist(),
        rows,
        texts,
        dict(zip(log.items.to_pylist(), log.known.tolist(), strict=True)),
        log.who,
    )


def naive(rows: list[tuple[str, str, int]], listed: list[tuple[Any, Any, int]], at: int | None) -> tuple[Any, ...]:
    """at: the cut; nothing: none."""
    text = {item: text for item, text, _ in listed if item is not None}
    known: dict[str, int] = {}
    for item, _, since in listed:
        if item is not None:
            known[item] = min(since, known.get(item, since))
    kept = [row for row in rows if at is None or row[2] < at]
    there = {item for item, since in known.items() if at is None or since < at}
    items = sorted({row[1] for row in kept} | there, key=str.encode)
    texts = {item: text.get(item) for item in items}
    return items, sorted(kept), texts, {item: known.get(item, NEVER) for item in items}, "who"


@given(ROWS, LISTED, st.integers(1, 10))
@quick
def test_catalogue_and_cut(rows: list[tuple[str, str, int]], listed: list[tuple[Any, Any, int]], at: int) -> None:
    log = made(rows, listed)
    assert told(log) == naive(rows, listed, None)
    assert told(log.before(at)) == naive(rows, listed, at)
    assert told(log.before(at).before(at)) == naive(rows, listed, at)
    assert log.matrix().shape == (len(log.people), len(log.items))
    taken = {item: len({row[0] for row in rows if row[1] == item}) for item in log.items.to_pylist()}
    assert log.people_by_item().tolist() == list(taken.values())
    assert log.newest("label").to_pylist() == [f"{item}!" if taken[item] else None for item in taken]


def test_a_catalogue_without_times_is_there_from_the_beginning() -> None:
    log = Interactions.of([], [], np.zeros(0, np.int64)).with_catalogue(["b", "a"], {"text": ["B", None]})
    for at in (0, 1, 10**15):
        assert log.before(at).items.to_pylist() == ["a", "b"]
        assert log.before(at).newest("text").to_pylist() == [None, "B"]


def test_a_column_of_both_is_the_catalogues() -> None:
    log = Interactions.of(["x"], ["a"], [1], {"text": ["old"]}).with_catalogue(["a", "b"], {"text": ["new", "b"]})
    assert log.newest("text").to_pylist() == ["new", "b"]
    with pytest.raises(DataError, match="text"):
        log.newest("texts")


def test_the_log_that_it_came_from_stays() -> None:
    log = Interactions.of(["x"], ["b"], [1])
    other = log.with_catalogue(["a"], {}).asked_by("text")
    assert (log.items.to_pylist(), log.item.tolist(), log.who, log.known) == (["b"], [0], "", None)
    assert (other.items.to_pylist(), other.item.tolist(), other.who) == (["a", "b"], [1], "text")


def test_columns_of_other_lengths_are_refused() -> None:
    log = Interactions.of(["x"], ["b"], [1])
    with pytest.raises(DataError, match="2 items"):
        log.with_catalogue(["a", "b"], {"text": ["A"]})
    with pytest.raises(DataError, match="1 times"):
        log.with_catalogue(["a", "b"], {"text": ["A", "B"]}, [3])
