"""A row of a file and the same row as an event mean the same; rows written as events come back as they were."""

import csv
import datetime as dt
import json
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.ingest import QUARANTINED, ingest, read_log
from bottega.data.source import Place
from bottega.data.streams.messages import Decoder
from bottega.data.streams.protocol import Message
from bottega.data.streams.writing import events_of

NOW = 1_700_000_000_000_000
US = pa.timestamp("us", "UTC")
CHECKS = [
    bt.NotNull(["id", "amount"]),
    bt.Range("amount", above=0, at_most=5),
    bt.Allowed("kind", ["1", 2]),
    bt.Pattern("id", r"[ab]\d?"),
    bt.Range("units", at_least=2),
    bt.Pattern("units", r"\d{1,2}|x"),
    bt.Range("day", below="2020-02-01"),
    bt.Range("when", at_least="2020-01-03"),
]
ZONES = ["UTC", "Europe/London", "America/New_York"]
MINUTE = st.integers(0, 500_000).map(lambda minutes: dt.datetime(2020, 1, 1) + dt.timedelta(minutes=minutes))
ROW = st.fixed_dictionaries(
    {
        "when": MINUTE,
        "seen": MINUTE,
        "id": st.none() | st.sampled_from(["", "a", "b", "a1", "a11", "c", "é"]),
        "amount": st.none() | st.floats(-1, 7).map(lambda value: value or 0.0) | st.integers(-1, 7).map(float),
        "kind": st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([1, 2]),
        "units": st.none() | st.sampled_from(["", "0", "2", "07", "11", "111", "x", " 3 ", "1e1"]),
        "flag": st.none() | st.booleans(),
        "day": st.none() | st.integers(0, 60).map(lambda days: dt.date(2020, 1, 1) + dt.timedelta(days=days)),
    }
)
GOOD = {
    "when": dt.datetime(2020, 3, 3), "seen": dt.datetime(2020, 3, 4), "id": "b9", "amount": 4.5, "kind": None,
    "units": "2", "flag": True, "day": dt.date(2020, 1, 1),
}  # fmt: skip
TYPES = [
    ("id", pa.string()),
    ("amount", pa.float64()),
    ("kind", pa.int64()),
    ("units", pa.string()),
    ("flag", pa.bool_()),
    ("day", pa.date32()),
]
FORM = "%m/%d/%Y %H:%M"


def seconds(at: dt.datetime) -> int:
    return int((at - dt.datetime(1970, 1, 1)).total_seconds())


SOURCES = {  # how a source may keep times: the form of the table, the type there, and what stands there and in an event
    "iso": (None, pa.string(), dt.datetime.isoformat, dt.datetime.isoformat),
    "form": (FORM, pa.string(), lambda at: at.strftime(FORM), lambda at: at.strftime(FORM)),
    "seconds": ("%s", pa.int64(), seconds, seconds),
    "milliseconds": ("epoch_ms", pa.int64(), lambda at: 1000 * seconds(at), lambda at: 1000 * seconds(at)),
    "nanoseconds": ("epoch_ns", pa.int64(), lambda at: 10**9 * seconds(at), lambda at: 10**9 * seconds(at)),
    "timestamp": (None, pa.timestamp("ms"), lambda at: at, str),
}


def messages(events: list[dict]) -> list[Message]:
    return [Message(3, 10 * at, NOW, json.dumps(event).encode()) for at, event in enumerate(events)]


