"""Exploration: its chances against every draw there is, against many draws, and as estimates of another policy."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from bottega.design.reranking import Explore, Rule, check_exploring_last
from bottega.errors import DesignError
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.epsilon import epsilon_chances
from bottega.serving.reranking.slate import Slate
from bottega.serving.reranking.thompson import Beliefs, beta_beliefs, draw, normal_beliefs, thompson_chances

Lists = dict[tuple[int, ...], float]


def slate(scores: list[float], k: int, **columns: list[Any]) -> Slate:
    features = {name: np.array(values, np.float64) for name, values in columns.items()}
    return Slate(np.arange(len(scores)), np.array(scores), features, [str(row) for row in range(len(scores))], k)


def every_list(m: int, pool: int, first: int, epsilon: float) -> Lists:
    """Every order that epsilon-greedy can give with its chance, by following every coin and every pick."""
    found: Lists = defaultdict(float)

    def follow(above: tuple[int, ...], chance: float) -> None:
        rest = [item for item in range(m) if item not in above]
        left = [item for item in rest if item < pool]
        if len(above) >= first or not left:
            found[(*above, *rest)] += chance
            return
        follow((*above, left[0]), chance * (1 - epsilon))
        for item in left:
            follow((*above, item), chance * epsilon / len(left))

    follow((), 1.0)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 7), st.integers(1, 7), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(1, 6)
)
def test_epsilon_by_every_coin_and_pick(m: int, pool: int, first: int, epsilon: float, k: int) -> None:
    lists = every_list(m, pool, first, epsilon)
    assert sum(lists.values()) == pytest.approx(1)
    k = min(k, m)
    for order, chance in lists.items():
        if chance == 0:
            continue
        propensity, given_above = epsilon_chances(np.array(order[:k]), min(pool, m), first, epsilon)
        for place in range(k):
            here = sum(other for drawn, other in lists.items() if drawn[place] == order[place])
            begins = [sum(c for drawn, c in lists.items() if drawn[:n] == order[:n]) for n in (place, place + 1)]
            assert propensity[place] == pytest.approx(here, abs=1e-12)
            assert given_above[place] == pytest.approx(begins[1] / begins[0], abs=1e-12)


def test_epsilon_draws_as_it_says() -> None:
    stage, rng, draws = Explore(epsilon=0.4, pool=3, first=2), np.random.default_rng(5), 20_000
    seen: Lists = defaultdict(float)
    for _ in range(draws):
        seen[tuple(rerank([stage], slate([4.0, 3.0, 2.0, 1.0], 3), rng).rows.tolist())] += 1
    right = every_list(4, 3, 2, 0.4)
    assert set(seen) == set(right)
    statistic = sum((seen[order] - draws * chance) ** 2 / (draws * chance) for order, chance in right.items())
    assert statistic < stats.chi2.ppf(0.999, len(right) - 1)


def near(count: int, draws: int, chance: float) -> bool:
    """Whether a count is one that a chance, or one within 1e-3 of it, may well give."""
    return bool(stats.binom.sf(count - 1, draws, chance * 1.001) > 1e-5 < stats.binom.cdf(count, draws, chance / 1.001))


@pytest.mark.parametrize(
    "beliefs",
    [
        normal_beliefs(np.array([1.0, 0.8, 0.1, 0.0, -2.0]), 0.7),
        beta_beliefs(np.array([30.0, 2.0, 0.0, 0.0, 900.0]), np.array([100.0, 3.0, 0.0, 40.0, 4000.0]), (1, 1)),
        beta_beliefs(np.array([0.0, 1.0, 0.0, 20.0, 3e5]), np.array([1.0, 20.0, 5.0, 300.0, 5e6]), (0.1, 2.0)),
    ],
    ids=["normal", "beta", "beta of a strange prior"],
)
def test_thompson_chances_by_many_draws(beliefs: Beliefs) -> None:
    rng, draws, k = np.random.default_rng(3), 200_000, 3
    values = np.stack([draw(beliefs, rng) for _ in range(draws)])
    orders = np.argsort(-values, axis=1)
    for order in permutations(range(5)):
        propensity, given_above = thompson_chances(beliefs.take(np.array(order)), k)
        begins = np.ones(draws, bool)
        for place in range(k):
            here = orders[:, place] == order[place]
            assert near(here.sum(), draws, propensity[place])
            assert near(here[begins].sum(), begins.sum(), given_above[place])
            begins &= here


@pytest.mark.parametrize(("first", "second"), [((8, 3), (700, 340)), ((1, 1), (2e4, 4e4)), ((0.5, 60), (3, 90))])
def test_thompson_against_another_integral(first: tuple[float, float], second: tuple[float, float]) -> None:
    """Two items: P(X > Y) = ∫ F_Y dF_X, by SciPy's own distributions and quadrature."""
    beliefs = Beliefs("beta", np.array([first[0], second[0]], float), np.array([first[1], second[1]], float))
    x, y = stats.beta(*first), stats.beta(*second)
    right, error = quad(lambda share: y.cdf(x.ppf(share)), 0, 1, limit=500, epsabs=1e-7)
    assert error < 1e-5
    for chances in thompson_chances(beliefs, 1):
        assert chances[0] == pytest.approx(right, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10_000), st.floats(-2.0, 1.0))
