"""The shape of one table's events: the fields that they may have, and how those become columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.checks import Refusal, refusals
from bottega.data.streams.fields import Field, Mask, counted, moments
from bottega.data.time_text import EPOCHS
from bottega.data.times import Times, check_zone
from bottega.design.tables import Allowed, Check, MonotoneTime, Pattern, Range, Table, Unique
from bottega.errors import DataError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises where it is none, or means something else than was asked for."""

_LEARNT = 64
_LATEST = 10**17  # as microseconds the year 5138, so that all above are nanoseconds
_EARLIEST = {"s": 10**11, "ms": 10**14}  # as microseconds 1970 and 1973, in their unit the year 5138
_ODD = re.compile(r'["\\\x00-\x1f]')  # msgspec takes no such name
_TIMESTAMP = pa.timestamp("us", "UTC")


class Shape:
    """What an event of one table looks like.

    table: of the design; schema: of what ingestion accepted of it; ids: columns that name entities.
    """

    def __init__(self, table: Table, schema: pa.Schema, ids: Collection[str] = ()) -> None:
        self.table = table
        self.columns_of_times = {
            field: name for field, name in (("time", table.time), ("created", table.created)) if name is not None
        }
        """From `time` and `created` to the columns that hold them."""
        self._names = schema.names
        for name in self._names:
            _check_name(table, name)
        check_zone(f"data.tables[{table.name}].time", table.timezone)
        of_times = set(self.columns_of_times.values())
        self._has_time = "time" not in set(self._names) - {table.time}
        self._has_own = table.time not in (None, "time")
        self._has_created = table.created not in (None, table.time)
        measured = {check.column for check in table.checks if isinstance(check, Range)}
        self._fields = {
            f"c{place}": Field(item.name, item.type, item.name in measured, item.name in ids)
            for place, item in enumerate(schema)
            if item.name not in of_times
        }
        self._learnt: dict[str, str] = {}
        self._judged = msgspec.structs.replace(
            table, checks=[check for check in table.checks if _by_row(check, of_times)]
        )
        moment = int | float | str | None if table.time_format in EPOCHS else int | str | None
        self._places: dict[str, tuple[str, Any, str]] = {}
        if self._has_time:
            self._places["time"] = ("at", int | str | None, "time: not a time")
        if self._has_own:
            self._places[str(table.time)] = ("own", moment, "time: not a time")
        if self._has_created:
            self._places[str(table.created)] = ("created", moment, "created: not a time")
        for attribute, item in self._fields.items():
            self._places[item.name] = (attribute, item.may_be, item.refusal)
        self._sources: dict[str, tuple[str, dict[str, str]]] = {}
        """From the attribute of a source's name to that name, and which attributes stand for which of our columns."""
        for their, ours in by_source(table, self._names).items():
            attribute, (target, kind, refusal) = f"s{len(self._sources)}", self._places[ours[0]]
            self._places[their] = (attribute, moment if target == "at" else kind, refusal)
            self._sources[attribute] = their, {self._places[our][0]: our for our in ours}
        self.event = self._event()
        """The struct that the JSON decoder makes of an event."""
        none = np.zeros(0, np.int64)
        times = self.times([], none)
        for _ in self.refusals(self.columns([], times)[1], times):  # a check that cannot be judged is told at once
            pass

    def refusals(self, seen: pa.Table, times: Mapping[str, Times]) -> Iterator[Refusal]:
        """Judge rows (n,) by the table's checks, but `Unique`, `MonotoneTime` and those of the text of times."""
        named = {self.columns_of_times[name]: found for name, found in times.items() if name in self.columns_of_times}
        return refusals(self._judged, seen, named, np.ones(seen.num_rows, np.bool_))

    def fit(self, value: dict[str, msgspec.Raw]) -> tuple[Any, list[str], list[str]]:
        """Give the event of an object without its `table`, what does not fit in it, and its fields that are unknown."""
        kept, reasons, others = {}, [], []
        for name, raw in value.items():
            if name not in self._places:
                others.append(name)
                continue
            attribute, kind, refusal = self._places[name]
            try:
                kept[attribute] = self._value(attribute, raw, kind)
            except UNREADABLE:
                reasons.append(refusal)
        return (None if reasons else self.event(**kept)), reasons, others

    def renamed(self, events: list[Any]) -> list[Refusal]:
        """Bring what events (n,) hold under the source's names under ours; what comes under both does not fit."""
        twice: dict[str, list[bool]] = {}
        for attribute, (their, targets) in self._sources.items():
            for target, our in targets.items():
                found = twice[f"{our}: given twice, once as {their}"] = [False] * len(events)
                for place, event in enumerate(events):
                    if (value := getattr(event, attribute)) is None:
                        continue
                    found[place] = getattr(event, target) is not None
                    setattr(event, target, value)
        return [Refusal(reason, np.array(found, np.bool_)) for reason, found in twice.items() if any(found)]

    def times(self, events: list[Any], arrival: NDArray[np.int64]) -> dict[str, Times]:
        """Read `time` and `created` of events (n,): where there is none, that of the arrival."""
        found = {"time": self._moments(events, "at" if self._has_time else "own")}
        if self._has_time and self._has_own:
            values, missing, broken = found["time"]
            others = self._moments(events, "own")
            found["time"] = (np.where(missing, others[0], values), missing & others[1], broken | missing & others[2])
        if self._has_created:
            found["created"] = self._moments(events, "created")
        return {
            name: Times(np.where(missing, arrival, values), np.zeros_like(missing), broken)
            for name, (values, missing, broken) in found.items()
        }

    def columns(self, events: list[Any], times: Mapping[str, Times]) -> tuple[pa.Table, pa.Table, list[Refusal]]:
        """Give events (n,) as rows, as the rows that the checks are to see, and which do not fit their columns."""
        columns = {
            self.columns_of_times[name]: pa.array(found.values).view(_TIMESTAMP)
            for name, found in times.items()
            if name in self.columns_of_times
        }
        seen = dict(columns)
        unfit = []
        for attribute, field in self._fields.items():
            columns[field.name], seen[field.name], bad = field.column([getattr(event, attribute) for event in events])
            if bad.any():
                unfit.append(Refusal(field.refusal, bad))
        return self._table(columns), self._table(seen), unfit

    def unknown(self, events: list[Any]) -> Counter[tuple[str, str]]:
        """Count the fields of events that are no columns, by table and field."""
        counts: Counter[tuple[str, str]] = Counter()
        for attribute, name in self._learnt.items():
            count = sum(getattr(event, attribute) is not msgspec.UNSET for event in events)
            counts.update({(self.table.name, name): count} if count else {})
        return counts

    def learn(self, unknown: Mapping[tuple[str, str], int]) -> bool:
        """Take up names of unknown fields, so that events that have them are read fast; says whether any is new."""
        names = {name for table, name in unknown if table == self.table.name and not _ODD.search(name)}
        new = sorted(names - set(self._learnt.values()))[: _LEARNT - len(self._learnt)]
        for name in new:
            self._learnt[f"u{len(self._learnt)}"] = name
        if new:
            self.event = self._event()
        return bool(new)

    def _event(self) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any, Any]] = [(attribute, kind, None) for attribute, kind, _ in self._places.values()]
        fields += [(attribute, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for attribute in self._learnt]
        keys = {attribute: name for name, (attribute, _, _) in self._places.items()} | self._learnt
        return msgspec.defstruct(
            "Event", fields, tag_field="table", tag=self.table.name, rename=keys, forbid_unknown_fields=True, gc=False
        )

    def _moments(self, events: list[Any], attribute: str) -> tuple[NDArray[np.int64], Mask, Mask]:
        unit = EPOCHS.get(self.table.time_format or "")
        values = [getattr(event, attribute) for event in events]
        if attribute == "at":
            if self.table.time == "time" and unit is not None:
                # the row's own column, or the event's: which one, its size tells
                values = [_as_microseconds(value, unit) for value in values]
            unit = None
        return moments(values, self.table.timezone, self.table.time_format, unit or "us")

    def _value(self, attribute: str, raw: msgspec.Raw, kind: Any) -> Any:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError:
            target = next(iter(self._sources[attribute][1])) if attribute in self._sources else attribute
            if target not in self._fields or not pa.types.is_integer(self._fields[target].type):
                raise
        number = msgspec.json.decode(raw, type=float)  # 2.0 is a whole number
        return msgspec.convert(int(number) if number.is_integer() else number, kind)

    def _table(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        return pa.table([columns[name] for name in self._names], self._names)


def by_source(table: Table, names: Collection[str]) -> dict[str, list[str]]:
    """Give the names that columns have in a table's source, and which of the design's (n,) each stands for.

    A name that the design uses itself means what it means there.

    >>> by_source(Table("t", columns={"user": "userId|uid", "item": "movieId|"}), ["user", "item", "uid"])
    {'userId': ['user'], 'movieId': ['item']}
    """
    found: dict[str, list[str]] = {}
    for our, theirs in table.columns.items():
        for their in theirs.split("|") if our in names else ():
            if their not in ("", "table", "time", *names) and not _ODD.search(their):
                found.setdefault(their, []).append(our)
    return found


def _check_name(table: Table, name: str) -> None:
    if name == "table" or _ODD.search(name):
        raise DataError(
            f"data.tables[{table.name}]",
            f"the column {name!r}",
            "a name that a field of an event can have: not 'table', no quotes, backslashes and control characters",
            f"columns={{'its_{table.name}': {name!r}}}",
        )


def _by_row(check: Check, of_times: Collection[str]) -> bool:
    """Tell whether a check needs one row only, and not the text in which its time was written."""
    if isinstance(check, Pattern | Allowed):
        return check.column not in of_times
    return not isinstance(check, Unique | MonotoneTime)


def _as_microseconds(value: Any, unit: str) -> Any:
    """Give a number that as microseconds would lie in the first years after 1970, or far from now, in its unit."""
    if type(value) not in (int, float):
        return value
    theirs = abs(value) >= _LATEST if unit == "ns" else abs(value) < _EARLIEST.get(unit, 0)
    return counted(value, unit) if theirs else value
