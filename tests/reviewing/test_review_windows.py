"""What is said of windows, held against what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

import bottega as bt
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.reading import load
from bottega.features.windows import window_columns
from bottega.reviewing.judging import judge
from bottega.reviewing.rules import find_rule
from bottega.reviewing.seeing import see
from bottega.reviewing.seen import Seen

DESIGNS = Path(__file__).parent / "designs"
DAY = 86_400_000_000
HOUR = DAY // 24
START = 20_089 * DAY  # 2025-01-01

DAYS = np.arange(60) * DAY
MONTHS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * DAY
SHIFTS = np.arange(90) * 6 * HOUR + 7 * HOUR
SECONDS = np.arange(2_000) * 1_800_000_000


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def snapshots(time: Any) -> Log:
    """Five people, each with a row at each time."""
    when = START + np.repeat(time, 5)
    rows = len(when)
    found = {"user": np.arange(rows) % 5, "ad": np.zeros(rows, int), "device": np.zeros(rows, int)}
    found |= {"at": pa.array(when).view(pa.timestamp("us", "UTC")), "clicked": (np.arange(rows) % 3 == 0).astype(int)}
    return Log("shown", pa.table(found), when, when)


def ads(window: bt.Window, late: str = "0s") -> Design:
    """The small design of ads with one window."""
    base = load("R301_near.py")
    labels = [bt.Label("clicked", matures_after=late)]
    data = replace(base.data, tables=base.data.tables[:1], labels=labels, position=None)
    return replace(base, features=[bt.Categories(["device"]), window], data=data)


def claimed(design: Design, log: Log) -> list[str]:
    """Codes of the rules that call a window empty."""
    seen = see(design, {"shown": log})
    return [code for code in ("R303", "R316") if list(find_rule(code).run(design, seen))]


@pytest.mark.parametrize("time", [DAYS, MONTHS, SHIFTS, SECONDS], ids=["days", "months", "shifts", "half hours"])
@pytest.mark.parametrize("late", ["0s", "1h", "2d", "7d", "20d"])
@pytest.mark.parametrize("value", ["count(*)", "avg(clicked)"])
def test_a_window_that_is_said_to_be_empty_holds_nothing(time: Any, late: str, value: str) -> None:
    log = snapshots(time)
    for span in ("30min", "4h", "6h", "12h", "1d", "2d", "7d", "8d", "21d", "30d", "31d", "62d"):
        window = bt.Window("shown", by="user", over=[span], values={"v": value})
        design = ads(window, late)
        asked = {"user": pa.array(log.rows.column("user").to_pylist(), pa.int64()).cast(pa.string())}, log.time
        named = Log("shown", log.rows.set_column(0, "user", asked[0]["user"]), log.time, log.known)
        (found,) = window_columns(window, named, *asked, labels=design.data.labels).values()
        held = np.count_nonzero(np.nan_to_num(found) > 0) if value == "count(*)" else np.count_nonzero(~np.isnan(found))
        assert (held == 0) == bool(claimed(design, log)) or (time is MONTHS and held < len(found) / 8), (span, held)


@pytest.mark.parametrize("late", ["0s", "3d"])
@pytest.mark.parametrize("time", [DAYS, MONTHS], ids=["days", "months"])
def test_windows_that_are_proposed_hold_rows(time: Any, late: str) -> None:
    log = snapshots(time)
    window = bt.Window("shown", by="user", over=["1h", "4d", "all"], values={"v": "avg(clicked)"})
    design = ads(replace(window, over=["3d", "4d", "all"] if late == "3d" else window.over), late)
    for code in ("R303", "R316", "R303", "R316"):
        for claim in find_rule(code).run(design, see(design, {"shown": log})):
            over = eval(claim.fix.removeprefix("over=").partition(", or")[0])
            design = replace(design, features=[design.features[0], replace(window, over=over)])
            break
    assert claimed(design, log) == []
    counted = replace(design.features[1], values={"v": "count(*)"})
    assert claimed(replace(design, features=[counted]), log) == []


def test_times_that_lie_close_say_nothing_of_windows() -> None:
    draw = np.random.default_rng(2)
    log = snapshots(np.sort(draw.integers(0, 40 * DAY, 3_000)))
    assert claimed(ads(bt.Window("shown", by="user", over=["1h", "7d"], values={"v": "count(*)"})), log) == []


@pytest.mark.parametrize(
    ("label", "feature", "found"),
    [
        (bt.Label("clicked"), bt.Window("shown", by="ad", values={"v": "avg(clicked)"}), True),
        (bt.Label("clicked"), bt.Window("shown", by="ad", values={"v": "count(*)"}, where="clicked = 1"), True),
        (bt.Label("clicked"), bt.TargetRate(["ad"]), True),
        (bt.Label("clicked"), bt.Window("shown", by="ad", values={"v": "count(*)"}), False),
        (bt.Label("clicked", matures_after="1min"), bt.TargetRate(["ad"]), False),
        (bt.Label("clicked", observed_at="came"), bt.TargetRate(["ad"]), False),
    ],
)
def test_a_label_that_is_known_at_once_is_asked_after(label: bt.Label, feature: Any, found: bool) -> None:
    base = load("R301_near.py")
    design = replace(base, data=replace(base.data, labels=[label]), features=[feature])
    assert ("R208" in [one.code for one in judge(design).open]) == found
    timeless = replace(design.data.tables[0], time=None)
    still = replace(design.data, tables=[timeless, *design.data.tables[1:]], split=bt.RandomSplit())
    if isinstance(feature, bt.TargetRate):  # by folds, where examples have no time
        assert list(find_rule("R208").run(replace(design, data=still), Seen({}))) == []
