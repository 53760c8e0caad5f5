"""Times that are written as text: ISO 8601, or a form as in `strptime`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

EPOCHS = {"%s": "s", "epoch_ms": "ms", "epoch_us": "us", "epoch_ns": "ns"}
"""Forms by which numbers count from 1970 UTC on, and the unit of each."""
COUNTED = {"%s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds", "epoch_ns": "nanoseconds"}
"""What a number counts by each of them."""
TOLD_BY_SIZE = "epoch"
"""The form of a design that leaves the unit to the table: a run puts that of `EPOCHS` in its place by which most
times lie in our days."""

_DATE = 8  # digits of a date without signs between; longer runs of digits are numbers, such as milliseconds
_BLOCK = 8192  # one bad text sends only its block down the slow way
_FAST = set("YmdHMSybBIp%")  # the directives that Arrow reads as Python does
_ZERO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_WHOLE = r"\A\s*[+-]?\d{1,18}\s*\z"
_ONE = {"s": Fraction(1_000_000), "ms": Fraction(1_000), "us": Fraction(1), "ns": Fraction(1, 1_000)}  # microseconds
_DIGITS = {"%s": "9,10", "epoch_ms": "12,13", "epoch_us": "15,16", "epoch_ns": "18,19"}  # from 1973 on, and to 2286
_SHORT_YEAR = -(1970 - 1000) * 365 * 86_400_000_000
_DAYS: tuple[str, ...] = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%m/%d/%y",
    "%d/%m/%y",
)
_DAYS += ("%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%a %b %d %Y")
_HOURS: tuple[str, ...] = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M",
    ", %H:%M:%S",
)

_Parsed = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


def parse_text(chunk: pa.Array, form: str | None) -> _Parsed:
    """Read texts (n,) by a form where it fits, else as ISO 8601.

    Gives microseconds (n,), of local time where the text names no offset; which rows are times (n,); and which of
    them named an offset (n,).
    """
    n = len(chunk)
    values, valid, aware = np.zeros(n, np.int64), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for start in range(0, n, _BLOCK):
        block, part = chunk.slice(start, _BLOCK), slice(start, start + _BLOCK)
        if form is not None:
            values[part], valid[part], aware[part] = _by_form(block, form)
        if form is None or not valid[part].all():
            iso_values, iso_valid, iso_aware = _as_iso(block)
            rest = iso_valid & ~valid[part]
            values[part][rest], aware[part][rest], valid[part][rest] = iso_values[rest], iso_aware[rest], True
    return values, valid, aware


def guess_format(texts: Sequence[str]) -> list[str]:
    """Propose the forms by which all of some texts are times: none, one, or two that only the writer can tell apart."""
    for form, digits in _DIGITS.items():
        if all(re.fullmatch(rf"\d{{{digits}}}(\.\d+)?", text) for text in texts):
            return [form]
    forms = (day + hour for day in _DAYS for hour in _HOURS)
    return [form for form in forms if all(_strptime(text, form) is not None for text in texts)][:2]


def _as_iso(block: pa.Array) -> _Parsed:
    for zone in (None, "UTC"):
        try:
            read = block.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        valid = read.is_valid().to_numpy(zero_copy_only=False)
        return _int64(read), valid, valid if zone else np.zeros_like(valid)
    return _one_by_one(block, _fromisoformat)


def from_epoch(column: pa.ChunkedArray | pa.Array, unit: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read numbers (n,) that count from 1970 on: microseconds, rounded down, and which of them are times.

    unit: `s`, `ms`, `us` or `ns`. A count of which no int64 holds the microseconds is no time.
    """
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        counts = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if unit == "ns":
            return counts // 1000, valid  # rounds down before 1970 too
        one = int(_ONE[unit])
        fits = np.abs(counts) < np.iinfo(np.int64).max // one
        return np.where(fits, counts, 0) * one, valid & fits
    counts = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    micro = counts * float(_ONE[unit])
    valid = np.isfinite(micro) & (np.abs(micro) < 1e18)
    return np.round(np.where(valid, micro, 0)).astype(np.int64), valid


def _by_count(block: pa.Array, unit: str) -> _Parsed:
    whole = pc.if_else(pc.match_substring_regex(block, _WHOLE), block, pa.scalar(None, block.type))
    values, valid = from_epoch(pc.utf8_ltrim(pc.utf8_trim_whitespace(whole), "+").cast(pa.int64()), unit)
    rest = ~valid & block.is_valid().to_numpy(zero_copy_only=False)
    if rest.any():
        values[rest], valid[rest], _ = _one_by_one(block.filter(pa.array(rest)), lambda text: _counted(text, unit))
    return values, valid, np.zeros_like(valid)


def _by_form(block: pa.Array, form: str) -> _Parsed:
    if form in EPOCHS:
        return _by_count(block, EPOCHS[form])
    if not set(re.findall(r"%(.)", form)) <= _FAST:
        return _one_by_one(block, lambda text: _strptime(text, form))
    read = pc.strptime(block, format=form, unit="us", error_is_null=True)
    values, valid = _int64(read), read.is_valid().to_numpy(zero_copy_only=False)
    # Arrow takes 30 February for 2 March, and a year of two digits for the first century: Python judges those
    month, day = (pc.fill_null(part(read), 0).to_numpy() for part in (pc.month, pc.day))
    odd = valid & ((np.isin(month, (3, 5, 7, 10, 12)) & (day <= 3)) | (values < _SHORT_YEAR))
    aware = np.zeros_like(valid)
    if odd.any():
        values[odd], valid[odd], aware[odd] = _one_by_one(block.filter(pa.array(odd)), lambda t: _strptime(t, form))
    return values, valid, aware


def _one_by_one(block: pa.Array, read: Callable[[str], datetime.datetime | None]) -> _Parsed:
    """Read each distinct text in Python: the slow way, for what Arrow cannot read."""
    coded = block.dictionary_encode()
    found = [read(text) for text in _texts(coded.dictionary)]
    table = np.array([0 if when is None else _since(when) for when in found] + [0], np.int64)  # the last is null
    good = np.array([when is not None for when in found] + [False])
    aware = np.array([when is not None and when.tzinfo is not None for when in found] + [False])
    codes = coded.indices.fill_null(-1).to_numpy()
    return table[codes], good[codes], aware[codes]


def _texts(array: pa.Array) -> Iterable[str]:
    texts: list[str] = array.to_pylist()
    return texts


def _since(when: datetime.datetime) -> int:
    return ((when if when.tzinfo else when.replace(tzinfo=datetime.UTC)) - _ZERO) // _MICROSECOND


def _fromisoformat(text: str) -> datetime.datetime | None:
    try:
        plain = text.strip()
        return None if plain.isdigit() and len(plain) > _DATE else datetime.datetime.fromisoformat(plain)
    except ValueError:
        return None


def _strptime(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except (ValueError, OverflowError):
        return None


def _counted(text: str, unit: str) -> datetime.datetime | None:
    try:
        return _ZERO + datetime.timedelta(microseconds=round(Fraction(Decimal(text.strip())) * _ONE[unit]))
    except (ArithmeticError, ValueError):
        return None


def _int64(array: pa.Array) -> NDArray[np.int64]:
    values: NDArray[np.int64] = array.cast(pa.int64()).fill_null(0).to_numpy().copy()
    return values
