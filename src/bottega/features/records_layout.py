"""The layout of records: which 8-byte words stand for what, as tables of whole numbers that compiled loops read.

A record is a row of little-endian 8-byte words:

    mark of the layout · number of partitions · for each track: number of entries, number of waiting events
    for each partition, ascending: its number, the offset up to which it is in the record
    for each track: its entries, ascending by key; its waiting events in the order of arrival
    for each text that a hash above stands for, ascending: hash, length in bytes, UTF-8 padded to whole words

- An entry of *tiles*: the bucket `floor(time / hop)` (left out where one tile is for all time), then the parts that the
  cells need: the moment as of which decayed sums are, counts as whole numbers, sums, extremes (NaN where nothing came).
- An entry of *distinct*: the value, and the newest time at which it came. −0 is 0.
- The one entry of *newest* and *row*: time, known, and the arguments.
- A waiting event: the moment `ready` from which it counts, time, known, and the arguments.

Values are 64-bit floats, times as microseconds, null as NaN; texts are the bits of their hash (`hashing.hashes`), null
as 0. Size in bytes: 8 × (2 + 2 tracks + 2 partitions + Σ entries × width + Σ waiting × (3 + arguments)) + texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from bottega.features.tracks import EVERY, Cell, Group, Track

Table = np.ndarray[Any, np.dtype[np.int64]]

HEAD, PAIR = 2, 2
"""Words before those of the tracks; words of a partition."""
READY, TIME, KNOWN, VALUES = range(4)
"""Words of a waiting event: three moments, and then its arguments."""
TEXT_NULL = 0
"""The word of a text that is null."""
TILES, DISTINCT, NEWEST, ROW = range(4)
KIND, KEYED, HOP, ARGUMENTS, WIDTH, QUEUED, PARTS, PARTS_END, SPANS, SPANS_END, KEEP, FIRST = range(12)
"""Columns of `Layout.tracks`: `KEYED` 1 where an entry begins with its key; words of an entry (`WIDTH`), and of a
waiting event (`QUEUED`); `KEEP` microseconds, −1 for ever; `FIRST` the place of its first argument in `texts`."""
WHAT, ARGUMENT, RATE = range(3)
"""Columns of `Layout.parts`: what a part is, of which argument (−1: of the rows), and of a decayed sum the half-lives a
microsecond, as the bits of a 64-bit float."""
AS_OF, COUNT, SUM, LEAST, MOST, DECAY = range(6)
LENGTH, STEP, CELLS, MEANS, CELLS_END = range(5)
"""Columns of `Layout.spans`: microseconds (−1: all), and its cells; from `MEANS` on they are those of `avg`."""
PART, OTHER, COLUMN, SLOT = range(4)
"""Columns of `Layout.cells`: words of an entry after its key, the place among the columns, and that among the columns
of texts (−1: none). An `avg` is `PART` over `OTHER`."""
_VERSION = 1
_PARTS = {
    "count": (COUNT,),
    "sum": (SUM,),
    "avg": (SUM, COUNT),
    "min": (LEAST,),
    "max": (MOST,),
    "decayed_sum": (DECAY,),
}


@dataclass(frozen=True)
class Layout:
    """The words of the records of one group."""

    group: Group
    mark: int
    """Stands first in each record: only records of the very same group and code are read."""
    tracks: Table
    """(tracks, 12)"""
    parts: Table
    """(parts, 3)"""
    spans: Table
    """(spans, 5), a track's from the shortest to the longest one."""
    cells: Table
    """(cells, 4)"""
    texts: Table
    """(arguments,) 1 where an argument is a text."""

    @classmethod
    def of(cls, group: Group) -> Layout:
        """Lay out the records of a group."""
        made = _Tables()
        for track in group.tracks:
            made.add(track)
        digest = hashlib.blake2b(msgspec.json.encode([_VERSION, group]), digest_size=8).digest()
        return cls(
            group,
            int.from_bytes(digest, "little", signed=True),
            np.array(made.tracks, np.int64).reshape(-1, 12),
            np.array(made.parts, np.int64).reshape(-1, 3),
            np.array(made.spans, np.int64).reshape(-1, 5),
            np.array(made.cells, np.int64).reshape(-1, 4),
            np.array(made.texts, np.int64),
        )


@dataclass
class _Tables:
    tracks: list[tuple[int, ...]] = field(default_factory=list)
    parts: list[tuple[int, int, int]] = field(default_factory=list)
    spans: list[tuple[int, ...]] = field(default_factory=list)
    cells: list[tuple[int, ...]] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    columns: int = 0
    slots: int = 0

    def add(self, track: Track) -> None:
        """Add the rows of a track."""
        kind = ("tiles", "distinct", "newest", "row").index(track.kind)
        parts = parts_of(track)
        keyed = int(kind == DISTINCT or (kind == TILES and track.hop != EVERY))
        width = 2 + len(track.arguments) if kind >= NEWEST else keyed + len(parts)
        begin, first = len(self.parts), len(self.spans)
        self._cells(track, kind, parts)
        self.tracks.append(
            (
                kind, keyed, max(track.hop, 1), len(track.arguments), width, VALUES + len(track.arguments), begin,
                begin + len(parts), first, len(self.spans), -1 if track.keep is None else track.keep, len(self.texts),
            )
        )  # fmt: skip
        self.parts += [(what, argument, _rate(what, life)) for what, argument, life in parts]
        self.texts += [int(item == "text") for item in track.kinds]

    def _cells(self, track: Track, kind: int, parts: Sequence[tuple[int, int, int]]) -> None:
        spans: dict[tuple[int, int], list[tuple[bool, int, int, int, int]]] = {}
        for cell in track.cells:
            slot, part, other = -1, 2 + cell.argument if kind >= NEWEST else 0, 0
            if kind >= NEWEST and track.kinds[cell.argument] == "text":
                slot, self.slots = self.slots, self.slots + 1
            if kind == TILES:
                wanted = [_part(what, cell) for what in _PARTS[cell.function]]
                part, other = parts.index(wanted[0]), parts.index(wanted[-1])
            span = (-1 if cell.length is None else cell.length, cell.hop)
            spans.setdefault(span, []).append((cell.function == "avg", part, other, self.columns, slot))
            self.columns += 1
        for span in sorted(spans, key=lambda item: (item[0] < 0, item[0])):
            cells, begin = sorted(spans[span]), len(self.cells)
            means = begin + sum(not mean for mean, *_ in cells)
            self.spans.append((*span, begin, means, begin + len(cells)))
            self.cells += [cell[1:] for cell in cells]


def parts_of(track: Track) -> list[tuple[int, int, int]]:
    """Give the parts of an entry after its key: what each is, of which argument, and with which half-life."""
    if track.kind == "distinct":
        return [(AS_OF, -1, 0)]
    if track.kind != "tiles":
        return []
    found = [_part(what, cell) for cell in track.cells for what in _PARTS[cell.function]]
    if any(what == DECAY for what, _, _ in found):
        found.insert(0, (AS_OF, -1, 0))
    return list(dict.fromkeys(found))


def _part(what: int, cell: Cell) -> tuple[int, int, int]:
    return what, cell.argument, cell.half_life or 0 if what == DECAY else 0


def _rate(what: int, half_life: int) -> int:
    return int(np.float64(1 / half_life).view(np.int64)) if what == DECAY else 0
