"""Additions: what comes into a gallery and goes while it answers: a journal in the store, which workers follow."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
import numpy as np

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.features import Image
from bottega.errors import DataError
from bottega.features.applying import Applied
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places
from bottega.models.images.decoding import decode_one
from bottega.models.protocols import Encoder
from bottega.serving.gallery import Gallery, Vectors
from bottega.serving.journal import Entry, Journal, JournalFollower

log = logging.getLogger("bottega.service")

GROUP = "gallery"
"""The group of the store with the journal."""


class Picture(Entry, frozen=True, array_like=True):
    """One item that came, or went."""

    id: str
    vector: bytes | None
    """float32, little-endian; nothing: the item is taken out."""
    value: str | None = None


def additions(store: Store) -> Journal[Picture]:
    """Give the journal of a build's gallery."""
    return Journal(store, GROUP, Picture)


class PictureApplier:
    """Brings pictures that come in events into the journal, encoded; one without a picture is taken out.

    An `Applier` for a design that searches pictures. A picture that cannot be decoded is left out, and said in the log.

    store: of the build. encoder: of the build, so that its index and all that comes later are of one version.
    """

    def __init__(self, store: Store, design: Design, encoder: Encoder) -> None:
        examples = design.data.examples
        if not isinstance(examples, SameValue):
            raise TypeError("only items that share values are searched by pictures")
        self._journal, self._encoder = additions(store), encoder
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
            entries.append(Picture(*place, name, b"" if image is not None else None, values[row]))
        vectors = iter(self._encoder.encode(np.stack(pictures))) if pictures else iter(())
        whole = [
            one if one.vector is None else msgspec.structs.replace(one, vector=next(vectors).astype("<f4").tobytes())
            for one in entries
        ]
        self._journal.append(whole)
        done.records = len(whole)
        return done


class Follower(JournalFollower[Gallery, Picture]):
    """Brings what stands in the journal into a gallery."""

    def apply(self, target: Gallery, entries: Sequence[Picture]) -> None:
        """Add and remove: of an id only the last entry counts."""
        last = {entry.id: entry for entry in entries}.values()
        target.remove([entry.id for entry in last if entry.vector is None])
        come = [
            (entry.id, np.frombuffer(entry.vector, "<f4"), entry.value) for entry in last if entry.vector is not None
        ]
        if come:
            names, vectors, values = zip(*come, strict=True)
            stacked: Vectors = np.stack(vectors).astype(np.float32)
            target.add(names, stacked, values)


def _warn(name: str, error: DataError) -> None:
    log.warning("picture %r of an event is left out: %s", name, error.found)
