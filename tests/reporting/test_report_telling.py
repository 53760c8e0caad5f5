"""What `bottega explain` shows of an answer: whole without the new parts, and sums that add up with them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bottega.reporting.telling import explained


def item(**more: Any) -> dict[str, Any]:
    plain = {
        "id": "ad-7",
        "rank": 1,
        "sources": {},
        "stages": {"rank": 0.0213, "convert": 0.112, "auction": 0.00287},
        "features": {"hour": 13.0, "device": "mobile", "clicks": None},
    }
    return {**plain, **more}


def test_without_contributions_it_tells_sources_scores_and_features() -> None:
    told = explained([item(sources={"Popularity": 3}), item(contributions={}, price=None, slot=None)]).splitlines()
    assert told[0] == "  1  ad-7   brought by Popularity at 3"
    assert told[1] == "     scores    rank 0.021   convert 0.112   auction 0.00287"
    assert told[2] == "     features  hour 13.0   device mobile   clicks –"
    assert len(told) == 6
    assert explained([]) == "nothing was shown for this request"


def test_the_largest_contributions_come_first_with_their_sign() -> None:
    parts = {"hour": -0.31, "rate_ad_id": 0.82, "device": 0.04, "a": 0.01, "b": 0.02, "c": -0.03, "d": 0.005, "e": -0.1}
    line = explained([item(contributions=parts, base=-3.9)]).splitlines()[2]
    assert line == (
        "     why       base −3.900   +0.820 rate_ad_id   −0.310 hour   −0.100 e   +0.040 device   −0.030 c   +0.020 b"
        "   +0.015 2 more   = −3.445 log-odds"
    )
    assert (
        explained([item(contributions={"x": 1.0}, base=2.0, unit="score")]).splitlines()[2].endswith("= +3.000 score")
    )


def test_each_ladder_tells_what_moved_its_score() -> None:
    rank = {"base": -3.0, "values": {"hour": 0.5}, "unit": "log-odds"}
    convert = {"base": -1.0, "values": {"price": -0.25}, "unit": "log-odds"}
    told = explained([item(contributions={"rank": rank, "convert": convert})]).splitlines()
    assert told[2] == "     why       rank: base −3.000   +0.500 hour   = −2.500 log-odds"
    assert told[3] == "     why       convert: base −1.000   −0.250 price   = −1.250 log-odds"
    alone = explained([item(contributions={"DCN": rank})]).splitlines()
    assert alone[2] == "     why       base −3.000   +0.500 hour   = −2.500 log-odds"


def test_an_auction_tells_slot_bid_and_price() -> None:
    told = explained([item(slot=1, bid=1.25, price=0.834)]).splitlines()[0]
    assert told == "  1  ad-7   brought by the request   slot 1   bid 1.25   price 0.834"


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=20), st.floats(-9, 9))
def test_what_is_shown_adds_up(values: list[float], base: float) -> None:
    parts = {f"f{place}": value for place, value in enumerate(values)}
    line = explained([item(contributions=parts, base=base)]).splitlines()[2]
    shown = [float(each.replace("−", "-")) for each in re.findall(r"[+−]?\d+\.\d{3}", line)]
    assert abs(sum(shown[:-1]) - shown[-1]) <= 0.0006 * len(shown)
    assert abs(shown[-1] - (base + np.sum(values))) <= 0.00051
