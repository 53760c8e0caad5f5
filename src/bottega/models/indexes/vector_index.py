"""The index: a table of vectors, a finder over most of its rows, and exact products for whatever is found."""

from __future__ import annotations

import math
import threading
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np

from bottega.errors import BuildError, DataError, DesignError
from bottega.files import write_json
from bottega.models.indexes.finder import Finder
from bottega.models.indexes.index import LeaveOut, Vectors
from bottega.models.indexes.table import Rows, Table, finite
from bottega.models.networks.fields import frozen
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays
from bottega.models.vocabulary import Codes

_NOTHING = np.zeros(0, dtype=np.int32)
_AT_ONCE = 256  # queries: their heaps stay in the cache
_ROWS = 4096  # compared at once
_NEW = 1024  # rows that are compared one by one before the finder takes them


class VectorIndex:
    """Finds the largest products ⟨q, v⟩ among vectors that come and go.

    The finder names more rows than are asked for, and they are ordered by their exact products. Rows that it does not
    know yet are all compared. What comes after the build is found at once, but its lists and links were made for the
    vectors of the beginning: after many changes, or where half of the rows are struck out, build it anew. Where a list
    would end too early, all vectors are compared for that query.

    `build_index` makes one. finder: nothing: all vectors are compared. spare: how many rows it names for one that is
    wanted, from 1; larger finds more.
    """

    def __init__(self, table: Table, finder: Finder | None, spare: float, facts: dict[str, Any]) -> None:
        self.facts = facts
        self._table, self._finder, self._spare = table, finder, spare
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self._table.width

    def add(self, codes: Codes, vectors: Vectors) -> None:
        """Add vectors, or replace those of codes that it has."""
        with self._writing:
            self._table.add(codes, vectors)
            finder, rows = self._finder, self._table.held.rows
            if finder is not None and rows - finder.rows > _NEW:
                self._finder = finder.grown(self._table.vectors(finder.rows, rows))

    def remove(self, codes: Codes) -> None:
        """Remove the vectors of these codes."""
        with self._writing:
            self._table.remove(codes)

    def search(self, queries: Vectors, k: int, leave_out: LeaveOut | None = None) -> tuple[Codes, Vectors]:
        """The k best for each query: codes (q, k), −1 where fewer; products (q, k)."""
        asked = self._checked(queries)
        if k < 1:
            raise DesignError("k", k, "1 or more", "k=100")
        out = [_sorted(codes) for codes in leave_out or [None] * len(asked)]
        if len(out) != len(asked):
            raise _wrong(f"{len(out)} lists to leave out for {len(asked)} queries", "a list for each query")
        finder = self._finder
        found = np.full((len(asked), k), -1, dtype=np.int32), np.zeros((len(asked), k), dtype=np.float32)
        wide = min(k, len(self))  # room for no more than there can be
        for low in range(0, len(asked) if wide else 0, _AT_ONCE):
            part = slice(low, low + _AT_ONCE)
            best, scores, count = self._nearest(finder, asked[part], wide, out[part])
            if finder is not None:
                left = [len(self) - len(codes) for codes in out[part]]  # it may have more than it leaves out
                short = np.flatnonzero(count < np.minimum(wide, left))
                if len(short):
                    again = self._nearest(None, asked[part][short], wide, [out[low + i] for i in short])
                    best[short], scores[short] = again[:2]
            found[0][part, :wide], found[1][part, :wide] = best, scores
        return found

    def products(self, query: Vectors, codes: Codes) -> Vectors:
        """⟨query, v⟩ of each code, (n,); NaN for one that it does not have."""
        from bottega.models.indexes.products_kernel import products

        rows = self._table.rows_of(codes)
        base, more, _, _ = self._table.held
        total = np.full((1, len(rows)), np.nan, dtype=np.float32)
        products(frozen(base), more, rows[None], self._checked(np.asarray(query)[None]), total)
        found: Vectors = total[0]
        return found

    def save(self, folder: Path, version: str) -> None:
        """Write `index.json`, the vectors and codes, and the finder, all as arrays."""
        with new_folder(folder) as part, self._writing:
            self._table.save(part)
            said: dict[str, Any] = {"version": version, "facts": self.facts}
            if self._finder is not None:
                write_arrays(part, {"finder": self._finder.bytes()})
                said |= {"finder": self._finder.kind, "effort": self._finder.effort, "spare": self._spare}
            write_json(part / "index.json", said)

    @classmethod
    def load(cls, folder: Path, version: str) -> Self:
        """Read what `save` wrote; the vectors are mapped."""
        said = read_facts(folder, "index")
        if said["version"] != version:
            raise BuildError(
                str(folder),
                f"an index of version {said['version']!r}",
                f"{version!r}, the version of the model",
                "take index and model from one build",
            )
        table, finder = Table.load(folder), None
        if "finder" in said:
            size = table.held.rows, table.width
            held = read_array(folder, "finder")
            finder = Finder.read(said["finder"], said["effort"], held, *size, str(folder / "finder.npy"))
        return cls(table, finder, said.get("spare", 1.0), said["facts"])

    def _nearest(self, finder: Finder | None, asked: Vectors, k: int, out: list[Codes]) -> tuple[Codes, Vectors, Rows]:
        """The k best of those that the finder names and of the rows that it does not know; and how many there are."""
        from bottega.models.indexes.products_kernel import in_order, offer, products

        held = self._table.held
        base, more, codes = frozen(held.base), held.more, held.codes
        sizes = [len(left) for left in out]
        start = np.array([0, *accumulate(sizes)])
        leave = start, np.concatenate(out) if start[-1] else _NOTHING
        count = np.zeros(len(asked), dtype=np.int64)
        heaps = np.full((len(asked), k), -1, np.int32), np.zeros((len(asked), k), np.float32), count
        parts: list[Rows] = []
        if finder is not None:
            depth = k + max(sizes)
            wanted = depth * self._spare * held.rows / max(len(self), 1)
            parts.append(finder.find(asked, min(math.ceil(wanted), finder.rows), depth))
        known = 0 if finder is None else finder.rows
        parts += [np.arange(low, min(low + _ROWS, held.rows))[None] for low in range(known, held.rows, _ROWS)]
        for rows in parts:
            total = np.empty((len(asked), rows.shape[1]), dtype=np.float32)
            products(base, more, rows, asked, total)
            offer(codes, rows, total, *leave, *heaps)
        in_order(*heaps)
        return heaps

    def _checked(self, queries: Vectors) -> Vectors:
        asked = np.array(queries, dtype=np.float32, order="C")  # a copy that may be written into: one thing to compile
        if asked.ndim != 2 or asked.shape[1] != self.width:
            raise _wrong(f"queries {asked.shape}", f"(q, {self.width})")
        finite(asked)
        return asked


def _sorted(codes: Codes | None) -> Codes:
    return _NOTHING if codes is None else np.unique(np.asarray(codes, dtype=np.int32))


def _wrong(found: str, allowed: str) -> DataError:
    return DataError("index", found, allowed, "look at what made the queries")
