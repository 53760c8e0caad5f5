"""The embedded store: LMDB, a memory-mapped B-tree that many worker processes read at once without copies.

Layout, in one database: `f` the format; `g` + group → its number; `m` + name → a mark; the rest as `lmdb_rows` says.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from bottega.errors import BottegaError, BuildError, ServeError
from bottega.features.stores import lmdb_rows
from bottega.features.stores.environment import join
from bottega.features.stores.protocol import Found, Rows, check_rows, check_swap, totals

T = TypeVar("T")
_FORMAT = b"bottega store 3"
_NUMBER = struct.Struct(">H")
_LARGEST = 1 << 40
_SPARE = 1 << 26  # bytes beyond the limit for what makes room: a page is copied before anything in it is dropped


class LmdbStore:
    """A folder on this machine's disk.

    folder: where it lies; made when missing, unless `readonly`. readonly: for workers; they share the mapped pages, and
    one writer beside them goes on. limit: bytes beyond which a write is refused; larger holds more. sync: wait for the
    disk at each write; without it a write takes microseconds and survives the end of any process, and a power cut or
    a crash of the machine may leave the store unreadable. Open it after forking; what a process has open already is
    shared. A store without a lock file, as builds hold it, is read without one. Raises `ServeError` when it is missing,
    damaged or no store of bottega's.
    """

    def __init__(self, folder: Path, readonly: bool = False, limit: int = _LARGEST, sync: bool = True) -> None:
        self.folder, self.readonly, self.limit = folder, readonly, limit
        self._groups: dict[str, bytes] = {}
        if readonly and not (folder / "data.mdb").is_file():
            raise _unreadable(folder, "no store is there")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._shared, self._end = join(self, folder, readonly, limit, sync)
        except (lmdb.Error, OSError) as error:
            raise _unreadable(folder, str(error)) from error
        self._env = self._shared.lmdb
        try:
            self._reading(self._check)
            if not readonly:
                self._write_format()
                self._env.reader_check()  # readers that were killed would hold back old pages for ever
        except lmdb.Error as error:
            self._end()
            raise _unreadable(folder, str(error)) from error
        except BottegaError:
            self._end()
            raise
        self._longest = lmdb_rows.longest_key(self._env.max_key_size())

    @property
    def settled(self) -> bool:
        """Whether nobody writes it any more, so that rows may be remembered."""
        return self._shared.closed

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys, in one read transaction; see `Store`."""
        return self._reading(lambda txn: self._read(txn, group, keys))

    def _read(self, txn: Any, group: str, keys: Sequence[bytes]) -> Rows:
        number = self._number(txn, group)
        return [None] * len(keys) if number is None else lmdb_rows.read(txn, self._places(number, keys))

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows and marks in one transaction, on the disk when it returns where the store syncs; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        self._writing(lambda txn: self._write(txn, group, dict(zip(keys, rows, strict=True)), marks, keep_s))

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Replace the rows that are still what was read, in one write transaction; see `Store`."""
        check_swap(group, keys, before, after, keep_s)

        def work(txn: Any) -> list[bool]:
            places = self._places(self._numbered(txn, group), keys)
            return lmdb_rows.swap(txn, places, before, after, _until(keep_s))

        return self._writing(work) if len(keys) else []

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of one number in one write transaction, of which LMDB has one at a time; see `Store`."""

        def work(txn: Any) -> Found | None:
            if any(txn.get(b"m" + name.encode()) is not None for name in marks or ()):
                return None
            after, fits = totals(group, keys, amounts, limits, self._read(txn, group, keys))
            if fits.all():
                self._write(txn, group, after, marks, None)
            return fits

        return self._writing(work)

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop marks in one write transaction; see `Store`."""

        def work(txn: Any) -> int:
            low, high, count = b"m" + begin.encode(), b"m" + end.encode(), 0
            with txn.cursor() as cursor:
                cursor.set_range(low)
                while count < most and low <= cursor.key() < high:  # beyond the last one the key is empty
                    cursor.delete()  # and stand on the next one
                    count += 1
            return count

        return self._writing(work, _SPARE)

    def _writing(self, work: Callable[[Any], T], spare: int = 0) -> T:
        """Do something in a write transaction, as often as the map has to grow for it. spare: bytes over the limit."""
        if self.readonly:
            raise BuildError(str(self.folder), "a write to a store opened for reading", "open it with readonly=False")
        with self._shared.writing:
            self._alive()
            ripe = False
            while True:
                try:
                    with self._env.begin(write=True) as txn:
                        done = work(txn)
                    if int(self._env.info()["map_size"]) > self.limit:
                        self._shared.resize(self.limit)
                    return done
                except lmdb.MapFullError as error:
                    if not self._grown(self.limit + spare):
                        if ripe or not self._ripened():
                            raise self._full(f"{self.limit:,} bytes are used") from error
                        ripe = True
                except lmdb.MapResizedError:  # another process has grown the map
                    self._shared.resize(0)
                except lmdb.Error as error:
                    raise self._full(str(error)) from error

    def _write(
        self,
        txn: Any,
        group: str,
        rows: Mapping[bytes, bytes],
        marks: Mapping[str, bytes] | None,
        keep_s: float | None,
    ) -> None:
        if rows:
            places = self._places(self._numbered(txn, group), list(rows))
            lmdb_rows.write(txn, dict(zip(places, rows.values(), strict=True)), _until(keep_s))
        for name, value in (marks or {}).items():
            txn.put(b"m" + name.encode(), bytes(value))

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Drop rows whose time has run out, in as many write transactions as it takes; see `Store`."""
        dropped, more = 0, True
        while more and dropped < most:
            found, more = self._writing(partial(lmdb_rows.sweep, now=now, most=most - dropped), _SPARE)
            dropped += found
        return dropped

    def version(self) -> int | None:
        """Give the number of the last write transaction; see `Store`."""
        with self._shared.reading:
            self._alive()
            return int(self._env.info()["last_txnid"])

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        value: bytes | None = self._reading(lambda txn: txn.get(b"m" + name.encode()))
        return value

    def describe(self) -> dict[str, Any]:
        """Say what it holds: the names of its groups, their rows together, and the size of the file."""

        def look(txn: Any) -> dict[str, Any]:
            groups = [name[1:].decode() for name, _ in _listing(txn, b"g")]
            rows = int(txn.stat()["entries"]) - len(groups) - _count(txn, b"m") - _count(txn, lmdb_rows.DUE) - 1
            return {"kind": "lmdb", "bytes": self._size(), "rows": rows, "groups": groups}

        return self._reading(look)

    def close(self) -> None:
        """Close the file, once nobody else in the process has it open."""
        self._end()

    def _alive(self) -> None:
        if not self._end.alive:
            raise _unreadable(self.folder, "it was closed")

    def _reading(self, work: Callable[[Any], T]) -> T:
        with self._shared.reading:
            self._alive()
            try:
                with self._env.begin() as txn:
                    return work(txn)
            except lmdb.MapResizedError:  # the writer, in another process, has grown the map
                self._env.set_mapsize(0)
                with self._env.begin() as txn:
                    return work(txn)
            except lmdb.Error as error:
                raise _unreadable(self.folder, str(error)) from error

    def _number(self, txn: Any, group: str) -> bytes | None:
        number = self._groups.get(group)
        if number is None:
            number = txn.get(b"g" + group.encode())
            if number is not None:
                self._groups[group] = number
        return number

    def _numbered(self, txn: Any, group: str) -> bytes:
        number = self._number(txn, group)
        if number is None:
            number = _NUMBER.pack(_count(txn, b"g"))
            txn.put(b"g" + group.encode(), number)
        return number

    def _places(self, number: bytes, keys: Sequence[bytes]) -> list[bytes]:
        return lmdb_rows.places(number, keys, self._longest)

    def _grown(self, limit: int) -> bool:
        size = int(self._env.info()["map_size"])
        if size < limit:
            self._shared.resize(min(4 * size, limit))
        return size < limit

    def _ripened(self) -> bool:
        """Commit next to nothing: what the last transaction gave free can be used from the next but one on."""
        try:
            with self._env.begin(write=True) as txn:
                return bool(txn.put(b"f", _FORMAT))
        except lmdb.MapFullError:
            return False

    def _full(self, found: str) -> BuildError:
        return BuildError(
            str(self.folder), f"the store is full or cannot be written ({found}); nothing of the batch was",
            f"at most {self.limit:,} bytes, and room on the disk", "free some space, or allow the store a larger limit",
        )  # fmt: skip

    def _size(self) -> int:
        return (self.folder / "data.mdb").stat().st_size

    def _check(self, txn: Any) -> None:
        """Refuse a file cut short (reading beyond its end would kill the process) and one that is no store of ours."""
        info, page = self._env.info(), int(self._env.stat()["psize"])
        if self._size() < (int(info["last_pgno"]) + 1) * page:
            raise _unreadable(self.folder, "the file is cut short")
        mark, entries = txn.get(b"f"), int(txn.stat()["entries"])
        if mark != _FORMAT and (mark is not None or entries or self.readonly):
            raise _unreadable(self.folder, "no store of this version of bottega")

    def _write_format(self) -> None:
        with self._shared.writing, self._env.begin(write=True) as txn:
            if txn.get(b"f") is None:
                txn.put(b"f", _FORMAT)


def _until(keep_s: float | None) -> float:
    return lmdb_rows.FOR_EVER if keep_s is None else time.time() + keep_s


def _count(txn: Any, first: bytes) -> int:
    with txn.cursor() as cursor:
        cursor.set_range(first)
        return sum(1 for _ in takewhile(lambda name: name.startswith(first), cursor.iternext(values=False)))


def _listing(txn: Any, first: bytes) -> list[tuple[bytes, bytes]]:
    with txn.cursor() as cursor:
        cursor.set_range(first)
        return list(takewhile(lambda item: item[0].startswith(first), cursor.iternext()))


def _unreadable(folder: Path, found: str) -> ServeError:
    return ServeError(
        str(folder), f"no readable store: {found}", "a folder that bottega wrote as a store",
        "run the build again, or name another place with --store lmdb:/path",
    )  # fmt: skip
