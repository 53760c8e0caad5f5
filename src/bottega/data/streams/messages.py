"""What the messages of a stream mean: typed rows of the design's tables, or why they are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.checks import Refusal
from bottega.data.streams.protocol import UNKNOWN, Message
from bottega.data.streams.shapes import UNREADABLE, Shape
from bottega.data.times import BEYOND, OUR_DAYS, Times, beyond, iso
from bottega.design.part import microseconds
from bottega.design.tables import Table

AHEAD = 5 * 60_000_000
"""How far ahead of the clock an event's time may lie, in microseconds: clocks differ by less."""

_Places = NDArray[np.int64]
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Arrived:
    """The accepted rows of one table, in the order of the messages."""

    rows: pa.Table
    """(n,) rows with the columns and types of what the batch accepted."""
    time: _Places
    """(n,) event time, microseconds since 1970 UTC: the arrival where the event has none."""
    known: _Places
    """(n,) from when the row can be used: the later of event time and `created`, plus `available_after`."""
    place: _Places
    """(n,) which of the messages each row is."""
    partition: _Places
    """(n,) of its message."""
    offset: _Places
    """(n,) of its message."""
    arrival: _Places
    """(n,) of its message, microseconds since 1970 UTC."""


@dataclass(frozen=True)
class Refused:
    """A message that is no row of any table."""

    message: Message
    table: str | None
    """The table that it names, where that is one of the design's."""
    reason: str
    """All that is wrong with it, joined by `; `, in the order in which a batch judges a row."""


