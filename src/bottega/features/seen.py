"""Event ids that came before, so that an event sent twice counts once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.features.stores.keys import key
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places

SEEN = "seen"
"""The group of the store that holds each id with the partition and offset of the first event that had it."""
SEEN_S = 7 * 86_400.0
"""Seconds for which an id is remembered; one that is sent again later counts again."""
_SECOND = 1_000_000


class Seen:
    """Tells first events from repeated ones, for the tables that name their events.

    An id belongs to the event, by partition and offset, that was first to be written here: so an event that is
    delivered again, after a crash, is still the first one.

    store: shared by all who apply events. design: for the tables' `event_id`.
    """

    def __init__(self, store: Store, design: Design) -> None:
        self._store = store
        self._ids = {table.name: table.event_id for table in design.data.tables if table.event_id is not None}

    def fresh(self, log: Log, places: Places) -> NDArray[np.bool_]:
        """Mark the rows whose id no other event had before: (n,). A row without an id is never repeated.

        Errors: those of the store.
        """
        fresh = np.ones(log.rows.num_rows, np.bool_)
        if (column := self._ids.get(log.name)) is None:
            return fresh
        rows: dict[bytes, list[int]] = {}
        for row, text in enumerate(as_text(log.column(column)).to_pylist()):
            if text is not None:
                rows.setdefault(key([log.name, text]), []).append(row)
        mine = {name: _place(places, same[0]) for name, same in rows.items()}
        held = self._held(list(rows))
        if new := [name for name in rows if name not in held]:
            self._store.swap(SEEN, new, [None] * len(new), [mine[name] for name in new], keep_s=SEEN_S)
            held |= self._held(new)  # ours, or of one who was quicker
        for name, same in rows.items():
            for row in same:
                fresh[row] = _place(places, row) == held.get(name)
        return fresh

    def fill(self, logs: Mapping[str, Log], at: int) -> None:
        """Remember the ids of the last days before a moment, which a batch has counted.

        at: microseconds since 1970 UTC.
        """
        for name, column in self._ids.items():
            log = logs[name]
            late = log if log.time is None else log.take(log.time >= at - int(SEEN_S * _SECOND))
            ids = as_text(late.column(column)).drop_null().to_pylist()
            names = [key([name, text]) for text in ids]
            self._store.write(SEEN, names, [b"batch"] * len(names), keep_s=SEEN_S)

    def _held(self, names: list[bytes]) -> dict[bytes, bytes]:
        found = self._store.read(SEEN, names)
        return {name: first for name, first in zip(names, found, strict=True) if first is not None}


def _place(places: Places, row: int) -> bytes:
    return b"%d:%d" % (places.partition[row], places.offset[row])
