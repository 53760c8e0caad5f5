"""The embedded store: LMDB, a memory-mapped B-tree that many worker processes read at once without copies.

Layout, in one database: `f` the format; `g` + group → its number and width; `m` + name → a mark; `d` + number + key →
the row, packed float64. A key over LMDB's limit stands under `h` + number + BLAKE2b-128 of the key: among n such keys
of a group two meet with probability below n² / 2¹²⁹ (10⁹ keys: 2·10⁻²¹).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import numpy as np

from bottega.errors import BottegaError, BuildError, ServeError
from bottega.features.stores.environment import join
from bottega.features.stores.protocol import Found, Values, fitting, totals

T = TypeVar("T")
_FORMAT = b"bottega store 1"
_HEAD = struct.Struct(">HI")  # number of the group, width of its rows
_LARGEST = 1 << 40


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
        self._groups: dict[str, tuple[bytes, int]] = {}
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
        self._longest = self._env.max_key_size() - 3

    @property
    def settled(self) -> bool:
        """Whether nobody writes it any more, so that rows may be remembered."""
        return self._shared.closed

    def read(self, group: str, keys: Sequence[bytes]) -> tuple[Values, Found]:
        """Give the rows of many keys, in one read transaction; see `Store`."""
        return self._reading(lambda txn: self._read(txn, group, keys))

    def _read(self, txn: Any, group: str, keys: Sequence[bytes]) -> tuple[Values, Found]:
        known = self._group(txn, group)
        if known is None:
            return np.empty((len(keys), 0)), np.zeros(len(keys), bool)
        prefix, width = known
        get = txn.get
        if max(map(len, keys), default=0) <= self._longest:
            rows = [get(prefix + key, b"") for key in keys]
        else:
            rows = [get(self._place(prefix, key), b"") for key in keys]
        return _unpacked(rows, width)

    def write(
        self, group: str, keys: Sequence[bytes], values: Values, marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Put rows and marks in one transaction, on the disk when it returns where the store syncs; see `Store`."""
        self._groups.update(self._writing(lambda txn: self._write(txn, group, keys, values, marks or {})))

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of width 1 in one write transaction, of which LMDB has one at a time; see `Store`."""

        def work(txn: Any) -> tuple[Found | None, dict[str, tuple[bytes, int]]]:
            if any(txn.get(b"m" + name.encode()) is not None for name in marks or ()):
                return None, {}
            values, known = self._read(txn, group, keys)
            before = {key: float(row[0]) for key, row, there in zip(keys, values, known, strict=True) if there}
            after, fits = totals(group, keys, amounts, limits, before)
            if not fits.all():
                return fits, {}
            rows = np.array(list(after.values()), np.float64).reshape(-1, 1)
            return fits, self._write(txn, group, list(after), rows, marks or {})

        fits, made = self._writing(work)
        self._groups.update(made)
        return fits

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

        return self._writing(work)

    def _writing(self, work: Callable[[Any], T]) -> T:
        """Do something in a write transaction, as often as the map has to grow for it."""
        if self.readonly:
            raise BuildError(str(self.folder), "a write to a store opened for reading", "open it with readonly=False")
        with self._shared.writing:
            self._alive()
            while True:
                try:
                    with self._env.begin(write=True) as txn:
                        return work(txn)
                except lmdb.MapFullError as error:
                    self._grow(error)
                except lmdb.MapResizedError:  # another process has grown the map
                    self._shared.resize(0)
                except lmdb.Error as error:
                    raise self._full(str(error)) from error

    def _write(
        self, txn: Any, group: str, keys: Sequence[bytes], values: Values, marks: Mapping[str, bytes]
    ) -> dict[str, tuple[bytes, int]]:
        known = self._group(txn, group)
        rows = fitting(group, keys, values, None if known is None else known[1])
        if len(keys) and known is None:
            number = sum(1 for _ in _listing(txn, b"g"))
            txn.put(b"g" + group.encode(), _HEAD.pack(number, rows.shape[1]))
            known = _prefix(number), rows.shape[1]
        if len(keys) and known is not None:
            prefix, size = known[0], 8 * known[1]
            packed = memoryview(rows.tobytes())
            items = [(self._place(prefix, key), packed[at * size : (at + 1) * size]) for at, key in enumerate(keys)]
            items.sort(key=lambda item: item[0])  # neighbours in the tree after each other: fewer pages touched
            with txn.cursor() as cursor:
                cursor.putmulti(items)
        for name, value in marks.items():
            txn.put(b"m" + name.encode(), bytes(value))
        return {} if known is None else {group: known}

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        value: bytes | None = self._reading(lambda txn: txn.get(b"m" + name.encode()))
        return value

    def describe(self) -> dict[str, Any]:
        """Say what it holds, with the rows of all groups together and the size of the file."""

        def look(txn: Any) -> dict[str, Any]:
            groups = {name[1:].decode(): {"width": _HEAD.unpack(head)[1]} for name, head in _listing(txn, b"g")}
            marks = sum(1 for _ in _listing(txn, b"m"))
            rows = int(txn.stat()["entries"]) - len(groups) - marks - 1
            return {"kind": "lmdb", "bytes": self._size(), "groups": groups, "rows": rows}

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

    def _group(self, txn: Any, group: str) -> tuple[bytes, int] | None:
        known = self._groups.get(group)
        if known is None:
            head = txn.get(b"g" + group.encode())
            if head is not None:
                number, width = _HEAD.unpack(head)
                known = self._groups[group] = _prefix(number), width
        return known

    def _place(self, prefix: bytes, key: bytes) -> bytes:
        return prefix + key if len(key) <= self._longest else _hashed(prefix, key)

    def _grow(self, error: Exception) -> None:
        size = int(self._env.info()["map_size"])
        if size >= self.limit:
            raise self._full(f"{size:,} bytes are used") from error
        self._shared.resize(min(4 * size, self.limit))

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


def _unpacked(rows: list[bytes], width: int) -> tuple[Values, Found]:
    """Give packed rows as an array, (n, width), and which were there; one that was not is empty."""
    if b"" not in rows:
        found = np.ones(len(rows), bool)
    else:
        found = np.array([row != b"" for row in rows], bool)
        empty = np.full(width, np.nan, "<f8").tobytes()
        rows = [row or empty for row in rows]
    return np.frombuffer(bytearray().join(rows), "<f8").reshape(len(rows), width), found


def _prefix(number: int) -> bytes:
    return b"d" + struct.pack(">H", number)


def _hashed(prefix: bytes, key: bytes) -> bytes:
    return b"h" + prefix[1:] + hashlib.blake2b(key, digest_size=16).digest()


def _listing(txn: Any, prefix: bytes) -> list[tuple[bytes, bytes]]:
    with txn.cursor() as cursor:
        items: list[tuple[bytes, bytes]] = []
        if cursor.set_range(prefix):
            for name, value in cursor:
                if not name.startswith(prefix):
                    break
                items.append((name, value))
        return items


def _unreadable(folder: Path, found: str) -> ServeError:
    return ServeError(
        str(folder), f"no readable store: {found}", "a folder that bottega wrote as a store",
        "run the build again, or name another place with --store lmdb:/path",
    )  # fmt: skip
