"""Records: what the store holds of one entity, from which every window and look-up is read at any later moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.errors import DataError
from bottega.features.records_layout import HEAD, KEYED, KIND, NEWEST, PAIR, QUEUED, VALUES, WIDTH, Layout
from bottega.features.records_texts import Spelt, read, written
from bottega.features.tracks import EVERY, Group
from bottega.features.words import TextColumn

Array = NDArray[np.int64]
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class TrackEvents:
    """What a batch of events means to one track."""

    rows: Array
    """(k,) places of the events that go to the track, ascending."""
    time: Array
    """(k,) when each happened, microseconds since 1970 UTC; where the track reads labels, when the last is known."""
    known: Array
    """(k,) from when each may be used, as the table says."""
    values: NDArray[Any]
    """(k, arguments) float64, or the same bits as int64: numbers and times in microseconds with NaN for null, and texts
    as the bits of their hash, 0 for null."""


@dataclass(frozen=True)
class Events:
    """A batch of events, in the order of arrival."""

    entity: Array
    """(m,) place of each one's record; −1: of none."""
    partition: Array
    """(m,) where in the stream it stood; −1: it comes from a batch, counts always, and leaves no mark."""
    offset: Array
    """(m,)"""
    tracks: Sequence[TrackEvents]
    """One for each track of the group."""
    texts: Mapping[int, str]
    """The texts of all hashes, by `hashing.hashes` (0 to 2⁶⁴ − 1)."""


@dataclass(frozen=True)
class Columns:
    """The cells of some records."""

    numbers: NDArray[np.float64]
    """(n, columns) in the order of `Group.columns`; times in microseconds; NaN for null, and where texts are."""
    texts: Mapping[str, TextColumn]
    """By name, the columns that hold texts, (n,)."""