@settings(max_examples=150)
@given(st.lists(ROW, min_size=1, max_size=15), st.sampled_from(sorted(SOURCES)), st.sampled_from(ZONES))
def test_a_row_of_a_file_and_the_same_row_as_an_event_mean_the_same(rows: list[dict], source: str, zone: str) -> None:
    form, kind, in_file, in_event = SOURCES[source]
    rows = [*rows, GOOD]
    table = bt.Table(
        "t", time="when", created="seen", time_format=form, timezone=zone, checks=CHECKS, available_after="1h"
    )
    times = ("when", "seen")
    kept = [{**row, **{name: in_file(row[name]) for name in times}} for row in rows]
    sent = [{**row, **{name: in_event(row[name]) for name in times}} for row in rows]
    sent = [{**row, "day": row["day"] and row["day"].isoformat(), "table": "t"} for row in sent]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        schema = pa.schema([("when", kind), ("seen", kind), *TYPES])
        pq.write_table(pa.Table.from_pylist(kept, schema), folder / "t.parquet")
        ingest(table, Place(folder), folder)
        log = read_log(table, folder)
        why = pq.read_table(folder / QUARANTINED).column("reason").to_pylist()
    found = Decoder([table], {"t": log.rows.schema}).decode(messages(sent), NOW)
    assert [refused.reason for refused in found.refused] == why
    arrived = found.tables["t"]
    assert arrived.rows.equals(log.rows)
    assert arrived.rows.schema.equals(log.rows.schema)
    assert arrived.time.tolist() == log.time.tolist()
    assert arrived.known.tolist() == log.known.tolist()
    refused = {refused.message.offset // 10 for refused in found.refused}
    assert arrived.place.tolist() == [place for place in range(len(rows)) if place not in refused]
    assert arrived.offset.tolist() == [10 * place for place in arrived.place.tolist()]
    assert set(arrived.partition.tolist()) == {3}
    assert set(arrived.arrival.tolist()) == {NOW}
    again = [Message(0, 0, 1, body) for body in events_of(log.rows, table)]
    assert Decoder([table], {"t": log.rows.schema}).decode(again, NOW).tables["t"].rows.equals(log.rows)


CSV_ROW = st.fixed_dictionaries(
    {
        "when": MINUTE.map(str),
        "customer": st.none() | st.integers(-5, 2**63 - 1),
        "price": st.none() | st.floats(0, 1e9).map(lambda value: value or 0.0),
        "count": st.none() | st.integers(-(2**40), 2**40),
        "new": st.none() | st.booleans(),
        "place": st.none() | st.sampled_from(["NULL", "a,b", 'say "x"', "line\nbreak", "é"]),
        "until": st.none() | MINUTE.map(str),
    }
)


@settings(max_examples=60)
@given(st.lists(CSV_ROW, min_size=1, max_size=12))
def test_a_line_of_a_csv_file_and_the_same_row_as_an_event_mean_the_same(rows: list[dict]) -> None:
    table = bt.Table(
        "t", "t.csv", time="when", key="customer", checks=[bt.NotNull(["price"]), bt.Range("count", above=3)]
    )
    full = {
        "when": "2020-01-01 00:00:00",
        "customer": 7,
        "price": 0.5,
        "count": 9,
        "new": True,
        "place": "x",
        "until": "2020-01-01 00:00:00",
    }
    rows = [*rows, full]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with (folder / "t.csv").open("w", newline="") as file:
            lines = csv.DictWriter(file, full)
            lines.writeheader()
            text = {True: "true", False: "false"}
            lines.writerows({**row, "new": row["new"] if row["new"] is None else text[row["new"]]} for row in rows)
        ingest(table, Place(folder), folder)
        log = read_log(table, folder)
        why = pq.read_table(folder / QUARANTINED).column("reason").to_pylist()
    found = Decoder([table], {"t": log.rows.schema}).decode(messages([{"table": "t", **row} for row in rows]), NOW)
    assert [refused.reason for refused in found.refused] == why
    assert found.tables["t"].rows.equals(log.rows)


ANY = pa.table(
    {
        "at": pa.array([NOW + 1, 5]).view(US),
        "seen": pa.array([NOW + 3, 7]).view(US),
        "whole": pa.array([2**62 + 1, None]),
        "number": pa.array([0.1 + 0.2, None]),
        "flag": pa.array([True, None]),
        "text": pa.array(['é\n"\\', ""]),
        "big": pa.array([2**63 + 9, None], pa.uint64()),
        "small": pa.array([0.1, None], pa.float32()),
        "smaller": pa.array([1.5, None], pa.float16()),
        "day": pa.array([dt.date(1020, 1, 1), None]),
        "day64": pa.array([86_400_000, None], pa.int64()).view(pa.date64()),
        "local": pa.array([NOW + 1, None]).view(pa.timestamp("us")),
        "exact": pa.array([NOW * 1000 + 123, None]).view(pa.timestamp("ns", "UTC")),
        "zoned": pa.array([NOW // 1000, None]).view(pa.timestamp("ms", "Europe/London")),
        "price": pa.array([Decimal("-1.10"), None]),
        "nothing": pa.array([None, None]),
    }
)


@pytest.mark.parametrize("form", [None, "%s", "epoch_ms", "epoch_ns", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S.%fZ"])
@pytest.mark.parametrize("created", ["seen", None, "at"])
def test_rows_come_back_from_their_events_as_they_were(form: str | None, created: str | None) -> None:
    table = bt.Table("t", time="at", created=created, time_format=form, timezone="Europe/London")
    rows = ANY if created != "at" else ANY.drop_columns(["seen"])
    sent = [Message(0, place, 9, body) for place, body in enumerate(events_of(rows, table))]
    found = Decoder([table], {"t": rows.schema}).decode(sent, NOW)
    assert [refused.reason for refused in found.refused] == []
    assert found.tables["t"].rows.equals(rows)
