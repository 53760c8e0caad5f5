"""How rows lie in LMDB: where each one stands, until when it is kept, and how those whose time has run out are found.

`d` + number of the group + key → the row and, in 8 bytes more, until when it is kept. A key that would be too long for
LMDB stands under `h` + number + BLAKE2b-128 of the key: among n such keys of a group two meet with probability below
n² / 2¹²⁹ (10⁹ keys: 2·10⁻²¹). `t` + minute + place → nothing: a row that is not kept for ever is listed once, by the
minute in which its time runs out, so that a write within that minute leaves the list as it is.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from bottega.features.stores.protocol import Rows

FOR_EVER = 0.0
DUE = b"t"
_UNTIL = struct.Struct("<d")  # seconds since 1970 UTC
_DUE = struct.Struct(">cI")
_MINUTE = 60


def longest_key(largest: int) -> int:
    """Give the bytes that a key may have to stand there as it is, with those that LMDB allows."""
    return largest - _DUE.size - 3


def places(number: bytes, keys: Sequence[bytes], longest: int) -> list[bytes]:
    """Give where the rows of some keys of a group stand. longest: what `longest_key` gave."""
    prefix = b"d" + number
    if max(map(len, keys), default=0) <= longest:
        return [prefix + key for key in keys]
    return [prefix + key if len(key) <= longest else _hashed(number, key) for key in keys]


def read(txn: Any, places: Sequence[bytes]) -> Rows:
    """Give the rows at some places."""
    get = txn.get
    return [None if (held := get(place)) is None else held[: -_UNTIL.size] for place in places]


def write(txn: Any, rows: Mapping[bytes, bytes], until: float) -> None:
    """Put rows by place. until: the moment up to which they are kept, seconds since 1970 UTC; or `FOR_EVER`."""
    tail, due = _UNTIL.pack(until), _due(until)
    items = [(place, row + tail) for place, row in sorted(rows.items())]  # neighbours after each other: fewer pages
    listed = []
    for place, _ in items:
        held = txn.get(place)
        was = b"" if held is None else _due(_until(held))
        if was != due:
            if was:
                txn.delete(was + place)
            if due:
                listed.append((due + place, b""))
    with txn.cursor() as cursor:
        cursor.putmulti(items)
        cursor.putmulti(listed)


def sweep(txn: Any, now: float, most: int) -> int:
    """Drop up to `most` rows whose time has run out at `now`; says how many."""
    last = _due(now)
    gone: list[tuple[bytes, bytes]] = []
    with txn.cursor() as cursor:
        there = cursor.set_range(DUE)
        while there and len(gone) < most and cursor.key()[: _DUE.size] <= last:
            name = cursor.key()
            place = name[_DUE.size :]
            if _until(txn.get(place)) <= now:
                gone.append((name, place))
            there = cursor.next()
    for name, place in gone:
        txn.delete(name)
        txn.delete(place)
    return len(gone)


def _until(held: bytes) -> float:
    until: float = _UNTIL.unpack_from(held, len(held) - _UNTIL.size)[0]
    return until


def _due(until: float) -> bytes:
    return b"" if until == FOR_EVER else _DUE.pack(DUE, int(until // _MINUTE))


def _hashed(number: bytes, key: bytes) -> bytes:
    return b"h" + number + hashlib.blake2b(key, digest_size=16).digest()
