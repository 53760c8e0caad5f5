"""The store in this process's memory: for tests and for one worker; it is gone when the process ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from bottega.features.stores.protocol import Found, Values, fitting, totals


class _Group:
    def __init__(self, width: int) -> None:
        self.index: dict[bytes, int] = {}
        self.rows: Values = np.full((1, width), np.nan)  # the last row stands for what is not there

    def put(self, keys: Sequence[bytes], rows: Values) -> None:
        new = [key for key in dict.fromkeys(keys) if key not in self.index]
        used = len(self.index)
        if used + len(new) >= len(self.rows):
            larger = np.full((2 * (used + len(new)) + 1, rows.shape[1]), np.nan)
            larger[:used] = self.rows[:used]
            self.rows = larger
        self.index.update(zip(new, range(used, used + len(new)), strict=True))
        last = dict(zip(keys, range(len(keys)), strict=True))  # of equal keys the last row counts
        self.rows[[self.index[key] for key in last]] = rows[list(last.values())]


class MemoryStore:
    """A dictionary of rows; the truth by which other stores are checked.

    >>> store = MemoryStore()
    >>> store.write("product", [b"p1"], np.array([[3.0, 0.5]]))
    >>> values, found = store.read("product", [b"p1", b"p2"])
    >>> values.tolist(), found.tolist()
    ([[3.0, 0.5], [nan, nan]], [True, False])
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._marks: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, group: str, keys: Sequence[bytes]) -> tuple[Values, Found]:
        """Give the rows of many keys; see `Store`."""
        with self._lock:
            held = self._groups.get(group)
            if held is None:
                return np.empty((len(keys), 0)), np.zeros(len(keys), bool)
            places = np.fromiter(map(held.index.get, keys, repeat(-1)), np.intp, len(keys))
            return held.rows.take(places, axis=0, mode="wrap"), places >= 0

    def write(
        self, group: str, keys: Sequence[bytes], values: Values, marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Put rows and marks together; see `Store`."""
        with self._lock:
            held = self._groups.get(group)
            rows = fitting(group, keys, values, None if held is None else held.rows.shape[1])
            self._put(group, keys, rows, marks)

    def _put(self, group: str, keys: Sequence[bytes], rows: Values, marks: Mapping[str, bytes] | None) -> None:
        if len(keys):
            self._groups.setdefault(group, _Group(rows.shape[1])).put(keys, rows)
        self._marks.update(marks or {})

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of width 1; see `Store`."""
        with self._lock:
            if marks and not self._marks.keys().isdisjoint(marks):
                return None
            held = self._groups.get(group)
            before = {} if held is None else {key: held.rows[held.index[key], 0] for key in keys if key in held.index}
            after, fits = totals(group, keys, amounts, limits, before)
            if fits.all():
                rows = np.array(list(after.values()), np.float64).reshape(-1, 1)
                width = None if held is None else held.rows.shape[1]
                self._put(group, list(after), fitting(group, list(after), rows, width), marks)
            return fits

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop marks; see `Store`."""
        with self._lock:
            low, high = begin.encode(), end.encode()
            names = sorted(name for name in self._marks if low <= name.encode() < high)[:most]
            for name in names:
                del self._marks[name]
            return len(names)

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._marks.get(name)

    def describe(self) -> dict[str, Any]:
        """Say what it holds, with the number of keys of each group."""
        with self._lock:
            groups = {
                name: {"width": group.rows.shape[1], "keys": len(group.index)} for name, group in self._groups.items()
            }
            return {"kind": "memory", "bytes": sum(g.rows.nbytes for g in self._groups.values()), "groups": groups}

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._groups.clear()
            self._marks.clear()
