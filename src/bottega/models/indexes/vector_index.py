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
from bottega.models.indexes.table import Held, Rows, Table, finite
from bottega.models.networks.fields import frozen
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays
from bottega.models.vocabulary import Codes

_NOTHING = np.zeros(0, dtype=np.int32)
_AT_ONCE, _KEYS = 4096, 2**20  # queries that faiss takes in one call, and keys of their lists, at most
_ROWS, _CELLS = 1024, 2**21  # rows at least, and products at most, that are worked out at once
_END = np.int64(-(2**63))  # a key under all others
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
        out = [_NOTHING] * len(asked) if leave_out is None else [_sorted(codes) for codes in leave_out]
        if len(out) != len(asked):
            raise _wrong(f"{len(out)} lists to leave out for {len(asked)} queries", "a list for each query")
        finder = self._finder  # first: the rows that are read after it are all that it knows, and more
        held = self._table.held
        wide = min(k, held.live)  # room for no more than there can be
        found = np.full((len(asked), k), -1, dtype=np.int32), np.zeros((len(asked), k), dtype=np.float32)
        step = max(1, min(_AT_ONCE, _KEYS // max(wide, 1)))
        for low in range(0, len(asked) if wide else 0, step):
            part = slice(low, low + step)
            best, scores, count = self._nearest(held, finder, asked[part], wide, out[part])
            if finder is not None and count.min() < wide:
                self._fill(held, asked[part], out[part], best, scores, count)
            found[0][part, :wide], found[1][part, :wide] = best, scores
        return found

    def products(self, query: Vectors, codes: Codes) -> Vectors:
        """⟨query, v⟩ of each code, (n,); NaN for one that it does not have."""
        from bottega.models.indexes.products_kernel import products

        rows = self._table.rows_of(codes)
        base, more, *_ = self._table.held
        total = np.full((1, len(rows)), np.nan, dtype=np.float32)
        products(frozen(base), more, rows[None], self._checked(np.asarray(query)[None]), total)
        found: Vectors = total[0]
        return found

    def vectors(self, codes: Codes) -> Vectors:
        """The vector of each code, (n, d); zeros for one that it does not have."""
        base, more, *_ = self._table.held
        rows = self._table.rows_of(codes)
        found = np.zeros((len(rows), self.width), np.float32)
        first, later = (rows >= 0) & (rows < len(base)), rows >= len(base)
        found[first], found[later] = base[rows[first]], more[rows[later] - len(base)]
        return found

    def save(self, folder: Path, version: str) -> None:
        """Write `index.json`, the vectors and codes, and the finder, all as arrays."""
        with new_folder(folder) as part, self._writing:
            self._table.save(part)
            said: dict[str, Any] = {"version": version, "facts": self.facts}
            if self._finder is not None:
                write_arrays(part, {"finder": self._finder.bytes()})
                finder = self._finder
                said |= {"finder": finder.kind, "effort": finder.effort, "depth": finder.depth, "spare": self._spare}
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
            where = str(folder / "finder.npy")
            finder = Finder.read(said["finder"], said["effort"], said["depth"], held, *size, where)
        return cls(table, finder, said.get("spare", 1.0), said["facts"])

    def _nearest(
        self, held: Held, finder: Finder | None, asked: Vectors, k: int, out: list[Codes]
    ) -> tuple[Codes, Vectors, Rows]:
        """The k best of those that the finder names and of the rows that it does not know; and how many there are."""
        from bottega.models.indexes.products_kernel import offer, products, read

        base, more, code_of_row = frozen(held.base), held.more, held.codes
        sizes = [len(left) for left in out]
        leave = np.array([0, *accumulate(sizes)]), np.concatenate(out)
        best, count = np.full((len(asked), k), _END), np.zeros(len(asked), dtype=np.int64)
        parts: list[Rows] = []
        if finder is not None:
            depth = max(k + max(sizes), finder.depth)  # fewer would be found less surely than what was measured
            wanted = depth * self._spare * held.rows / max(held.live, 1)
            parts.append(finder.find(asked, min(math.ceil(wanted), finder.rows), depth))
        known, step = 0 if finder is None else finder.rows, max(_ROWS, _CELLS // len(asked))
        parts += [np.arange(low, min(low + step, held.rows))[None] for low in range(known, held.rows, step)]
        for rows in parts:
            total = np.empty((len(asked), rows.shape[1]), dtype=np.float32)
            products(base, more, rows, asked, total)
            offer(code_of_row, rows, total.view(np.int32), *leave, best, count)
        best.sort(axis=1)
        codes, scores = np.empty(best.shape, np.int32), np.empty(best.shape, np.float32)
        read(best, codes, scores.view(np.int32))
        return codes, scores, count

    def _fill(self, held: Held, asked: Vectors, out: list[Codes], best: Codes, scores: Vectors, count: Rows) -> None:
        """Compare all vectors for the queries whose lists ended although there is more."""
        wide = best.shape[1]
        for row in np.flatnonzero(count < wide):
            if count[row] < held.live - int((self._table.rows_of(out[row]) >= 0).sum()):
                again = self._nearest(held, None, asked[row : row + 1], wide, out[row : row + 1])
                best[row], scores[row] = again[0][0], again[1][0]

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
