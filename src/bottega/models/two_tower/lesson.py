"""Lesson: the events that two towers learn from, each with the history of its person before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.models.interactions import Interactions
from bottega.models.vocabulary import Codes

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Events by person and time. person, item: (n,) codes. time: (n,). start: (people + 1,) where each person's events
    begin. low, high: (n,) the person's latest events strictly before each one, as places in `item`: the event itself,
    and whatever came at its very moment, is not among them."""

    person: Codes
    item: Codes
    time: npt.NDArray[np.int64]
    start: Places
    low: Places
    high: Places

    @classmethod
    def of(cls, log: Interactions, history: int) -> Self:
        """Order a log. history: events at most that are looked back at."""
        order = np.lexsort((log.item, log.time, log.person))
        person, item, time = log.person[order], log.item[order], log.time[order]
        start = np.searchsorted(person, np.arange(len(log.people) + 1))
        fresh = np.ones(len(person), dtype=bool)
        fresh[1:] = (person[1:] != person[:-1]) | (time[1:] != time[:-1])
        high = np.maximum.accumulate(np.where(fresh, np.arange(len(person)), 0))
        return cls(person, item, time, start, np.maximum(high - history, start[person]), high)

    def __len__(self) -> int:
        return len(self.person)

    def latest(self, history: int) -> tuple[Places, Places]:
        """Each person's latest events of all, as places in `item`: (people,) from, (people,) to."""
        return np.maximum(self.start[1:] - history, self.start[:-1]), self.start[1:]

    def taken(self) -> tuple[Places, Codes]:
        """The items of each person, each once and ascending: their start (people + 1,), and they."""
        keys = np.unique(self.person.astype(np.int64) << 32 | self.item)
        start = np.searchsorted(keys >> 32, np.arange(len(self.start)))
        return start, (keys & 0xFFFFFFFF).astype(np.int32)

    def counts(self, items: int) -> npt.NDArray[Any]:
        """How many events each item has, (items,)."""
        return np.bincount(self.item, minlength=items)
