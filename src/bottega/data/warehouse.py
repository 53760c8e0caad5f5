"""Engines behind an Ibis URL: connecting, reading a table whole, and their errors under one name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from bottega.data.engine_names import engine_name
from bottega.design.tables import Table
from bottega.errors import DataError, nearest

_SETTINGS = {"pyspark": {"spark.sql.caseSensitive": "true"}}
_EXTRAS = {"pyspark": "bottega[spark]"}
_FIXES = {
    "pyspark": "Spark needs Java 17 or 21; settings that are not of SQL stand in spark-defaults.conf, not in the URL"
}


def read_warehouse(table: Table, url: str) -> pa.Table:
    """Read a table of a warehouse whole: the one that `source` names (`schema.table` too), else the table's own name.

    url: as `ibis.connect` takes it: `duckdb://shop.db`, `postgres://…`, `bigquery://…`.
    Raises `DataError`: an engine that cannot be reached or is not installed, no such table (with the nearest one).
    """
    _check_file(url)
    with told_by_name(url):
        engine = connect(url)
        try:
            return _read(engine, table, url)
        finally:
            release(engine)


def connect(url: str) -> Any:
    """Connect to an engine by Ibis: its backend. Raises `DataError`: not installed, or it cannot be reached."""
    import ibis  # type: ignore[import-untyped]

    with told_by_name(url):
        return ibis.connect(url, **_SETTINGS.get(engine_name(url), {}))


def release(engine: Any) -> None:
    """Let go of an engine; a Spark session goes on, since others of this process may use it."""
    if engine.name != "pyspark":
        engine.disconnect()


def fetch(engine: Any, expression: Any) -> pa.Table:
    """Compute an Ibis expression, and give all of its rows."""
    if engine.name != "pyspark":
        return engine.to_pyarrow(expression)
    return engine.raw_sql(engine.compile(_for_spark(expression))).toArrow()


@contextmanager
def told_by_name(url: str) -> Iterator[None]:
    """Give an engine's errors the place that they come from: each engine raises errors of its own."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        name = engine_name(url)
        said = (str(error).strip().splitlines() or [""])[0].replace(url, masked(url))
        missing = isinstance(error, ImportError)
        raise DataError(
            "--warehouse",
            f"{masked(url)!r}: {type(error).__name__}: {said}",
            "an Ibis URL whose engine is installed and can be reached: duckdb://shop.db",
            f"pip install '{_EXTRAS.get(name, f'ibis-framework[{name}]')}'"
            if missing
            else _FIXES.get(name, "look at the address and the rights"),
        ) from error


def masked(url: str) -> str:
    """Write a URL without its password, for messages and logs; the last `@` before the path ends it.

    >>> masked("postgres://shop:s@cret@db/orders")
    'postgres://shop:***@db/orders'
    """
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1:***@", url)


def _check_file(url: str) -> None:
    """Refuse a database file that is not there: DuckDB and SQLite would make an empty one."""
    path = re.fullmatch(r"(?:(?:duckdb|sqlite)://)?([^?]+\.(?:db|duckdb|ddb|sqlite3?))(?:\?.*)?", url)
    if path is None or "://" in path[1] or Path(path[1]).exists():
        return
    folder = Path(path[1]).parent
    there = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    raise DataError(
        "--warehouse",
        f"no file {path[1]!r}",
        "a database file that exists",
        nearest(Path(path[1]).name, there) or "look at the path; it is relative to the folder one stands in",
    )


def _read(engine: Any, table: Table, url: str) -> pa.Table:
    names = engine.list_tables()
    for name in (table.source, table.name):
        if name in names:
            return fetch(engine, engine.table(name))
        schema, _, last = name.rpartition(".")
        if schema and last in engine.list_tables(database=schema):
            return fetch(engine, engine.table(last, database=schema))
    wanted = table.source or table.name
    raise DataError(
        f"data.tables[{table.name}].source",
        f"no table {wanted!r} in {masked(url)}",
        f"one of {', '.join(sorted(names)) or 'none: it is empty'}",
        nearest(wanted, names) or nearest(table.name, names),
    )


def _for_spark(expression: Any) -> Any:
    """Say in Spark's words what Ibis does not: the microseconds of a time."""
    import ibis.expr.operations as ops  # type: ignore[import-untyped]

    def instead(node: Any, changed: Mapping[str, Any] | None) -> Any:
        if isinstance(node, ops.ExtractMicrosecond):
            time = (changed or {}).get("arg", node.arg).to_expr()
            return time.delta(time.truncate("s"), unit="microsecond").cast("int32").op()
        return node.__recreate__(changed) if changed else node

    return expression.op().replace(instead).to_expr()
