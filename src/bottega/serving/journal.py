"""The journal: what comes while a build serves, in rows of its store, which the workers follow."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from bottega.errors import BottegaError, ServeError
from bottega.features.stores.protocol import Store

log = logging.getLogger("bottega.service")

LOOK_S = 0.05
"""Seconds between two looks at the journal: how long an entry may wait once it is there."""
_REST = 5.0  # how many times longer a follower rests than it worked, so that answers have the machine
_TOGETHER = 256  # entries of a row at most
_ROWS = 64  # read at once
_TRIES = 10_000  # of one row, each after another writer was quicker


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Something that came, by where in the stream it stood: delivered twice it stands twice here, and counts once."""

    partition: int
    offset: int


Kind = TypeVar("Kind", bound=Entry)
Target = TypeVar("Target")


class Journal(Generic[Kind]):
    """Entries in the order in which they were written, in rows of a store; several may write.

    store: of a build. group: of the store; its rows are numbered from 0. kind: of the entries.
    """

    def __init__(self, store: Store, group: str, kind: type[Kind]) -> None:
        self._store, self._group = store, group
        self._next = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[list[Kind]] = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]

    def append(self, entries: Sequence[Kind]) -> None:
        """Write entries behind all others; when it returns, the store has them. Errors: those of the store."""
        for low in range(0, len(entries), _TOGETHER):
            row = self._encode(list(entries[low : low + _TOGETHER]))
            for _ in range(_TRIES):
                self._find_end()
                if self._store.swap(self._group, [_key(self._next)], [None], [row])[0]:
                    break
            else:
                raise ServeError("store", f"the journal {self._group} changes all the time", "fewer writers", "")

    def since(self, row: int) -> tuple[list[Kind], int]:
        """Give the entries from a row on, as far as they are read at once, and the row after them."""
        found: list[Kind] = []
        for held in self._store.read(self._group, [_key(number) for number in range(row, row + _ROWS)]):
            if held is None:
                break
            found += self._decoder.decode(held)
            row += 1
        return found, row

    def _find_end(self) -> None:
        while None not in (rows := self._store.read(self._group, [_key(self._next + step) for step in range(_ROWS)])):
            self._next += _ROWS
        self._next += rows.index(None)


class JournalFollower(threading.Thread, Generic[Target, Kind]):
    """A thread that brings what stands in a journal into something that answers, until that is gone.

    target: in this process. journal: of its build.
    """

    def __init__(self, target: Target, journal: Journal[Kind]) -> None:
        super().__init__(name="journal", daemon=True)
        self._target, self._journal = weakref.ref(target), journal
        self._row = 0
        self._done: dict[int, int] = {}  # partition to the last offset that counted
        self._fault = ""
        self._pause = threading.Event()

    @abstractmethod
    def apply(self, target: Target, entries: Sequence[Kind]) -> None:
        """Bring entries into the target, each once, in their order; it is called at each look, also with none.

        Those of a call that raises are not brought again.
        """

    def run(self) -> None:
        """Look again and again."""
        while (target := self._target()) is not None:
            begin = time.perf_counter()
            try:
                self.catch_up(target)
                self._say("")
            except BottegaError as error:
                self._say(str(error))
            except Exception:  # whatever it was: these entries are left out, and what comes after them is taken in
                log.exception("what is new cannot be taken in")
            del target  # not held while it waits
            self._pause.wait(max(LOOK_S, _REST * (time.perf_counter() - begin)))

    def look(self) -> None:
        """Apply all that stands there now, where there is still something that answers. Errors: those of the store."""
        if (target := self._target()) is not None:
            self.catch_up(target)

    def catch_up(self, target: Target) -> None:
        """Apply all that stands there now. Errors: those of the store."""
        while True:
            entries, row = self._journal.since(self._row)
            done, fresh = dict(self._done), []
            for entry in entries:
                if entry.offset > done.get(entry.partition, -1):
                    done[entry.partition] = entry.offset
                    fresh.append(entry)
            ended, self._done, self._row = row == self._row, done, row
            self.apply(target, fresh)
            if ended:
                return

    def _say(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.warning("what is new waits: %s", fault)
        self._fault = fault


def _key(number: int) -> bytes:
    return b"%d" % number
