"""The events of one table as Flink reads them: from files or from Kafka, each column of the type that it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from bottega.data.streams.event_times import by_source
from bottega.data.time_text import COUNTED, EPOCHS
from bottega.design.data import Label
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.errors import DesignError
from bottega.features.expression_tree import Kind
from bottega.features.flink_tiles_expressions import finite, literal, quoted

_JSON = {"number": "DOUBLE", "truth": "BOOLEAN", "time": "STRING", "text": "STRING"}
_KINDS: dict[str, Kind] = {"number": "number", "truth": "number", "time": "time", "text": "text"}


@dataclass(frozen=True)
class Place:
    """Where events are, and how far apart in arrival two may be that are read one after the other."""

    url: str
    """`file:/folder` of the service's event log, or one file of it; `kafka://host:port[,host:port]/topic?group=…`."""
    apart: int | None = None
    """Milliseconds; nothing: any distance, and tiles come when the input has ended."""

    @property
    def is_kafka(self) -> bool:
        """Tell whether each message is an event, rather than a line with an event in it."""
        return self.url.startswith("kafka:")

    def field(self, name: str) -> str:
        """Write a field of the event."""
        return quoted(name) if self.is_kafka else f"`event`.{quoted(name)}"

    def columns(self, fields: Mapping[str, str]) -> list[str]:
        """Declare the event's fields, with the types they have in JSON, and `_arrived`, which the watermark follows."""
        listed = [f"{quoted(name)} {kind}" for name, kind in fields.items()]
        if self.is_kafka:
            columns = [*listed, "`_arrived` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'"]
        else:
            columns = ["`time` BIGINT", f"`event` ROW<{', '.join(listed)}>"]
            columns.append("`_arrived` AS TO_TIMESTAMP_LTZ(`time` / 1000, 3)")
        newest = "TO_TIMESTAMP_LTZ(0, 3)"
        if self.apart is not None:  # and a millisecond, since what comes at the very same one is not late
            seconds, rest = divmod(self.apart + 1, 1000)
            days, seconds = divmod(seconds, 86_400)
            within = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
            newest = f"`_arrived` - INTERVAL '{days} {within}' DAY TO SECOND(3)"
        return [*columns, f"WATERMARK FOR `_arrived` AS {newest}"]

    @property
    def arrival(self) -> str:
        """Write when an event arrived, in microseconds."""
        if not self.is_kafka:
            return "`time`"
        at = "CAST(`_arrived` AS TIMESTAMP(3))"
        return f"(EXTRACT(EPOCH FROM {at}) * 1000000 + EXTRACT(MICROSECOND FROM {at}))"

    def options(self) -> dict[str, str]:
        """Give the connector's options; `DesignError` for a URL of another kind."""
        if self.url.startswith("file:"):
            path = "file:///" + self.url.removeprefix("file:").lstrip("/")
            names = {} if path.endswith(".jsonl") else {"source.path.regex-pattern": ".*/events-[0-9]+-[0-9]+[.]jsonl"}
            return {"connector": "filesystem", "path": path, **names, "format": "json"}
        parts = urlsplit(self.url)
        topic, group = parts.path.strip("/"), parse_qs(parts.query).get("group", ["bottega-flink"])[0]
        if not self.is_kafka or not parts.netloc or not topic:
            allowed = "file:/folder or kafka://host:port/topic?group=…"
            raise DesignError("source", repr(self.url.partition("?")[0]), allowed)
        return {
            "connector": "kafka",
            "topic": topic,
            "properties.bootstrap.servers": parts.netloc,
            "properties.group.id": group,
            "scan.startup.mode": "earliest-offset",  # where a checkpoint does not say better
            "format": "json",
        }


