"""The shape of one table's events: the fields that they may have, and how those become columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.checks import Refusal, refusals
from bottega.data.streams.event_times import EventTimes, by_source, whole
from bottega.data.streams.fields import ODD, Field
from bottega.data.times import Times
from bottega.design.tables import Allowed, Check, MonotoneTime, Pattern, Range, Table, Unique
from bottega.errors import DataError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises where it is none, or means something else than was asked for."""

_LEARNT = 64
_TIMESTAMP = pa.timestamp("us", "UTC")


class Shape:
    """What an event of one table looks like.

    table: of the design; schema: of what ingestion accepted of it; ids: columns that name entities.
    """

    def __init__(self, table: Table, schema: pa.Schema, ids: Collection[str] = ()) -> None:
        self.table = table
        self._names = schema.names
        for name in self._names:
            _check_name(table, name)
        self._times = EventTimes(table, self._names)
        of_times = set(self._times.columns.values())
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
        self._places = dict(self._times.places)
        for attribute, item in self._fields.items():
            self._places[item.name] = (attribute, item.may_be, item.refusal)
        self._sources: dict[str, tuple[str, dict[str, str]]] = {}
        """From the attribute of a source's name to that name, and which attributes stand for which of our columns."""
        for their, ours in by_source(table, self._names).items():
            attribute = f"s{len(self._sources)}"
            self._places[their] = (attribute, *(self._times.named.get(their) or self._places[ours[0]])[1:])
            self._sources[attribute] = their, {self._places[our][0]: our for our in ours}
        self.event = self._event()
        """The struct that the JSON decoder makes of an event."""
        none = np.zeros(0, np.int64)
        times, _ = self.times([], none)
        for _ in self.refusals(self.columns([], times)[1], times):  # a check that cannot be judged is told at once
            pass

    def refusals(self, seen: pa.Table, times: Mapping[str, Times]) -> Iterator[Refusal]:
        """Judge rows (n,) by the table's checks, but `Unique`, `MonotoneTime` and those of the text of times."""
        named = {self._times.columns[name]: found for name, found in times.items() if name in self._times.columns}
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

    def times(self, events: list[Any], arrival: NDArray[np.int64]) -> tuple[dict[str, Times], list[Refusal]]:
        """Read `time` and `created` of events (n,): where there is none, that of the arrival; and say whose unit is
        another one.
        """
        fields = [attribute for attribute, _, _ in self._times.places.values()]
        given = {attribute: [getattr(event, attribute) for event in events] for attribute in fields}
        return self._times.times(given, arrival)

    def columns(self, events: list[Any], times: Mapping[str, Times]) -> tuple[pa.Table, pa.Table, list[Refusal]]:
        """Give events (n,) as rows, as the rows that the checks are to see, and which do not fit their columns."""
        columns = {
            self._times.columns[name]: pa.array(found.values).view(_TIMESTAMP)
            for name, found in times.items()
            if name in self._times.columns
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
        names = {name for table, name in unknown if table == self.table.name and not ODD.search(name)}
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

    def _value(self, attribute: str, raw: msgspec.Raw, kind: Any) -> Any:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError:
            target = next(iter(self._sources[attribute][1])) if attribute in self._sources else attribute
            if target in self._fields and not pa.types.is_integer(self._fields[target].type):
                raise
        return whole(msgspec.json.decode(raw, type=float), kind)  # 2.0 is a whole number

    def _table(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        return pa.table([columns[name] for name in self._names], self._names)


def _check_name(table: Table, name: str) -> None:
    if name == "table" or ODD.search(name):
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
