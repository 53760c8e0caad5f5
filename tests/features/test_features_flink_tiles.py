"""Tiles that Flink made of late, early, repeated and out-of-order events, against plain Python over the same events."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from flink_sales import (
    DESIGN,
    GONE,
    MINUTE,
    PART,
    SCHEMAS,
    START,
    TEXT,
    TRUTH,
    WHOLE,
    Row,
    events,
    rows_of,
)  # fmt: skip
from test_features_flink import RUNS, groups, jsons, run, since, write

from bottega.features.flink_tiles import flink_job
from bottega.features.flink_tiles_reading import flink_tables
from bottega.features.ibis_tiles import state_expression
from bottega.features.ibis_windows import ARRIVAL, KNOWN
from bottega.features.ibis_windows import TIME as TIME_OF
from bottega.features.records import Codec
from bottega.features.records_tiles import records_from_tiles
from bottega.features.tracks import EVERY, Cell, Track


def lowered(text: str | None) -> str | None:
    return None if text is None else "".join(letter.lower() for letter in text)


def hour(row: Row) -> float:
    moment = datetime.datetime.fromtimestamp(row["time"] / 1e6, ZoneInfo("Asia/Singapore"))
    return float(moment.hour)


def kept_and_fraud(row: Row) -> float:
    return float(row["kept"] == 1 and row["fraud"] == 1)


ARGUMENTS: dict[str, Any] = {
    "x * 2": lambda row: None if row["x"] is None else row["x"] * 2.0,
    "case when kept and fraud then 1 else 0 end": kept_and_fraud,
    "lower(c)": lambda row: lowered(row["c"]),
    "item / 2": lambda row: None if row["item"] is None else row["item"] / 2,
    "extract(hour from time)": hour,
}
KEYS = {"shop": "shop", "item": "item_text"}


def plain(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value  # -0 is 0


def clocked(track: Track, by: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """The rows that a track takes, with key, time on the track's clock, ready, and arguments."""
    found = []
    for row in rows:
        key = tuple(row.get(KEYS[name]) for name in by)
        if row["table"] != track.table or None in key:
            continue
        if track.where is not None and (row["c"] is None or row["c"] == GONE):
            continue
        times = [row["own"]]
        if "kept" in track.labels:
            times.append(row["seen"] if row["seen"] is not None else row["own"] + 120 * MINUTE)
        if "fraud" in track.labels:
            times.append(row["own"] + 180 * MINUTE)
        time = max(times[1:]) if track.labels else times[0]
        values = [ARGUMENTS.get(text, lambda row, text=text: row[text])(row) for text in track.arguments]
        values = list(map(plain, values))
        ready = max(time + 1, row["known"])
        found.append({**row, "key": key, "clock": time, "ready": ready, "values": values})
    return found


def newest(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: (row["clock"], row["known"], row["arrival"]))


