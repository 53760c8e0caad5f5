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
from itertools import compress
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
    get, end = txn.get, -_UNTIL.size
    return [(held := get(place)) and held[:end] for place in places]  # what is there is never empty


def write(txn: Any, rows: Mapping[bytes, bytes], until: float) -> None:
    """Put rows by place. until: the moment up to which they are kept, seconds since 1970 UTC; or `FOR_EVER`."""
    places = list(rows)
    _put(txn, places, list(rows.values()), list(map(txn.get, places)), until)


def swap(
    txn: Any, places: Sequence[bytes], before: Sequence[bytes | None], after: Sequence[bytes], until: float
) -> list[bool]:
    """Put the rows at those places whose row is the one of `before`; says at which."""
    held, end = list(map(txn.get, places)), -_UNTIL.size
    same = [(now and now[:end]) == row for now, row in zip(held, before, strict=True)]
    _put(txn, list(compress(places, same)), list(compress(after, same)), list(compress(held, same)), until)
    return same


def _put(txn: Any, places: Sequence[bytes], rows: Sequence[bytes], held: Sequence[bytes | None], until: float) -> None:
    tail, due = _UNTIL.pack(until), _due(until)
    listed = []
    for place, before in zip(places, held, strict=True):
        was = b"" if before is None else _due(_UNTIL.unpack_from(before, len(before) - _UNTIL.size)[0])
        if was != due:
            if was:
                txn.delete(was + place)
            if due:
                listed.append((due + place, b""))
    with txn.cursor() as cursor:  # neighbours after each other: fewer pages are touched
        cursor.putmulti(sorted([(place, row + tail) for place, row in zip(places, rows, strict=True)]))
        cursor.putmulti(sorted(listed))


def sweep(txn: Any, now: float, most: int) -> int:
    """Drop up to `most` rows whose time has run out at `now`; says how many."""
    last = _due(now)
    gone: list[tuple[bytes, bytes]] = []
    with txn.cursor() as cursor:
        there = cursor.set_range(DUE)
        while there and len(gone) < most and cursor.key()[: _DUE.size] <= last:
            name = cursor.key()
            place = name[_DUE.size :]
            if _UNTIL.unpack(txn.get(place)[-_UNTIL.size :])[0] <= now:
                gone.append((name, place))
            there = cursor.next()
    for name, place in gone:
        txn.delete(name)
        txn.delete(place)
    return len(gone)


def _due(until: float) -> bytes:
    return b"" if until == FOR_EVER else _DUE.pack(DUE, int(until // _MINUTE))


def _hashed(number: bytes, key: bytes) -> bytes:
    return b"h" + number + hashlib.blake2b(key, digest_size=16).digest()