class Codec:
    """Writes and reads the records of one group.

    An event counts at t from `ready = max(time + 1, known)` on. `fold` takes what is ready into the entries, and keeps
    the rest as it is; `values` counts what has become ready since. So a record is right at any moment from the last
    fold's on, and wrong before that.

    group: the layout depends on all of it, so that records of another design are refused.

    >>> from bottega.design.features import Window
    >>> from bottega.features.tracks import window_tracks
    >>> window = Window("sales", "item", {"n": "count(*)"}, over=["1d", "all"])
    >>> codec = Codec(Group("item", ("item",), tuple(window_tracks(window, (), lambda *_: "number"))))
    >>> one, none = np.zeros(1, np.int64), np.zeros((1, 0))
    >>> sale = TrackEvents(one, np.array([5]), np.array([5]), none)
    >>> rows = codec.fold([None], Events(one, one, one, [sale, sale], {}), now=9)
    >>> codec.values(rows, 9).numbers.tolist(), codec.values(rows, 9 * 10**11).numbers.tolist()
    ([[1.0, 1.0]], [[0.0, 1.0]])
    """

    def __init__(self, group: Group) -> None:
        layout = Layout.of(group)
        self.group = group
        self.kinds = group.kinds
        """Of each column: number, time or text."""
        self._layout, self._spelt = layout, Spelt()
        self._named = [place for place, kind in enumerate(self.kinds) if kind == "text"]
        self._plan = layout.mark, layout.tracks, layout.parts, layout.spans, layout.texts

    def fold(self, rows: Sequence[bytes | None], events: Events, now: int) -> list[bytes]:
        """Take events into records, and give the new ones.

        An event is left out where its record has its offset, or a higher one, of its partition; within a batch too.
        What no cell can reach at `now` or later is dropped.

        rows: of each entity, nothing where there is none. now: microseconds since 1970 UTC; values may be read from
        there on. Errors: `DataError` for a record that is none of this group's, or that misses a text.
        """
        from bottega.features import kernels_records_fold

        words, starts = _joined(rows)
        out, bounds, bad, why = kernels_records_fold.fold(
            *self._plan, words, starts, int(now), *self._events(events, len(rows))
        )
        return self._parted(out, bounds, bad, why)

    def values(self, rows: Sequence[bytes | None], at: int | Array) -> Columns:
        """Read all cells of records, each at its own time; where there is none, those of an entity without events.

        at: microseconds since 1970 UTC, one for all or (n,); not before the fold that made the record.
        Errors: `DataError` for a record that is none of this group's.
        """
        from bottega.features import kernels_records_read

        words, starts = _joined(rows)
        moments = np.empty(len(rows), np.int64)
        moments[:] = at
        numbers = np.empty((len(rows), len(self.kinds)))
        named = np.empty((len(rows), len(self._named)), np.int64)
        bodies = starts[:-1].copy()
        bad = kernels_records_read.values(
            *self._plan[:4], self._layout.cells, self._plan[4], words, starts, moments, numbers, named, bodies
        )
        if bad >= 0:
            raise self._refused(bad, 1)

        def spelt(unknown: Array) -> Iterable[tuple[int, str]]:
            begins = 8 * (bodies[unknown] - starts[unknown])
            for row, begin in zip(unknown.tolist(), begins.tolist(), strict=True):
                yield from read((rows[row] or b"")[begin:])

        texts = {
            self.group.columns[column]: self._spelt.column(named[:, place], spelt)
            for place, column in enumerate(self._named)
        }
        return Columns(numbers, texts)

    def merge(self, left: bytes, right: bytes) -> bytes:
        """Make one record of two of the same entity that hold different events; of equal newest ones the right counts.

        Wrong where an event is in both: their counts add. Errors: `DataError` for what is no record of this group.
        """
        from bottega.features import kernels_records_fold

        mark, tracks, parts, _, texts = self._plan
        named = dict(self.texts(right))
        wanted = written({key & (2**64 - 1): text for key, text in named.items()}, np.array(list(named), np.int64))
        out, bad, why = kernels_records_fold.merge(
            mark, tracks, parts, texts, _joined([left])[0], _joined([right])[0], *wanted
        )
        if why:
            raise self._refused(bad, why)
        return bytes(out.tobytes())

    def offsets(self, row: bytes | None) -> dict[int, int]:
        """Give up to which offset of each partition the events are in a record."""
        if not row:
            return {}
        begin, _ = self._bounds(row)
        pairs = np.frombuffer(row, np.int64)[HEAD + 2 * len(self.group.tracks) : begin].reshape(-1, 2)
        return dict(zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True))

    def counts(self, row: bytes) -> list[tuple[int, int]]:
        """Give for each track how many entries and how many waiting events a record holds."""
        self._bounds(row)  # refuses what is no record
        heads = np.frombuffer(row, np.int64, 2 * len(self.group.tracks), 8 * HEAD).tolist()
        return list(zip(heads[::2], heads[1::2], strict=True))

    def lasting(self, rows: Sequence[bytes | None], now: int) -> Array:
        """Give until when nothing that waits in each record counts, (n,): the next moment after `now` at which it does.

        rows: records that `values` has read. now: microseconds since 1970 UTC.
        """
        from bottega.features import kernels_waiting

        words, starts = _joined(rows)
        out = np.empty(len(rows), np.int64)
        kernels_waiting.next_ready(self._layout.tracks, words, starts, int(now), out)
        return out

    def until(self, rows: Sequence[bytes | None]) -> Array:
        """Give from when each record says no more than none, (n,) microseconds; the largest integer: never.

        A store may forget it from then on: events that would come again are too old to count.
        """
        from bottega.features import kernels_records_fold

        words, starts = _joined(rows)
        out = np.empty(len(rows), np.int64)
        bad = kernels_records_fold.until(self._layout.mark, self._layout.tracks, words, starts, out)
        if bad >= 0:
            raise self._refused(bad, 1)
        return out

    def most(self) -> tuple[int | None, ...]:
        """Give the most entries that a record keeps of each track; nothing where as many as there are values."""
        return tuple(
            None if track.kind == "distinct" else 1 if track.hop == EVERY else ((track.keep or 1) - 1) // track.hop + 1
            for track in self.group.tracks
        )

    def size(
        self,
        entries: Sequence[int],
        waiting: Sequence[int] | None = None,
        partitions: int = 0,
        texts: Iterable[str] = (),
    ) -> int:
        """Give the bytes of a record.

        8 · (2 + 2 · tracks + 2 · partitions + Σ entries · width + Σ waiting · (3 + arguments)) + texts, where an entry
        of tiles has a word for its bucket and each part, of distinct 2, of newest rows 2 + arguments; a text takes 16
        bytes and its UTF-8, padded to 8. A record of n tiles of 1 h with count(*) and sum(x): 32 + 24 · n bytes and
        16 for each partition, for as many features as there are spans.

        entries, waiting: how many of each track. partitions: whose events came. texts: those of last rows, each once.
        """
        tracks = self._layout.tracks
        words = HEAD + 2 * len(tracks) + PAIR * partitions
        words += sum(count * int(width) for count, width in zip(entries, tracks[:, WIDTH], strict=True))
        words += sum(count * int(width) for count, width in zip(waiting or (), tracks[:, QUEUED], strict=False))
        return 8 * words + sum(16 + (len(text.encode()) + 7) // 8 * 8 for text in texts)

    def assembled(
        self, count: int, entity: Sequence[Array], entries: Sequence[Array], texts: Mapping[int, str]
    ) -> list[bytes]:
        """Make records of entries: those of one key are joined, of equal newest ones the later counts.

        count: records. entity: of each track, the record of each entry (k,). entries: of each track, their words
        (k, width), as `records_layout` has them. texts: of all hashes. Errors: `DataError` for a text that misses.
        """
        from bottega.features import kernels_records_fold

        mark, tracks, parts, _, flags = self._plan
        sorted_, limits = [], np.empty((len(entries), count + 1), np.int64)
        for track, (whose, words) in enumerate(zip(entity, entries, strict=True)):
            order = np.lexsort((words[:, 0], whose)) if tracks[track, KEYED] else np.argsort(whose, kind="stable")
            limits[track] = np.searchsorted(whose[order], np.arange(count + 1))
            sorted_.append(words[order].reshape(-1))
        firsts = np.cumsum([0, *(len(words) for words in sorted_)])
        wanted = [entries[track][:, VALUES - 1 + place] for track, place in self._texted()]
        out, bounds, bad, why = kernels_records_fold.assembled(
            mark, tracks, parts, flags, count, firsts, limits, np.concatenate([*sorted_, _NOTHING]),
            *written(texts, np.concatenate([*wanted, _NOTHING])),
        )  # fmt: skip
        return self._parted(out, bounds, bad, why)

    def texts(self, row: bytes | None) -> Iterable[tuple[int, str]]:
        """Give the texts of a record with the bits of their hashes as int64."""
        return read(row[8 * self._bounds(row)[1] :]) if row else ()

    def _bounds(self, row: bytes) -> tuple[int, int]:
        """Give the words at which the tracks and the texts of a record begin."""
        from bottega.features import kernels_records

        words, _ = _joined([row])
        body = kernels_records.checked(words, 0, len(words), self._plan[0], self._plan[1])
        if body < 0:
            raise self._refused(0, 1)
        return HEAD + 2 * len(self.group.tracks) + 2 * int(words[1]), body

    def _events(self, events: Events, count: int) -> tuple[Any, ...]:
        entity, partition, offset = (_own(item) for item in (events.entity, events.partition, events.offset))
        tracks = [
            TrackEvents(_own(item.rows), _own(item.time), _own(item.known), _bits(item.values))
            for item in events.tracks
        ]
        sizes = [len(item.rows) for item in tracks]
        fits = len(tracks) == len(self.group.tracks) and len(entity) == len(partition) == len(offset)
        for track, item in zip(self.group.tracks, tracks, strict=False):
            fits = fits and item.values.shape == (len(item.rows), len(track.arguments))
            fits = fits and len(item.time) == len(item.known) == len(item.rows)
            fits = fits and not (len(item.rows) and not 0 <= item.rows.min() <= item.rows.max() < len(entity))
        if not fits or (len(entity) and entity.max() >= count):
            raise ValueError("events that do not fit the group's tracks, or the records")
        firsts = np.cumsum([0, *sizes])
        begins = np.cumsum([0, *(item.values.size for item in tracks)])
        wanted = [tracks[track].values[:, place] for track, place in self._texted()]
        texts = written(events.texts, np.concatenate([*wanted, _NOTHING]))
        return (
            entity,
            partition,
            offset,
            firsts,
            np.concatenate([item.rows for item in tracks]),
            np.concatenate([item.time for item in tracks]),
            np.concatenate([item.known for item in tracks]),
            np.concatenate([item.values.reshape(-1) for item in tracks]),
            begins[:-1],
            *texts,
        )

    def _texted(self) -> list[tuple[int, int]]:
        """Give the tracks and arguments whose texts a record spells out."""
        return [
            (number, place)
            for number, track in enumerate(self.group.tracks)
            for place, kind in enumerate(track.kinds)
            if kind == "text" and self._layout.tracks[number, KIND] >= NEWEST
        ]

    def _parted(self, words: Array, bounds: Array, bad: int, why: int) -> list[bytes]:
        if why:
            raise self._refused(bad, why)
        content = words.tobytes()
        return [content[begin:end] for begin, end in pairwise((8 * bounds).tolist())]

    def _refused(self, row: int, why: int) -> DataError:
        place = f"store, group {self.group.name!r}"
        if why > 1:
            return DataError(place, f"a text of record {row} that is nowhere", "texts for all hashes", "")
        return DataError(
            place,
            f"record {row} is damaged, or was written by another design",
            "records of this design",
            "fill the store by this design: bottega run",
        )


def _joined(rows: Sequence[bytes | None]) -> tuple[Array, Array]:
    """Put records one after the other, and say where each begins; `DataError` for a size that no record has."""
    filled = [row or b"" for row in rows]
    starts = np.zeros(len(filled) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, filled), np.int64, len(filled)), out=starts[1:])
    if (starts & 7).any():
        raise DataError("store", "a record that is no whole number of words", "records as they were written", "")
    return np.frombuffer(bytearray().join(filled), np.int64), starts >> 3


def _own(array: NDArray[Any]) -> Array:
    """Give an array that a kernel takes without a second compilation."""
    return np.require(array, np.int64, ["C", "W"])


def _bits(values: NDArray[Any]) -> Array:
    whole = values if values.dtype == np.int64 else np.asarray(values, np.float64)
    return np.require(whole, requirements=["C", "W"]).view(np.int64)
