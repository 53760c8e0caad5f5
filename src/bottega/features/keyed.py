"""Keys that a look-up tells: windows by what was known of an event, such as the author of the content in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.features import Feature, Lookup, Window
from bottega.design.tables import Table
from bottega.errors import DesignError
from bottega.features.entities import by_columns
from bottega.features.lookups import lookup_columns, lookup_names


def key_lookups(features: Sequence[Feature], table: str) -> list[Lookup]:
    """Give the look-ups whose columns are keys of windows over a table, in their order.

    >>> author = Lookup("contents", by="content", columns=["author"])
    >>> read = Window("views", by=["person", "content_author"], values={"n": "count(*)"})
    >>> key_lookups([author, read], "views") == [author], key_lookups([author, read], "contents")
    (True, [])
    """
    windows = (part for part in features if isinstance(part, Window) and part.table == table)
    keys = {name for part in windows for name in by_columns(part.by)}
    return [part for part in features if isinstance(part, Lookup) and keys & set(lookup_names(part))]


def looks_up(features: Sequence[Feature]) -> bool:
    """Say whether some window goes by a key that a look-up tells."""
    return any(key_lookups(features, part.table) for part in features if isinstance(part, Window))


def with_keys(design: Design, logs: Mapping[str, Log], table: str) -> Log:
    """Give a table's rows, and beside them the keys that look-ups tell of each row at its own time.

    A row of the table itself that has such a column keeps it. What is only known after an event is not told of it,
    though a request of a later time is told; so a window by authors lacks the events from before their author was.

    logs: of all tables. Errors: `DataError` for a column of the look-up that either table lacks.
    """
    log, tables = logs[table], {each.name: each for each in design.data.tables}
    for part in key_lookups(design.features, table):
        if log.time is None or set(lookup_names(part)) <= set(log.rows.column_names):
            continue
        keys = {name: as_text(log.column(name)) for name in by_columns(part.by)}
        made = lookup_columns(part, tables[part.table], logs[part.table], keys, log.time)
        log = with_columns(log, {name: as_text(pa.array(values, from_pandas=True)) for name, values in made.items()})
    return log


def with_columns(log: Log, columns: Mapping[str, pa.Array]) -> Log:
    """Give a log with more columns, (n,) each; one that is there stays as it is."""
    rows = log.rows
    for name, column in columns.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, column)
    return Log(log.name, rows, log.time, log.known)


def in_order(design: Design) -> list[Table]:
    """Give the tables in the order in which rows that came together are applied: first those that tell keys of others.

    Errors: `DesignError` where two tables tell keys of each other.
    """
    left = {table.name: table for table in design.data.tables}
    found: list[Table] = []
    while left:
        told = {name: {part.table for part in key_lookups(design.features, name)} - {name} for name in left}
        free = [left.pop(name) for name in told if not told[name] & left.keys()]
        if not free:
            raise DesignError(
                "features", f"windows over {', '.join(left)} by keys of each other", "one of them by its own columns"
            )
        found += free
    return found


def refuse_keys(design: Design, who: str) -> None:
    """Refuse windows by keys that look-ups tell, for an engine that sees the rows of one table alone."""
    for table in design.data.tables:
        if parts := key_lookups(design.features, table.name):
            name = lookup_names(parts[0])[0]
            raise DesignError(
                f"features: Window over {table.name}", f"the key {name!r} of a look-up", f"columns of {table.name}",
                f"{who} reads one table at a time: add the column to {table.name}, or compute it by the service",
            )  # fmt: skip
