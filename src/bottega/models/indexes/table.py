"""Table: the vectors of an index and their codes, in rows that are added and struck out, never moved."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError, DataError
from bottega.models.indexes.index import Vectors
from bottega.models.storage import read_array, write_arrays
from bottega.models.vocabulary import Codes

Rows = npt.NDArray[np.int64]
_ROOM = 1024  # rows that are made room for at least


class Held(NamedTuple):
    """What a search reads, all of one moment. base: (n, d) the vectors of the beginning, often mapped from a file.
    more: (m, d) room for later ones. codes: (n + m,) −1 where a row is struck out. rows: how many are there. live: how
    many of them are not struck out."""

    base: Vectors
    more: Vectors
    codes: Codes
    rows: int
    live: int


class Table:
    """Rows of vectors, each with its code; −1 in place of a code strikes a row out.

    Each change puts a new `held` in place of the last, which stays as it is: a search sees all of one moment. That
    copies the codes, 4 bytes a row.

    >>> table = Table.of(np.array([4, 7], np.int32), np.eye(2, dtype=np.float32))
    >>> table.add(np.array([7], np.int32), np.ones((1, 2), np.float32))
    >>> len(table), table.held.rows, table.rows_of(np.array([4, 7, 9], np.int32)).tolist()
    (2, 3, [0, 2, -1])
    """

    def __init__(self, codes: Codes, vectors: Vectors) -> None:
        live = np.flatnonzero(codes >= 0)
        order = live[np.argsort(codes[live], kind="stable")]
        self.held = Held(vectors, vectors[:0].copy(), codes, len(codes), len(live))
        """The rows as they are now."""
        self._sorted, self._row = codes[order], order  # of the beginning; what came or went later is in `_later`
        self._later: dict[int, int] = {}

    @classmethod
    def of(cls, codes: Codes, vectors: Vectors) -> Self:
        """Make it of new vectors, in the order of their codes; `DataError` where they are refused."""
        codes, vectors = checked(codes, vectors, None)
        order = np.argsort(codes)
        return cls(codes[order], np.ascontiguousarray(vectors[order]))

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.held.base.shape[1])

    def __len__(self) -> int:
        return self.held.live

    def vectors(self, first: int, last: int) -> Vectors:
        """The vectors of rows first to last."""
        base, more, *_ = self.held
        low, high = max(first - len(base), 0), max(last - len(base), 0)
        return np.concatenate([base[first:last], more[low:high]]) if high else base[first:last]

    def rows_of(self, codes: Codes) -> Rows:
        """The row of each code, −1 where there is none."""
        if not len(self._sorted):
            found = np.full(len(codes), -1, dtype=np.int64)
        else:
            place = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
            found = np.where(self._sorted[place] == codes, self._row[place], -1)
        if self._later:
            later = self._later
            found = np.array([later.get(code, row) for code, row in zip(codes.tolist(), found.tolist(), strict=True)],
                             dtype=np.int64)  # fmt: skip
        return found

    def add(self, codes: Codes, vectors: Vectors) -> None:
        """Add rows; those that had these codes are struck out. Raises `DataError` for what is refused."""
        codes, vectors = checked(codes, vectors, self.width)
        base, more, known, rows, live = self.held
        old, last = self.rows_of(codes), rows + len(codes)
        first = rows - len(base)
        if last > len(known):
            wide = np.zeros((max(_ROOM, 2 * (last - len(base))), self.width), dtype=np.float32)
            wide[:first] = more[:first]
            more, known = wide, np.concatenate([known[:rows], np.full(len(wide) - first, -1, dtype=np.int32)])
        known = known.copy()
        known[old[old >= 0]] = -1
        known[rows:last] = codes
        more[first : first + len(codes)] = vectors
        self.held = Held(base, more, known, last, live + int((old < 0).sum()))
        self._later.update(zip(codes.tolist(), range(rows, last), strict=True))  # after: who finds a row can read it

    def remove(self, codes: Codes) -> None:
        """Strike out the rows of these codes; unknown ones are left alone."""
        codes = np.unique(np.asarray(codes, dtype=np.int32))
        rows = self.rows_of(codes)
        gone = rows >= 0
        known = self.held.codes.copy()
        known[rows[gone]] = -1
        self._later.update(dict.fromkeys(codes[gone].tolist(), -1))
        self.held = self.held._replace(codes=known, live=self.held.live - int(gone.sum()))

    def save(self, folder: Path) -> None:
        """Write the rows as `vectors.npy` and `codes.npy`."""
        rows = self.held.rows
        write_arrays(folder, {"vectors": self.vectors(0, rows), "codes": self.held.codes[:rows]})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map what `save` wrote; `BuildError` where it is damaged."""
        codes, vectors = read_array(folder, "codes"), read_array(folder, "vectors")
        good = codes.dtype == np.int32 and vectors.dtype == np.float32
        if not good or vectors.ndim != 2 or codes.shape != vectors.shape[:1]:
            raise BuildError(
                str(folder),
                f"vectors {vectors.shape} of {vectors.dtype}, codes {codes.shape} of {codes.dtype}",
                "a code of int32 for each vector of float32",
                "build and save the index again, or restore the folder from a copy",
            )
        return cls(codes.copy(), vectors)


def checked(codes: Codes, vectors: Vectors, width: int | None) -> tuple[Codes, Vectors]:
    """Codes and vectors as an index takes them; `DataError` for others.

    codes: (n,) from 0 up, each once. vectors: (n, width) whose squares have finite sums, so that products are finite.
    """
    many, block = np.asarray(codes), np.asarray(vectors, dtype=np.float32)
    if many.ndim != 1 or (many.size and many.dtype.kind not in "iu"):
        raise _refused(f"codes {many.shape} of {many.dtype}", "whole numbers, (n,)")
    if block.ndim != 2 or len(block) != len(many) or block.shape[1] != (width or block.shape[1]):
        raise _refused(f"vectors {block.shape} for {len(many)} codes", f"vectors ({len(many)}, {width or 'd'})")
    if len(many) and (many.min() < 0 or many.max() >= 2**31):
        raise _refused(f"codes from {many.min()} to {many.max()}", "codes from 0 to 2³¹ − 1")
    if len(np.unique(many)) < len(many):
        raise _refused("a code that comes twice", "each code once", "keep the last vector of each code")
    finite(block)
    return many.astype(np.int32), block


def finite(vectors: Vectors) -> None:
    """Raise `DataError` where a vector has no finite length."""
    if np.isfinite(np.vdot(vectors, vectors)):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.einsum("ij,ij->i", vectors, vectors)
    fine = np.isfinite(lengths)
    if not fine.all():
        raise _refused(
            f"row {np.argmin(fine)} holds NaN, infinity or numbers near it", "numbers whose squares can be summed"
        )


def _refused(found: str, allowed: str, fix: str = "look at what made the vectors") -> DataError:
    return DataError("index", found, allowed, fix)
