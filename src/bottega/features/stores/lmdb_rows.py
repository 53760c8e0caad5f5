"""How rows lie in LMDB: where each one stands, until when it is kept, and how those whose time has run out are found.

`d` + number of the group + key → the row and, in 12 bytes more, until when it is kept and where it is listed. A key
that would be too long for LMDB stands under `h` + number + BLAKE2b-128 of the key: among n such keys of a group two
meet with probability below n² / 2¹²⁹ (10⁹ keys: 2·10⁻²¹). `t` + minute + place → nothing: a row that is not kept for
ever is listed once, by the minute in which its time ran out when it was listed. A row that is kept for longer since
stays where it is listed until `sweep` comes to it: what is written again and again is not listed anew each time.
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
_TAIL = struct.Struct("<dI")  # until when, seconds since 1970 UTC; the minute by which it is listed, 0: nowhere
_LISTED = struct.Struct("<I")
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
    get, end = txn.get, -_TAIL.size
    return [(held := get(place)) and held[:end] for place in places]  # what is there is never empty


def write(txn: Any, rows: Mapping[bytes, bytes], until: float) -> None:
    """Put rows by place. until: the moment up to which they are kept, seconds since 1970 UTC; or `FOR_EVER`."""
    places = list(rows)
    _put(txn, places, list(rows.values()), list(map(txn.get, places)), until)


def swap(
    txn: Any, places: Sequence[bytes], before: Sequence[bytes | None], after: Sequence[bytes], until: float
) -> list[bool]:
    """Put the rows at those places whose row is the one of `before`; says at which."""
    held, end = list(map(txn.get, places)), -_TAIL.size
    same = [(now and now[:end]) == row for now, row in zip(held, before, strict=True)]
    _put(txn, list(compress(places, same)), list(compress(after, same)), list(compress(held, same)), until)
    return same


def _put(txn: Any, places: Sequence[bytes], rows: Sequence[bytes], held: Sequence[bytes | None], until: float) -> None:
    moves: dict[bytes, tuple[bytes, bytes, bytes]] = {}
    entries, listed = [], []
    for place, row, before in zip(places, rows, held, strict=True):
        was = b"" if before is None else before[-_LISTED.size :]
        tail, gone, new = moves.get(was) or moves.setdefault(was, _moved(was, until))
        if gone:
            txn.delete(gone + place)
        if new:
            listed.append((new + place, b""))
        entries.append((place, row + tail))
    with txn.cursor() as cursor:  # neighbours after each other: fewer pages are touched
        cursor.putmulti(sorted(entries))
        cursor.putmulti(sorted(listed))


def _moved(was: bytes, until: float) -> tuple[bytes, bytes, bytes]:
    """Give a row's tail, and from where in the list it goes, and to where; nothing where it stays.

    was: the minute by which it is listed, as it is written; nothing of a new row.
    """
    minute = _LISTED.unpack(was)[0] if was else 0
    due = 0 if until == FOR_EVER else int(until // _MINUTE)
    if 0 < minute <= due:
        return _TAIL.pack(until, minute), b"", b""
    return _TAIL.pack(until, due), _due(minute), _due(due)


def sweep(txn: Any, now: float, most: int) -> tuple[int, bool]:
    """Drop up to `most` rows whose time has run out at `now`, and list up to as many anew that are kept for longer.

    Says how many were dropped, and whether it stopped before the list's end, for having listed so many.
    """
    last = int(now // _MINUTE)
    gone: list[bytes] = []
    later: list[tuple[bytes, int]] = []
    with txn.cursor() as cursor:
        there = cursor.set_range(DUE)
        while there and len(gone) < most and len(later) < most:
            name = cursor.key()
            if name[:1] != DUE or (minute := _DUE.unpack_from(name)[1]) > last:
                break
            until = _TAIL.unpack_from(held := txn.get(name[_DUE.size :]), len(held) - _TAIL.size)[0]
            if until <= now:
                gone.append(name)
            elif int(until // _MINUTE) > minute:
                later.append((name, int(until // _MINUTE)))
            there = cursor.next()
    for name in gone:
        txn.delete(name)
        txn.delete(name[_DUE.size :])
    for name, minute in later:
        place = name[_DUE.size :]
        txn.delete(name)
        txn.put(_due(minute) + place, b"")
        txn.put(place, txn.get(place)[: -_LISTED.size] + _LISTED.pack(minute))
    return len(gone), len(later) == most


def _due(minute: int) -> bytes:
    return _DUE.pack(DUE, minute) if minute else b""


def _hashed(number: bytes, key: bytes) -> bytes:
    return b"h" + number + hashlib.blake2b(key, digest_size=16).digest()
