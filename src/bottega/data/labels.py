"""Labels of logged examples: their value, when they are final, and where they can never be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.checks import numbers
from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.data.times import Times, parse
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.examples import Judged, Logged
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.errors import DataError, nearest


def label_columns(design: Design, table: str) -> dict[str, str | None]:
    """Name the labels that a table may have columns of, with their `positive`: those of logged or judged examples, in
    their own table."""
    examples = design.data.examples
    logged = isinstance(examples, (Logged, Judged)) and examples.table == table
    return {label.name: label.positive for label in design.data.labels} if logged else {}


def marked(column: pa.ChunkedArray, positive: str, where: str) -> pa.Array:
    """Give 1 where a column (n,) holds one value, written as text, 0 where another, null where none.

    where: the field of the design, for errors. Raises `DataError` where no row holds it.

    >>> marked(pa.chunked_array([["Yes", "No", None]]), "Yes", "data.labels[0]").to_pylist()
    [1, 0, None]
    """
    text = as_text(column)
    empty = pc.equal(text, "")
    hits = pc.if_else(pc.fill_null(empty, False), pa.scalar(None, pa.bool_()), pc.equal(text, positive))
    if not pc.any(hits).as_py():
        found = [value for value in pc.unique(text).to_pylist() if value]
        few = ", ".join(map(repr, found[:8])) + (", …" if len(found) > 8 else "")
        raise DataError(
            f"{where}.positive", f"{positive!r}, which no row holds", f"one of {few}", nearest(positive, found)
        )
    return hits.cast(pa.int8())


@dataclass(frozen=True)
class Matured:
    """A label's column, with what is known about when it counts."""

    value: NDArray[np.float32]
    """(n,) the label; NaN where there is none."""
    final: NDArray[np.int64]
    """(n,) when it is final, microseconds since 1970 UTC."""
    censored: NDArray[np.bool_]
    """(n,) it can never be known."""
    early: NDArray[np.float32] | None = None
    """(n,) 1 where a label above 0 came within the window, 0 where none did, NaN where there is none; nothing: no
    window."""
    ripe: NDArray[np.int64] | None = None
    """(n,) when the early value is known: event time + window; nothing: no window."""
    late: int = 0
    """How many labels above 0 came after `matures_after` and count as 0, where there is a window."""


def matured(label: Label, table: Table, log: Log, where: str) -> Matured:
    """Read a label: truth values are 0 and 1, numbers stay.

    It is final at `observed_at` where that is filled, else at event time + `matures_after`. Where labels above 0 alone
    carry a time, what did not happen says nothing of when: then no row is final before event time + `matures_after`,
    because of the young rows only those above 0 would count.

    With a window every row is final at event time + `matures_after`: a label above 0 that came later counts as 0, and
    one without a time counts as come after the window. A label that came before its event came at once.

    where: the field of the design, for errors. Raises `DataError`: no such column, text that is no number, a condition
    that the columns do not carry, a window over a log without time.
    """
    allowed = "0 and 1, truth values, or grades as numbers"
    value = numbers_of(log, label.name, f"{where}.name", allowed).astype(np.float32)
    n = log.rows.num_rows
    censored = np.zeros(n, np.bool_)
    if label.censored_when is not None:
        censored = holds(log.rows, label.censored_when, f"{where}.censored_when")
    time = np.zeros(n, np.int64) if log.time is None else log.time
    final = time + microseconds(label.matures_after)
    if label.observed_at is None:
        return Matured(value, final, censored)
    known = column_of(log, label.observed_at, f"{where}.observed_at")
    observed = parse(known, f"{where}.observed_at", table.timezone, table.time_format)
    if label.window is not None:
        if log.time is None:
            raise DataError(f"{where}.window", f"{label.window!r}, and {log.name!r} has no time", "a table with a time")
        return _windowed(label, value, time, observed, censored)
    if not (observed.valid & (value <= 0)).any():
        return Matured(value, np.where(observed.valid, np.maximum(observed.values, final), final), censored)
    return Matured(value, np.where(observed.valid, observed.values, final), censored)


def _windowed(
    label: Label, value: NDArray[np.float32], time: NDArray[np.int64], observed: Times, censored: NDArray[np.bool_]
) -> Matured:
    window, maturity = microseconds(label.window or ""), microseconds(label.matures_after)
    came = observed.valid & (value > 0)
    delay = np.where(came, observed.values - time, maturity)
    late = came & (delay > maturity)
    early = np.where(np.isnan(value) | censored, np.nan, came & (delay <= window)).astype(np.float32)
    value = np.where(late, np.float32(0), value)
    return Matured(value, time + maturity, censored, early, time + window, int(np.count_nonzero(late & ~censored)))


def asked(labels: Sequence[Label], known: Sequence[Matured], end: int | None) -> list[Matured]:
    """Give each label only where it is there, final when the log ends, and its question arises; NaN elsewhere.

    A label that is given another arises where that one is above 0, and is known no sooner than that one.

    end: the log's end; nothing: the log has no time. A design has no labels that are given each other.
    """
    places = {label.name: place for place, label in enumerate(labels)}
    found: dict[str, Matured] = {}

    def ask(label: Label) -> Matured:
        if label.name not in found:
            one = known[places[label.name]]
            if label.given is not None:
                one = _given(one, ask(labels[places[label.given]]))
            there = ~one.censored if end is None else ~one.censored & (one.final <= end)
            found[label.name] = replace(one, value=np.where(there, one.value, np.float32(np.nan)))
        return found[label.name]

    return [ask(label) for label in labels]


def _given(one: Matured, other: Matured) -> Matured:
    arises = other.value > 0  # not where the other is NaN
    return replace(
        one,
        value=np.where(arises, one.value, np.float32(np.nan)),
        final=np.maximum(one.final, other.final),
        early=None if one.early is None else np.where(arises, one.early, np.float32(np.nan)),
        ripe=None if one.ripe is None else np.maximum(one.ripe, other.final),
    )


def column_of(log: Log, name: str, where: str) -> pa.ChunkedArray:
    """Give a column of the log, with an error that names the field of the design which asks for it."""
    if name not in log.rows.column_names:
        names = log.rows.column_names
        raise DataError(
            where, f"no column {name!r} in {log.name!r}", f"one of {', '.join(names)}", nearest(name, names)
        )
    return log.column(name)


def numbers_of(log: Log, name: str, where: str, allowed: str) -> NDArray[np.float64]:
    """Read a column of numbers, of truth values, or of text that holds numbers: (n,), NaN where there is none.

    where: the field of the design which asks for it; allowed: what it may hold. Raises `DataError`: no such column,
    something else in it.
    """
    column = column_of(log, name, where)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not is_text and not any(test(column.type) for test in types):
        raise DataError(where, f"{name!r} holds {str(column.type)!r}", allowed)
    values, broken = numbers(column)
    if broken.any():
        raise DataError(where, f"{name!r} holds {column.filter(pa.array(broken))[0].as_py()!r}", allowed)
    return values


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