@dataclass(frozen=True)
class Decoded:
    """What some messages mean; each is one row of one table, or refused."""

    tables: dict[str, Arrived]
    """By the table's name, those that have any row."""
    refused: list[Refused]
    """In the order of the messages."""
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many events had a field that is no column, by table and field: it is ignored."""


class _Nobody(msgspec.Struct, tag_field="table", tag=""):
    """No event is this; but msgspec asks for the name of the table only where there are two to choose from."""

    never: Annotated[int, msgspec.Meta(gt=0, lt=0)]


class Decoder:
    """Turns messages into rows, with the same meaning as `ingest`.

    An event is a JSON object with `table`, optionally `time`, and a field for each column that it fills, by its name in
    the design or in the table's source, not both; null and a field that is not there are the same. Types are those of
    what the batch accepted: an id may be a number where the column is text, a number that `Range` judges may be text,
    nothing else changes its type. `time` is text, read as the table's times are, or whole microseconds since 1970 UTC;
    the column of the table's time may stand there instead. An event without time, or without `created`, has that of
    its arrival. `Unique`, `MonotoneTime` and repeated event ids need the rows before and are not judged here, nor is
    the text of times.

    tables: of the design; schemas: of what ingestion accepted of each; ahead: microseconds that a time may lie in
    the future, larger accepts worse clocks; ids: columns that name entities, in which a number may be text.
    Raises `DataError`: a check on a column that is not there, a column whose name no event can hold.
    """

    def __init__(
        self, tables: Sequence[Table], schemas: Mapping[str, pa.Schema], ahead: int = AHEAD, ids: Collection[str] = ()
    ) -> None:
        self._shapes = {table.name: Shape(table, schemas[table.name], ids) for table in tables}
        self._ahead = ahead
        self._build()

    def decode(self, messages: Sequence[Message], now: int) -> Decoded:
        """Give the rows of all messages by table, and those that are refused.

        now: microseconds since 1970 UTC.
        """
        events: dict[type, list[Any]] = {shape.event: [] for shape in self._shapes.values()}
        places: dict[type, list[int]] = {kind: [] for kind in events}
        refused: dict[int, Refused] = {}
        unknown: Counter[tuple[str, str]] = Counter()
        read = self._read
        for place, message in enumerate(messages):
            try:
                event = read(message.body)
            except UNREADABLE:
                event = self._second_look(message, unknown)
                if isinstance(event, Refused):
                    refused[place] = event
                    continue
            kind = type(event)
            events[kind].append(event)
            places[kind].append(place)
        tables = {}
        for name, shape in self._shapes.items():
            if found := events[shape.event]:
                at = np.array(places[shape.event], np.int64)
                arrived = self._rows(shape, found, at, messages, now, refused)
                unknown.update(shape.unknown(found))
                if arrived.rows.num_rows:
                    tables[name] = arrived
        if any(shape.learn(unknown) for shape in self._shapes.values()):
            self._build()
        return Decoded(tables, [refused[place] for place in sorted(refused)], unknown)

    def _build(self) -> None:
        kinds: Any = _Nobody
        for shape in self._shapes.values():
            kinds = kinds | shape.event
        self._read = msgspec.json.Decoder(kinds).decode

    def _second_look(self, message: Message, unknown: Counter[tuple[str, str]]) -> Any:
        """Say what is wrong with a message, or give the event where only fields that nobody knows kept it out."""
        try:
            value = _OBJECT.decode(message.body)
            name = msgspec.json.decode(value.pop("table", b"null"))
        except msgspec.ValidationError:
            return Refused(message, None, "no object")
        except UNREADABLE as error:
            return Refused(message, None, f"no JSON: {error}")
        shape = self._shapes.get(name) if isinstance(name, str) else None
        if shape is None:
            return Refused(message, None, "table: missing" if name is None else f"table: {repr(name)[:80]} is unknown")
        event, reasons, others = shape.fit(value)
        if reasons:
            return Refused(message, shape.table.name, "; ".join(reasons))
        unknown.update((shape.table.name, other) for other in others)
        return event

    def _rows(
        self,
        shape: Shape,
        events: list[Any],
        place: _Places,
        messages: Sequence[Message],
        now: int,
        refused: dict[int, Refused],
    ) -> Arrived:
        """Judge the events of one table, add those that fail to the refused, and give the others."""
        mine = [messages[at] for at in place.tolist()]
        partition = np.array([message.partition for message in mine], np.int64)
        offset = np.array([message.offset for message in mine], np.int64)
        arrival = np.array([message.time for message in mine], np.int64)
        twice = shape.renamed(events)
        times, elsewhere = shape.times(events, arrival)
        rows, seen, unfit = shape.columns(events, times)
        faults = [Refusal("arrival: unknown", arrival == UNKNOWN), *self._late(times, now), *twice, *unfit]
        faults += elsewhere if now >= OUR_DAYS else []  # in a log of earlier days a small number may be right
        bad = _any(faults, len(mine))
        checks = [Refusal(found.reason, found.rows & ~_any(unfit, len(mine))) for found in shape.refusals(seen, times)]
        for at in np.flatnonzero(bad | _any(checks, len(mine))).tolist():
            reasons = "; ".join(fault.reason for fault in [*faults, *checks] if fault.rows[at])
            refused[int(place[at])] = Refused(mine[at], shape.table.name, reasons)
        good = ~(bad | _any(checks, len(mine)))
        time, created = times["time"].values, times.get("created")
        known = time if created is None else np.maximum(time, created.values)
        known = known + microseconds(shape.table.available_after)
        if not good.all():
            rows = rows.filter(pa.array(good))
        arrays = (array[good] for array in (time, known, place, partition, offset, arrival))
        return Arrived(rows, *arrays)

    def _late(self, times: Mapping[str, Times], now: int) -> Iterator[Refusal]:
        for name, found in times.items():
            yield Refusal(f"{name}: not a time", found.broken)
            ahead = found.valid & (found.values > now + self._ahead)
            yield Refusal(f"{name}: {BEYOND}", beyond(found) & ~ahead)
            yield Refusal(f"{name}: in the future of a clock that shows {iso(now)[:19]}", ahead)


def _any(faults: Sequence[Refusal], n: int) -> NDArray[np.bool_]:
    found = np.zeros(n, np.bool_)
    for fault in faults:
        found |= fault.rows
    return found
