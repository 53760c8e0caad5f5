"""Trending: what is taken most right now; and Newest: what has come last."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.design.part import microseconds
from bottega.design.retrievers import Newest, Trending
from bottega.models.following import Following
from bottega.models.protocols import Scores
from bottega.models.storage import read_array, write_arrays

_FAR = 512.0  # half-lives between the times that two weights stand for, before all are written anew
_NOT_YET = int(np.iinfo(np.int64).min)
_LEAST = float(np.finfo(np.float32).tiny)


class TrendingModel(Following[Trending]):
    """Scores an item by its events, each with half the weight after every half-life: the same for everybody.

    score(i) = Σ over the events of i of 2^(−(now − time) ÷ half_life), now being the time of the last event of all.
    When it is wrong: it knows no tastes; a short half-life follows a crowd of few. What was taken very long ago stays a
    little above 0, so that a quiet day still fills a list.

    >>> from bottega.models.interactions import Interactions
    >>> model = TrendingModel(Trending(half_life="1d"))
    >>> day = 86_400_000_000
    >>> model.fit(Interactions.of(["ann", "bob", "cid"], ["a", "a", "b"], [0, day, 2 * day]), at=9 * day)
    >>> model.person_scores("somebody").tolist()
    [0.75, 1.0]
    """

    weight: npt.NDArray[np.float64]
    """(items,) Σ 2^((time − origin) ÷ half_life)."""
    origin: int
    last: int

    def begin(self, items: int) -> None:
        """Start with no event."""
        self.weight, self.origin, self.last = np.zeros(items), _NOT_YET, _NOT_YET
        self._half = microseconds(self.setting.half_life)

    def grown(self, items: int) -> Self:
        """The same with more items, without an event."""
        model = copy(self)
        model.weight = np.concatenate([self.weight, np.zeros(items)])
        return model

    def take(self, item: int, time: int) -> None:
        """Add an event's weight; a late one weighs as it would have."""
        if self.origin == _NOT_YET:
            self.origin = time
        self.last = max(self.last, time)
        if (self.last - self.origin) / self._half > _FAR:
            kept = np.maximum(self.weight * 2.0 ** ((self.origin - self.last) / self._half), _LEAST)
            self.weight, self.origin = np.where(self.weight > 0, kept, 0.0), self.last
        self.weight[item] += max(2.0 ** ((time - self.origin) / self._half), _LEAST)

    def state(self) -> Scores:
        """The weights as of the last event, (items,)."""
        found = self.weight * 2.0 ** ((self.origin - self.last) / self._half)
        scores: Scores = np.where(self.weight > 0, np.maximum(found, _LEAST), 0.0).astype(np.float32)
        return scores

    def store(self, folder: Path) -> None:
        """Write the weights and the times that they stand for."""
        write_arrays(folder, {"weight": self.weight, "times": np.array([self.origin, self.last])})

    def restore(self, folder: Path) -> None:
        """Read them."""
        self._half = microseconds(self.setting.half_life)
        self.weight = np.array(read_array(folder, "weight"))  # it goes on from there
        self.origin, self.last = read_array(folder, "times").tolist()


class NewestModel(Following[Newest]):
    """Scores an item by when it came: into the catalogue, or by its first event, whichever was earlier.

    score(i) = 1 ÷ (1 + days from then to the newest item). When it is wrong: it knows no quality; where much comes that
    nobody wants, its list is full of it.

    >>> from bottega.models.interactions import Interactions
    >>> model = NewestModel(Newest())
    >>> day = 86_400_000_000
    >>> model.fit(Interactions.of(["ann", "bob", "ann"], ["a", "b", "a"], [day, 2 * day, 3 * day]), at=9 * day)
    >>> model.person_scores("somebody").tolist()
    [0.5, 1.0]
    """

    came: npt.NDArray[np.int64]
    """(items,) microseconds, UTC; the smallest number where it has not come yet."""

    def begin(self, items: int) -> None:
        """Start with no item."""
        self.came = np.full(items, _NOT_YET)

    def grown(self, items: int) -> Self:
        """The same with more items, that have not come yet."""
        model = copy(self)
        model.came = np.concatenate([self.came, np.full(items, _NOT_YET)])
        return model

    def take(self, item: int, time: int) -> None:
        """An item is there from its first event on."""
        self.appear(item, time)

    def appear(self, item: int, time: int) -> None:
        """An item is there from its first moment on."""
        if self.came[item] == _NOT_YET or time < self.came[item]:  # what is known late may have been earlier
            self.came[item] = time

    def state(self) -> Scores:
        """The nearness to the newest, (items,)."""
        there = self.came > _NOT_YET
        scores = np.zeros(len(self.came), np.float32)
        scores[there] = 1 / (1 + (self.came.max(initial=0) - self.came[there]) / microseconds("1d"))
        return scores

    def store(self, folder: Path) -> None:
        """Write when each came."""
        write_arrays(folder, {"came": self.came})

    def restore(self, folder: Path) -> None:
        """Read it."""
        self.came = np.array(read_array(folder, "came"))
