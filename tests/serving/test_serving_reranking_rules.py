"""Rules, duplicates and whole chains: what they may move, and what they may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.reranking import Deduplicate, Diversify, Explore, Quota, Reranking, Rule
from bottega.errors import DesignError
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.conditions import needed_columns
from bottega.serving.reranking.slate import Slate

RNG = np.random.default_rng(0)
SCORES = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), max_size=8)


def slate(scores: list[float], k: int = 20, **columns: list[Any]) -> Slate:
    features = {}
    for name, values in columns.items():
        texts = any(isinstance(value, str) for value in values)
        features[name] = np.array(values, object if texts else np.float64)
    return Slate(np.arange(len(scores)), np.array(scores, np.float64), features, list("abcdefghij"[: len(scores)]), k)


@settings(max_examples=300, deadline=None)
@given(SCORES, st.data(), st.sampled_from([0.1, 0.5, 1.0, 1.5, 10.0]))
def test_a_list_by_score_is_sorted_again(scores: list[float], data: st.DataObject, factor: float) -> None:
    scores = sorted(scores, reverse=True)
    on = data.draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=len(scores), max_size=len(scores)))
    done = rerank([Rule(where="x = 1", multiply=factor)], slate(scores, x=on), RNG)
    new = [
        score if flag != 1 else score / factor if score < 0 else score * factor
        for score, flag in zip(scores, on, strict=True)
    ]
    assert done.scores.tolist() == new
    assert done.rows.tolist() == sorted(range(len(new)), key=lambda row: (-new[row], row))


@settings(max_examples=300, deadline=None)
@given(SCORES, st.data(), st.sampled_from([0.2, 5.0]))
def test_any_other_list_keeps_the_order_of_the_rest(scores: list[float], data: st.DataObject, factor: float) -> None:
    """Lifting lowers none of those meant and passes only lower scores; the others keep their order."""
    on = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    done = rerank([Rule(where="x = 1", multiply=factor)], slate(scores, x=[float(flag) for flag in on]), RNG)
    rows, new = done.rows.tolist(), done.scores
    assert sorted(rows) == list(range(len(scores)))
    for flag in (True, False):
        assert [row for row in rows if on[row] is flag] == [row for row in range(len(scores)) if on[row] is flag]
    for place, row in enumerate(rows):
        if on[row]:
            passed = [other for other in range(len(scores)) if (other < row) != (rows.index(other) < place)]
            above = place + 1 < len(rows) and factor > 1
            assert all((new[other] < new[row]) if factor > 1 else (new[other] > new[row]) for other in passed)
            assert all((other < row) == (factor > 1) for other in passed)
            if factor > 1 and place and not on[rows[place - 1]]:
                assert new[rows[place - 1]] >= new[row]
            if factor < 1 and not above and place + 1 < len(rows) and not on[rows[place + 1]]:
                assert new[rows[place + 1]] <= new[row]


def test_a_pin_moves_one_item_alone() -> None:
    given_slate = slate([5, 4, 3, 2, 1], x=[0, 0, 1, 1, 0])
    assert rerank([Rule(where="x = 1", place=1, name="own")], given_slate, RNG).rows.tolist() == [2, 0, 1, 3, 4]
    assert rerank([Rule(where="x = 1", place=9)], given_slate, RNG).rows.tolist() == [0, 1, 3, 4, 2]
    assert rerank([Rule(where="x = 2", place=1)], given_slate, RNG).rows.tolist() == [0, 1, 2, 3, 4]
    done = rerank([Rule(where="x = 1", place=1, name="own")], given_slate, RNG)
    assert done.why == {2: ("rule own: pinned to 1, up from 3",)}


def test_what_is_dropped_is_told() -> None:
    given_slate = slate([5, 4, 3], k=2, x=[1, 0, 1])
    done = rerank([Rule(where="x = 1", drop=True, name="sold out")], given_slate, RNG)
    assert (done.rows.tolist(), done.told) == ([1], ())
    assert done.why == {0: ("rule sold out: dropped",)}  # the other one would not have been shown
    nothing = rerank([Rule(where="x >= 0", drop=True), Diversify(by=["x"]), Explore()], given_slate, RNG)
    assert (nothing.rows.tolist(), nothing.told) == ([], ("rule x >= 0: nothing is left",))
    assert nothing.propensity is not None
    assert len(nothing.propensity) == 0


def test_a_number_holds_as_not_zero_and_a_text_is_refused() -> None:
    given_slate = slate([5, 4, 3, 2], x=[2, 0, np.nan, -1], y=["a", "b", "c", "d"])
    assert rerank([Rule(where="x", drop=True)], given_slate, RNG).rows.tolist() == [1, 2]
    assert rerank([Rule(where="y in ('a', 'd')", drop=True)], given_slate, RNG).rows.tolist() == [1, 2]
    for where, found in (("y", "no condition"), ("z = 1", "no column 'z'"), ("y < 1", "beside")):
        with pytest.raises(DesignError, match=found):
            rerank([Rule(where=where, drop=True)], given_slate, RNG)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=8))
def test_of_equal_values_the_best_stays(values: list[Any]) -> None:
    columns = np.empty(len(values), object)
    columns[:] = values
    given_slate = Slate(np.arange(len(values))[::-1], np.zeros(len(values)), {"x": columns}, ["i"] * len(values), 9)
    done = rerank([Deduplicate(by="x")], given_slate, RNG)
    seen: set[Any] = set()
    kept = []
    for row in range(len(values) - 1, -1, -1):
        if values[row] is None or values[row] not in seen:
            kept.append(row)
            seen.add(values[row])
    assert done.rows.tolist() == kept
    assert set(done.why) == set(range(len(values))) - set(kept)


def test_numbers_and_times_are_duplicates_too() -> None:
    moments = np.array(["2024-01-01", "NaT", "2024-01-01", "NaT"], "datetime64[us]")
    columns = {
        "price": np.array([1.0, np.nan, 1.0, np.nan]),
        "day": moments,
        "zero": np.array([0.0, -0.0, np.inf, np.inf]),
    }
    given_slate = Slate(np.arange(4), np.zeros(4), columns, list("abcd"), 4)
    for name, kept in (("price", [0, 1, 3]), ("day", [0, 1, 3]), ("zero", [0, 2, 3])):
        assert rerank([Deduplicate(by=name)], given_slate, RNG).rows.tolist() == kept
    assert rerank([Deduplicate(by="price", name="twin")], given_slate, RNG).why == {
        2: ("duplicate twin: as 'a' above",)
    }


CHAIN: list[Reranking] = [
    Rule(where="x > 2", drop=True),
    Deduplicate(by="y"),
    Rule(where="x = 1", multiply=2.0),
    Diversify(by=["y"]),
    Quota(where="x = 0", at_least=2, first=3),
    Quota(by="y", at_most=1, first=4),
    Rule(where="x = 2", place=2),
    Explore(epsilon=0.3),
]
ITEM = st.tuples(
    st.sampled_from([0.0, 1.0, np.nan, -1.0]),
    st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan]),
    st.sampled_from(["p", "q", "r", None]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ITEM, max_size=9), st.integers(1, 5), st.integers(0, 9))
def test_a_chain_loses_and_doubles_nothing(items: list[tuple[float, float, Any]], k: int, seed: int) -> None:
    texts = np.empty(len(items), object)
    texts[:] = [text for _, _, text in items]
    columns = {"x": np.array([number for _, number, _ in items], np.float64), "y": texts}
    scores = np.array([score for score, _, _ in items], np.float64)
    for array in (scores, *columns.values()):
        array.setflags(write=False)
    given_slate = Slate(np.arange(len(items)), scores, columns, [str(row) for row in range(len(items))], k)
    done = rerank(CHAIN, given_slate, np.random.default_rng(seed))
    rows = done.rows.tolist()
    assert len(set(rows)) == len(rows)
    gone = {row for row, (_, number, _) in enumerate(items) if number > 2}
    values = {text for row, (_, _, text) in enumerate(items) if row not in gone and text is not None}
    nulls = {row for row, (_, _, text) in enumerate(items) if row not in gone and text is None}
    assert not gone & set(rows)
    assert nulls <= set(rows)
    assert sorted(str(items[row][2]) for row in rows if row not in nulls) == sorted(values)
    assert given_slate.rows.tolist() == list(range(len(items)))
    assert done.propensity is not None
    assert len(done.propensity) == min(k, len(rows))
    stays = rerank(CHAIN[:-1], given_slate, np.random.default_rng(seed))
    assert stays.propensity is None
    assert set(stays.rows.tolist()) == set(rows)


def test_the_features_that_a_path_needs() -> None:
    stages = [*CHAIN, Explore("thompson", successes="won", trials="tried"), Diversify(by=["z"], vectors=True), object()]
    assert needed_columns(stages) == {"x", "y", "z", "won", "tried"}


@pytest.mark.parametrize("arguments", [{}, {"multiply": 2.0, "drop": True}, {"multiply": 0.0}, {"place": 0}])
def test_rules_that_do_not_say_one_thing_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(DesignError):
        Rule(where="x = 1", **arguments)
