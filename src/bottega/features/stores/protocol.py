"""What an online store is: groups of rows of bytes by key, and marks that say how far they have come."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bottega.errors import BuildError

Rows = list[bytes | None]
Found = np.ndarray[Any, np.dtype[np.bool_]]
LONGEST_KEEP_S = 10 * 365 * 86_400
"""The longest time that a row can be kept for, in seconds; for longer it is kept for ever."""
LATE_S = 2.0
"""How much longer than it must be kept a row may be seen in a store that drops rows by itself, in seconds."""
_AMOUNT = struct.Struct("<d")


class Store(Protocol):
    """Rows of bytes by group and key, and marks by name. What the bytes mean is the business of who writes them.

    Keys and rows are any bytes, empty ones too. Errors of all operations: `BuildError` for a store that is full or was
    opened for reading, and for arguments that do not fit each other; `ServeError` for one that is gone, closed, slow or
    damaged. Reads, `write`, `swap`, `forget` and `sweep` may be repeated after a `ServeError`: what was done already is
    done once more, or `swap` finds it there. `add` may be repeated where a mark goes with it: a mark that is there
    already says that the first try came through.

    keep_s: seconds, above 0 and at most `LONGEST_KEEP_S`: from the write on the row stays for so long. Then it goes by
    the next `sweep`, or by itself within `LATE_S`. None: for ever. Each write of a key sets the time anew.

    A group holds rows, or the sums that `add` keeps: a store may refuse the one where the other is (`BuildError`).
    """

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys at once, in the order asked; None for a key that is not there.

        In an embedded store all rows come from one moment: a batch is seen whole or not at all. On a network each row
        is whole, and no row is older than what was written before the read began.
        """
        ...

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows, whatever stood there; of equal keys the last one counts. Marks are there no earlier than the rows.

        In an embedded store rows and marks come all together or none.
        """
        ...

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Replace each row that is still what was read, and say which were: compare and swap, each key by itself.

        No other writer, of whatever process, comes between the look and the change of one key. keys: distinct ones.
        before: the whole row that must stand there; None: there must be none.
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
        """Add to rows of one float64 (8 bytes, little-endian), those not there being 0: all amounts and marks, or none.

        No other writer, of whatever process, comes between the look and the change. amounts: (m,) finite numbers; those
        of one key are added one after the other. limits: (m,) what each row may hold after its amount; where one is
        passed, nothing is added. marks: set with it; where one of these names was marked before, nothing is added, so
        that what a mark stands for happens once. Gives which amounts fit, (m,), or nothing where a mark was there.
        The rows are kept for ever. Raises `BuildError` for an amount that is no number, and a row that is no float64.
        """
        ...

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop up to `most` marks whose names lie from `begin` on and below `end`, the first ones first; says how many.

        Names are compared as UTF-8 bytes.
        """
        ...

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Drop up to `most` rows whose `keep_s` has run out at `now`, seconds since 1970 UTC; says how many.

        A store that drops such rows by itself gives 0.
        """
        ...

    def version(self) -> int | None:
        """Give a number that changes with every write of anybody; None where that cannot be told in microseconds."""
        ...

    def marked(self, name: str) -> bytes | None:
        """Give what was last marked under a name, such as the moment of a batch; None when nothing was."""
        ...

    def describe(self) -> dict[str, Any]:
        """Say what it is: `{"kind": …}`, and what it can tell cheaply, such as `bytes`, `rows`, `groups`."""
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
    store.write("", [], [], {name: value})


def amount(row: bytes | None) -> float:
    """Give the number in a row that `add` keeps; 0 where there is no row.

    >>> amount(None), amount(bytes(8))
    (0.0, 0.0)
    """
    return 0.0 if row is None else float(_AMOUNT.unpack(row)[0])


def totals(
    group: str,
    keys: Sequence[bytes],
    amounts: Sequence[float],
    limits: Sequence[float] | None,
    held: Sequence[bytes | None],
) -> tuple[dict[bytes, bytes], Found]:
    """Give the rows once these amounts are added, and which amounts fit; `BuildError` where they are none.

    held: each key's row before.
    """
    check_amounts(group, keys, amounts)
    if any(row is not None and len(row) != _AMOUNT.size for row in held):
        raise no_amount(group)
    found = dict(zip(keys, map(amount, held), strict=True))
    changed: set[bytes] = set()
    fits = np.ones(len(keys), bool)
    for place, (key, more) in enumerate(zip(keys, amounts, strict=True)):
        total = found[key] + more
        if limits is not None and total > limits[place]:
            fits[place] = False
        else:
            found[key] = total
            changed.add(key)
    return {key: _AMOUNT.pack(total) for key, total in found.items() if key in changed}, fits


def check_amounts(group: str, keys: Sequence[bytes], amounts: Sequence[float]) -> None:
    """Refuse amounts that are not one finite number for each key."""
    if len(amounts) != len(keys) or not np.isfinite(np.asarray(amounts, np.float64)).all():
        raise BuildError(f"store, group {group!r}", f"amounts {list(amounts)}", f"{len(keys)} finite numbers")


def no_amount(group: str) -> BuildError:
    """Give the error for a row that is no float64, and is to be added to."""
    return BuildError(f"store, group {group!r}", "a row that is no number", "rows of 8 bytes: one float64 each")


def check_rows(group: str, keys: Sequence[bytes], rows: Sequence[bytes], keep_s: float | None) -> None:
    """Refuse rows that are not bytes, one for each key, and a time that is none."""
    where = f"store, group {group!r}"
    if len(rows) != len(keys) or not set(map(type, rows)) <= {bytes}:
        kinds = ", ".join(sorted({type(row).__name__ for row in rows}))
        raise BuildError(where, f"{len(rows)} rows of {kinds or 'nothing'}", f"{len(keys)} rows of bytes")
    if keep_s is not None and not 0 < keep_s <= LONGEST_KEEP_S:
        raise BuildError(where, f"keep_s {keep_s}", f"seconds above 0, at most {LONGEST_KEEP_S:,}; None: for ever")


def check_swap(
    group: str, keys: Sequence[bytes], before: Sequence[bytes | None], after: Sequence[bytes], keep_s: float | None
) -> None:
    """Refuse what `check_rows` refuses, and keys that are not distinct."""
    check_rows(group, keys, after, keep_s)
    if len(before) != len(keys) or len(set(keys)) != len(keys):
        found = f"{len(before)} rows before, {len(set(keys))} distinct keys"
        raise BuildError(f"store, group {group!r}", found, f"{len(keys)} of each")
