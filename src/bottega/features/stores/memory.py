"""The store in this process's memory: for tests and for one worker; it is gone when the process ends."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bottega.features.stores.protocol import Found, Rows, check_rows, check_swap, totals


class MemoryStore:
    """A dictionary of rows; the truth by which other stores are checked.

    >>> store = MemoryStore()
    >>> store.write("product", [b"p1"], [b"three"])
    >>> store.read("product", [b"p1", b"p2"])
    [b'three', None]
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[bytes, bytes]] = {}
        self._until: dict[tuple[str, bytes], float] = {}
        self._marks: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys; see `Store`."""
        with self._lock:
            return list(map(self._groups.get(group, {}).get, keys))

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows and marks together; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        with self._lock:
            self._put(group, dict(zip(keys, rows, strict=True)), keep_s)
            self._marks.update(marks or {})

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Replace the rows that are still what was read; see `Store`."""
        check_swap(group, keys, before, after, keep_s)
        with self._lock:
            held = self._groups.get(group, {})
            same = [held.get(key) == row for key, row in zip(keys, before, strict=True)]
            self._put(group, {key: row for key, row, as_read in zip(keys, after, same, strict=True) if as_read}, keep_s)
            return same

    def _put(self, group: str, rows: Mapping[bytes, bytes], keep_s: float | None) -> None:
        if not rows:
            return
        self._groups.setdefault(group, {}).update(rows)
        for key in rows:
            if keep_s is not None:
                self._until[group, key] = time.time() + keep_s
            else:
                self._until.pop((group, key), None)

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of one number; see `Store`."""
        with self._lock:
            if marks and not self._marks.keys().isdisjoint(marks):
                return None
            held = self._groups.get(group, {})
            after, fits = totals(group, keys, amounts, limits, [held.get(key) for key in keys])
            if fits.all():
                self._put(group, after, None)
                self._marks.update(marks or {})
            return fits

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop marks; see `Store`."""
        with self._lock:
            low, high = begin.encode(), end.encode()
            names = sorted(name for name in self._marks if low <= name.encode() < high)[:most]
            for name in names:
                del self._marks[name]
            return len(names)

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Drop rows whose time has run out; see `Store`."""
        with self._lock:
            due = heapq.nsmallest(most, ((until, place) for place, until in self._until.items() if until <= now))
            for _, place in due:
                group, key = place
                del self._until[place], self._groups[group][key]
            return len(due)

    def version(self) -> int | None:
        """Say nothing: reading costs as little; see `Store`."""
        return None

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._marks.get(name)

    def describe(self) -> dict[str, Any]:
        """Say what it holds: the names of its groups, their rows together, and the bytes of keys and rows."""
        with self._lock:
            count = sum(map(len, self._groups.values()))
            size = sum(len(key) + len(row) for rows in self._groups.values() for key, row in rows.items())
            return {"kind": "memory", "bytes": size, "rows": count, "groups": list(self._groups)}

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            for held in (self._groups, self._until, self._marks):
                held.clear()