def test_thompson_of_equal_beliefs_is_uniform(m: int, seed: int, width: float) -> None:
    k = min(m, 20)
    rng = np.random.default_rng(seed)
    for beliefs in (
        normal_beliefs(np.full(m, rng.normal()), 10.0**width),
        beta_beliefs(np.full(m, 7.0), np.full(m, 7.0 + seed), (1, 1)),
    ):
        propensity, given_above = thompson_chances(beliefs, k)
        np.testing.assert_allclose(propensity, 1 / m, rtol=1e-3)
        np.testing.assert_allclose(given_above, 1 / (m - np.arange(k)), rtol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_thompson_chances_of_all_items_in_a_place_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 7, 12))
    beliefs = beta_beliefs(np.floor(trials * rng.beta(1, 20, 12)), trials, (1, 20))
    total = np.zeros(12)
    for item in range(12):
        others = [other for other in range(12) if other != item]
        for place in range(12):
            order = np.array([*others[:place], item, *others[place:]])
            total[place] += thompson_chances(beliefs.take(order), 12)[0][place]
    np.testing.assert_allclose(total, 1, atol=2e-4)


def test_gaps_that_no_draw_bridges() -> None:
    for std in (1e-300, 1e-9, 1e300):
        done = rerank([Explore("thompson", std=std)], slate([1e308, 1.0, 0.0, -1e308], 4), np.random.default_rng(0))
        assert done.propensity is not None
        if std < 1:
            assert done.rows.tolist() == [0, 1, 2, 3]
            np.testing.assert_allclose(done.propensity, 1, atol=1e-4)
        assert np.all((done.propensity > 0) & (done.propensity <= 1))


def test_what_cannot_be_drawn_comes_after() -> None:
    given_slate = slate([0.3, np.nan, 0.2, np.inf, 0.1], 5)
    done = rerank([Explore("thompson", std=1e-6, pool=4)], given_slate, np.random.default_rng(0))
    assert done.rows.tolist() == [0, 2, 1, 3, 4]
    assert done.propensity is not None
    np.testing.assert_allclose(done.propensity, 1, atol=1e-4)


def test_counts_that_make_no_sense() -> None:
    beliefs = beta_beliefs(np.array([5.0, -1.0, np.nan, 3.0, 1e12]), np.array([2.0, 4.0, 3.0, np.inf, 1e13]), (1, 2))
    assert beliefs.first.tolist() == [3.0, 1.0, 1.0, 1.0, 1e8 + 1]
    assert beliefs.second.tolist() == [2.0, 6.0, 5.0, 2.0, 9e8 + 2]


