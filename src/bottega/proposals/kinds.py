"""How the columns of a table are read: of which kind each is, and by which form it holds times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.time_text import guess_format
from bottega.data.times import parse, unit_of
from bottega.errors import DataError
from bottega.proposals.columns import IDS, NUMBERED, Column

_SOME = 2_000  # values by which a text is held to be a time
_NAMES = re.compile(r"(?i)time|date|stamp|_at$|when|epoch|ts$")  # that speak of a time
_DAY = re.compile(r"(?i)time|date|day|stamp|when")
_YEARS = 30.0  # that an unnamed column of times spans at most
_FULL = 0.98  # of the filled values that must be times
_SHARED, _SLACK = 4, 3  # columns that make a space of codes, and codes that may be missing between two of them


def columns_of(table: pa.Table) -> list[Column]:
    """Look at each column of a table."""
    found = [_looked_at(name, table.column(name)) for name in table.column_names]
    coded = _of_one_space(found)
    return [replace(column, coded=True) if column.name in coded else column for column in found]


def _of_one_space(columns: Sequence[Column]) -> set[str]:
    """Name the columns of whole numbers that are codes of one space: each begins where another ends, as in tables for
    factorization machines."""
    whole = [column for column in columns if column.kind == "whole"]
    ranges = sorted((np.nanmin(one.numbers), np.nanmax(one.numbers), one.name) for one in whole)
    chain, found = list[str](), set[str]()
    end = -np.inf
    for low, high, name in ranges:
        chain = [*chain, name] if end < low <= end + 1 + _SLACK else [name]
        end = high
        found |= set(chain) if len(chain) >= _SHARED else set()
    return found


def _looked_at(name: str, values: pa.ChunkedArray) -> Column:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        values, kind = values.cast(pa.float64()), pa.float64()
    if values.null_count == len(values):
        return Column(name, "empty", values)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column(name, "time", values)
    if pa.types.is_boolean(kind):
        return Column(name, "flag", values.cast(pa.int8()), "truth")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _number(name, values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        forms = _forms(values)
        return Column(name, "time" if forms else "text", values, *[form or None for form in forms])
    return Column(name, "bytes" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else "other", values)


def _number(name: str, values: pa.ChunkedArray) -> Column:
    numbers = Column(name, "number", values).numbers
    filled = numbers[np.isfinite(numbers)]
    if not len(filled):
        return Column(name, "empty", values)
    if np.isin(filled, (0.0, 1.0)).all():
        return Column(name, "flag", values)
    whole = bool((filled == np.floor(filled)).all())
    form = _count_form(Column(name, "whole", values), filled) or (_day_form(name, values, filled) if whole else None)
    if form is not None:
        return Column(name, "time", values, form)
    return Column(name, "whole" if whole else "number", values)


def _count_form(column: Column, filled: NDArray[np.float64]) -> str | None:
    """Give what numbers count since 1970: they lie in our days, and their name says so, or their spread does."""
    form = unit_of(filled)
    if form is None or _NAMES.search(column.name):
        return form
    span = float(np.ptp(filled)) / {"%s": 1, "epoch_ms": 1e3}.get(form, np.inf)  # finer ones could be ids
    some = filled[:_SOME]
    spread = len(np.unique(some)) > len(some) / 2 and 3600 < span < _YEARS * 365 * 86_400
    return form if spread and not set(column.words) & (IDS | NUMBERED) else None


def _day_form(name: str, values: pa.ChunkedArray, filled: NDArray[np.float64]) -> str | None:
    """Give the form of days that are written as whole numbers: 20240131."""
    if not _DAY.search(name) or filled.min() < 19_000_101 or filled.max() > 21_000_000:
        return None
    days = pa.chunked_array([pa.array(np.unique(filled)[:_SOME].astype(np.int64))])
    return "%Y%m%d" if pa.types.is_integer(values.type) and _all_times(days, "%Y%m%d") else None


def _all_times(values: pa.ChunkedArray, form: str) -> bool:
    try:
        return bool(parse(values, "time", form=form).valid.mean() >= _FULL)
    except DataError:
        return False


def as_time(column: Column) -> Column:
    """Read a column as times because a person says so. Errors: `DataError` that says why it cannot be one."""
    if column.kind == "time":
        return column
    where, allowed = f"--time {column.name}", "timestamps, dates, text that holds them, or seconds since 1970 and finer"
    if column.kind in ("number", "whole", "flag") and column.form != "truth":
        filled = column.numbers[np.isfinite(column.numbers)]
        form = unit_of(filled) or _day_form("date", column.values, filled)
        if form is None:
            low, high = float(filled.min()), float(filled.max())
            found = f"numbers from {low:,.10g} to {high:,.10g}: by no unit are all of them times of 1990 to 2099"
            raise DataError(where, found, allowed, "write them as dates, such as 2024-01-31T08:00:00, or name another")
        return Column(column.name, "time", column.values, form)
    if column.kind == "text":
        parse(column.values, where)  # tells what is wrong where none is a time
        return Column(column.name, "time", column.values)
    raise DataError(where, f"a column of {column.values.type}", allowed, "name another column")


def _forms(values: pa.ChunkedArray) -> list[str]:
    """Give by which forms texts are times, two at most: empty for ISO 8601; none: they are none."""
    filled = values.filter(pc.not_equal(values, "").fill_null(False))
    some = pc.unique(filled.slice(0, 20 * _SOME))
    if not len(some):
        return []
    some = some.take(np.unique(np.linspace(0, len(some) - 1, _SOME).astype(np.int64)))
    texts = some.to_pylist()
    if not any(letter.isdigit() for letter in str(texts[0])):
        return []
    try:
        found = parse(pa.chunked_array([some]), "time")
    except DataError:
        return guess_format(texts)
    return [""] if found.valid.mean() >= _FULL and all(len(text) >= 8 for text in texts) else []
