"""The tile job in Flink's SQL: what a store keeps of events, counted in parts while the stream goes on.

Rows that arrive within the same few minutes make one part of a tile, written once, when the watermark has passed. The
watermark follows arrival: a row that comes late, by however much, makes a part of a tile long gone, and is not dropped.
Each part says from when it counts: from the end of those minutes in which its rows had arrived and were ready, so that
a label which matures late waits in no state of Flink's. All parts that count until a moment merge into what a batch
finds at that moment (`flink_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.errors import DesignError
from bottega.features.expression_tree import Kind
from bottega.features.expressions import Parsed, parse
from bottega.features.flink_tiles_expressions import literal, quoted, written
from bottega.features.flink_tiles_source import Place, Source
from bottega.features.keyed import refuse_keys
from bottega.features.tracks import EVERY, Group, Track

STATE, WAITING = "state", "waiting"
"""The two kinds of rows that a track gives: parts of what has begun to count, and single rows that count later on."""
_OWN = ("time", "known", "arrival", "ready", "until", "place", "window_start", "window_end", "window_time")
_SECOND, _LONGEST = 1_000_000, 86_400_000_001
_FARTHEST = 99 * 86_400_000  # milliseconds: Flink's intervals have two digits for days
_SEEN = "7 d"  # as long as the stream's own workers remember an event id
_SETTINGS = {
    "table.local-time-zone": "UTC",
    "table.exec.state.ttl": _SEEN,
    "execution.checkpointing.interval": "1 min",
    "restart-strategy.type": "failure-rate",  # Flink's own begins again for ever, and names a bad value nowhere
    "restart-strategy.failure-rate.max-failures-per-interval": "3",
    "restart-strategy.failure-rate.failure-rate-interval": "5 min",
    "restart-strategy.failure-rate.delay": "5 s",
}
_OF_KAFKA = {"table.exec.source.idle-timeout": "1 min"}  # a partition without events holds up no other
_SQL: dict[Kind, str] = {"number": "DOUBLE", "time": "BIGINT", "text": "STRING"}


def flink_job(
    design: Design,
    groups: Sequence[Group],
    schemas: Mapping[str, pa.Schema],
    source: str,
    sink: str,
    *,
    every: str = "5min",
    apart: str | None = None,
) -> str:
    """Write the job as a script of Flink's SQL, for the runner beside this file.

    For each track of each group it writes JSON lines below `sink/group/number`: parts in `state`, and in `waiting` the
    rows that had come before they count. Events must be valid: a field of another type, or a time that is neither ISO
    8601 in UTC nor whole microseconds, stops the job. Event ids are remembered for a week.

    groups: from the design, as the store has them. schemas: for each of their tables that of its accepted rows.
    source: `file:/folder` of the service's event log, or `kafka://host:port/topic?group=…`, each message an event.
    sink: a folder as Flink names it, `file:///…` or `s3://…`.
    every: whole seconds of a part; larger gives fewer and later ones.
    apart: how long after one event another may be read that had arrived earlier; larger waits longer, and what is read
    later still is dropped. Nothing: 10 s of Kafka; of files nothing is dropped, and parts come when all are read.
    Errors: `DesignError` for what Flink cannot say.
    """
    refuse_keys(design, "Flink")
    step = microseconds(every)
    if not _SECOND <= step < _LONGEST or step % _SECOND:
        raise DesignError("every", f"{every!r}", "whole seconds, from one to a day", 'every="5min"')
    place = Place(source)
    if apart is not None or place.is_kafka:
        place = Place(source, -(-microseconds(apart or "10s") // 1000))
        if not 0 <= (place.apart or 0) < _FARTHEST:
            raise DesignError("apart", f"{apart!r}", "under 99 days", 'apart="10s"')
    settings = _SETTINGS | (_OF_KAFKA if place.is_kafka else {})
    statements = [f"SET {literal(key)} = {literal(value)}" for key, value in settings.items()]
    sources = _sources(design, groups, schemas, place)
    for made in sources.values():
        statements += made.statements()
    inserts: list[str] = []
    for group in groups:
        for number, track in enumerate(group.tracks):
            job = _Job(group, number, sources[track.table], _labels(design, track), sink.rstrip("/"), step)
            statements += job.tables()
            inserts += job.inserts()
    statements.append("EXECUTE STATEMENT SET BEGIN\n" + ";\n".join(inserts) + ";\nEND")
    return ";\n\n".join(statements) + ";\n"


def columns_of(group: Group, track: Track, kind: str) -> dict[str, str]:
    """Give the columns that a track writes, `STATE` or `WAITING`, with their types in Flink's SQL."""
    keys = dict.fromkeys(group.by, "STRING")
    values = {f"value_{place}": _type(kind) for place, kind in enumerate(track.kinds)}
    times = {"time": "BIGINT", "known": "BIGINT"}
    if kind == WAITING or track.kind in ("newest", "row"):
        state = {**times, "arrival": "BIGINT", **values}
    elif track.kind == "distinct":
        state = {"value": values["value_0"], "time": "BIGINT"}
    else:
        state = {"bucket": "BIGINT", "rows": "BIGINT"} | {name: kind for name, kind, _ in _parts(track)}
    if kind == STATE:
        state["until"] = "BIGINT"
    return keys | state


