"""What is said of times, parts and units, held against the parts that a run makes of the same log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

import bottega as bt
from bottega.data.examples import TEST
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.design.design import Design
from bottega.design.reading import load
from bottega.errors import DataError
from bottega.reviewing.judging import judge
from bottega.reviewing.log_parts import parts_of
from bottega.reviewing.seeing import see

DESIGNS = Path(__file__).parent / "designs"
DAY = 86_400_000_000
START = 20_000 * DAY


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def of_times(time: Any, **columns: Any) -> Log:
    """A log of clicks at these moments, of which every third is one."""
    time = START + np.asarray(time, np.int64)
    rows = len(time)
    found = {"at": pa.array(time).view(pa.timestamp("us", "UTC")), "clicked": (np.arange(rows) % 3 == 0).astype(int)}
    found |= {"user": np.arange(rows) % 7, "device": np.zeros(rows, int), "ad": np.arange(rows)} | columns
    return Log("shown", pa.table(found), time, time)


def ads(table: bt.Table | None = None, **data: Any) -> Design:
    """The small design of ads on one table alone."""
    base = load("R301_near.py")
    table = table or base.data.tables[0]
    features = [bt.Categories(["user"])]
    return replace(base, features=features, data=replace(base.data, tables=[table], position=None, **data))


def typed(design: Design, code: str, log: Log) -> Design:
    """Type the split, or its test, and the time, that a finding proposes."""
    (found,) = [one for one in judge(design, see(design, {"shown": log})).open if one.code == code]
    if found.fix.startswith("test="):
        split = replace(design.data.split, **eval(f"dict({found.fix})"))
        return replace(design, data=replace(design.data, split=split))
    said = found.fix.rpartition("split=")
    data = replace(design.data, split=eval(said[2], {"bt": bt}))
    if said[0]:
        named = eval(f"dict({said[0].partition(' in that table')[0]})")
        data = replace(data, tables=[replace(data.tables[0], **named)])
    return replace(design, data=data)


MONTHS = np.repeat(np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30]) * DAY, 40)
HOURS = np.arange(40 * 24) * (DAY // 24)
BURST = np.sort(np.concatenate([np.arange(300) * (DAY // 24) // 24, 59 * DAY + np.arange(9) * (DAY // 24)]))


@pytest.mark.parametrize("time", [MONTHS, HOURS, BURST], ids=["months", "hours", "burst"])
@pytest.mark.parametrize("late", ["0s", "1h", "1d", "10d"])
@pytest.mark.parametrize("embargo", [None, "0s", "2d"])
def test_parts_are_counted_as_a_run_makes_them(time: Any, late: str, embargo: str | None) -> None:
    log = of_times(time)
    for test, validate in (("7d", None), ("8d", "7d"), ("33d", "31d"), ("2d", "60d"), ("1d", "1d")):
        split = bt.TimeSplit(test=test, validate=validate, embargo=embargo)
        design = ads(split=split, labels=[bt.Label("clicked", matures_after=late)])
        found = parts_of(design, see(design, {"shown": log}))
        assert found is not None
        try:
            part = logged(design, log).part()
        except DataError:
            assert found.lacking or any(found.alike)
        else:
            assert found.rows == tuple(np.bincount(part, minlength=TEST + 1)[: TEST + 1].tolist())


@pytest.mark.parametrize("time", [MONTHS, HOURS], ids=["months", "hours"])
@pytest.mark.parametrize("late", ["1h", "1d"])
@pytest.mark.parametrize("bad", [bt.GroupSplit(by="user"), bt.RandomSplit(), bt.TimeSplit(test="1d")])
def test_the_split_that_is_proposed_is_one_that_a_run_takes(time: Any, late: str, bad: Any) -> None:
    log = of_times(time)
    design = ads(split=bad, labels=[bt.Label("clicked", matures_after=late)])
    codes = {one.code for one in judge(design, see(design, {"shown": log})).open} & {"R201", "R202", "R204", "R219"}
    for code in codes:
        logged(typed(design, code, log), log)
    assert codes or (time is HOURS and late == "1h")


def test_where_none_fits_no_split_is_proposed() -> None:
    design = ads(split=bt.TimeSplit(test="1d"), labels=[bt.Label("clicked", matures_after="1h")])
    (found,) = [one for one in judge(design, see(design, {"shown": of_times(BURST)})).open if one.code == "R219"]
    assert found.fix.startswith("a longer log: ")
    for days in range(1, 29):
        with pytest.raises(DataError):
            logged(replace(design, data=replace(design.data, split=bt.TimeSplit(test=f"{days}d"))), of_times(BURST))


def test_snapshots_of_each_month_leave_a_week_empty() -> None:
    log = of_times(MONTHS)
    design = ads(split=bt.TimeSplit(test="8d", validate="7d"), labels=[bt.Label("clicked", matures_after="1d")])
    with pytest.raises(DataError, match="no example in the validation part"):
        logged(design, log)
    (found,) = [one for one in judge(design, see(design, {"shown": log})).open if one.code == "R219"]
    assert (found.severity, found.found) == ("stop", "no example lies in validation or the test.")


def test_a_part_with_one_value_of_the_label_is_found() -> None:
    log = of_times(HOURS, clicked=((np.arange(960) % 3 == 0) & (np.arange(960) < 700)).astype(int))
    design = ads(split=bt.TimeSplit(test="7d", validate="7d"), labels=[bt.Label("clicked")])
    with pytest.raises(DataError, match="in every example of the test part"):
        logged(design, log)
    (found,) = [one for one in judge(design, see(design, {"shown": log})).open if one.code == "R219"]
    assert found.found == "'clicked' has one value alone in the test."


SECONDS = (START + HOURS) // 1_000_000
TEXTS = np.datetime_as_string(SECONDS.astype("datetime64[s]")).tolist()
WRITTEN = {
    "timestamps": (pa.array(START + HOURS).view(pa.timestamp("us")), None),
    "days": (pa.array((START + HOURS) // DAY, pa.int32()).view(pa.date32()), None),
    "iso": (TEXTS, None),
    "british": ([f"{text[8:10]}/{text[5:7]}/{text[:4]}" for text in TEXTS], "%d/%m/%Y"),
    "seconds": (SECONDS, "%s"),
}


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize(("split", "code"), [(bt.RandomSplit(), "R201"), (bt.GroupSplit(by="user"), "R202")])
def test_a_time_that_the_design_does_not_name_is_seen(form: str, split: Any, code: str) -> None:
    column, told = WRITTEN[form]
    rows = of_times(HOURS).rows.rename_columns(["seen_at", *of_times(HOURS).rows.column_names[1:]])
    log = Log("shown", rows.set_column(0, "seen_at", pa.array(column)), None, None)
    design = ads(bt.Table("shown", "shown.parquet", licence="own"), split=split)
    (found,) = [one for one in judge(design, see(design, {"shown": log})).open if one.code in ("R201", "R202")]
    assert (found.code, found.severity) == (code, "warn")
    assert "has times in 'seen_at', which no part of the design names." in found.found
    good = typed(design, code, log)
    assert (good.data.tables[0].time, good.data.tables[0].time_format) == ("seen_at", told)
    logged(good, of_times(HOURS))


@pytest.mark.parametrize(
    ("name", "days"),
    [("birth_date", 9_000), ("date_of_birth", 9_000), ("started", 0.5), ("label_came", 400)],
)
def test_not_every_time_says_when_was_asked(name: str, days: float) -> None:
    rows = of_times(HOURS).rows.drop_columns(["at"])
    when = START + np.linspace(0, days * DAY, len(HOURS)).astype(np.int64)
    log = Log("shown", rows.append_column(name, pa.array(when).view(pa.timestamp("us"))), None, None)
    labels = [bt.Label("clicked", observed_at="label_came" if name == "label_came" else None)]
    table = bt.Table("shown", "shown.parquet", licence="own", personal=["birth_date", "date_of_birth"])
    design = replace(ads(table, split=bt.RandomSplit(), labels=labels))
    design = replace(design, evaluation=replace(design.evaluation, unit="request"))
    codes = {one.code for one in judge(design, see(design, {"shown": log})).open}
    assert not codes & {"R201", "R202", "R220"}


def test_numbers_are_times_by_their_name_alone() -> None:
    rows = of_times(HOURS, account=SECONDS).rows.drop_columns(["at"])
    design = ads(bt.Table("shown", "shown.parquet", licence="own"), split=bt.RandomSplit())
    found = see(design, {"shown": Log("shown", rows, None, None)})
    assert found.tables["shown"].unnamed == {}


def units(lengths: list[int], seed: int | None = None, **columns: Any) -> Log:
    """Runs to failure: a unit and its cycles, in their order or shuffled."""
    unit, cycle = np.repeat(np.arange(len(lengths)), lengths), np.concatenate([np.arange(1, n + 1) for n in lengths])
    draw = np.random.default_rng(1)
    order = np.arange(len(unit)) if seed is None else np.random.default_rng(seed).permutation(len(unit))
    found = {"unit": unit[order] + 500, "cycle": cycle[order], "heat": draw.random(len(unit))}
    found |= {"clicked": (draw.random(len(unit)) < 0.3).astype(int)} | columns
    return Log("shown", pa.table(found), None, None)


def machines(**evaluation: Any) -> Design:
    """A design of machines, of which nothing says that rows belong together."""
    design = ads(bt.Table("shown", "shown.parquet", licence="own"), split=bt.RandomSplit())
    data = replace(design.data, examples=bt.Logged("shown", request=["heat", "cycle", "unit"]))
    return replace(design, data=data, evaluation=replace(design.evaluation, slices=[], **evaluation))


LENGTHS = np.random.default_rng(4).integers(90, 200, 60).tolist()


@pytest.mark.parametrize(
    "log", [units(LENGTHS), units(LENGTHS, seed=2), units([30] * 40)], ids=["runs", "mixed", "even"]
)
def test_what_counts_its_rows_is_a_unit(log: Log) -> None:
    design = machines(unit="request")
    (found,) = [one for one in judge(design, see(design, {"shown": log})).open if one.code == "R220"]
    assert found.fix == 'split=bt.GroupSplit(by="unit")'
    split = eval(found.fix.removeprefix("split="), {"bt": bt})
    good = replace(design, data=replace(design.data, split=split))
    assert "R220" not in [one.code for one in judge(good, see(good, {"shown": log})).open]
    part, unit = logged(good, log).part(), log.rows.column("unit").to_numpy()
    assert all(len(np.unique(part[unit == one])) == 1 for one in np.unique(unit))


def test_a_unit_is_what_the_design_says_belongs_together() -> None:
    draw = np.random.default_rng(3)
    log = units([1] * 900, unit=draw.integers(0, 90, 900), cycle=draw.integers(0, 1_000_000, 900))
    for unit, codes in (("unit", ["R220"]), ("request", []), ("cycle", [])):  # hardly a cycle comes again
        design = machines(unit=unit)
        told = [one for one in judge(design, see(design, {"shown": log})).open if one.code == "R220"]
        assert [one.code for one in told] == codes
        assert all("rows of one 'unit' belong together by the design" in one.found for one in told)
        assert all('unit="request"' in one.fix for one in told)


def test_rows_of_one_request_stay_together_anyway() -> None:
    log = units([20] * 50).rows.rename_columns(["query", "position", "score", "clicked"])
    log = log.append_column("doc", pa.array(np.arange(1_000)))
    design = machines()
    examples = bt.Logged("shown", request=["query"], candidate="doc")
    design = replace(design, data=replace(design.data, examples=examples))
    assert see(design, {"shown": Log("shown", log, None, None)}).unit is None
