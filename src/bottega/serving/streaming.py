"""From the stream into the store: what one consumer does, again and again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from bottega.data.log import Log
from bottega.data.streams.messages import Arrived, Decoded, Decoder, Refused
from bottega.data.streams.opening import PARTITIONS
from bottega.data.streams.protocol import Message, Stream
from bottega.design.tables import Table
from bottega.errors import BottegaError
from bottega.features.applying import Applied
from bottega.features.filling import AS_OF
from bottega.features.stores.protocol import Store
from bottega.features.tracked import Places
from bottega.serving.clock import NAME, kept, move
from bottega.serving.prometheus import Meters

MOST = 50_000  # messages taken together: larger writes a busy record less often, and later
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_LAG_S, _SWEEP_S = 0.5, 60.0
_TOLD_S = 30.0
_SETTLED_S = 1.0


class Timed(Protocol):
    """Tells the time for features, as `Clock` does."""

    stands: bool

    def __call__(self) -> int: ...


class Applies(Protocol):
    """Brings rows into a store, each once, as `Applier` does."""

    def apply(self, log: Log, places: Places, now: int) -> Applied: ...


class Letters(Protocol):
    """Takes the messages that are no events; they are on the disk when `add` returns."""

    def add(self, refused: Sequence[Refused]) -> None: ...


@dataclass
class Turn:
    """What one round of a consumer did."""

    messages: int = 0
    refused: int = 0
    applied: Applied = field(default_factory=Applied)


class Consumer:
    """Takes messages from a stream, applies them to a store, lays refused ones aside, and then commits.

    In this order, so that a crash at any point loses nothing: what was applied is delivered again and finds itself in
    the records already. While the store cannot be written it takes no more messages and tries again: the stream waits.

    stream: this member's. store: with `groups` filled by a batch. tables: of the design, with `decoder` for their rows.
    letters: where refused messages go. clock: of the service. meters: of this consumer alone. say: is told of trouble.
    origin: of the stream, see `origin_of`. keyed: whether windows go by keys that look-ups tell, as `keyed.looks_up`
    says: then nothing is folded that an older event of the same turn still has to look behind.
    """

    def __init__(
        self,
        stream: Stream,
        store: Store,
        applier: Applies,
        decoder: Decoder,
        tables: Sequence[Table],
        letters: Letters,
        clock: Timed,
        meters: Meters,
        say: Callable[[str], None],
        origin: int = 0,
        keyed: bool = False,
    ) -> None:
        self._stream, self._store, self._applier, self._decoder = stream, store, applier, decoder
        self._static, self._keyed = {table.name for table in tables if table.time is None}, keyed
        self._letters, self._clock, self._meters, self._say = letters, clock, meters, say
        self._first = origin * PARTITIONS
        self._looked = self._swept = -_SWEEP_S
        self._fault: str | None = None
        self._told = -_TOLD_S
        self._passed = self._passing = int(store.marked(AS_OF) or 0)
        self._since = time.monotonic()
        self._mine: set[int] = set()
        self._held: Counter[int] = Counter()  # messages that were taken and are not in the store yet
        for name, labels in meters.names():  # of who wrote this file before
            if name == "bottega_stream_lag":
                meters.set(name, 0.0, *labels)

    def turn(self, most: int = MOST, wait_s: float = 0.1, ending: Callable[[], bool] = lambda: False) -> Turn:
        """Take up to `most` messages, waiting `wait_s` seconds for the first, and see them through.

        Gives what was done; when it is told to end while the store is away, nothing of these messages is committed.
        """
        messages = self._stream.poll(most, wait_s)
        self._tell(self._stream.fault())
        done = Turn(len(messages))
        self._held = Counter(message.partition for message in messages)
        if messages:
            begin = time.perf_counter()
            decoded, pause = self._decoded(messages), _FIRST_PAUSE
            while decoded is None or not self._seen_through(messages, decoded, done):
                if ending():
                    return done
                self._stream.poll(0, 0)  # to keep its place while nothing more can be taken
                self._measure()
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                decoded = decoded or self._decoded(messages)
            self._held.clear()
            self._count(decoded, done, time.perf_counter() - begin)
        self._measure()
        self._sweep()
        return done

    def _decoded(self, messages: Sequence[Message]) -> Decoded | None:
        """Give what messages mean; nothing while the store, which keeps a clock that stands, is away."""
        try:
            now = self._now()
        except BottegaError as error:
            self._tell(str(error))
            return None
        if self._clock.stands:  # a broker tells the time of its machine, to which such a clock is far behind
            messages = [msgspec.structs.replace(message, time=min(message.time, now)) for message in messages]
        return self._decoder.decode(messages, now)

    def _now(self) -> int:
        """Give the moment, no earlier than anyone has seen it: the clock itself looks only now and then."""
        return max(self._clock(), int(kept(self._store)(NAME) or 0)) if self._clock.stands else self._clock()

    def _settled(self, now: int) -> int:
        """Give a moment before which nobody asks any more, though requests are under way and clocks look seldom.

        Up to it waiting events may be folded into their records; what is ready later waits there, and counts.
        """
        if not self._clock.stands:
            return now - int(_SETTLED_S * 1_000_000)
        if time.monotonic() - self._since >= _SETTLED_S:
            self._passed, self._passing, self._since = self._passing, now, time.monotonic()
        return self._passed

    def _seen_through(self, messages: Sequence[Message], decoded: Decoded, done: Turn) -> bool:
        try:
            done.applied = self._apply(decoded.tables)
            if decoded.refused:
                self._letters.add(decoded.refused)
            done.refused = len(decoded.refused)
            self._stream.commit({message.partition: message.offset + 1 for message in messages})
        except BottegaError as error:
            self._tell(str(error))
            return False
        self._tell(None)
        return True

    def _apply(self, tables: Mapping[str, Arrived]) -> Applied:
        now = self._now()
        done, last, settled = Applied(), now + 1, self._settled(now)  # what is late moves time too: answers tell it
        if self._keyed:  # rows that tell keys wait beside the older ones that they replace, for events from before
            times = [int(rows.time.min()) for name, rows in tables.items() if name not in self._static]
            settled = min([settled, *times])
        for name, rows in tables.items():
            static = name in self._static
            log = Log(name, rows.rows, None if static else rows.time, None if static else rows.known)
            done += self._applier.apply(log, Places(self._first + rows.partition, rows.offset), settled)
            last = max(last, 0 if static else int(rows.time.max()) + 1)
        if self._clock.stands and tables:
            move(self._store, last)
        return done

    def _count(self, decoded: Decoded, done: Turn, seconds: float) -> None:
        add = self._meters.add
        for name, rows in decoded.tables.items():
            add("bottega_stream_events_total", rows.rows.num_rows, ("table", name))
        for refused in decoded.refused:
            add("bottega_stream_refused_total", 1.0, ("table", refused.table or "none"))
        for (table, _), count in decoded.unknown.items():
            add("bottega_stream_unknown_fields_total", count, ("table", table))
        add("bottega_stream_repeated_total", done.applied.repeated)
        add("bottega_stream_records_total", done.applied.records)
        add("bottega_stream_conflicts_total", done.applied.conflicts)
        self._meters.observe("bottega_stream_seconds", seconds)

    def _measure(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LAG_S:
            return
        self._looked = now
        self._meters.beat()
        lags = {partition: lag + self._held[partition] for partition, lag in self._stream.lag().items()}
        for partition in self._mine | lags.keys():  # what was ours may be another member's now
            self._meters.set("bottega_stream_lag", float(lags.get(partition, 0)), ("partition", str(partition)))
        self._mine = set(lags)

    def _sweep(self) -> None:
        now = time.monotonic()
        if self._clock.stands or now - self._swept < _SWEEP_S:  # where time stands still, nothing gets too old
            return
        self._swept = now
        try:
            while self._store.sweep(time.time()):
                pass
        except BottegaError as error:
            self._tell(str(error))

    def _tell(self, fault: str | None) -> None:
        """Say what is wrong when it begins, now and then while it lasts, and when it is over."""
        now = time.monotonic()
        if fault is not None and (fault != self._fault or now - self._told > _TOLD_S):
            self._say(f"the stream waits: {fault}")
            self._told = now
        elif fault is None and self._fault is not None:
            self._say("the stream goes on")
        self._meters.set("bottega_stream_waits", float(fault is not None))
        self._fault = fault