class _Job:
    """One track's tables and what is written to them. step: microseconds of a part."""

    def __init__(
        self, group: Group, number: int, source: Source, labels: Sequence[Label], sink: str, step: int
    ) -> None:
        self.group, self.track, self.source, self.labels = group, group.tracks[number], source, labels
        self.name, self.folder, self.step = f"{group.name}_{number}", f"{sink}/{group.name}/{number}", step
        parts = list(columns_of(group, self.track, STATE))
        if taken := [name for name in group.by if name in {*_OWN, *parts[len(group.by) :]}]:
            raise DesignError(f"features by {', '.join(group.by)}", f"the key {taken[0]!r}", "a name that no part has")

    def tables(self) -> list[str]:
        """Write a view of the track's rows, and where its parts and its waiting rows go."""
        track, source = self.track, self.source
        time = source.clock(self.labels)
        columns = {name: source.key(name) for name in self.group.by}
        columns |= {"time": time, "known": source.known, "arrival": "`_arrival`"}
        ready = f"GREATEST({time} + 1, {source.known})"
        columns["ready"] = f"({ready} + {self.step - 1}) / {self.step} * {self.step}"  # at the end of a part
        for place, (text, kind) in enumerate(zip(track.arguments, track.kinds, strict=True)):
            value = quoted(text) if track.kind == "row" else self._written(text)
            if track.kind == "distinct" and kind == "number":
                value = f"CASE WHEN {value} = 0E0 THEN 0E0 ELSE {value} END"  # -0 is 0
            columns[f"value_{place}"] = value
        if track.kind == "tiles":
            columns["bucket"] = _bucket(time, track.hop)
        wheres = [f"{source.key(name)} IS NOT NULL" for name in self.group.by]
        wheres += [] if track.where is None else [self._written(track.where, condition=True)]
        listed = ",\n".join(f"  {said} AS {quoted(name)}" for name, said in columns.items())
        view = f"CREATE TEMPORARY VIEW {quoted(f'rows_{self.name}')} AS\nSELECT\n{listed},\n  `_arrived`"
        view += f"\nFROM {quoted(source.name)}\nWHERE " + "\n  AND ".join(wheres)
        return [view, *(self._sink(kind) for kind in (STATE, WAITING))]

    def inserts(self) -> list[str]:
        """Write what fills them."""
        track, rows = self.track, quoted(f"rows_{self.name}")
        keys, within = ", ".join(map(quoted, self.group.by)), "`window_start`, `window_end`, `until`"
        names = ", ".join(map(quoted, columns_of(self.group, track, WAITING)))
        there = "`value_0` IS NOT NULL" if track.kind in ("distinct", "newest") else "TRUE"
        seconds = self.step // _SECOND
        window = f"TABLE {rows}, DESCRIPTOR(`_arrived`), INTERVAL '{seconds}' SECOND({len(str(seconds))})"
        until = "GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`"
        part = f"(\n  SELECT *, {until}\n  FROM TABLE(TUMBLE({window}))\n  WHERE {there}\n)"
        if track.kind == "tiles":
            cells = ", ".join(["COUNT(*)", *(said for _, _, said in _parts(track))])
            state = f"SELECT {keys}, `bucket`, {cells}, `until`\nFROM {part}\nGROUP BY {keys}, `bucket`, {within}"
        elif track.kind == "distinct":
            newest = f"SELECT {keys}, `value_0`, MAX(`time`), `until`"
            state = f"{newest}\nFROM {part}\nGROUP BY {keys}, `value_0`, {within}"
        else:
            order = f"PARTITION BY {keys}, {within} ORDER BY `time` DESC, `known` DESC, `arrival` DESC"
            placed = f"(\nSELECT *, ROW_NUMBER() OVER ({order}) AS `place`\nFROM {part}\n)"
            state = f"SELECT {names}, `until`\nFROM {placed}\nWHERE `place` = 1"
        part_ends = f"`arrival` / {self.step} * {self.step} + {self.step}"
        waiting = f"SELECT {names}\nFROM {rows}\nWHERE `ready` > {part_ends}\n  AND {there}"
        queries = ((STATE, state), (WAITING, waiting))
        return [f"INSERT INTO {quoted(f'{kind}_{self.name}')}\n{query}" for kind, query in queries]

    def _sink(self, kind: str) -> str:
        listed = ", ".join(f"{quoted(name)} {sort}" for name, sort in columns_of(self.group, self.track, kind).items())
        options = {"connector": "filesystem", "path": f"{self.folder}/{kind}", "format": "json"}
        said = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in options.items())
        return f"CREATE TABLE {quoted(f'{kind}_{self.name}')} (\n  {listed}\n) WITH ({said})"

    def _written(self, text: str, condition: bool = False) -> str:
        return written(_parsed(text, self.source.table), self.source.kinds, quoted, condition)


