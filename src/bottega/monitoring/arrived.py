"""The tables as they stand now: what the batch accepted, and the events that have come since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bottega.data.checks import repeated
from bottega.data.log import Log
from bottega.data.streams.messages import Arrived, Decoder
from bottega.data.streams.protocol import Stream
from bottega.design.tables import Table

_MOST = 20_000
_WAIT_S = 1.0


def with_events(
    logs: Mapping[str, Log], tables: Sequence[Table], stream: Stream, now: int, ids: Collection[str] = ()
) -> dict[str, Log]:
    """Add the rows of a stream to the tables, each known from its arrival on at the earliest, repeated ids left out.

    logs: of all tables. stream: at its begin; it is read until nothing comes any more, and nothing is committed. now:
    microseconds since 1970 UTC, for what lies in the future. ids: columns that name entities.
    """
    schemas = {name: log.rows.schema for name, log in logs.items()}
    decoder = Decoder(tables, schemas, ids=ids)
    found = dict(logs)
    while messages := stream.poll(_MOST, _WAIT_S):
        for name, rows in decoder.decode(messages, now).tables.items():
            found[name] = _joined(found[name], rows)
    return {table.name: _first(found[table.name], table) for table in tables}


def _joined(log: Log, rows: Arrived) -> Log:
    known = np.maximum(rows.known, rows.arrival)
    return replace(
        log,
        rows=pa.concat_tables([log.rows, rows.rows.cast(log.rows.schema)]),
        time=None if log.time is None else np.concatenate([log.time, rows.time]),
        known=None if log.known is None else np.concatenate([log.known, known]),
    )


def _first(log: Log, table: Table) -> Log:
    if table.event_id is None:
        return log
    again = repeated(log.rows, [table.event_id], np.ones(log.rows.num_rows, np.bool_))
    return log.take(~again) if again.any() else log
