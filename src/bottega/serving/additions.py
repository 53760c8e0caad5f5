"""Additions: what comes into a gallery and goes while it answers: a journal in the store, which workers follow."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence

import msgspec
import numpy as np

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.features import Image
from bottega.errors import BottegaError, DataError, ServeError
from bottega.features.applying import Applied
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places
from bottega.models.images.decoding import decode_one
from bottega.models.protocols import Encoder
from bottega.serving.gallery import Gallery, Vectors

log = logging.getLogger("bottega.service")

GROUP = "gallery"
"""The group of the store with the journal: its rows are numbered from 0."""
LOOK_S = 0.05
"""Seconds between two looks at the journal: how long an addition may wait once it is there."""
_TOGETHER = 256  # entries of a row at most
_ROWS = 64  # read at once
_TRIES = 10_000  # of one row, each after another writer was quicker


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One item that came, or went."""

    partition: int
    offset: int
    """Where in the stream it stood: what is delivered twice stands twice in the journal, and counts once."""
    id: str
    vector: bytes | None
    """float32, little-endian; nothing: the item is taken out."""
    value: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class Journal:
    """Entries in the order in which they were written, in rows of a store; several may write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries behind all others; when it returns, the store has them. Errors: those of the store."""
        for low in range(0, len(entries), _TOGETHER):
            row = _encode(list(entries[low : low + _TOGETHER]))
            for _ in range(_TRIES):
                self._find_end()
                if self._store.swap(GROUP, [_key(self._next)], [None], [row])[0]:
                    break
            else:
                raise ServeError("store", "the journal of additions changes all the time", "fewer writers", "")

    def since(self, row: int) -> tuple[list[Entry], int]:
        """Give the entries from a row on, as far as they are read at once, and the row after them."""
        found: list[Entry] = []
        for held in self._store.read(GROUP, [_key(number) for number in range(row, row + _ROWS)]):
            if held is None:
                break
            found += _decode(held)
            row += 1
        return found, row

    def _find_end(self) -> None:
        while None not in (rows := self._store.read(GROUP, [_key(self._next + step) for step in range(_ROWS)])):
            self._next += _ROWS
        self._next += rows.index(None)


class PictureApplier:
    """Brings pictures that come in events into the journal, encoded; one without a picture is taken out.

    An `Applier` for a design that searches pictures. A picture that cannot be decoded is left out, and said in the log.

    store: of the build. encoder: of the build, so that its index and all that comes later are of one version.
    """

    def __init__(self, store: Store, design: Design, encoder: Encoder) -> None:
        examples = design.data.examples
        if not isinstance(examples, SameValue):
            raise TypeError("only items that share values are searched by pictures")
        self._journal, self._encoder = Journal(store), encoder
        self._table, self._value = examples.table, examples.column
        self._key = next(str(table.key) for table in design.data.tables if table.name == examples.table)
        self._picture = next(feature for feature in design.features if isinstance(feature, Image))

    def warm(self) -> None:
        """Encode once, so that the first event does not wait for it."""
        self._encoder.encode(np.zeros((1, *self._picture.size, self._picture.channels), np.uint8))

    def apply(self, log: Log, places: Places, now: int) -> Applied:  # noqa: ARG002 (as in the others)
        """Apply the rows of one table, in their order, and return when the store has them."""
        done = Applied(log.rows.num_rows)
        if log.name != self._table:
            return done
        names = as_text(log.rows.column(self._key)).to_pylist()
        values = as_text(log.rows.column(self._value)).to_pylist()
        images = log.rows.column(self._picture.column).to_pylist()
        entries, pictures = [], []
        for row, (name, image) in enumerate(zip(names, images, strict=True)):
            if name is None:
                continue
            if image is not None:
                try:
                    pictures.append(decode_one(image, self._picture.size, self._picture.channels, where=name))
                except DataError as error:
                    _warn(name, error)
                    continue
            place = int(places.partition[row]), int(places.offset[row])
            entries.append(Entry(*place, name, b"" if image is not None else None, values[row]))
        vectors = iter(self._encoder.encode(np.stack(pictures))) if pictures else iter(())
        whole = [
            one if one.vector is None else msgspec.structs.replace(one, vector=next(vectors).astype("<f4").tobytes())
            for one in entries
        ]
        self._journal.append(whole)
        done.records = len(whole)
        return done


class Follower(threading.Thread):
    """A thread that brings what stands in the journal into a gallery, until the gallery is gone.

    gallery: of this process. store: of its build.
    """

    def __init__(self, gallery: Gallery, store: Store) -> None:
        super().__init__(name="additions", daemon=True)
        self._gallery, self._journal = weakref.ref(gallery), Journal(store)
        self._row = 0
        self._done: dict[int, int] = {}  # partition to the last offset that counted
        self._fault = ""
        self._pause = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while (gallery := self._gallery()) is not None:
            try:
                self.catch_up(gallery)
                self._say("")
            except BottegaError as error:
                self._say(str(error))
            del gallery  # not held while it waits
            self._pause.wait(LOOK_S)

    def catch_up(self, gallery: Gallery) -> None:
        """Apply all that stands there now. Errors: those of the store."""
        while True:
            entries, row = self._journal.since(self._row)
            if row == self._row:
                return
            fresh = [one for one in entries if self._is_new(one)]
            _apply(gallery, fresh)
            self._row = row

    def _is_new(self, entry: Entry) -> bool:
        if entry.offset <= self._done.get(entry.partition, -1):
            return False
        self._done[entry.partition] = entry.offset
        return True

    def _say(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.warning("additions wait: %s", fault)
        self._fault = fault


def _apply(gallery: Gallery, entries: Sequence[Entry]) -> None:
    """Bring entries into the gallery: of an id only the last one counts."""
    last = {entry.id: entry for entry in entries}.values()
    gallery.remove([entry.id for entry in last if entry.vector is None])
    come = [(entry.id, np.frombuffer(entry.vector, "<f4"), entry.value) for entry in last if entry.vector is not None]
    if come:
        names, vectors, values = zip(*come, strict=True)
        stacked: Vectors = np.stack(vectors).astype(np.float32)
        gallery.add(names, stacked, values)


def _warn(name: str, error: DataError) -> None:
    log.warning("picture %r of an event is left out: %s", name, error.found)


def _key(number: int) -> bytes:
    return b"%d" % number
