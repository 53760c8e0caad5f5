"""Accepted rows written as events again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from bottega.data.time_text import EPOCHS
from bottega.design.tables import Table


def events_of(rows: pa.Table, table: Table) -> Iterator[bytes]:
    """Write accepted rows as the bodies of events that `Decoder` reads as the very same rows.

    Times are whole microseconds, floats have all their digits. Nothing is written for a null.

    rows: (n,) as ingestion accepted them; table: theirs.

    >>> table = Table("sales", time="sold_at")
    >>> time = pa.array([86_400_000_000]).view(pa.timestamp("us", "UTC"))
    >>> next(events_of(pa.table({"sold_at": time, "price": [0.1], "note": pa.array([None], pa.string())}), table))
    b'{"table":"sales","time":86400000000,"price":0.1}'
    """
    names = ["time" if name == table.time else name for name in rows.column_names]
    encode = msgspec.json.Encoder(decimal_format="string").encode
    for batch in rows.to_batches(max_chunksize=10_000):
        columns = [_values(column, name, table) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
        for row in zip(*columns, strict=True):
            event = {name: value for name, value in zip(names, row, strict=True) if value is not None}
            yield encode({"table": table.name, **event})


def _values(column: pa.Array, name: str, table: Table) -> list[Any]:
    kind = column.type
    if name == table.time or (name == table.created and table.time_format not in EPOCHS):
        column = column.cast(pa.int64())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.string())
    return column.to_pylist()  # type: ignore[no-any-return]
