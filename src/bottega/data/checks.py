"""The declared checks of a table, as masks over its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.keys import as_text, combined
from bottega.data.source import no_column
from bottega.data.times import Times, moment, parse
from bottega.design.tables import Allowed, Check, MonotoneTime, NotNull, Pattern, Range, Table, Unique
from bottega.errors import DataError

Mask = NDArray[np.bool_]

_BOUNDS = (
    ("at_least", "not at least", np.greater_equal),
    ("at_most", "not at most", np.less_equal),
    ("above", "not above", np.greater),
    ("below", "not below", np.less),
)
_NUMBER = r"\A\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\z"
_COMMA = r"\A\s*[+-]?\d*,\d+\s*\z"
_THOUSANDS = r"\A\s*[+-]?[1-9]\d{0,2},\d{3}\s*\z"


@dataclass(frozen=True)
class Refusal:
    """The rows that one rule refuses, and why."""

    reason: str
    """What is wrong with them: `quantity: not above 0`."""
    rows: Mask
    """(n,) the rows."""


def refusals(spec: Table, rows: pa.Table, times: Mapping[str, Times], good: Mask) -> Iterator[Refusal]:
    """Judge all rows by each check, in the order of declaration.

    `Unique` and `MonotoneTime` compare a row with those before it that no check declared earlier refused, so that
    a bad row neither takes the place of a good one nor sets the clock. In `Unique` a null equals nothing.

    rows: (n,) under our names; times: those of the columns that are read as times; good: (n,) rows that nothing
    refused so far.
    Raises `DataError`: a check on a column that is not there, or whose type it cannot judge.
    """
    for place, check in enumerate(spec.checks):
        where = f"data.tables[{spec.name}].checks[{place}]"
        _check_columns(check, rows, where)
        for refusal in _judge(check, rows, times, good, spec, where):
            yield refusal
            good = good & ~refusal.rows


def _judge(
    check: Check, rows: pa.Table, times: Mapping[str, Times], good: Mask, spec: Table, where: str
) -> Iterator[Refusal]:
    if isinstance(check, NotNull):
        for name in check.columns:
            yield Refusal(f"{name}: missing", missing(rows.column(name)))
    elif isinstance(check, Range):
        yield from _outside(check, rows.column(check.column), times, spec, where)
    elif isinstance(check, Allowed):
        column = as_text(rows.column(check.column))
        values = [as_text(pa.array([value]))[0].as_py() for value in check.values]
        inside = pc.is_in(column, value_set=pa.array(values, column.type))
        yield Refusal(
            f"{check.column}: not among the values allowed", _mask(pc.invert(inside)) & _mask(column.is_valid())
        )
    elif isinstance(check, Pattern):
        yield Refusal(f"{check.column}: does not match {check.regex}", _unmatched(check, rows, where))
    elif isinstance(check, Unique):
        yield Refusal(f"{', '.join(check.columns)}: repeated", repeated(rows, check.columns, good))
    else:
        yield Refusal("time: before that of an earlier row", _out_of_order(check, rows, times, good, spec, where))


def missing(column: pa.ChunkedArray) -> Mask:
    """Mark what is null, NaN, infinite or an empty text: (n,)."""
    empty = _mask(column.is_null())
    if pa.types.is_floating(column.type):
        empty |= ~_mask(pc.fill_null(pc.is_finite(column), False))
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty |= _mask(pc.fill_null(pc.equal(column, ""), True))
    return empty


def infinite(column: pa.ChunkedArray) -> Mask:
    """Mark what is infinite: (n,)."""
    if not pa.types.is_floating(column.type):
        return np.zeros(len(column), np.bool_)
    return _mask(pc.fill_null(pc.is_inf(column), False))


def repeated(rows: pa.Table, columns: Sequence[str], good: Mask) -> Mask:
    """Mark rows (n,) whose values together stand in an earlier good row; a row with a null is never one."""
    groups = groups_of(rows, columns)
    named = groups >= 0
    first = np.full(groups.max(initial=0) + 1, len(groups), np.int64)
    sound = np.flatnonzero(good & named)[::-1]
    first[groups[sound]] = sound  # written backwards: the earliest row stays
    return named & (np.arange(len(groups)) > first[groups])


def groups_of(rows: pa.Table, columns: Sequence[str]) -> NDArray[np.int64]:
    """Number the combinations of values: (n,) from 0, −1 where one of them is null or NaN."""
    coded = []
    null = np.zeros(rows.num_rows, np.bool_)
    for name in columns:
        column = rows.column(name)
        null |= missing(column) if pa.types.is_floating(column.type) else _mask(column.is_null())
        values = column.combine_chunks().dictionary_encode()
        coded.append((values.indices.fill_null(0).to_numpy(), len(values.dictionary)))
    _, groups = np.unique(combined(coded), return_inverse=True)
    return np.where(null, -1, groups)


def numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], Mask]:
    """Read numbers, or text that holds some: values (n,), NaN for none, and which texts are no number (n,)."""
    broken = np.zeros(len(column), np.bool_)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        right = pc.match_substring_regex(column, _NUMBER)
        broken = ~_mask(pc.fill_null(right, True)) & ~missing(column)
        trimmed = pc.utf8_trim_whitespace(pc.if_else(right, column, pa.scalar(None, column.type)))
        column = trimmed.cast(pa.float64())
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(values), values, np.nan), broken


def with_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give texts that are numbers with a decimal comma with a point instead; others as they are.

    Where a number has a point, or each comma could part thousands, commas stay.

    >>> with_points(pa.chunked_array([["4,5", "4", "n/a"]])).to_pylist(), with_points(pa.chunked_array([["1,234"]]))[0]
    (['4.5', '4', 'n/a'], <pyarrow.StringScalar: '1,234'>)
    """
    comma = pc.match_substring_regex(column, _COMMA).fill_null(False)
    if not pc.any(comma).as_py():
        return column
    point = pc.and_(pc.match_substring(column, "."), pc.match_substring_regex(column, _NUMBER))
    thousands = pc.match_substring_regex(column.filter(comma), _THOUSANDS)
    if pc.any(point).as_py() or pc.all(thousands).as_py():
        return column
    return pc.if_else(comma, pc.replace_substring(column, ",", "."), column)


