"""Quotas against every order there is: what is missed, then how many pairs of items are turned round."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from bottega.design.reranking import Quota
from bottega.errors import DesignError
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.slate import Slate

RNG = np.random.default_rng(0)


def slate(new: list[Any], seller: list[Any], k: int = 20) -> Slate:
    m = len(new)
    sellers = np.empty(m, object)
    sellers[:] = seller
    columns = {"new": np.array(new, np.float64), "seller": sellers}
    return Slate(np.arange(m), -np.arange(m, dtype=np.float64), columns, [str(item) for item in range(m)], k)


def missed(quota: Quota, given: Slate, order: tuple[int, ...]) -> int:
    """Items too few or too many in the first places, counted one by one."""
    top = order[: quota.first]
    if quota.by is not None:
        counts = Counter(given.columns["seller"][item] for item in top)
        return sum(max(count - (quota.at_most or 0), 0) for value, count in counts.items() if value is not None)
    count = sum(given.columns["new"][item] == 1 for item in top)
    short = max((quota.at_least or 0) - count, 0)
    return short + (max(count - quota.at_most, 0) if quota.at_most is not None else 0)


def turned(order: tuple[int, ...]) -> int:
    return sum(left > right for left, right in combinations(order, 2))


def cost(quotas: list[Quota], given: Slate, order: tuple[int, ...]) -> tuple[int, ...]:
    return (*(missed(quota, given, order) for quota in quotas), turned(order))


@st.composite
def a_quota(draw: st.DrawFn) -> Quota:
    first = draw(st.integers(1, 5))
    if draw(st.booleans()):
        return Quota(by="seller", at_most=draw(st.integers(0, min(2, first))), first=first)
    least = draw(st.none() | st.integers(1, first))
    most = draw(st.integers(least or 0, first) if least is None else st.none() | st.integers(least, first))
    return Quota(where="new = 1", at_least=least, at_most=most, first=first)


ITEMS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=6
)


@settings(max_examples=150, deadline=None)
@given(ITEMS, st.lists(a_quota(), min_size=1, max_size=3))
@example(
    [(0.0, "a"), (0.0, "b"), (1.0, "a")],
    [Quota(where="new = 1", at_least=1, first=2), Quota(by="seller", at_most=1, first=2)],
)
def test_no_order_costs_less(items: list[tuple[float, Any]], quotas: list[Quota]) -> None:
    given_slate = slate([new for new, _ in items], [seller for _, seller in items])
    done = rerank(quotas, given_slate, RNG)
    order = tuple(done.rows.tolist())
    assert sorted(order) == list(range(len(items)))
    least = min(cost(quotas, given_slate, other) for other in permutations(range(len(items))))
    assert cost(quotas, given_slate, order) == least
    assert bool(done.told) == any(least[:-1])


@pytest.mark.parametrize("seed", range(12))
def test_long_lists_against_integer_programming(seed: int) -> None:
    """One quota among 400 items: exactly the smallest sum of places that a solver finds."""
    rng = np.random.default_rng(seed)
    given_slate = slate((rng.random(400) < 0.05).tolist(), [f"s{code}" for code in rng.integers(0, 4, 400)])
    quotas = [Quota(where="new = 1", at_least=4), Quota(by="seller", at_most=3)]
    new, sellers = given_slate.columns["new"], given_slate.columns["seller"]
    for quota, rows, most in (
        (quotas[0], [-new], [-4]),
        (quotas[1], [(sellers == f"s{code}").astype(float) for code in range(4)], [3] * 4),
    ):
        order = rerank([quota], given_slate, RNG).rows
        limits = LinearConstraint(np.array([np.ones(400), *rows]), [10] + [-np.inf] * len(most), [10, *most])
        solved = milp(np.arange(400.0), integrality=np.ones(400), bounds=Bounds(0, 1), constraints=limits)
        assert order[:10].sum() == round(solved.fun)
        assert np.all(np.diff(order[:10]) > 0)
        assert np.all(np.diff(order[10:]) > 0)
    together = rerank(quotas, given_slate, RNG)
    assert together.told == ()
    assert all(not missed(quota, given_slate, tuple(together.rows.tolist())) for quota in quotas)


def test_what_moved_is_told() -> None:
    done = rerank([Quota(where="new = 1", at_least=1, first=2, name="new items")], slate([0, 0, 0, 1], ["a"] * 4), RNG)
    assert done.rows.tolist() == [0, 3, 1, 2]
    assert done.why == {1: ("quota new items: down from 2",), 3: ("quota new items: up from 4",)}


def test_what_cannot_be_met_is_told() -> None:
    given_slate = slate([0, 1, 0], ["a", "a", None])
    quotas = [
        Quota(where="new = 1", at_least=2, first=2),
        Quota(where="new = 1", at_most=0, first=3, name="none new"),
        Quota(by="seller", at_most=1),
    ]
    done = rerank(quotas, given_slate, RNG)
    assert done.rows.tolist() == [0, 1, 2]
    assert done.told == (
        "quota new = 1: 1 of at least 2 in the first 2",
        "quota none new: 1 of at most 0 in the first 3",
        "quota seller: 2 of a, at most 1, in the first 3",
    )


def test_a_quota_that_is_met_changes_nothing() -> None:
    given_slate = slate([1, 0, 1, 0], ["a", "b", "a", "b"])
    done = rerank([Quota(where="new = 1", at_least=1, at_most=2, first=3)], given_slate, RNG)
    assert done.rows.tolist() == [0, 1, 2, 3]
    assert (done.why, done.told) == ({}, ())


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"at_least": 1}, "neither"),
        ({"where": "x = 1", "by": "x", "at_most": 1}, "both"),
        ({"where": "x = 1"}, "no bound"),
        ({"by": "x", "at_least": 1}, "with by"),
        ({"where": "x = 1", "at_least": 3, "at_most": 2}, "3"),
        ({"where": "x = 1", "at_least": 11}, "11"),
        ({"where": "x = 1", "at_least": 0}, "0"),
    ],
)
def test_quotas_that_say_nothing_are_refused(arguments: dict[str, Any], found: str) -> None:
    with pytest.raises(DesignError) as refused:
        Quota(**arguments)
    assert found in str(refused.value.found)
