"""The auction's arithmetic: against the literature's examples, a naive auctioneer, and what every auction must hold."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bottega.serving.auction import (
    DAY,
    HOUR,
    Sold,
    generalized_second_price,
    pacing,
    passed_share,
    taking_part,
    worth,
)
from bottega.serving.ordering import best

BAD = [math.nan, math.inf, -math.inf, 0.0, -1.0, -0.0]
BID = st.floats(0.01, 1e6) | st.integers(1, 5).map(float)
CHANCE = st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.1, 0.5, 1.0])
ADS = st.lists(st.tuples(BID | st.sampled_from(BAD), CHANCE), min_size=1, max_size=12)
SLOTS = st.integers(1, 6)
RESERVE = st.sampled_from([0.0, 0.5, 2.0])
QUALITY = st.sampled_from([0.0, 0.5, 1.0, 2.0])


def naive(ads: list[tuple[float, float]], slots: int, reserve: float, quality: float) -> list[tuple[int, float]]:
    """Sell slot by slot: the best of those left wins, and pays what keeps it above the best of those then left."""
    left = [place for place, (bid, _) in enumerate(ads) if 0 < bid < math.inf and bid >= reserve]
    sold = []
    for _ in range(slots):
        if not left:
            break
        score = {place: ads[place][0] * ads[place][1] ** quality for place in left}
        winner = max(left, key=lambda place: (score[place], -place))
        left.remove(winner)
        weight = ads[winner][1] ** quality
        rival = max((score[place] for place in left), default=0.0)
        least = rival / weight if weight > 0 and rival > 0 else 0.0
        sold.append((winner, min(max(least, reserve), ads[winner][0])))
    return sold


def sell(ads: list[tuple[float, float]], slots: int, reserve: float = 0.0, quality: float = 1.0) -> Sold:
    return generalized_second_price([bid for bid, _ in ads], [chance for _, chance in ads], slots, reserve, quality)


@given(ADS, SLOTS, RESERVE, QUALITY)
def test_slots_go_as_a_naive_auctioneer_sells_them(
    ads: list[tuple[float, float]], slots: int, reserve: float, quality: float
) -> None:
    sold = sell(ads, slots, reserve, quality)
    right = naive(ads, slots, reserve, quality)
    assert sold.rows.tolist() == [place for place, _ in right]
    assert sold.prices.tolist() == pytest.approx([price for _, price in right], rel=1e-12)


def test_the_example_of_edelman_ostrovsky_and_schwarz() -> None:
    # Two slots of 200 and 100 clicks an hour, bids of 10, 4 and 2 dollars (American Economic Review 97(1), section II):
    # the payments are 4 and 2 dollars a click, 800 and 200 dollars an hour.
    sold = sell([(10, 0.5), (4, 0.5), (2, 0.5)], 2)
    assert sold.rows.tolist() == [0, 1]
    assert (sold.prices * [200, 100]).tolist() == [800, 200]


def test_the_example_of_easley_and_kleinberg() -> None:
    # Values 7, 6 and 1, told truthfully; slots of 10 and 4 clicks (Networks, Crowds, and Markets, section 15.5): x pays
    # 6 a click and gains 10; had it bid 5 it would have the second slot at 1 a click, and gain 24: truth does not pay.
    truthful = sell([(7, 1), (6, 1), (1, 1)], 2)
    assert truthful.rows.tolist() == [0, 1]
    assert 10 * (7 - truthful.prices[0]) == 10
    shaded = sell([(5, 1), (6, 1), (1, 1)], 2)
    assert shaded.rows.tolist() == [1, 0]
    assert 4 * (7 - shaded.prices[1]) == 24


def test_the_example_with_quality_of_varian() -> None:
    # Bids 4, 3, 2, 1 and quality 1, 3, 6, 8 (Introduction to the Google Ad Auction, 2009): the ads stand in the order
    # third, second, fourth, first, at 1.50, 2.67 and 0.50, and the last one pays the least that is taken.
    sold = sell([(4, 0.1), (3, 0.3), (2, 0.6), (1, 0.8)], 4, reserve=0.05)
    assert sold.rows.tolist() == [2, 1, 3, 0]
    assert sold.prices.round(2).tolist() == [1.5, 2.67, 0.5, 0.05]


@given(ADS, SLOTS, RESERVE, QUALITY)
def test_nobody_pays_more_than_it_bid_nor_less_than_the_reserve(
    ads: list[tuple[float, float]], slots: int, reserve: float, quality: float
) -> None:
    sold = sell(ads, slots, reserve, quality)
    for row, price in zip(sold.rows.tolist(), sold.prices.tolist(), strict=True):
        assert reserve <= price <= ads[row][0]
        assert math.isfinite(price)
    able = sum(0 < bid < math.inf and bid >= reserve for bid, _ in ads)
    assert len(sold.rows) == len(set(sold.rows.tolist())) == min(slots, able)


@given(ADS, RESERVE, QUALITY, st.integers(0, 11), st.floats(1.0, 100.0))
def test_who_bids_more_never_gets_a_worse_slot(
    ads: list[tuple[float, float]], reserve: float, quality: float, who: int, factor: float
) -> None:
    who %= len(ads)
    bid, chance = ads[who]
    assume(0 < bid < math.inf)
    before = sell(ads, len(ads), reserve, quality).rows.tolist()
    ads[who] = (bid * factor, chance)
    after = sell(ads, len(ads), reserve, quality).rows.tolist()
    assert who not in before or after.index(who) <= before.index(who)


@given(ADS, SLOTS, RESERVE, QUALITY)
def test_a_winner_keeps_its_slot_at_its_price_and_loses_it_just_below(
    ads: list[tuple[float, float]], slots: int, reserve: float, quality: float
) -> None:
    scores = sorted(bid * chance**quality for bid, chance in ads if 0 < bid < math.inf)
    assume(all(high - low > 1e-6 * high for low, high in pairwise([1e-6, *scores])))  # rounding decides nothing
    sold = sell(ads, slots, reserve, quality)
    for slot, (row, price) in enumerate(zip(sold.rows.tolist(), sold.prices.tolist(), strict=True)):
        for factor, keeps in ((1 + 1e-9, True), (1 - 1e-9, price == 0)):
            other = list(ads)
            other[row] = (max(price * factor, 1e-9), ads[row][1])
            rows = sell(other, slots, reserve, quality).rows.tolist()
            assert (slot < len(rows) and rows[slot] == row) == keeps


@given(st.lists(BID, min_size=1, max_size=10), st.floats(0.01, 1), SLOTS, st.floats(0, 5), st.floats(0, 5), QUALITY)
def test_a_higher_reserve_never_lowers_a_price_where_all_are_alike(
    bids: list[float], chance: float, slots: int, low: float, more: float, quality: float
) -> None:
    ads = [(bid, chance) for bid in bids]
    before, after = sell(ads, slots, low, quality), sell(ads, slots, low + more, quality)
    prices = dict(zip(before.rows.tolist(), before.prices.tolist(), strict=True))
    for row, price in zip(after.rows.tolist(), after.prices.tolist(), strict=True):
        assert price >= prices[row] - 1e-12 * price
    assert len(after.rows) <= len(before.rows)


def test_with_quality_a_higher_reserve_may_put_the_rival_out_and_lower_a_price() -> None:
    ads = [(10, 0.1), (2, 0.4)]
    assert sell(ads, 1, reserve=0).prices.tolist() == pytest.approx([8.0])
    assert sell(ads, 1, reserve=3).prices.tolist() == [3.0]


def test_bids_that_are_none_take_no_part() -> None:
    assert not taking_part(BAD).any()
    assert taking_part([1e308, 5e-324, 0.5], reserve=0.0).all()
    sold = sell([*((bid, 0.5) for bid in BAD), (2.0, 0.5)], 3)
    assert sold.rows.tolist() == [len(BAD)]
    assert sold.prices.tolist() == [0.0]
    assert sell([(math.nan, 0.5)], 3).rows.tolist() == []
    assert sell([(2.0, math.nan)], 3).rows.tolist() == []


def test_the_edges_of_the_arithmetic_are_defined() -> None:
    huge = sell([(1e308, 1.0), (1e308, 1e-300), (1e-308, 1.0)], 3)
    assert huge.rows.tolist() == [0, 1, 2]
    assert np.isfinite(huge.prices).all()
    nothing = sell([(3.0, 0.0), (2.0, 0.0)], 2, reserve=0.25)
    assert nothing.prices.tolist() == [0.25, 0.25]
    assert worth([2.0], [0.0], quality=0.0).tolist() == [2.0]


def test_equal_scores_go_by_id() -> None:
    sold = generalized_second_price([1.0, 1.0, 1.0], [0.5] * 3, 2, ids=["c", "a", "b"])
    assert sold.rows.tolist() == [1, 2]
    assert sold.prices.tolist() == [1.0, 1.0]


@given(
    st.lists(st.sampled_from([0.1, 0.5, -3.0, math.nan, math.inf, -math.inf]), max_size=30),
    st.integers(0, 35),
    st.data(),
)
def test_the_best_are_those_of_a_whole_sort(scores: list[float], k: int, data: Any) -> None:
    ids = data.draw(st.permutations([f"i{n}" for n in range(len(scores))]))
    rows = np.array([n for n in range(len(scores)) if data.draw(st.booleans())], np.intp)
    right = sorted(rows.tolist(), key=lambda row: (_below(scores[row]), ids[row]))[:k]
    assert best(np.array(scores), rows, k, ids).tolist() == right


def _below(score: float) -> float:
    return math.inf if math.isnan(score) else -score


def test_pacing_holds_back_who_is_ahead_of_the_day() -> None:
    spent = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5]
    assert pacing(spent, 0.5).tolist() == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    assert pacing([0.75], 0.5, strength=2).tolist() == [0.25]
    assert pacing(spent, 0.5, strength=0).tolist() == [1.0] * 6
    assert pacing(spent, 1.0).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    assert pacing([0.3], 0.0).tolist() == pytest.approx([0.7])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.999), st.floats(0, 10))
def test_pacing_lies_in_0_to_1_and_falls_with_what_is_spent(
    one: float, other: float, passed: float, strength: float
) -> None:
    low, high = sorted((one, other))
    less, more = pacing([low, high], passed, strength)
    assert 0 <= more <= less <= 1


def test_the_day_passes_with_its_traffic() -> None:
    midnight = 20_000 * DAY
    assert passed_share(midnight) == 0
    assert passed_share(midnight + DAY - 1) == pytest.approx(1)
    traffic = [0.0] * 8 + [1.0] * 4 + [2.0] * 4 + [0.0] * 8
    assert [passed_share(midnight + hour * HOUR, traffic) for hour in (0, 8, 10, 12, 14, 16, 23)] == pytest.approx(
        [0, 0, 2 / 12, 4 / 12, 8 / 12, 1, 1]
    )
    grown = [passed_share(midnight + minute * HOUR // 60, traffic) for minute in range(24 * 60)]
    assert grown == sorted(grown)
