"""The tables as they stand now: what the batch accepted, and the events that have come since."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bottega.data.checks import repeated
from bottega.data.log import Log
from bottega.data.streams.messages import Arrived, Decoder
from bottega.data.streams.protocol import Message, Stream
from bottega.design.tables import Table
from bottega.errors import ServeError

_MOST = 20_000
_WAIT_S = 1.0
_EVER = np.iinfo(np.int64).min // 2  # when a row of a table without time is from, if the batch had it


def with_events(
    logs: Mapping[str, Log],
    tables: Sequence[Table],
    stream: Stream,
    now: int,
    ids: Collection[str] = (),
    patience_s: float = 0.0,
    shown: int | None = None,
) -> dict[str, Log]:
    """Add the rows of a stream to the tables, each known from its arrival on at the earliest, repeated ids left out.

    A row that arrives at t counts for answers after t. A table without time has times then: the batch's rows are from
    ever, and each row of the stream is from its arrival.

    logs: of all tables. stream: at its begin; it is read until nothing comes any more, and nothing is committed. now:
    microseconds since 1970 UTC, for what lies in the future. ids: columns that name entities. patience_s: for a source
    that is away at first, as a broker is: read until the partitions are known and nothing waits in them, and wait for
    so many seconds for the next message; larger bears a slower one. 0: the source is on this machine, and what comes
    is all there is. shown: the last moment that a clock showed which stands; what arrived later, by the time of a
    broker's machine, is known from its own time on. None: the clock goes.
    Errors: `ServeError` where patience ends.
    """
    schemas = {name: log.rows.schema for name, log in logs.items()}
    decoder = Decoder(tables, schemas, ids=ids)
    static = {table.name for table in tables if table.time is None}
    found = dict(logs)
    for messages in _to_the_end(stream, patience_s):
        for name, rows in decoder.decode(messages, now).tables.items():
            found[name] = _joined(found[name], rows, shown, name in static)
    return {table.name: _first(found[table.name], table) for table in tables}


def _to_the_end(stream: Stream, patience_s: float) -> Iterator[list[Message]]:
    last = time.monotonic()
    while True:
        if messages := stream.poll(_MOST, _WAIT_S):
            yield messages
            last = time.monotonic()
        elif not patience_s or _is_read(stream):
            return
        elif time.monotonic() - last > patience_s:
            why = stream.fault() or ("messages wait and do not come" if stream.assigned() else "no partition")
            raise ServeError(
                "--stream", f"{why}, for {patience_s:g} s", "a stream that can be read to its end",
                "look whether the broker runs, and at the topic's name, and try again",
            )  # fmt: skip


def _is_read(stream: Stream) -> bool:
    lag = stream.lag()  # lacks a partition whose end the broker does not tell
    return bool(lag) and lag.keys() == stream.assigned() and not any(lag.values()) and stream.fault() is None


def _joined(log: Log, rows: Arrived, shown: int | None, static: bool) -> Log:
    untold = np.zeros(len(rows.arrival), np.bool_) if shown is None else rows.arrival > shown
    since = np.where(untold, _EVER, rows.arrival)
    known = np.where(untold, rows.known, np.maximum(rows.known, rows.arrival + 1))
    before = np.full(log.rows.num_rows, _EVER) if log.time is None else log.time
    return replace(
        log,
        rows=pa.concat_tables([log.rows, rows.rows.cast(log.rows.schema)]),
        time=np.concatenate([before, since if static else rows.time]),
        known=np.concatenate([before if log.known is None else log.known, since if static else known]),
    )


def _first(log: Log, table: Table) -> Log:
    if table.event_id is None:
        return log
    again = repeated(log.rows, [table.event_id], np.ones(log.rows.num_rows, np.bool_))
    return log.take(~again) if again.any() else log
