"""LMDB files that are open, each once in a process: LMDB refuses a second time, whose end would drop all locks."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import lmdb

_FIRST_SIZE = 1 << 28  # address space, not disk: the file grows as it is filled
_OPEN: dict[tuple[int, int], Environment] = {}
_GUARD = threading.RLock()  # re-entrant: the collector may end a user while a line below runs


class Environment:
    """One opened file, for all who use it; the last one to leave closes it, also one that was only forgotten.

    folder: with `data.mdb`. readonly: how it is opened where nobody has it open. limit: of the map's first size, bytes.
    sync: whether each write waits for the disk.
    Errors: `lmdb.Error` and `OSError` as LMDB raises them.
    """

    def __init__(self, folder: Path, readonly: bool, limit: int, sync: bool) -> None:
        self.closed = readonly and not (folder / "lock.mdb").exists()  # in a build: nobody writes there any more
        # No read-ahead: a request touches a few scattered pages. Locks stay on: workers and a writer share it.
        self.lmdb = lmdb.open(
            str(folder), map_size=min(_FIRST_SIZE, limit), readonly=readonly, create=not readonly, readahead=False,
            max_readers=512, lock=not self.closed, sync=sync,
        )  # fmt: skip
        self.readonly = readonly
        self.reading = threading.Lock()  # a change of the map's size must not meet another thread's read,
        self.writing = threading.Lock()  # nor its write
        self.users: set[object] = set()

    def resize(self, size: int) -> None:
        """Change the map's size, in bytes; 0: to what another process made it. Needs `writing`."""
        with self.reading:
            self.lmdb.set_mapsize(size)


def join(
    user: object, folder: Path, readonly: bool, limit: int, sync: bool
) -> tuple[Environment, weakref.finalize[..., Any]]:
    """Give the environment of a folder, opened or shared, and what ends the use: called, or with the user's own end.

    A reader shares what a writer has opened, and a writer how the first one syncs. Errors: as of `Environment`, and for
    a writer where a reader was first.
    """
    with _GUARD:
        while True:
            found = _OPEN.get(_identity(folder) or (0, 0))
            if found is None:
                found = Environment(folder, readonly, limit, sync)
                _OPEN[_identity(folder) or (0, 0)] = found
            if found.readonly and not readonly:
                raise lmdb.ReadonlyError("it is open for reading in this process")
            ticket = object()
            found.users.add(ticket)
            if _OPEN.get(_identity(folder) or (0, 0)) is found:  # else its last user ended just now
                ending = weakref.finalize(user, _leave, found, ticket)
                ending.atexit = False
                return found, ending


def _leave(environment: Environment, ticket: object) -> None:
    with _GUARD:
        environment.users.discard(ticket)
        if not environment.users:
            for identity in [identity for identity, each in _OPEN.items() if each is environment]:
                del _OPEN[identity]
            with environment.writing, environment.reading:
                environment.lmdb.close()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Give what tells files apart whatever they are called: a folder made anew is another one, a link to it is not."""
    try:
        state = (folder / "data.mdb").stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino
