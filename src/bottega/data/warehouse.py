"""A table behind an Ibis URL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from bottega.design.tables import Table
from bottega.errors import DataError, nearest


def read_warehouse(table: Table, url: str) -> pa.Table:
    """Read a table of a warehouse whole: the one that `source` names (`schema.table` too), else the table's own name.

    url: as `ibis.connect` takes it: `duckdb://shop.db`, `postgres://…`, `bigquery://…`.
    Raises `DataError`: an engine that cannot be reached or is not installed, no such table (with the nearest one).
    """
    import ibis  # type: ignore[import-untyped]

    _check_file(url)
    engine = None
    try:
        engine = ibis.connect(url)
        return _read(engine, table, url)
    except DataError:
        raise
    except Exception as error:  # each engine raises errors of its own
        said = (str(error).strip().splitlines() or [""])[0].replace(url, masked(url))
        raise DataError(
            "--warehouse",
            f"{masked(url)!r}: {type(error).__name__}: {said}",
            "an Ibis URL whose engine is installed and can be reached: duckdb://shop.db",
            "look at the address, the rights, and whether the engine's extra of ibis-framework is installed",
        ) from error
    finally:
        if engine is not None:
            engine.disconnect()


def masked(url: str) -> str:
    """Write a URL without its password, for messages and logs.

    >>> masked("postgres://shop:secret@db/orders")
    'postgres://shop:***@db/orders'
    """
    return re.sub(r"(://[^/:@]*):[^/@]*@", r"\1:***@", url)


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
            return engine.table(name).to_pyarrow()
        schema, _, last = name.rpartition(".")
        if schema and last in engine.list_tables(database=schema):
            return engine.table(last, database=schema).to_pyarrow()
    wanted = table.source or table.name
    raise DataError(
        f"data.tables[{table.name}].source",
        f"no table {wanted!r} in {masked(url)}",
        f"one of {', '.join(sorted(names)) or 'none: it is empty'}",
        nearest(wanted, names) or nearest(table.name, names),
    )
