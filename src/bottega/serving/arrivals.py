"""Arrivals: new items and what is taken, from the events that reach the store to the retrievers that answer."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.data.positives import positive_rows
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Judged
from bottega.design.models import texts_read
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places
from bottega.models.arriving import Arrived
from bottega.models.interactions import NEVER
from bottega.serving.finding import Finder
from bottega.serving.journal import Entry, Journal, JournalFollower

GROUP = "arrivals"
"""The group of the store with the journal."""


class Arrival(Entry, frozen=True, array_like=True):
    """An item that came into the catalogue, or was taken."""

    item: str
    since: int
    """From when it may be known, microseconds since 1970 UTC."""
    time: int
    person: str | None = None
    """Who took it; nothing: it came into the catalogue."""
    texts: tuple[str | None, ...] = ()
    """What is said of the item in `columns_of` the design; none where that was said before."""


def arrivals(store: Store) -> Journal[Arrival]:
    """Give the journal of what arrives at a build."""
    return Journal(store, GROUP, Arrival)


def columns_of(design: Design) -> tuple[str, ...]:
    """Name the columns with texts of items that the design's retrievers read."""
    return tuple(sorted({name for rung in design.models.get("retrieve", ()) for name in texts_read(rung)}))


class ArrivalWriter:
    """Brings the rows of a catalogue, and who took what, into the journal.

    store: of the build. design: that retrieves.
    """

    def __init__(self, store: Store, design: Design) -> None:
        self._journal, self._examples = arrivals(store), design.data.examples
        self._columns = columns_of(design)
        self._told: set[str] = set()  # items whose texts were written already

    def __call__(self, log: Log, places: Places) -> None:
        """Write the rows of one table, in their order; when it returns, the store has them."""
        examples = self._examples
        if not isinstance(examples, (FromPositives, Judged)):
            return
        if log.name == examples.catalogue:
            self._write(log, places, None)
        elif isinstance(examples, FromPositives) and log.name == examples.table:
            chosen = positive_rows(examples, log)
            self._write(log.take(chosen), places.take(np.flatnonzero(chosen)), examples.request[0])

    def _write(self, log: Log, places: Places, who: str | None) -> None:
        names = as_text(log.column(str(getattr(self._examples, "candidate", "")))).to_pylist()
        people = [None] * len(names) if who is None else as_text(log.column(who)).to_pylist()
        zeros = np.zeros(len(names), np.int64)
        time = zeros if log.time is None else log.time
        since = zeros if log.time is None else time + 1  # not at its own time yet, as for features
        since = since if log.known is None else np.maximum(since, log.known)
        said = [
            as_text(log.column(name)).to_pylist() if name in log.rows.column_names else [None] * len(names)
            for name in self._columns
        ]
        entries = []
        for row, (name, person) in enumerate(zip(names, people, strict=True)):
            if name is None or (who is not None and person is None):
                continue
            texts = () if who is not None and name in self._told else tuple(column[row] for column in said)
            self._told.add(name)
            place = int(places.partition[row]), int(places.offset[row])
            entries.append(Arrival(*place, name, int(since[row]), int(time[row]), person, texts))
        self._journal.append(entries)


class Arriving(JournalFollower[Finder, Arrival]):
    """Brings what stands in the journal into a finder, as soon as it may be known.

    What is taken of an item that is not in the catalogue yet waits for it, where the design has a catalogue.

    finder: of this process. store, design: of its build. clock: tells what may be known, microseconds since 1970 UTC.
    """

    def __init__(self, finder: Finder, store: Store, design: Design, clock: Callable[[], int]) -> None:
        super().__init__(finder, arrivals(store))
        self._columns, self._clock, self._number = columns_of(design), clock, count()
        self._listed = getattr(design.data.examples, "catalogue", None) is not None
        self._later: list[tuple[int, int, Arrival]] = []
        self._waiting: defaultdict[str, list[Arrival]] = defaultdict(list)

    def apply(self, target: Finder, entries: Sequence[Arrival]) -> None:
        """Take in entries, and those from before whose time has come."""
        for entry in entries:
            heapq.heappush(self._later, (entry.since, next(self._number), entry))
        if not self._later or self._later[0][0] > (now := self._clock()):
            return
        due = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        came, taken = self._known(target, due)
        texts = {
            name: [one.texts[place] if one.texts else None for one in came.values()]
            for place, name in enumerate(self._columns)
        }
        since = np.array([one.time if one.person is None else NEVER for one in came.values()], np.int64)
        first = target.items
        code = {name: first + place for place, name in enumerate(came)}
        item = np.array([code.get(one.item, target.code(one.item)) for one in taken], np.int32)
        time = np.array([one.time for one in taken], np.int64)
        people = [str(one.person) for one in taken]
        target.take_in(Arrived(first, list(came), texts, since, item, time), people)

    def _known(self, target: Finder, due: list[Arrival]) -> tuple[dict[str, Arrival], list[Arrival]]:
        """Give new items by name, and what was taken of them and of those that are known."""
        came = {one.item: one for one in due if one.person is None and target.code(one.item) < 0}
        taken = [waits for name in came for waits in self._waiting.pop(name, ())]
        for one in due:
            if one.person is None:
                continue
            if one.item not in came and target.code(one.item) < 0:
                if self._listed:
                    self._waiting[one.item].append(one)
                    continue
                came[one.item] = one
            taken.append(one)
        return came, taken
