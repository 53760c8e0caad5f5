"""The unit of times that count is told by their size, and stands in the design that is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from small_feed import Tables, design_of

import bottega as bt
from bottega.data.ingest import ingest, read_log
from bottega.data.source import Place
from bottega.runs.steps.units import with_units

SECONDS = [1_700_000_000, 1_710_000_000]
ISO = ["2023-11-14T22:13:20", "2024-03-09T16:00:00"]


def feed(time: Any) -> bt.Design:
    plain = design_of([bt.Popularity()], [bt.Retrieve(k=5), bt.Rank(), bt.Show(k=5)])
    table = bt.Table("events", "events.csv|events.parquet", time="at", columns={"at": "time"}, time_format=time)
    return replace(plain, data=replace(plain.data, tables=[table, *plain.data.tables[1:]]))


@pytest.mark.parametrize("kind", ["csv", "parquet", "floats"])
@pytest.mark.parametrize(
    ("times", "form"),
    [
        (SECONDS, "%s"),
        ([1_000 * at for at in SECONDS], "epoch_ms"),
        ([1_000_000 * at for at in SECONDS], "epoch_us"),
        ([1_000_000_000 * at for at in SECONDS], "epoch_ns"),
        (ISO, "%s"),
    ],
    ids=["seconds", "milliseconds", "microseconds", "nanoseconds", "text"],
)
def test_the_unit_is_told_by_the_size(tmp_path: Path, times: list[Any], form: str, kind: str) -> None:
    rows = Tables.drawn(0, n=40).events[:2]
    values = times if kind != "floats" or times is ISO else [float(at) for at in times]
    table = pa.Table.from_pylist([{**row, "time": at} for row, at in zip(rows, values, strict=True)])
    if kind == "csv":
        pa_csv.write_csv(table, tmp_path / "events.csv")
    else:
        pq.write_table(table, tmp_path / "events.parquet")
    found, told = with_units(feed("epoch"), Place(tmp_path))
    assert found.data.tables[0].time_format == form
    assert len(told) == (form != "%s")
    ingest(found.data.tables[0], Place(tmp_path), tmp_path / "out")
    log = read_log(found.data.tables[0], tmp_path / "out")
    assert log.time is not None
    assert [at // 1_000_000 for at in log.time.tolist()] == SECONDS


def test_what_a_design_says_stays(tmp_path: Path) -> None:
    assert with_units(feed("epoch_us"), Place(tmp_path)) == (feed("epoch_us"), [])


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000], ids=["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "odd",
    [["0"], ["NULL"], [""], ["0"] * 40, ["NULL", "", "0", "-1", "1.7e5", "12:30"]],
    ids=["zero", "null", "empty", "more zeros than times", "many"],
)
def test_odd_times_are_put_aside_and_the_unit_stays(tmp_path: Path, unit: int, odd: list[str]) -> None:
    times = [str((1_700_000_000 + place) * unit) for place in range(20)] + odd
    lines = ["person,item,tongue,time", *(f"p{place},i,de,{time}" for place, time in enumerate(times))]
    (tmp_path / "events.csv").write_text("\n".join(lines) + "\n")
    found, _ = with_units(feed("epoch"), Place(tmp_path))
    done = ingest(found.data.tables[0], Place(tmp_path), tmp_path / "out")
    assert (done.accepted, done.quarantined) == (20, len(odd))
    assert sum(done.reasons.values()) == len(odd)
    assert done.reasons.get("time: in 1970, unlike most", 0) == sum(text in ("0", "-1", "1.7e5") for text in odd)
    log = read_log(found.data.tables[0], tmp_path / "out")
    assert log.time is not None
    assert log.time.tolist() == [(1_700_000_000 + place) * 1_000_000 for place in range(20)]


def test_numbers_of_two_units_are_those_of_most(tmp_path: Path) -> None:
    rows = Tables.drawn(0, n=40).events[:9]
    times = [at if place % 3 else 1_000 * at for place, at in enumerate(SECONDS[:1] * 9)]
    table = pa.Table.from_pylist([{**row, "time": at} for row, at in zip(rows, times, strict=True)])
    pq.write_table(table, tmp_path / "events.parquet")
    found, _ = with_units(feed("epoch"), Place(tmp_path))
    assert found.data.tables[0].time_format == "%s"
    done = ingest(found.data.tables[0], Place(tmp_path), tmp_path / "out")
    assert done.reasons == {"time: before 1900 or after 2099": 3}
    times = [1_000 * at if place % 3 else at for place, at in enumerate(SECONDS[:1] * 9)]
    table = pa.Table.from_pylist([{**row, "time": at} for row, at in zip(rows, times, strict=True)])
    pq.write_table(table, tmp_path / "events.parquet")
    found, told = with_units(feed("epoch"), Place(tmp_path))
    assert told == ["events: at counts milliseconds since 1970"]
    done = ingest(found.data.tables[0], Place(tmp_path), tmp_path / "out")
    assert done.reasons == {"time: in 1970, unlike most": 3}


def test_a_log_of_1970_is_one(tmp_path: Path) -> None:
    rows = Tables.drawn(0, n=40).events[:9]
    table = pa.Table.from_pylist([{**row, "time": 86_400 * place} for place, row in enumerate(rows)])
    pq.write_table(table, tmp_path / "events.parquet")
    found, _ = with_units(feed("epoch"), Place(tmp_path))
    assert ingest(found.data.tables[0], Place(tmp_path), tmp_path / "out").accepted == 9
