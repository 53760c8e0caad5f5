"""Columns of times, in whatever form a source keeps them, as microseconds since 1970 UTC."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.time_text import EPOCHS, from_epoch, guess_format, parse_text
from bottega.errors import DataError, nearest

_DAY = 86_400_000_000
SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds in a unit."""
BEYOND = "before 1900 or after 2099"
STRAYED = "in 1970, unlike most"
YEAR = 31_556_952_000_000
"""Microseconds, in the mean."""
_FIRST, _LAST = -2_208_988_800_000_000, 4_102_444_800_000_000  # 1900 and 2100
OUR_DAYS = 631_152_000_000_000
"""1990, as microseconds since 1970: from there on the time of a log lies, as far as its unit is told by that."""
_NUMBER = r"\A\s*\d+(\.\d*)?\s*\z"


@dataclass(frozen=True)
class Times:
    """A column of times: microseconds, and which rows have one."""

    values: NDArray[np.int64]
    """(n,) microseconds since 1970 UTC; 0 where there is no time."""
    missing: NDArray[np.bool_]
    """(n,) the source has nothing there."""
    broken: NDArray[np.bool_]
    """(n,) the source has something there that is no time."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n,) the rows that have a time."""
        return ~(self.missing | self.broken)


def parse(column: pa.ChunkedArray, where: str, zone: str = "UTC", form: str | None = None) -> Times:
    """Read a column of times.

    Timestamps with a zone are converted; those without one, and dates (their midnight), are in `zone`. A local time
    that occurs twice, when clocks go back, is the earlier of the two; one that never occurs, when they go forward, is
    the moment at which they do. Nanoseconds are rounded down. Text is read by `form` where it is given, else and where
    that fails by ISO 8601, which may carry an offset of its own. Numbers are no times, unless `form` says what they
    count since 1970 UTC: `%s` seconds, `epoch_ms`, `epoch_us` and `epoch_ns` thousandths and so on; by another form
    whole numbers are read as the text of their digits: 20240131 by `%Y%m%d`.

    column: (n,); where: the field of the design, for errors; zone: an IANA name; form: as in `strptime`.
    Raises `DataError`: no time in a column of text (with a form that fits), another type, an unknown zone.

    >>> parse(pa.chunked_array([["1970-01-02", "x", None]]), "time").values.tolist()
    [86400000000, 0, 0]
    """
    check_zone(where, zone)
    kind = column.type
    if pa.types.is_timestamp(kind):
        values, valid = _from_timestamps(column)
        naive = valid if kind.tz is None else np.zeros_like(valid)
    elif pa.types.is_date(kind):
        values, valid = _from_timestamps(column.cast(pa.timestamp("ms")))
        naive = valid
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values, valid, naive = _from_text(column, where, form)
    elif (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and form in EPOCHS:
        values, valid = from_epoch(column, EPOCHS[form])
        naive = np.zeros_like(valid)
    elif pa.types.is_integer(kind) and form is not None:
        values, valid, naive = _from_text(column.cast(pa.string()), where, form)
    elif pa.types.is_null(kind):
        values, valid = np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_)
        naive = valid
    else:
        raise DataError(
            where,
            f"a column of {kind}",
            "timestamps, dates, or text that holds them",
            _form_of_numbers(column),
        )
    missing = _empty(column)
    return Times(_to_utc(values, naive, zone), missing, ~valid & ~missing)


def moment(text: str, where: str, zone: str = "UTC") -> int:
    """Read one ISO date or time of a design as microseconds; `DataError` where it is none.

    >>> moment("1970-01-02", "test")
    86400000000
    """
    column = pa.chunked_array([[text]])
    values, valid, aware = parse_text(column.chunk(0), None)
    if not valid[0]:
        raise DataError(where, f"{text!r}", "an ISO date or time: 2011-11-01, 2011-11-01T12:00")
    return int(_to_utc(values, ~aware, zone)[0])


