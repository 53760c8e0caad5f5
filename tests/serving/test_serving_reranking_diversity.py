"""Diversity against the definitions: MMR item by item, DPP by determinants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.reranking import Diversify
from bottega.errors import DesignError
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.slate import Slate

RNG = np.random.default_rng(0)
CLOSE = 2e-4  # vectors are compared in float32


def slate(scores: list[float], features: list[list[Any]], vectors: np.ndarray | None = None, k: int = 20) -> Slate:
    m = len(scores)
    columns = {}
    for index, values in enumerate(features):
        columns[f"f{index}"] = np.empty(m, object)
        columns[f"f{index}"][:] = values
    ids = [f"item {row}" for row in range(m)]
    return Slate(np.arange(m), np.array(scores, np.float64), columns, ids, k, vectors)


def alike(given_slate: Slate, features: int, left: int, right: int) -> float:
    """The similarity of two items as the design's words have it."""
    if left == right:
        return 1.0
    parts = []
    for index in range(features):
        value = given_slate.columns[f"f{index}"][left]
        parts.append(float(value is not None and value == given_slate.columns[f"f{index}"][right]))
    if given_slate.vectors is not None:
        a, b = (np.asarray(given_slate.vectors[row], np.float64) for row in (left, right))
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        parts.append(float(a @ b) / lengths if lengths > 0 and np.isfinite(lengths) else 0.0)
    return sum(parts) / len(parts)


def relevance(scores: np.ndarray) -> np.ndarray:
    finite = np.isfinite(scores)
    low, high = scores[finite].min(initial=np.inf), scores[finite].max(initial=-np.inf)
    return np.array(
        [(score - low) / (high - low) if ok and high > low else 0.0 for score, ok in zip(scores, finite, strict=True)]
    )


@st.composite
def a_case(draw: st.DrawFn) -> tuple[Slate, int, float, int]:
    m, features = draw(st.integers(1, 7)), draw(st.integers(0, 2))
    scores = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, -2.0, np.nan]), min_size=m, max_size=m))
    value = st.sampled_from(["a", "b", None])
    columns = [draw(st.lists(value, min_size=m, max_size=m)) for _ in range(features)]
    vectors = None
    if features == 0 or draw(st.booleans()):
        numbers = st.lists(st.sampled_from([-1.0, 0.0, 0.3, 2.0]), min_size=3, max_size=3)
        vectors = np.array(draw(st.lists(numbers, min_size=m, max_size=m)))
    weight, first = draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])), draw(st.integers(1, 8))
    return slate(scores, columns, vectors), features, weight, first


def stage(method: Literal["mmr", "dpp"], given_slate: Slate, features: int, weight: float, first: int) -> Diversify:
    by = [f"f{index}" for index in range(features)]
    return Diversify(method=method, weight=weight, by=by, vectors=given_slate.vectors is not None, first=first)


@settings(max_examples=200, deadline=None)
@given(a_case())
def test_mmr_takes_the_best_value_at_each_place(case: tuple[Slate, int, float, int]) -> None:
    given_slate, features, weight, first = case
    rows = rerank([stage("mmr", *case)], given_slate, RNG).rows.tolist()
    scaled = relevance(given_slate.scores)
    for place in range(min(first, len(rows))):
        above, left = rows[:place], sorted(rows[place:])

        def value(row: int, above: list[int] = above) -> float:
            likest = max((alike(given_slate, features, row, other) for other in above), default=0.0)
            return float((1 - weight) * scaled[row] - weight * likest)

        best = max(value(row) for row in left)
        assert value(rows[place]) >= best - CLOSE
        if place == 0:
            assert rows[0] == next(row for row in left if value(row) >= best - 1e-12)
    assert rows[first:] == sorted(rows[first:])
    assert sorted(rows) == list(range(len(given_slate.ids)))