@dataclass(frozen=True)
class Source:
    """One table's events.

    table: of the design. schema: of its accepted rows. names: the columns that are read. keys: those that name
    entities. shared: columns that other tables have too, with another type.
    """

    table: Table
    schema: pa.Schema
    names: Sequence[str]
    keys: frozenset[str]
    shared: frozenset[str]
    place: Place

    @property
    def name(self) -> str:
        """Name its rows in Flink: a view of the columns, with `_arrival` and `_arrived` beside them."""
        return f"events_{self.table.name}"

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Give the kind of each column that is read."""
        return {name: _KINDS[self._type(name)] for name in self.names}

    @property
    def time(self) -> str:
        """Write the event's time; a table without one holds for ever, and of equal keys the last to come counts."""
        return "CAST(0 AS BIGINT)" if self.table.time is None else quoted(self.table.time)

    @property
    def known(self) -> str:
        """Write from when a row can be known."""
        if self.table.time is None:
            return self.time
        created, delay = self.table.created, microseconds(self.table.available_after)
        known = self.time if created is None else f"GREATEST({self.time}, {quoted(created)})"
        return f"{known} + {delay}" if delay else known

    def clock(self, labels: Sequence[Label]) -> str:
        """Write when a row's labels are known: the event's time without labels, else when the last of them is."""
        clocks = []
        for label in labels:
            clock = f"{self.time} + {microseconds(label.matures_after)}"
            if label.observed_at is not None:
                if self._type(label.observed_at) != "time":
                    place = f"data.tables[{self.table.name}].{label.observed_at}"
                    raise DesignError(place, f"{self.schema.field(label.observed_at).type}", "a time")
                clock = f"COALESCE({quoted(label.observed_at)}, {clock})"
            clocks.append(clock)
        return f"GREATEST({', '.join(clocks)})" if len(clocks) > 1 else clocks[0] if clocks else self.time

    def key(self, name: str) -> str:
        """Write a column of the view that has a part of the key as text."""
        return quoted(name if self._type(name) == "text" else f"_key_{name}")

    def statements(self) -> list[str]:
        """Write the table, and the view of its rows: each event once, where events have ids."""
        table, field, name = self.table, self.place.field, quoted(f"source_{self.table.name}")
        fields = {"table": "STRING"} | ({"time": "STRING"} if table.time is not None else {})
        fields |= {
            name: "STRING" if self._is_text(column) else _JSON[self._type(column)]
            for column in self.names
            for name in self._called(column)
        }
        columns = self.place.columns(fields)
        mine = f"{field('table')} = {literal(table.name)}"
        rows = f"{name}\nWHERE {mine}"
        if table.event_id is not None:
            columns.insert(-1, "`_read` AS PROCTIME()")
            # a row without an id is the first of its own
            place = f"ROW_NUMBER() OVER (PARTITION BY COALESCE({self._field(table.event_id)}, UUID()) ORDER BY `_read`)"
            rows = f"(\n  SELECT *, {place} AS `_copy`\n  FROM {name}\n  WHERE {mine}\n)\nWHERE `_copy` = 1"
        options = ",\n".join(f"  {literal(key)} = {literal(value)}" for key, value in self.place.options().items())
        given = {quoted(column): self._read(column) for column in self.names}
        given |= {self.key(column): self._id(column) for column in self.names if column in self.keys}
        given["`_arrival`"] = self.place.arrival
        listed = ",\n".join(f"  {said} AS {column}" for column, said in given.items())
        return [
            f"CREATE TABLE {name} (\n  " + ",\n  ".join(columns) + f"\n) WITH (\n{options}\n)",
            f"CREATE TEMPORARY VIEW {quoted(self.name)} AS\nSELECT\n{listed},\n  `_arrived`\nFROM {rows}",
        ]

    def _called(self, name: str) -> list[str]:
        """Give the names that a column's field may have: ours, and its source's."""
        return [name, *(their for their, ours in by_source(self.table, self.schema.names).items() if name in ours)]

    def _field(self, name: str) -> str:
        fields = [self.place.field(one) for one in self._called(name)]
        return f"COALESCE({', '.join(fields)})" if len(fields) > 1 else fields[0]

    def _is_text(self, name: str) -> bool:
        """Tell whether JSON gives a column as text, whatever it means."""
        return name in self.keys or name in self.shared or name == self.table.event_id

    def _read(self, name: str) -> str:
        kind, value = self._type(name), self._field(name)
        if kind == "time":
            return self._time(name)
        if kind == "truth":
            return f"CAST({f'CAST({value} AS BOOLEAN)' if self._is_text(name) else value} AS DOUBLE)"
        if kind == "number":
            return finite(f"CAST({value} AS DOUBLE)" if self._is_text(name) else value)
        return value

    def _id(self, name: str) -> str:
        value = self._field(name)
        return f"REGEXP_REPLACE({value}, '[.]0+$', '')" if self._type(name) == "number" else value

    def _time(self, name: str) -> str:
        """Read a time: whole microseconds since 1970, or ISO 8601 in UTC; whatever else stops the job."""
        value = self._field(name)
        if name == self.table.time:
            form = self.table.time_format or ""
            if EPOCHS.get(form, "us") != "us":
                place, fix = f"data.tables[{self.table.name}].time_format", "send microseconds, and leave it out"
                raise DesignError(place, f"{form!r}: {COUNTED[form]}", "ISO 8601 or whole microseconds", fix)
            value = value if name == "time" else f"COALESCE({value}, {self.place.field('time')})"
        stamp = f"CAST(REPLACE(REGEXP_REPLACE({value}, '(Z|[+]00:00)$', ''), 'T', ' ') AS TIMESTAMP(6))"
        text = "____-%" if self.table.timezone == "UTC" else "%Z"  # elsewhere a text without a zone is no time
        read = f"EXTRACT(EPOCH FROM {stamp}) * 1000000 + EXTRACT(MICROSECOND FROM {stamp})"
        found = f"CASE WHEN {value} LIKE '{text}' THEN {read} ELSE CAST({value} AS BIGINT) END"
        own = name in (self.table.time, self.table.created)
        return f"COALESCE({found}, {self.place.arrival})" if own else found

    def _type(self, name: str) -> str:
        if name not in self.schema.names:
            raise DesignError(f"data.tables[{self.table.name}]", f"no column {name!r}", ", ".join(self.schema.names))
        if name in (self.table.time, self.table.created):
            return "time"
        kind, test = self.schema.field(name).type, pa.types
        if test.is_dictionary(kind):
            kind = kind.value_type
        if test.is_string(kind) or test.is_large_string(kind):
            return "text"
        if test.is_timestamp(kind) or test.is_date(kind):
            return "time"
        if test.is_boolean(kind):
            return "truth"
        if any(is_number(kind) for is_number in (test.is_integer, test.is_floating, test.is_decimal, test.is_null)):
            return "number"
        allowed = "a column of numbers, truth values, times or texts"
        raise DesignError(f"data.tables[{self.table.name}].{name}", f"{kind}", allowed)
