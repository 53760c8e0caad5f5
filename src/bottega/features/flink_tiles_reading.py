"""What Flink's tile job has written, as the tile tables of a moment: from them an entity's records are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from bottega.design.part import microseconds
from bottega.errors import DataError
from bottega.features.flink_tiles import STATE, WAITING, columns_of
from bottega.features.tracks import Group, Track

_SQL = {"DOUBLE": "DOUBLE", "BIGINT": "BIGINT", "STRING": "VARCHAR"}


def flink_tables(folder: Path, group: Group, at: int, *, every: str = "5min") -> list[tuple[pa.Table, pa.Table]]:
    """Merge the parts that count until a moment: for each track its state, and the rows that wait.

    The state is what a batch finds at that moment of the rows that had arrived; decayed sums are as of it. The job must
    have passed the moment: nothing here tells whether it has.

    folder: the job's sink. at: microseconds since 1970 UTC, a multiple of `every`. every: as in the job.
    Errors: `DataError` for a moment inside a part, or a folder that is no sink of the group.

    >>> flink_tables(Path("nowhere"), Group("ad_id", ("ad_id",), ()), 0)
    []
    """
    if at % microseconds(every):
        raise DataError("at", f"{at}", f"a multiple of {microseconds(every)}: parts are of {every} and merge whole")
    return [_tables(folder / group.name / str(number), group, track, at) for number, track in enumerate(group.tracks)]


def _tables(folder: Path, group: Group, track: Track, at: int) -> tuple[pa.Table, pa.Table]:
    import duckdb  # only where Flink's output is read

    with duckdb.connect() as connection:
        for kind in (STATE, WAITING):
            _open(connection, folder / kind, columns_of(group, track, kind), kind)
        keys = ", ".join(_quoted(name) for name in group.by)
        if track.kind in ("newest", "row"):
            order = "order by time desc, known desc, arrival desc"
            inner = f"select *, row_number() over (partition by {keys} {order}) as place from state where until <= {at}"
            state = f"select * exclude (arrival, until, place) from ({inner}) where place = 1"
        elif track.kind == "distinct":
            state = f"select {keys}, value, max(time) as time from state where until <= {at} group by {keys}, value"
        else:
            merged = ", ".join(_merged(name, at) for name in columns_of(group, track, STATE) if name not in group.by)
            state = f"select {keys}, {merged} from state where until <= {at} group by {keys}, bucket"
        late = f"arrival < {at} and greatest(time + 1, known) > {at}"
        waiting = f"select * exclude (arrival) from waiting where {late} order by arrival"
        return connection.sql(state).to_arrow_table(), connection.sql(waiting).to_arrow_table()


def _open(connection: Any, folder: Path, columns: dict[str, str], name: str) -> None:
    """Make a view of a folder's parts, of none where nothing was written."""
    if not folder.parent.parent.is_dir():
        raise DataError(str(folder.parent.parent), "no such folder", "the sink of a job, and a group of the design")
    parts = sorted(str(path) for path in folder.glob("part-*"))
    types = {column: _SQL[kind] for column, kind in columns.items()}
    if parts:
        rows = connection.read_json(parts, columns=types, format="newline_delimited")
        rows.create_view(name)
    else:
        listed = ", ".join(f"null::{kind} as {_quoted(column)}" for column, kind in types.items())
        connection.execute(f"create view {name} as select {listed} where false")


def _merged(name: str, at: int) -> str:
    column = _quoted(name)
    if name == "bucket":
        return column
    if name == "until":
        return f"{at}::bigint as as_of"
    if name.startswith(("min_", "max_")):
        return f"{name[:3]}({column}) as {column}"
    if name.startswith("decayed_"):
        half_life = name.rpartition("_")[2]
        return f"sum({column} * pow(2, (until - {at}) / {half_life}.0)) as {column}"
    return f"sum({column}){'' if name.startswith('sum_') else '::bigint'} as {column}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
