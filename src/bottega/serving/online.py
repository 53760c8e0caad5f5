"""The online store of a build: filled from the build's own rows by whoever comes first, and live from then on."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bottega.errors import ServeError
from bottega.features.filling import AS_OF
from bottega.features.stores.opening import open_store, within
from bottega.features.stores.protocol import Store, mark
from bottega.features.stores.snapshot import marks_of, restore
from bottega.serving.clock import CHOSEN, stands

EMBEDDED = "lmdb:"
FOLDER = "online"
"""Beside the builds, in a design's folder of the workspace: a folder for each build."""
FILLED = "filled"
"""The mark that names the filling of a store: one that is filled anew needs all events since the batch anew."""
ROWS = "rows"
"""The folder of a build with the records that fill a store."""


def open_online(url: str, build: Path, readonly: bool = False, clock: str = "auto") -> Store:
    """Open the store of a build, and fill it first where nobody has.

    Each build has records of its own, whose layout is its design's, so none can be read by another one: in the
    embedded store a folder, elsewhere a prefix of the keys. One process fills it, others wait.

    url: of the store: `lmdb:` beside the builds, `lmdb:/path`, `memory:` for this process alone, or a server's.
    build: its folder. readonly: for those who only read. clock:
    which one; where it stands no row gets too old, and none is dropped.
    Errors: `ServeError` for rows that are damaged, and a store that is away.
    """
    place = url_of(url, build)
    if url == "memory:":
        store = open_store(url, build)
        _restore(build, store, clock)
        return store
    with _alone(build):
        if place.startswith(EMBEDDED) and readonly and (found := _filled(place, build)) is not None:
            return found
        store = open_store(place, build)
        if store.marked(AS_OF) is None:
            mark(store, FILLED, uuid.uuid4().hex[:8].encode())
            _restore(build, store, clock)
    if not readonly:
        return store
    store.close()
    return open_store(place, build, readonly=True)


def _restore(build: Path, store: Store, clock: str) -> None:
    rows = build / ROWS
    as_of = int(marks_of(rows).get(AS_OF, "0"))
    mark(store, CHOSEN, b"log" if stands("auto", as_of) else b"now")
    restore(rows, store, for_ever=stands(clock, as_of))


def url_of(url: str, build: Path) -> str:
    """Give the URL of the store of one build.

    >>> url_of("lmdb:", Path("shop/builds/7f3a")), url_of("lmdb:/fast", Path("shop/builds/7f3a"))
    ('lmdb:shop/online/7f3a', 'lmdb:/fast/7f3a')
    >>> url_of("redis://localhost/0", Path("shop/builds/7f3a"))
    'redis://localhost/0?prefix=bottega/shop/7f3a'
    """
    if url == "memory:":
        return url
    if url == EMBEDDED:
        return f"{EMBEDDED}{build.parent.parent / FOLDER / build.name}"
    if url.startswith(EMBEDDED):
        return f"{url.rstrip('/')}/{build.name}"
    return within(url, f"{build.parent.parent.name}/{build.name}")


def _filled(place: str, build: Path) -> Store | None:
    """Open a store for reading where it was filled: a process cannot write what it has open for reading already."""
    try:
        store = open_store(place, build, readonly=True)
    except ServeError:  # none yet, or a damaged one, of which the writer tells
        return None
    if store.marked(AS_OF) is not None:
        return store
    store.close()
    return None


@contextmanager
def _alone(build: Path) -> Iterator[None]:
    """Hold the lock under which a build's store is filled, on one machine."""
    folder = build.parent.parent / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / f"{build.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