@pytest.mark.parametrize(
    "stage",
    [Explore(epsilon=0.5), Explore(epsilon=0.0), Explore(epsilon=1.0), Explore("thompson", std=0.5),
     Explore("thompson", successes="clicks", trials="shows"), Explore(epsilon=1.0, pool=1),
     Explore("thompson", std=1.0, pool=1)],
)  # fmt: skip
@pytest.mark.parametrize(("m", "k"), [(0, 3), (1, 3), (3, 1), (6, 4), (4, 4)])
def test_edges(stage: Explore, m: int, k: int) -> None:
    given_slate = slate([-float(row) for row in range(m)], k, clicks=[0.0] * m, shows=[np.nan] * m)
    done = rerank([stage], given_slate, np.random.default_rng(1))
    again = rerank([stage], given_slate, np.random.default_rng(1))
    assert sorted(done.rows.tolist()) == list(range(m))
    assert done.rows.tolist() == again.rows.tolist()
    for chances, same in ((done.propensity, again.propensity), (done.given_above, again.given_above)):
        assert chances is not None
        assert same is not None
        assert chances.shape == (min(m, k),)
        assert chances.tolist() == same.tolist()
        assert np.all((chances > 0) & (chances <= 1))
        if stage.epsilon == 0.0 or stage.pool == 1:
            assert chances.tolist() == pytest.approx([1.0] * min(m, k), abs=1e-4)
    assert given_slate.rows.tolist() == list(range(m))


CLICK = np.array([0.10, 0.25, 0.15, 0.30, 0.05, 0.20])  # of each item, where it is looked at
LOOK = np.array([0.9, 0.6, 0.4])  # of each place
OTHER = [1, 0, 3]  # what the other policy shows


@pytest.mark.parametrize(
    "stage",
    [Explore(epsilon=0.5), Explore("thompson", std=0.6), Explore("thompson", successes="clicks", trials="shows")],
    ids=["epsilon", "normal", "beta"],
)
def test_the_value_of_another_policy_is_recovered(stage: Explore) -> None:
    """Inverse propensities: by place, and of whole lists; the truth is Σ look · click of the other policy's list."""
    rng, shows = np.random.default_rng(11), 12_000
    given_slate = slate([0.9, 0.6, 0.5, 0.3, 0.2, 0.0], 3, clicks=[2, 3, 1, 2, 0, 1], shows=[8, 12, 9, 10, 7, 6])
    by_place, by_list, plain = np.zeros(shows), np.zeros(shows), np.zeros(shows)
    for show in range(shows):
        done = rerank([stage], given_slate, rng)
        assert done.propensity is not None
        assert done.given_above is not None
        rows = done.shown
        clicks = rng.random(3) < LOOK * CLICK[rows]
        same = rows == OTHER
        by_place[show] = np.sum(clicks * same / done.propensity)
        by_list[show] = np.sum(clicks) * same.all() / np.prod(done.given_above)
        plain[show] = np.sum(clicks)
    truth = float(LOOK @ CLICK[OTHER])
    for estimate in (by_place, by_list):
        error = estimate.std() / np.sqrt(shows)
        assert abs(estimate.mean() - truth) < 3.5 * error
        assert error < truth / 3
    assert abs(plain.mean() - truth) > 5 * plain.std() / np.sqrt(shows)  # the log itself shows something else


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "thompson"},
        {"method": "thompson", "successes": "clicks"},
        {"method": "thompson", "successes": "clicks", "trials": "shows", "std": 1.0},
        {"method": "thompson", "std": 0.0},
        {"std": 1.0},
        {"epsilon": 1.5},
        {"pool": 0},
        {"prior": (1.0,)},
        {"prior": (0.0, 1.0)},
    ],
)
def test_what_cannot_be_explored_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(DesignError):
        Explore(**arguments)


def test_nothing_changes_the_order_after_exploring() -> None:
    check_exploring_last([Rule(where="x = 1", drop=True), Explore()])
    for after in (Rule(where="x = 1", drop=True), Explore()):
        with pytest.raises(DesignError, match="after Explore"):
            rerank([Explore(), after], slate([1.0], 1), np.random.default_rng(0))
