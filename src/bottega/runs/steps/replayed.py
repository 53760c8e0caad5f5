"""A slice of the log, replayed through the stream into a store, to be read between its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bottega.data.log import Log
from bottega.data.streams.file import FileStream
from bottega.data.streams.messages import Decoder, Refused
from bottega.data.streams.protocol import Message
from bottega.design.design import Design
from bottega.errors import BuildError
from bottega.features.applying import Applier
from bottega.features.filling import fill
from bottega.features.keyed import in_order, looks_up
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.tracks import Group
from bottega.runs.steps.arriving import Arriving, write_stream
from bottega.serving.prometheus import Meters
from bottega.serving.streaming import Consumer

_MOST = 5_000
_AGAIN = 5  # every so many batches one is delivered a second time
_FOREVER = 2**62  # microseconds: the past may be as far away as it likes


@dataclass
class _Moment:
    """A clock that is set."""

    at: int
    stands: bool = False

    def __call__(self) -> int:
        return self.at


class _Twice(FileStream):
    """A stream that delivers some of its messages again, as one does after a crash."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "parity")
        self.given = 0
        """How many messages were delivered, each counted once."""
        self._last: list[Message] = []
        self._turns = 0

    def poll(self, most: int, wait_s: float) -> list[Message]:
        self._turns += 1
        if self._last and most and not self._turns % _AGAIN:
            return self._last
        found = super().poll(most, wait_s)
        self._last = found or self._last
        self.given += len(found)
        return found


class _NoLetters:
    """A log's own rows are never refused."""

    def add(self, refused: Sequence[Refused]) -> None:
        found = f"{refused[0].message.body[:200]!r}: {refused[0].reason}"
        raise BuildError("stream", found, "rows that the stream accepts as the batch did", "")


class Replay:
    """The store of a slice, and how far its events are applied."""

    def __init__(
        self, store: LmdbStore, stream: _Twice, consumer: Consumer, clock: _Moment, events: Arriving, said: list[str]
    ) -> None:
        self.store = store
        self._stream, self._consumer, self._clock, self._events, self._said = stream, consumer, clock, events, said

    def advance(self, at: int) -> None:
        """Apply the events up to the last one that had come to the log by a moment, late ones and all.

        at: microseconds since 1970 UTC, not before the last one. Errors: `BuildError` where the stream refuses a row.
        """
        self._clock.at = at
        target = self._events.until(at)
        while (given := self._stream.given) < target:
            done = self._consumer.turn(min(target - given, _MOST), 5.0, ending=lambda: True)
            if self._said or not done.messages:
                found = self._said[0] if self._said else f"{given:,} of {target:,} events came"
                raise BuildError("parity", found, "every row of the log applied", "")


@contextmanager
def replaying(
    design: Design, logs: Mapping[str, Log], groups: Sequence[Group], begin: int, events: Arriving, folder: Path
) -> Iterator[Replay]:
    """Fill a store as of the slice's begin by the batch, and make its events ready to be applied to it.

    begin: microseconds since 1970 UTC. folder: for the store and the events, new or empty.
    """
    write_stream(events, design, logs, folder / "events")
    store = LmdbStore(folder / "store", sync=False)
    stream = _Twice(folder / "events")
    try:
        fill(store, design, logs, groups, begin)
        clock, said = _Moment(begin), list[str]()
        decoder = Decoder(in_order(design), {name: log.rows.schema for name, log in logs.items()}, _FOREVER)
        consumer = Consumer(
            stream, store, Applier(store, groups, design), decoder, design.data.tables, _NoLetters(), clock,
            Meters(folder / "meters"), said.append, keyed=looks_up(design.features),
        )  # fmt: skip
        yield Replay(store, stream, consumer, clock, events, said)
    finally:
        stream.close()
        store.close()
