"""Filling a store from a batch: every entity's record, as its events up to a moment make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.part import microseconds
from bottega.features.keyed import with_keys
from bottega.features.records import Codec
from bottega.features.seen import Seen
from bottega.features.stores.protocol import LONGEST_KEEP_S, Store, mark
from bottega.features.tracked import tracked
from bottega.features.tracks import Group

if TYPE_CHECKING:
    from bottega.features.engine import Engine

AS_OF = "as_of"
"""The mark that says of which moment a batch has filled a store, in microseconds since 1970 UTC."""
SECOND = 1_000_000


def fill(
    store: Store,
    design: Design,
    logs: Mapping[str, Log],
    groups: Sequence[Group],
    at: int,
    engine: Engine | None = None,
) -> dict[str, int]:
    """Write the record of every entity into the store, and say how many each group has; last comes the mark `AS_OF`.

    A record holds what had come before a moment: what may be used only later waits in it.

    at: microseconds since 1970 UTC; larger holds more. engine: makes the records; nothing: the embedded one does.
    """
    counts = {}
    come = {table.name: _come(logs[table.name], table.available_after, at) for table in design.data.tables}
    come = {name: with_keys(design, come, name) for name in come}
    for group in groups:
        rows = (records if engine is None else engine.records)(design, come, group, at)
        found = list(rows.values())
        store.write(group.name, list(rows), found, keep_s=keep_s(Codec(group), found, at))
        counts[group.name] = len(rows)
    Seen(store, design).fill(come, at)
    mark(store, AS_OF, str(at).encode())
    return counts


def records(design: Design, logs: Mapping[str, Log], group: Group, at: int) -> dict[bytes, bytes]:
    """Give the record of each entity of a group that some row of the logs names, as of a moment."""
    codec, rows = Codec(group), dict[bytes, bytes]()
    for name in dict.fromkeys(track.table for track in group.tracks):
        found = tracked(group, logs[name], design)
        before = [rows.get(key) for key in found.keys]
        rows.update(zip(found.keys, codec.fold(before, found.events, at), strict=True))
    return rows


def keep_s(codec: Codec, rows: Sequence[bytes], now: int) -> float | None:
    """Give for how many seconds from now on any of some records can still tell of an event; nothing: for ever."""
    last = int(codec.until(rows).max(initial=now))
    return None if last == np.iinfo(np.int64).max else min((last - now) / SECOND + 1, LONGEST_KEEP_S)


def come_of(log: Log, available_after: str) -> NDArray[np.int64]:
    """Give when each row of a log with time came to it: (n,), the later of its event time and `created`."""
    if log.time is None:
        raise TypeError("a log with time")
    known = log.time if log.known is None else log.known
    return np.maximum(log.time, known - microseconds(available_after))


def _come(log: Log, available_after: str, at: int) -> Log:
    """Give the rows that had come before a moment, usable or not."""
    if log.time is None:
        return log
    came = come_of(log, available_after) < at
    return log if came.all() else log.take(came)
