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

from bottega.data.time_text import EPOCH, guess_format, parse_text
from bottega.errors import DataError, nearest

_DAY = 86_400_000_000
_SCALE = {"s": 1_000_000, "ms": 1_000, "us": 1}


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
    that fails by ISO 8601, which may carry an offset of its own. Numbers are no times, unless `form` is `%s`: seconds
    since 1970.

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
    elif (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and form == EPOCH:
        values, valid = from_seconds(column)
        naive = np.zeros_like(valid)
    elif pa.types.is_null(kind):
        values, valid = np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_)
        naive = valid
    else:
        raise DataError(
            where,
            f"a column of {kind}",
            "timestamps, dates, or text that holds them",
            f"time_format={EPOCH!r} where the numbers are seconds since 1970",
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
    scale = _SCALE[column.type.unit]
    fits = np.abs(raw) < np.iinfo(np.int64).max // scale
    return np.where(fits, raw, 0) * scale, valid & fits


def from_seconds(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read seconds since 1970, whole or not, as microseconds and which rows have one."""
    if pa.types.is_integer(column.type):
        return _from_timestamps(pa.chunked_array([column.cast(pa.int64()).cast(pa.timestamp("s"))]))
    seconds = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    valid = np.isfinite(seconds) & (np.abs(seconds) < 1e12)
    return np.round(np.where(valid, seconds, 0) * 1e6).astype(np.int64), valid


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
        guesses = " or ".join(f"time_format={guess!r}" for guess in guess_format(texts.to_pylist()))
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
