"""Following: retrievers that take in one event after the other, and answer as of the last one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.models.arriving import Arrived
from bottega.models.history import EMPTY, History
from bottega.models.interactions import NEVER, Interactions, Times
from bottega.models.retrieving import SameForAll, Scored, Setting
from bottega.models.vocabulary import Codes


@dataclass(frozen=True, eq=False)
class Events:
    """What happened, for retrievers to follow: who took what, and which items came into the catalogue.

    people, items: all that ever come, sorted. person, item: (n,) codes. time: (n,). since: (n,) from when each could be
    known, microseconds UTC, ascending. listed: (items,) from when each stands in the catalogue, `NEVER` where it does
    not.
    """

    people: pa.StringArray
    items: pa.StringArray
    person: Codes
    item: Codes
    time: Times
    since: Times
    listed: Times


class Following(SameForAll[Setting]):
    """A retriever with a state that every event changes a little: a model adds `begin`, `grown`, `take`,
    `appear`, `state`."""

    @abstractmethod
    def begin(self, items: int) -> None:
        """Start with nothing known of so many items."""

    @abstractmethod
    def take(self, item: int, time: int) -> None:
        """Somebody took an item, by its code, at a time."""

    def appear(self, item: int, time: int) -> None:
        """An item came into the catalogue."""

    @abstractmethod
    def grown(self, items: int) -> Self:
        """The same with so many items more, of which nothing is known; itself it stays as it is."""

    @abstractmethod
    def state(self) -> npt.NDArray[np.float32]:
        """The score of every item as of the last event, (items,)."""

    def learn(self, past: Interactions, at: int) -> None:
        """Take in the whole log in the order of time."""
        self.history = History.of(past.people, past.matrix()) if len(past) else EMPTY
        self.begin(len(past.items))
        known = np.full(len(past.items), NEVER) if past.known is None else past.known
        for item in np.flatnonzero(known < at).tolist():
            self.appear(item, int(known[item]))
        order = np.argsort(past.time, kind="stable")
        for item, time in zip(past.item[order].tolist(), past.time[order].tolist(), strict=True):
            self.take(item, time)

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that has taken in what arrived; itself it stays as it is."""
        model = self.grown(len(arrived.names))
        model.changed()
        for item, time in arrived.listed():
            model.appear(item, time)
        for item, time in zip(arrived.item.tolist(), arrived.time.tolist(), strict=True):
            model.take(item, time)
        return model


def followed(model: Following[Setting], events: Events, person: Codes, time: Times) -> Iterator[tuple[Scored, Codes]]:
    """Give for each request what a retriever knows at its time, and what its person had taken by then.

    model: not fitted; it follows the events. person: (r,) codes into the events' people, −1 for nobody. time: (r,)
    ascending, microseconds UTC; only what could be known by then counts, and the event at that very time does not.
    """
    model.items = events.items
    model.begin(len(events.items))
    taken: dict[int, dict[int, None]] = {}
    appearing = np.argsort(events.listed, kind="stable")
    shown, done = 0, 0
    for who, at in zip(person.tolist(), time.tolist(), strict=True):
        while shown < len(appearing) and events.listed[appearing[shown]] < at:
            model.appear(int(appearing[shown]), int(events.listed[appearing[shown]]))
            shown += 1
        until = int(np.searchsorted(events.since, at, side="right"))
        for row in range(done, until):
            item = int(events.item[row])
            model.take(item, int(events.time[row]))
            taken.setdefault(int(events.person[row]), {})[item] = None
        done = max(done, until)
        yield Scored(model.state()), np.fromiter(taken.get(who, ()), np.int32)
