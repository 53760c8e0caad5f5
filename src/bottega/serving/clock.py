"""The service's clock: what time it is for the features of a request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Literal

from bottega.data.times import iso
from bottega.errors import ServeError
from bottega.features.stores.protocol import Store

Kind = Literal["auto", "now", "log"]
KINDS = ("auto", "now", "log")
NAME = "clock"
"""The group of the store whose one row says how far events have moved the clock of a log."""
CHOSEN = "clock"
"""The mark of the store that says which clock `auto` was when it was filled: `log` or `now`."""
_ROW = b"at"
_DAY = 86_400_000_000
_LOOK_S = 0.02  # between two looks at the mark
_STALE = 3 * _DAY  # a log that ended longer ago is one to learn from, and no live one


def stands(kind: str, as_of: int, chosen: bytes | None = None) -> bool:
    """Tell whether a clock stands where no event moves it.

    as_of: the log's end, microseconds since 1970 UTC. chosen: what `auto` was when the store was filled, `CHOSEN`: a
    live one does not become one that stands, however old its build gets.
    """
    if kind == "auto" and chosen is not None:
        return chosen == b"log"
    return kind == "log" or (kind == "auto" and _machine() - as_of > _STALE)


def kept(store: Store) -> Callable[[str], bytes | None]:
    """Give what reads the clock that a store keeps."""
    return lambda name: store.read(name, [_ROW])[0]


def move(store: Store, to: int) -> None:
    """Move the clock that a store keeps, if it is behind; whoever else moves it, it never goes back.

    to: microseconds since 1970 UTC. Errors: `ServeError` where the store is away.
    """
    while int((before := store.read(NAME, [_ROW])[0]) or 0) < to:
        if store.swap(NAME, [_ROW], [before], [b"%d" % to])[0]:
            return


class Clock:
    """Tells the moment as of which features are read, in microseconds since 1970 UTC; it never goes backwards.

    `now`: the time of this machine. `log`: the log's end, and from there on one microsecond after the newest event that
    was applied, and by one more with each batch of late ones, so that answers before and after it have other moments:
    time stands still where nothing happens, so that windows over a log of last year are not all empty.
    `auto`: `log` where the log ended more than three days before the build is opened, else `now`.

    kind: which one. as_of: the log's end. moved: gives how far events have moved the clock, by its name; see `kept`.
    chosen: the store's mark `CHOSEN`.
    Errors: `ServeError` for another kind.
    """

    def __init__(
        self, kind: str, as_of: int, moved: Callable[[str], bytes | None], chosen: bytes | None = None
    ) -> None:
        if kind not in KINDS:
            raise ServeError("--clock", repr(kind), " or ".join(KINDS))
        self._moved = moved
        self.stands = stands(kind, as_of, chosen)
        self._last, self._looked = as_of, -_LOOK_S

    def __call__(self) -> int:
        """Give the moment."""
        if not self.stands:
            self._last = max(self._last, _machine())
        elif time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            with contextlib.suppress(ServeError):  # the store is away: whoever reads it hears of that
                self._last = max(self._last, int(self._moved(NAME) or 0))
        return self._last

    @property
    def ahead(self) -> int:
        """Give by how many microseconds an event may lie ahead of the clock: more where events move it."""
        return _DAY if self.stands else 300_000_000

    def __str__(self) -> str:
        return f"{'log' if self.stands else 'now'}, {iso(self())}"


def _machine() -> int:
    return time.time_ns() // 1000