def _sources(
    design: Design, groups: Sequence[Group], schemas: Mapping[str, pa.Schema], place: Place
) -> dict[str, Source]:
    """Give the sources by table, each with the columns that its tracks read."""
    tables = {table.name: table for table in design.data.tables}
    names: dict[str, set[str]] = {}
    keys: dict[str, set[str]] = {}
    for group in groups:
        for track in group.tracks:
            table = tables[track.table]
            used = {*(label.observed_at for label in _labels(design, track)), table.time, table.created, table.event_id}
            for text in [*track.arguments, *([] if track.where is None else [track.where])]:
                used |= {text} if track.kind == "row" else _parsed(text, table).columns
            names.setdefault(track.table, set(group.by)).update(name for name in used if name is not None)
            keys.setdefault(track.table, set()).update(group.by)
    for name in names:
        if name not in schemas:
            raise DesignError(f"schemas[{name}]", "nothing", "the schema of the table's accepted rows")
    return {
        name: Source(
            tables[name],
            schemas[name],
            sorted({*used, *keys[name]}),
            frozenset(keys[name]),
            _shared(name, schemas),
            place,
        )
        for name, used in names.items()
    }


def _labels(design: Design, track: Track) -> list[Label]:
    return [label for label in design.data.labels if label.name in track.labels]


def _shared(table: str, schemas: Mapping[str, pa.Schema]) -> frozenset[str]:
    """Name the columns that another table has with another type: the events of all come from one place."""
    others = [schema for name, schema in schemas.items() if name != table]
    return frozenset(
        field.name
        for field in schemas[table]
        if any(field.name in other.names and other.field(field.name).type != field.type for other in others)
    )


def _parsed(text: str, table: Table) -> Parsed:
    return parse(text, table.timezone, f"features: Window over {table.name}")


def _type(kind: Kind) -> str:
    return _SQL.get(kind, "DOUBLE")


def _bucket(time: str, hop: int) -> str:
    if hop == EVERY:
        return "CAST(0 AS BIGINT)"
    return time if hop == 1 else f"({time}) / {hop} - CASE WHEN MOD({time}, {hop}) < 0 THEN 1 ELSE 0 END"


def _parts(track: Track) -> list[tuple[str, str, str]]:
    """Give what the cells of a track of tiles need of its arguments: name, type, and how it is counted."""
    made: dict[str, tuple[str, str]] = {}
    for cell in track.cells:
        place = cell.argument
        if place < 0:
            continue
        value, kind = f"`value_{place}`", _type(track.kinds[place])
        if cell.function in ("count", "avg"):
            made[f"count_{place}"] = "BIGINT", f"COUNT({value})"
        if cell.function in ("sum", "avg"):
            made[f"sum_{place}"] = "DOUBLE", f"COALESCE(SUM({value}), 0E0)"
        if cell.function in ("min", "max"):
            made[f"{cell.function}_{place}"] = kind, f"{cell.function.upper()}({value})"
        if cell.half_life is not None:
            aged = f"{value} * POWER(2E0, (`time` - `until`) / {cell.half_life}E0)"
            made[f"decayed_{place}_{cell.half_life}"] = "DOUBLE", f"COALESCE(SUM({aged}), 0E0)"
    return [(name, kind, said) for name, (kind, said) in made.items()]
