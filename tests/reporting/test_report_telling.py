"""What `bottega explain` shows of an answer: whole without the new parts, and sums that add up with them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bottega.reporting import telling


def explained(items: list[dict[str, Any]]) -> str:
    return telling.explained(items, width=1000)


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


@pytest.mark.parametrize("width", [40, 60, 80, 118])
def test_lines_break_between_their_parts(width: int) -> None:
    parts = {f"feature_{place}": 0.1 * place for place in range(9)}
    items = [item(contributions=parts, base=-3.9, reranked=["Quota a new film: one of them was moved up to place 3"])]
    at = {"value": 13.94, "low": 12.0, "high": 15.0}
    test = {"rate": 1200.0, "p50": at, "p95": at, "p99": at, "failed": 3, "saturated": True}
    more = {"limit_ms": 50.0, "tried": [test], "holds": False, "requests": 20_000, "degraded": 0.1, "shortfalls": {}}
    load = {**test, **more, "requests_per_s": 1_150.0, "degradations": {"BM25: left out, not there after n ms": 19}}
    worst = {"feature": "times_all", "served": 1, "request": {"user": "c17"}, "candidate": "p3"}
    differ = {"decisions": 900, "build": "b1", "compared": 9_000, "mismatches": 1, "by_feature": {"times_all": 1}}
    differ["worst"] = [{**worst, "serving": 1.0, "training": 2.0}]
    for told in (
        telling.explained(items, width),
        telling.load_test(test, width),
        telling.load_summary(load, width),
        telling.consistency_summary(differ, width),
    ):
        assert max(cell_len(line) for line in told.splitlines()) <= width
    laid = telling.explained(items, width)
    assert all(f"{name}   " in f"{laid}   ".replace("\n", "   ") for name in ("+0.800 feature_8", "+0.700 feature_7"))
    one = telling.laid("", ["design on http://127.0.0.1:8000", "docs http://127.0.0.1:8000/docs"], width)
    assert one[0].startswith("design on http://127.0.0.1:8000")