def state_of(track: Track, rows: Sequence[Row], at: int) -> dict[tuple[Any, ...], Row]:
    """A track's state by key, and tile or value: row by row, as the store's tables are described."""
    grouped: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if track.kind == "tiles":
            place: tuple[Any, ...] = (0 if track.hop == EVERY else row["clock"] // track.hop,)
        elif track.kind in ("distinct", "newest") and row["values"][0] is None:
            continue
        else:
            place = (row["values"][0],) if track.kind == "distinct" else ()
        grouped.setdefault((*row["key"], *place), []).append(row)
    return {key: cell_values(track, rows, at) for key, rows in grouped.items()}


def cell_values(track: Track, rows: Sequence[Row], at: int) -> Row:
    if track.kind == "distinct":
        return {"time": max(row["clock"] for row in rows)}
    if track.kind in ("newest", "row"):
        row = newest(rows)
        values = {f"value_{place}": value for place, value in enumerate(row["values"])}
        return {"time": row["clock"], "known": row["known"], **values}
    found: Row = {"rows": len(rows)}
    for cell in track.cells:
        terms = [(row["values"][cell.argument], row["clock"]) for row in rows] if cell.argument >= 0 else []
        values = [value for value, _ in terms if value is not None]
        name = cell.argument
        if cell.function in ("count", "avg") and name >= 0:
            found[f"count_{name}"] = len(values)
        if cell.function in ("sum", "avg"):
            found[f"sum_{name}"] = pytest.approx(math.fsum(values), abs=1e-9 * math.fsum(map(abs, values)), rel=0)
        if cell.function in ("min", "max"):
            found[f"{cell.function}_{name}"] = {"min": min, "max": max}[cell.function](values, default=None)
        if cell.half_life is not None:
            aged = [value * 2 ** ((time - at) / cell.half_life) for value, time in terms if value is not None]
            size = math.fsum(map(abs, aged))
            found[f"decayed_{name}_{cell.half_life}"] = pytest.approx(math.fsum(aged), abs=1e-9 * size, rel=0)
            found["as_of"] = at
    return found


def check(folder: Path, found: Sequence[tuple[int, Row]], at: int) -> int:
    """Compare all tracks at a moment; says how many cells of states there were."""
    rows, compared = rows_of(found), 0
    for group in groups(DESIGN, SCHEMAS):
        tables = flink_tables(folder / "tiles", group, at)
        for track, (state, waiting) in zip(group.tracks, tables, strict=True):
            taken = clocked(track, group.by, rows)
            usable = [row for row in taken if row["arrival"] < at and row["ready"] <= at]
            wanted = state_of(track, usable, at)
            marks = [*group.by, *({"tiles": ["bucket"], "distinct": ["value"]}.get(track.kind, []))]
            made = {tuple(row[name] for name in marks): row for row in state.to_pylist()}
            assert len(made) == state.num_rows
            assert made.keys() == wanted.keys()
            assert {key: {name: made[key][name] for name in cells} for key, cells in wanted.items()} == wanted
            compared += len(wanted)
            late = [row for row in taken if row["arrival"] < at < row["ready"]]
            if track.kind in ("distinct", "newest"):
                late = [row for row in late if row["values"][0] is not None]
            told = [(row["clock"], row["known"], *row["key"], *row["values"]) for row in late]
            names = ["time", "known", *group.by, *(f"value_{place}" for place in range(len(track.arguments)))]
            made_late = [tuple(plain(row[name]) for name in names) for row in waiting.to_pylist()]
            assert sorted(map(str, told)) == sorted(map(str, made_late))
    return compared


def moments(found: Sequence[tuple[int, Row]]) -> list[int]:
    """Ends of parts, from before the first event to long after the last."""
    first, last = found[0][0] // PART * PART, found[-1][0] // PART * PART + PART
    return [first, first + PART, (first + last) // 2 // PART * PART, last, last + 40 * PART]


def compare_with_batch(folder: Path, found: Sequence[tuple[int, Row]], at: int) -> int:
    """Compare all states that a batch makes with Ibis at a moment, when all has come; says how many rows they have."""
    compared, rows = 0, rows_of(found)
    tables = {table.name: table for table in DESIGN.data.tables}
    connection = ibis.duckdb.connect()
    for group in groups(DESIGN, SCHEMAS):
        made = flink_tables(folder / "tiles", group, at)
        for track, (state, _) in zip(group.tracks, made, strict=True):
            if "item / 2" in track.arguments:  # the batch's expressions read keys as text
                continue
            events = ibis.memtable(log_of(track.table, rows))
            zone = tables[track.table].timezone
            expression = state_expression(track, group.by, events, at, labels=DESIGN.data.labels, zone=zone)
            wanted = connection.to_pyarrow(expression)
            marks = [*group.by, *({"tiles": ["bucket"], "distinct": ["value"]}.get(track.kind, []))]
            ours = {tuple(row[name] for name in marks): row for row in state.to_pylist()}
            for row in wanted.to_pylist():
                other = ours[tuple(row[name] for name in marks)]
                for name, value in row.items():
                    value = since(value) if isinstance(value, datetime.datetime) else value
                    close = isinstance(value, float) and name[:3] in ("sum", "dec")
                    assert other[name] == (pytest.approx(value, rel=1e-9, abs=1e-3) if close else value), name
            if track.kind != "tiles":  # of tiles the batch leaves out what no window reaches any more
                assert wanted.num_rows == state.num_rows
            compared += wanted.num_rows
    connection.disconnect()
    return compared


def log_of(table: str, rows: Sequence[Row]) -> pa.Table:
    """A table's rows as a batch reads them: keys as text."""
    names = {"item": "item_text", TIME_OF: "own", KNOWN: "known", ARRIVAL: "arrival"}
    types = {field.name: field.type for field in SCHEMAS[table]} | dict.fromkeys((TIME_OF, KNOWN, ARRIVAL), WHOLE)
    mine, columns = [row for row in rows if row["table"] == table], {}
    for name, kind in types.items():
        values = [row.get(names.get(name, name)) for row in mine]
        columns[name] = pa.array([None if x is None else bool(x) for x in values] if kind == TRUTH else values)
        columns[name] = columns[name].cast(TEXT if name == "item" else kind)
    return pa.table(columns)


def compare_values(folder: Path, found: Sequence[tuple[int, Row]], at: int, later: int) -> int:
    """Make records of the tiles of a moment, and compare what is read from them later; says how many numbers."""
    compared, rows = 0, [row for row in rows_of(found) if row["arrival"] < at]
    for group in groups(DESIGN, SCHEMAS):
        codec = Codec(group)
        names, records = records_from_tiles(codec, flink_tables(folder / "tiles", group, at), at)
        numbers = codec.values(records, later).numbers
        taken = [clocked(track, group.by, rows) for track in group.tracks]
        assert {row["key"] for track in taken for row in track if row["ready"] <= later} <= {
            tuple(key.values()) for key in names.to_pylist()
        }
        cells = [(track, cell) for track in range(len(group.tracks)) for cell in group.tracks[track].cells]
        for key, made in zip(names.to_pylist(), numbers.tolist(), strict=True):
            for (track, cell), number in zip(cells, made, strict=True):
                mine = [row for row in taken[track] if row["key"] == tuple(key.values())]
                wanted, size = value_of(group.tracks[track], cell, mine, later)
                if isinstance(wanted, str):
                    continue
                assert number == pytest.approx(math.nan if wanted is None else wanted, abs=1e-9 * size, nan_ok=True)
                compared += 1
    return compared


def value_of(track: Track, cell: Cell, rows: Sequence[Row], at: int) -> tuple[Any, float]:
    """A feature's value from a key's rows, and the size of what was added up."""
    tail = -math.inf if cell.length is None else (at - cell.length) // cell.hop * cell.hop
    inside = [row for row in rows if row["ready"] <= at and row["clock"] >= tail]
    if cell.argument < 0:
        return len(inside), 0
    filled = [row for row in inside if row["values"][cell.argument] is not None]
    values = [row["values"][cell.argument] for row in filled]
    if cell.function in ("count", "distinct"):
        return len(set(values) if cell.function == "distinct" else values), 0
    if cell.function == "decayed_sum":
        values = [row["values"][cell.argument] * 2 ** ((row["clock"] - at) / cell.half_life) for row in filled]
    if cell.function in ("sum", "decayed_sum"):
        return math.fsum(values), math.fsum(map(abs, values))
    if cell.function == "last":
        many = inside if track.kind == "row" else filled  # a look-up's row counts with its nulls
        return (newest(many)["values"][cell.argument] if many else None), 0
    if not values:
        return None, 0
    if cell.function == "avg":
        return math.fsum(values) / len(values), math.fsum(map(abs, values))
    return {"min": min, "max": max}[cell.function](values), 0


@RUNS
def test_tiles_of_several_files_are_those_of_a_batch(tmp_path: Path) -> None:
    parts = [events(1, 1000)]
    for seed in (2, 3):
        parts.append(events(seed, 1000, parts[-1][-1][0] + 1))
    source, sink = write(tmp_path / "log", parts), (tmp_path / "tiles").as_uri()
    run(flink_job(DESIGN, groups(DESIGN, SCHEMAS), SCHEMAS, source, sink), tmp_path)
    found = [event for part in parts for event in part]
    assert max(check(tmp_path, found, at) for at in moments(found)) > 1000
    assert compare_with_batch(tmp_path, found, moments(found)[-1]) > 500
    middle = moments(found)[2]
    for later in (0, 1, 7 * MINUTE, 130 * MINUTE):
        assert compare_values(tmp_path, found, middle, middle + later) > 200


@RUNS
def test_the_watermark_follows_arrival_so_that_only_what_is_read_too_late_is_dropped(tmp_path: Path) -> None:
    dice, ordered = random.Random(5), events(4, 1500)
    jittered = sorted(ordered, key=lambda event: event[0] + dice.randrange(90 * 1_000_000))
    assert jittered != ordered
    forgotten = (START, {"table": "visits", "shop": "s0", "x": "forgotten", "time": START - 1})
    source, sink = write(tmp_path / "log", [[*jittered, forgotten]]), (tmp_path / "tiles").as_uri()
    run(flink_job(DESIGN, groups(DESIGN, SCHEMAS), SCHEMAS, source, sink, apart="90s"), tmp_path)
    for at in moments(ordered):
        check(tmp_path, jittered, at)
    parts = jsons(tmp_path / "tiles" / "shop" / "0" / "state")
    assert len({(part["shop"], part["bucket"]) for part in parts}) < len(parts)  # what came late made parts of its own