@settings(max_examples=200, deadline=None)
@given(a_case())
def test_dpp_takes_the_largest_determinant_at_each_place(case: tuple[Slate, int, float, int]) -> None:
    given_slate, features, weight, first = case
    rows = rerank([stage("dpp", *case)], given_slate, RNG).rows.tolist()
    scaled, m = relevance(given_slate.scores), len(rows)
    kernel = np.array([[alike(given_slate, features, left, right) for right in range(m)] for left in range(m)])
    for place in range(min(first, m)):
        above = rows[:place]
        volume = np.linalg.det(kernel[np.ix_(above, above)])
        if volume < 1e-4:
            break  # what is above spans all there is to see

        def value(row: int, above: list[int] = above, volume: float = volume) -> float:
            both = [*above, row]
            share = np.linalg.det(kernel[np.ix_(both, both)]) / volume
            return float((1 - weight) * scaled[row] + weight * np.log(max(share, 1e-6)))

        seen = max(value(row) for row in rows[place:])
        if seen > np.log(1e-3):  # below, float32 and determinants both lose their digits
            assert value(rows[place]) >= seen - 1e-2
    assert rows[first:] == sorted(rows[first:])
    assert sorted(rows) == list(range(m))


def test_dpp_sees_what_several_explain_together() -> None:
    vectors = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.7, 0.7, 0.14], [0.75, 0.0, 0.66]])
    given_slate = slate([1.0, 1.0, 0.5, 0.5], [], vectors)
    mmr = rerank([Diversify(vectors=True, weight=0.9)], given_slate, RNG).rows.tolist()
    dpp = rerank([Diversify("dpp", vectors=True, weight=0.9)], given_slate, RNG).rows.tolist()
    assert mmr == [0, 1, 2, 3]  # its likest has a cosine of 0.70 here, and of 0.75 there
    assert dpp == [0, 1, 3, 2]  # the first two explain 98 % of it


def test_weight_zero_orders_by_score_and_ties_keep_their_order() -> None:
    given_slate = slate([0.2, 0.9, 0.2, np.nan, 0.9], [["a"] * 5])
    for method in ("mmr", "dpp"):
        done = rerank([Diversify(method, weight=0.0, by=["f0"])], given_slate, RNG)  # type: ignore[arg-type]
        assert done.rows.tolist() == [1, 4, 0, 2, 3]


def test_equal_scores_are_ordered_by_unlikeness_alone() -> None:
    done = rerank([Diversify(by=["f0"])], slate([1.0] * 5, [["a", "a", "b", "b", None]]), RNG)
    assert done.rows.tolist() == [0, 2, 4, 1, 3]
    assert done.why == {
        1: ("mmr: down from 2, like 'item 0' (1.00)",),
        2: ("mmr: up from 3",),
        3: ("mmr: down from 4, like 'item 2' (1.00)",),
        4: ("mmr: up from 5",),
    }


def test_without_vectors_the_features_count_and_it_is_told() -> None:
    given_slate = slate([1.0, 0.9, 0.8], [["a", "a", "b"]])
    done = rerank([Diversify(by=["f0"], vectors=True, weight=0.6, name="mix")], given_slate, RNG)
    assert (done.rows.tolist(), done.told) == ([0, 2, 1], ("mix: no vectors",))
    alone = rerank([Diversify(vectors=True)], given_slate, RNG)
    assert (alone.rows.tolist(), alone.told) == ([0, 1, 2], ("mmr: no vectors",))


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_vector_without_direction_is_like_nothing(bad: float, dtype: type) -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [bad, bad]], dtype)
    vectors.setflags(write=False)
    done = rerank([Diversify(vectors=True, weight=0.6)], slate([1.0, 0.9, 0.8], [], vectors), RNG)
    assert done.rows.tolist() == [0, 2, 1]


def test_extreme_scores_do_not_overflow() -> None:
    given_slate = slate([1.7e308, -1.7e308, np.inf, 0.0], [["a", "b", "c", "d"]])
    assert rerank([Diversify(by=["f0"])], given_slate, RNG).rows.tolist()[:1] == [0]


def test_a_feature_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(DesignError, match="did you mean 'f0'"):
        rerank([Diversify(by=["f00"])], slate([1.0, 0.9], [["a", "b"]]), RNG)
    with pytest.raises(DesignError, match="nothing to compare"):
        Diversify()
