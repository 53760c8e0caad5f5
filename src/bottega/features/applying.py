"""Applying events to a store: each once, whoever else applies others to the same entities."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.errors import ServeError
from bottega.features.filling import keep_s
from bottega.features.keyed import looks_up
from bottega.features.reader import KeyReader
from bottega.features.records import Codec, Events, TrackEvents
from bottega.features.seen import Seen
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places, tracked
from bottega.features.tracks import Group

_TRIES = 1000  # of one batch on one entity, each after another worker was quicker
_LONGEST = 0.05  # seconds between two of them


@dataclass
class Applied:
    """What became of some events."""

    events: int = 0
    repeated: int = 0
    """Events left out, since their id had come before."""
    records: int = 0
    """Records that were written."""
    conflicts: int = 0
    """Times that another worker had written a record first, and it was read again."""

    def __iadd__(self, other: Applied) -> Applied:
        self.events += other.events
        self.repeated += other.repeated
        self.records += other.records
        self.conflicts += other.conflicts
        return self


class Applier:
    """Brings events into the records of the entities that they name.

    A record tells up to which offset of each partition it holds the events, takes only later ones, and is replaced only
    where it is still as it was read: so an event counts once, however often it is delivered, and whoever else writes.
    Wrong where offsets of one partition do not rise in the order of delivery.

    store: filled by a batch, or empty. groups: what it keeps. design: whose tables the events are rows of. beside: is
    given the same rows when the records have them, again where they are delivered again.
    """

    def __init__(
        self,
        store: Store,
        groups: Sequence[Group],
        design: Design,
        for_ever: bool = False,
        beside: Callable[[Log, Places], None] | None = None,
    ) -> None:
        self._store, self._design, self._for_ever, self._beside = store, design, for_ever, beside
        self._groups = [(group, Codec(group)) for group in groups]
        self._seen = Seen(store, design)
        self._keys = KeyReader(store, groups, design) if looks_up(design.features) else None
        self._numbers = {table.name: number for number, table in enumerate(design.data.tables)}

    def warm(self) -> None:
        """Compile what applies events, so that the first one does not wait for it."""
        none, nobody = np.zeros(0, np.int64), np.zeros((0, 0))
        for group, codec in self._groups:
            events = [TrackEvents(none, none, none, nobody.reshape(0, len(track.arguments))) for track in group.tracks]
            codec.fold([], Events(none, none, none, events, {}), 0)

    def apply(self, log: Log, places: Places, now: int) -> Applied:
        """Apply the rows of one table, in their order, and return when the store has them.

        log: the rows, as `ingest` would have accepted them. places: where in the stream each stands. now: the moment up
        to which waiting events may be folded in, microseconds since 1970 UTC; no reader may ask for an earlier one.
        Errors: `ServeError`, `BuildError` of the store; then some records may have the events and others not, and
        applying them again makes it whole.
        """
        done = Applied(log.rows.num_rows)
        fresh = self._seen.fresh(log, places)
        if not fresh.all():
            done.repeated = int(np.count_nonzero(~fresh))
            log, places = log.take(fresh), places.take(np.flatnonzero(fresh))
        # Rows of one table come in the order of their offsets, those of several do not: each has marks of its own.
        places = Places(places.partition * len(self._numbers) + self._numbers[log.name], places.offset)
        log = log if self._keys is None else self._keys.with_keys(log)
        for group, codec in self._groups:
            if any(track.table == log.name for track in group.tracks):
                done += self._into(group, codec, log, places, now)
        if self._beside is not None:
            self._beside(log, places)
        return done

    def _into(self, group: Group, codec: Codec, log: Log, places: Places, now: int) -> Applied:
        found = tracked(group, log, self._design, places)
        names, events, done = found.keys, found.events, Applied()
        for attempt in range(_TRIES):
            if not names:
                return done
            before = self._store.read(group.name, names)
            after = codec.fold(before, events, now)
            changed = [row for row, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
            swapped = self._store.swap(
                group.name, [names[row] for row in changed], [before[row] for row in changed],
                [after[row] for row in changed], keep_s=None if self._for_ever else keep_s(codec, after, now),
            )  # fmt: skip
            lost = [row for row, whole in zip(changed, swapped, strict=True) if not whole]
            done.records += len(changed) - len(lost)
            done.conflicts += len(lost)
            if not lost:
                return done
            place = np.full(len(names) + 1, -1, np.int64)  # the last one stands for −1
            place[lost] = np.arange(len(lost))
            names, events = [names[row] for row in lost], replace(events, entity=place[events.entity])
            time.sleep(random.random() * min(0.001 * 2**attempt, _LONGEST))
        raise ServeError("store", f"{len(names)} records of {group.name} change all the time", "fewer writers", "")
