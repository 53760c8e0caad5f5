"""Labels of logged examples: their value, when they are final, and where they can never be known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.checks import numbers
from bottega.data.log import Log
from bottega.data.times import parse
from bottega.design.data import Label
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.errors import DataError, nearest


@dataclass(frozen=True)
class Matured:
    """A label's column, with what is known about when it counts."""

    value: NDArray[np.float32]
    """(n,) the label; NaN where there is none."""
    final: NDArray[np.int64]
    """(n,) when it is final: `observed_at` where that is filled, else event time + `matures_after`."""
    censored: NDArray[np.bool_]
    """(n,) it can never be known."""


def matured(label: Label, table: Table, log: Log, where: str) -> Matured:
    """Read a label: truth values are 0 and 1, numbers stay.

    where: the field of the design, for errors. Raises `DataError`: no such column, text that is no number, a condition
    that the columns do not carry.
    """
    column = column_of(log, label.name, f"{where}.name")
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        value, broken = numbers(column) if is_text else (np.empty(0), np.ones(1, np.bool_))
        if broken.any():
            shown = column.filter(pa.array(broken))[0].as_py() if is_text else str(column.type)
            raise DataError(
                f"{where}.name", f"{label.name!r} holds {shown!r}", "0 and 1, truth values, or grades as numbers"
            )
    else:
        value, _ = numbers(column)
    n = log.rows.num_rows
    time = np.zeros(n, np.int64) if log.time is None else log.time
    final = time + microseconds(label.matures_after)
    if label.observed_at is not None:
        known = column_of(log, label.observed_at, f"{where}.observed_at")
        observed = parse(known, f"{where}.observed_at", table.timezone, table.time_format)
        final = np.where(observed.valid, observed.values, final)
    censored = np.zeros(n, np.bool_)
    if label.censored_when is not None:
        censored = holds(log.rows, label.censored_when, f"{where}.censored_when")
    return Matured(value.astype(np.float32), final, censored)


def column_of(log: Log, name: str, where: str) -> pa.ChunkedArray:
    """Give a column of the log, with an error that names the field of the design which asks for it."""
    if name not in log.rows.column_names:
        names = log.rows.column_names
        raise DataError(
            where, f"no column {name!r} in {log.name!r}", f"one of {', '.join(names)}", nearest(name, names)
        )
    return log.column(name)


def holds(rows: pa.Table, condition: str, where: str) -> NDArray[np.bool_]:
    """Mark the rows (n,) for which a condition in SQL is true; null is not true. DuckDB judges it."""
    import duckdb

    numbered = rows.append_column("_row", pa.array(np.arange(rows.num_rows)))
    with duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": "false"}) as engine:
        engine.register("example", numbered)
        try:
            true = engine.sql(f"SELECT _row FROM example WHERE ({condition}\n)").fetchnumpy()["_row"]
        except duckdb.Error as error:
            raise DataError(
                where,
                f"{condition!r}: {str(error).splitlines()[0]}",
                f"a condition over {', '.join(rows.column_names)}",
            ) from None
    mask = np.zeros(rows.num_rows, np.bool_)
    mask[np.asarray(true)] = True
    return mask
