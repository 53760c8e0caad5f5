"""What an online store is: groups of rows of numbers by key, and marks that say how far they have come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bottega.errors import BuildError

Values = np.ndarray[Any, np.dtype[np.float64]]
Found = np.ndarray[Any, np.dtype[np.bool_]]


class Store(Protocol):
    """Rows of float64 by group and key; NaN is null. Every row of a group has the width of its first write."""

    def read(self, group: str, keys: Sequence[bytes]) -> tuple[Values, Found]:
        """Give the rows of many keys at once, (n, width) and (n,): NaN and False for a key that is not there.

        All rows come from one moment: a batch is seen whole or not at all. A group never written has width 0.
        """
        ...

    def write(
        self, group: str, keys: Sequence[bytes], values: Values, marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Put rows, (m, width), and marks, all together or none; of equal keys the last row counts.

        With the marks in the same batch a stream is applied exactly once: after a crash it goes on from its mark.
        Raises `BuildError` when shapes do not fit, the store is full, or it was opened for reading.
        """
        ...

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of width 1, those not there yet being 0: all amounts and marks together, or none.

        No other writer, of whatever process, comes between the look and the change. amounts: (m,) finite numbers; those
        of one key are added one after the other. limits: (m,) what each row may hold after its amount; where one is
        passed, nothing is added. marks: set with it; where one of these names was marked before, nothing is added, so
        that what a mark stands for happens once. Gives which amounts fit, (m,), or nothing where a mark was there.
        Raises `BuildError` as `write` does, and for an amount that is no number.
        """
        ...

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop up to `most` marks whose names lie from `begin` on and below `end`, the first ones first; says how many.

        Names are compared as UTF-8 bytes. Raises `BuildError` as `write` does.
        """
        ...

    def marked(self, name: str) -> bytes | None:
        """Give what was last marked under a name, such as how far a stream is applied; None when nothing was."""
        ...

    def describe(self) -> dict[str, Any]:
        """Say what it holds: `{"kind": …, "bytes": …, "groups": {name: {"width": …}}}`."""
        ...

    def close(self) -> None:
        """Let go of files and connections; closing twice is harmless."""
        ...


def mark(store: Store, name: str, value: bytes) -> None:
    """Mark a name without writing rows: when the batch was computed (`as_of`), which version it is.

    >>> from bottega.features.stores.memory import MemoryStore
    >>> store = MemoryStore()
    >>> mark(store, "as_of", b"2011-12-01")
    >>> store.marked("as_of")
    b'2011-12-01'
    """
    store.write("", [], np.empty((0, 0)), {name: value})


def totals(
    group: str,
    keys: Sequence[bytes],
    amounts: Sequence[float],
    limits: Sequence[float] | None,
    held: Mapping[bytes, float],
) -> tuple[dict[bytes, float], Found]:
    """Give what rows hold once these amounts are added, and which amounts fit; `BuildError` where they are none.

    held: what each key's row holds before; one that is missing holds 0.
    """
    if len(amounts) != len(keys) or not np.isfinite(np.asarray(amounts, np.float64)).all():
        raise BuildError(f"store, group {group!r}", f"amounts {list(amounts)}", f"{len(keys)} finite numbers")
    found: dict[bytes, float] = {}
    fits = np.ones(len(keys), bool)
    for place, (key, amount) in enumerate(zip(keys, amounts, strict=True)):
        total = found.get(key, held.get(key, 0.0)) + amount
        if limits is not None and total > limits[place]:
            fits[place] = False
        else:
            found[key] = total
    return found, fits


def fitting(group: str, keys: Sequence[bytes], values: Values, width: int | None) -> Values:
    """Give the rows as contiguous little-endian float64, or `BuildError` when they do not fit keys and group."""
    rows = np.ascontiguousarray(values, "<f8")
    if rows.ndim != 2 or len(rows) != len(keys):
        raise BuildError(f"store, group {group!r}", f"values of shape {rows.shape}", f"({len(keys)}, width)")
    if width is not None and rows.shape[1] != width and len(rows):
        raise BuildError(
            f"store, group {group!r}", f"rows of {rows.shape[1]} numbers", f"{width}, as written before",
            "write to a new store, or name the group anew",
        )  # fmt: skip
    return rows