def check_zone(where: str, zone: str) -> None:
    """Refuse a zone that is no IANA name, with the nearest one."""
    known = zoneinfo.available_timezones()
    if zone not in known:
        tails = {name.rsplit("/", 1)[-1]: name for name in sorted(known)}
        guess = nearest(zone, known) or nearest(zone, tails)
        full = re.sub(r"'(.+)'", lambda found: repr(tails.get(found[1], found[1])), guess)
        raise DataError(where.rsplit(".", 1)[0] + ".timezone", f"{zone!r}", "an IANA name: Europe/London", full)


def _from_timestamps(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    valid = column.is_valid().to_numpy()
    raw = column.cast(pa.int64()).fill_null(0).to_numpy()
    if column.type.unit == "ns":
        return raw // 1000, valid  # rounds down before 1970 too
    scale = SCALE[column.type.unit]
    fits = np.abs(raw) < np.iinfo(np.int64).max // scale
    return np.where(fits, raw, 0) * scale, valid & fits


def beyond(times: Times) -> NDArray[np.bool_]:
    """Mark times (n,) before 1900 or from 2100 on: no log was written then, so that they are read in a wrong unit, or
    stand for no time at all.

    >>> beyond(parse(pa.chunked_array([["2024-01-01", "9999-12-31"]]), "t")).tolist()
    [False, True]
    """
    return times.valid & ((times.values < _FIRST) | (times.values >= _LAST))


def strayed(times: Times, form: str | None) -> NDArray[np.bool_]:
    """Mark numbers (n,) that are read as moments of 1970 where most lie in our days: 0 for no time, or another unit.

    >>> strayed(parse(pa.chunked_array([[1.7e9, 0.0, 1.6e9]]), "t", form="%s"), "%s").tolist()
    [False, True, False]
    """
    near = times.valid & (np.abs(times.values) < YEAR)
    said = times.values[times.valid & (times.values != 0)] if form in EPOCHS and near.any() else np.zeros(0)
    return near if len(said) and np.median(said) >= OUR_DAYS else np.zeros(len(near), np.bool_)


def check_unit(column: pa.ChunkedArray, times: Times, where: str, form: str | None) -> None:
    """Refuse a column of times that is read in a wrong unit: most lie before 1900 or from 2100 on, or numbers lie in
    1970 that another unit brings to our days.

    column: (n,) as the source has it; times: what was read by `form`. Raises `DataError`, with the form that fits.
    """
    fits = unit_of_column(column) if form in EPOCHS else None
    read = times.values[times.valid]
    middle = int(np.median(read)) if len(read) else None
    other = fits not in (None, form)
    if middle is None:
        if not other:
            return
        found = "beyond all years"
    else:
        if _FIRST <= middle < _LAST and not (other and abs(middle) < YEAR):
            return
        found = f"in the year {year(middle)}"
    said = f"time_format={form!r}" if form is not None else f"a column of {column.type}"
    fits = unit_of_column(column) if form is None else fits
    raise DataError(
        where,
        f"{said} puts the times {found}",
        "years from 1900 to 2099",
        f"time_format={fits!r}" if fits is not None else "name another column, or mend its times",
    )


def unit_of_column(column: pa.ChunkedArray) -> str | None:
    """Give the form by which most numbers (n,), or texts that are numbers, lie in our days; nothing: none does.

    0 stands for no time, as nothing does.

    >>> unit_of_column(pa.chunked_array([["1600000000000", "NULL", "1600000000001", "0", "1600000000002", ""]]))
    'epoch_ms'
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        others = int(np.count_nonzero(~_empty(column)))
        column = column.filter(pc.match_substring_regex(column, _NUMBER).fill_null(False))
        numbers = pc.utf8_trim_whitespace(column).cast(pa.float64()).to_numpy()
        others -= len(numbers)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers, others = column.cast(pa.float64(), safe=False).drop_null().to_numpy(), 0
    else:
        return None
    filled = others + int(np.count_nonzero(~np.isnan(numbers) & (numbers != 0)))
    return _unit(numbers, filled // 2 + 1)


def unit_of(numbers: NDArray[np.float64]) -> str | None:
    """Give the form by which numbers are times of 1990 to 2099; nothing: by none all are.

    >>> unit_of(np.array([1.7e12, 1.6e12])), unit_of(np.array([3.0, 1.7e9]))
    ('epoch_ms', None)
    """
    filled = numbers[np.isfinite(numbers)]
    return _unit(filled, max(len(filled), 1))


def _unit(numbers: NDArray[np.float64], least: int) -> str | None:
    """Give the form by which at least so many of the numbers lie in our days."""
    for form, many in zip(EPOCHS, (1.0, 1e3, 1e6, 1e9), strict=True):
        if np.count_nonzero((numbers >= OUR_DAYS / 1e6 * many) & (numbers < _LAST / 1e6 * many)) >= least:
            return form
    return None


def year(at: int) -> int:
    """Give the year of a moment, also where no calendar of Python reaches: 365.2425 days each.

    >>> year(0), year(10**18), year(-(10**18))
    (1970, 33658, -29719)
    """
    return 1970 + int(at // YEAR)


def _form_of_numbers(column: pa.ChunkedArray) -> str:
    form = unit_of_column(column)
    if form is not None:
        return f"time_format={form!r}"
    return "time_format='%s' where the numbers are seconds since 1970, 'epoch_ms' for milliseconds"


def _from_text(
    column: pa.ChunkedArray, where: str, form: str | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    n = len(column)
    values, valid, naive = np.zeros(n, np.int64), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    start = 0
    for chunk in column.chunks:
        part = slice(start, start + len(chunk))
        values[part], valid[part], aware = parse_text(chunk, form)
        naive[part] = valid[part] & ~aware
        start += len(chunk)
    filled = ~_empty(column)
    if filled.any() and not valid.any():
        texts = pc.unique(column.filter(pa.array(filled)))
        texts = texts.take(np.unique(np.linspace(0, len(texts) - 1, 2000).astype(np.int64)))
        shown = ", ".join(repr(text) for text in texts[:2].to_pylist())
        unit = unit_of_column(column)
        forms = guess_format(texts.to_pylist()) if unit is None else [unit]
        guesses = " or ".join(f"time_format={form!r}" for form in forms)
        raise DataError(
            where,
            f"text that is no time: {shown}",
            "ISO 8601 (2010-12-01T08:26:00)" + (f", or what fits {form!r}" if form else ", or a time_format"),
            guesses or "time_format=… as in strptime, or name another column",
        )
    return values, valid, naive


def _empty(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = column.is_null(nan_is_null=True).to_numpy()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty = empty | pc.equal(column, "").fill_null(True).to_numpy()
    return empty


def _to_utc(values: NDArray[np.int64], naive: NDArray[np.bool_], zone: str) -> NDArray[np.int64]:
    if zone == "UTC" or not naive.any():
        return values
    local = pa.array(values[naive]).cast(pa.timestamp("us"))
    placed = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")
    values = values.copy()
    values[naive] = placed.cast(pa.int64()).to_numpy()
    return values


def empty_days(time: NDArray[np.int64]) -> int:
    """Count the days (UTC) without a time between the first and the last one.

    time: (n,) microseconds since 1970 UTC, at least one.

    >>> empty_days(np.array([0, 86_400_000_000 * 3]))
    2
    """
    return int(np.ptp(time // _DAY)) + 1 - len(np.unique(time // _DAY))


def iso(at: int) -> str:
    """Write a moment for people: `2011-11-01`, or with the time of day where it is no midnight.

    >>> iso(86_400_000_000)
    '1970-01-02'
    """
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=at)
    return when.isoformat(sep=" ") if when.time() != datetime.time() else when.date().isoformat()
