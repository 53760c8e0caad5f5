"""The tables as they stand now: what came by the stream counts for the answers that were given after it came."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.log import Log
from bottega.data.streams.file import FileStream
from bottega.features.lookups import lookup_columns
from bottega.monitoring.arrived import with_events

NOW = 1_700_000_000_000_000


def stream(folder: Path, *events: tuple[int, dict[str, object]]) -> FileStream:
    lines = [msgspec.json.encode({"time": time, "event": event}) + b"\n" for time, event in events]
    (folder / "events-0-1.jsonl").write_bytes(b"".join(lines))
    return FileStream(folder, "reader")


@pytest.mark.parametrize("batch", [["old"], []], ids=["known to the batch", "new"])
def test_a_row_without_time_counts_from_its_arrival(tmp_path: Path, batch: list[str]) -> None:
    rows = pa.table({"film": pa.array(["a"] * len(batch), pa.string()), "title": pa.array(batch, pa.string())})
    table, lookup = bt.Table("films", key="film"), bt.Lookup("films", "film", ["title"])
    found = with_events(
        {"films": Log("films", rows, None, None)},
        [table],
        stream(
            tmp_path,
            (NOW, {"table": "films", "film": "a", "title": "new"}),
            (NOW + 50, {"table": "films", "film": "a", "title": "newest"}),
        ),
        NOW + 100,
        ids={"film"},
    )
    asked = np.array([0, NOW, NOW + 1, NOW + 50, NOW + 51])
    told = lookup_columns(lookup, table, found["films"], {"film": pa.array(["a"] * 5)}, asked)["film_title"]
    before = batch[0] if batch else None
    assert told.to_pylist() == [before, before, "new", "new", "newest"]


def test_a_late_event_counts_after_the_moment_at_which_it_came(tmp_path: Path) -> None:
    table = bt.Table("sales", time="at")
    rows = pa.schema({"at": pa.timestamp("us", "UTC"), "item": pa.string()}).empty_table()
    none = np.zeros(0, np.int64)
    event = {"table": "sales", "time": NOW - 1000, "item": "a"}
    found = with_events({"sales": Log("sales", rows, none, none)}, [table], stream(tmp_path, (NOW, event)), NOW)
    assert found["sales"].usable(NOW).tolist() == [False], "an answer at this very moment was given before it"
    assert found["sales"].usable(NOW + 1).tolist() == [True]
