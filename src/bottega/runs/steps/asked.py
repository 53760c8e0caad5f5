"""Requests as they lie on the disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bottega.data.examples import Requests


def write_requests(asked: Requests, folder: Path) -> None:
    """Write requests and what was relevant to them as Parquet; truth values are texts, and times in UTC, as served."""
    columns = asked.columns
    for place, field in enumerate(columns.schema):
        if pa.types.is_boolean(field.type):
            columns = columns.set_column(place, field.name, columns.column(place).cast(pa.string()))
        elif pa.types.is_temporal(field.type):
            columns = columns.set_column(place, field.name, columns.column(place).cast(pa.timestamp("us")))
    table = columns.append_column("_time", pa.array(asked.time)).append_column("_part", pa.array(asked.part))
    pq.write_table(table, folder / "requests.parquet")
    positives = {"request": asked.positives_request, "candidate": asked.positives_candidate}
    if asked.positives_grade is not None:
        positives["grade"] = asked.positives_grade
    pq.write_table(pa.table(positives), folder / "positives.parquet")


def read_requests(folder: Path) -> Requests:
    """Read what `write_requests` wrote."""
    table = pq.read_table(folder / "requests.parquet")
    positives = pq.read_table(folder / "positives.parquet")
    time, part = (table.column(name).to_numpy() for name in ("_time", "_part"))
    columns = table.drop_columns(["_time", "_part"])
    return Requests(
        columns,
        time,
        part,
        positives["request"].to_numpy(),
        positives["candidate"].combine_chunks().cast(pa.string()),
        positives["grade"].to_numpy() if "grade" in positives.column_names else None,
    )
