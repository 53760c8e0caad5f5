"""The replay of a day of auctions: which searches are held again, whose budgets count, and what is counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from bottega.data.log import Log
from bottega.errors import DataError
from bottega.features.frame import Values, text
from bottega.runs.steps.replaying import DAY, HOUR, Day, Sold, budgets_of, check_columns, counted, day_of
from bottega.systems.ad_auction import design

AUCTION = design.serving.path[-1]
OWNERS = {"a1": "adv-1", "a2": "adv-2", "a3": "adv-1"}


@pytest.fixture
def job() -> Any:
    """Two days of searches, out of order, whose budgets differ from day to day."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {name: [] for name in ("user_id", "query", "device", "ad_id", "bid", "budget")}
    time = []
    for search in range(40):
        at = (search % 2) * DAY + search * HOUR // 4
        for ad in rng.permutation(list(OWNERS))[:2]:
            time.append(at)
            values = (f"u{search}", "shoes", "phone", str(ad), 1.0, 70.0 if at >= DAY else 10.0)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    times = np.array(time, np.int64)
    log = Log("auctions", pa.table(rows), times, times)
    return SimpleNamespace(design=design, log=lambda _: log, seed=0)


def test_the_last_day_is_held_in_the_order_of_time_and_searches_stay_together(job: Any) -> None:
    day = day_of(job, "auctions")
    assert day.share == 1
    assert len(day.time) == 20
    assert (day.time >= DAY).all()
    assert (np.diff(day.time) >= 0).all()
    users = day.plain("user_id")
    for low, high in zip(day.bounds[:-1], day.bounds[1:], strict=True):
        assert len(set(users[low:high])) == 1
    assert len(users) == day.bounds[-1] == 40


def test_budgets_that_travel_are_those_of_the_day(job: Any) -> None:
    class Path:
        bundle = SimpleNamespace(facts=SimpleNamespace(fields={"user_id": "id"}))

        def features(self, columns: dict[str, Any], ids: list[str], at: int) -> Values:
            assert columns == {"user_id": None}
            assert at >= DAY
            return Values({}, {"ad_id_advertiser": text(pa.array([OWNERS[name] for name in ids]))})

    assert budgets_of(job, AUCTION, day_of(job, "auctions"), Path()) == {"adv-1": 70.0, "adv-2": 70.0}  # type: ignore[arg-type]


def test_a_table_without_what_travels_with_a_candidate_is_refused(job: Any) -> None:
    check_columns(job, AUCTION, day_of(job, "auctions"))
    log = job.log("auctions")
    job.log = lambda _: Log("auctions", log.rows.rename_columns({"bid": "bidd"}), log.time, log.time)
    with pytest.raises(DataError, match=r"no column 'bid2' in that table") as caught:
        check_columns(job, msgspec.structs.replace(AUCTION, bid="bid2"), day_of(job, "auctions"))
    assert "'bidd'" in caught.value.fix


def test_what_is_counted_stands_for_all_searches() -> None:
    log = Log("auctions", pa.table({"x": [0]}), np.zeros(1, np.int64), np.zeros(1, np.int64))
    day = Day(log, np.arange(4), np.arange(5), np.array([0, HOUR, 2 * HOUR, 2 * HOUR]), 0.5)
    sales = [Sold(0, "adv-1", 2.0, True), Sold(HOUR, "adv-2", 0.0, False), Sold(2 * HOUR, "adv-1", 4.0, True, 0.5)]
    found = counted(day, sales, {"adv-1": 10.0, "adv-2": 5.0, "adv-3": 5.0}, known=True)
    assert (found["searches"], found["drawn"], found["sold"], found["clicks"]) == (8, 4, 6, 4)
    assert found["revenue"] == 12
    assert found["revenue_per_1000"] == 1500
    assert found["click_through"] == pytest.approx(2 / 3)
    assert [found["by_hour"][hour]["spent_share"] for hour in (0, 1, 2, 23)] == [0.2, 0.2, 0.6, 0.6]
    assert found["advertisers"][0] == {
        "advertiser": "adv-1", "budget": 10.0, "spent": 12.0, "clicks": 4.0, "cost_per_click": 3.0,
    }  # fmt: skip
    assert found["over_budget"] == {"advertisers": 1, "largest": 2.0}
    assert found["given_free"] == {"clicks": 2.0, "worth": 1.0}