def _outside(
    check: Range, column: pa.ChunkedArray, times: Mapping[str, Times], spec: Table, where: str
) -> Iterator[Refusal]:
    bounds = [
        (words, compare, bound) for field, words, compare in _BOUNDS if (bound := getattr(check, field)) is not None
    ]
    kind = column.type
    in_time = check.column in times or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if any(isinstance(bound, str) != in_time for *_, bound in bounds):
        allowed = "an ISO date as the bound of a time" if in_time else "a number as the bound of a number"
        raise DataError(f"{where}.{check.column}", f"{bounds[0][2]!r} as a bound of a column of {kind}", allowed)
    values: NDArray[np.int64] | NDArray[np.float64]
    if in_time:
        known = times.get(check.column) or parse(column, where, spec.timezone)
        values, filled = known.values, known.valid
    elif isinstance(column, pa.ChunkedArray) and _is_number(kind):
        values, broken = numbers(column)
        filled = ~np.isnan(values)
        if broken.any():
            yield Refusal(f"{check.column}: not a number", broken)
    else:
        raise DataError(f"{where}.{check.column}", f"a column of {kind}", "numbers or times")
    for words, compare, bound in bounds:
        limit = moment(bound, where, spec.timezone) if isinstance(bound, str) else bound
        shown = bound if isinstance(bound, str) else f"{bound:g}"
        yield Refusal(f"{check.column}: {words} {shown}", filled & ~compare(values, limit))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_null(kind)
    )


def _unmatched(check: Pattern, rows: pa.Table, where: str) -> Mask:
    try:
        matches = pc.match_substring_regex(as_text(rows.column(check.column)), rf"\A(?:{check.regex})\z")
    except pa.ArrowInvalid as error:
        raise DataError(f"{where}.regex", f"{check.regex!r}: {error}", "an expression of RE2: no look-around") from None
    return _mask(pc.fill_null(pc.invert(matches), False))


def _out_of_order(
    check: MonotoneTime, rows: pa.Table, times: Mapping[str, Times], good: Mask, spec: Table, where: str
) -> Mask:
    if spec.time is None:
        raise DataError(where, f"MonotoneTime, and {spec.name!r} has no time", "a table with a time", "time=…")
    known = times[spec.time]
    _, rank = np.unique(known.values, return_inverse=True)
    rank = rank + 1  # 0 is for rows that set no clock
    groups = groups_of(rows, check.by) + 1 if check.by else np.zeros(len(rank), np.int64)
    step = int(rank.max(initial=0)) + 1
    order = np.argsort(groups, kind="stable")
    clock = np.where(known.valid & good, rank, 0) + groups * step
    latest = np.empty_like(clock)
    latest[order] = np.maximum.accumulate(clock[order])
    behind: Mask = known.valid & (rank + groups * step < latest)
    return behind


def _check_columns(check: Check, rows: pa.Table, where: str) -> None:
    fields = ("columns", "column", "by")
    for field in fields:
        value = getattr(check, field, ())
        for name in (value,) if isinstance(value, str) else value:
            if name not in rows.column_names:
                raise no_column(f"{where}.{field}", name, rows.column_names, "the table")


def _mask(array: pa.ChunkedArray | pa.Array) -> Mask:
    mask: Mask = (array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])).to_numpy()
    return mask.astype(np.bool_)
