"""Values that were read from the store, remembered for as long as the store would tell the same."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bottega.features.records import Codec, Columns
from bottega.features.stores.keys import keys
from bottega.features.stores.protocol import Rows, Store
from bottega.features.tracks import Group
from bottega.features.words import TextColumn, Words

_NEVER = np.iinfo(np.int64).min
_SHORTEST = 1_000_000  # microseconds; a finer step is as good as none


@dataclass(frozen=True)
class Read:
    """What the records of some keys tell at a moment."""

    columns: Columns
    known: NDArray[np.bool_]
    """(n,) whether the store has the record."""


@dataclass
class _Held:
    """Values by the place of their word."""

    epoch: object
    words: Words
    until: NDArray[np.int64]
    """The moment from which on a value may be another one; the smallest integer where none is held."""
    known: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    since: int = _NEVER
    """The latest moment that was read at: at an earlier one a value may have been another one."""
    texts: dict[str, NDArray[np.intp]] = field(default_factory=dict)
    spelt: dict[str, Words] = field(default_factory=dict)

    @classmethod
    def empty(cls, epoch: object, words: Words, width: int) -> _Held:
        """Hold nothing, with room for all words and as many again."""
        room = 2 * len(words.texts)
        return cls(epoch, words, np.full(room, _NEVER), np.zeros(room, np.bool_), np.empty((room, width)))

    def put(self, places: NDArray[np.intp], read: Read) -> bool:
        """Take values in; says whether their texts go with those that are held."""
        for name, column in read.columns.texts.items():
            if self.spelt.setdefault(name, column.words) is not column.words:
                return False
            self.texts.setdefault(name, np.zeros(len(self.until), np.intp))[places] = column.places
        self.numbers[places], self.known[places] = read.columns.numbers, read.known
        return True

    def get(self, places: NDArray[np.intp]) -> Read:
        """Give the values of some places."""
        texts = {name: TextColumn(of[places], self.spelt[name]) for name, of in self.texts.items()}
        return Read(Columns(self.numbers[places], texts), self.known[places])


class Remembered:
    """Reads the records of one group, and remembers what those of single ids told; threads may share it.

    A record tells the same until somebody writes, a tail moves on by a hop, or an event that waits in it counts. Where
    the store cannot tell its version in microseconds, every record is read each time.

    store: where the records are. group: of which kind.
    """

    def __init__(self, store: Store, group: Group) -> None:
        self.group, self.codec = group, Codec(group)
        self._store, self._grain = store, grain_of(group)
        self._held: _Held | None = None
        self._lock = threading.Lock()

    def of_keys(self, asked: Sequence[bytes], at: int | NDArray[np.int64]) -> Read:
        """Read the records of some keys. at: microseconds since 1970 UTC, one for all or (n,)."""
        return self._told(self._store.read(self.group.name, asked), at)

    def of_words(self, column: TextColumn, at: int) -> Read:
        """Read the records of a column of ids at one moment."""
        version = self._store.version()
        if version is None:
            return self.of_keys(_keys(column.words, column.places), at)
        epoch = version, at // self._grain if self._grain else at
        held = self._held
        if (
            held is None
            or held.epoch != epoch
            or held.words is not column.words
            or len(held.until) < len(column.words.texts)
        ):
            held = self._held = _Held.empty(epoch, column.words, len(self.group.columns))
        places = column.places
        if at < held.since:
            return self.of_keys(_keys(column.words, places), at)
        late = held.until[places] <= at
        if len(places) and not late.any():  # of no ids the store's answer says which columns there are
            return held.get(places)
        with self._lock:
            if at < held.since:  # another thread was here meanwhile
                return self.of_keys(_keys(column.words, places), at)
            new = np.unique(places[late])
            rows = self._store.read(self.group.name, _keys(column.words, new))
            if not held.put(new, self._told(rows, at)):  # texts are remembered anew: begin again with all of these
                self._held = None
                return self.of_keys(_keys(column.words, places), at)
            held.since = at
            held.until[new] = self.codec.lasting(rows, at)  # after the values: who finds them in time finds them whole
        return held.get(places)

    def nothing(self, count: int) -> Read:
        """Give what so many keys without a record tell."""
        return self._told([None] * count, 0)

    def _told(self, rows: Rows, at: int | NDArray[np.int64]) -> Read:
        known = np.fromiter((row is not None for row in rows), np.bool_, len(rows))
        return Read(self.codec.values(rows, at), known)


def grain_of(group: Group) -> int:
    """Give in which steps of microseconds values change while nobody writes; 0: at any moment.

    >>> grain_of(Group("item", ("item",), ()))
    86400000000
    """
    steps = [86_400_000_000]
    for track in group.tracks:
        for cell in track.cells:
            if cell.function == "decayed_sum":
                return 0
            if cell.length is not None:
                steps += [cell.hop, cell.length]  # a tail moves on at t = length, up to whole hops
    step = int(np.gcd.reduce(steps))
    return step if step >= _SHORTEST else 0


def _keys(words: Words, places: NDArray[np.intp]) -> list[bytes]:
    return keys([[words.texts[place] for place in places.tolist()]])
