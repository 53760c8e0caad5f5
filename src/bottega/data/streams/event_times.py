"""The fields of one table's events that say when: which there are, and how each is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.checks import Refusal
from bottega.data.streams.fields import ODD, Mask, array_of
from bottega.data.time_text import COUNTED, EPOCHS, parse_text
from bottega.data.times import BEYOND, OUR_DAYS, SCALE, YEAR, Times, beyond, check_zone, unit_of
from bottega.design.tables import Table

_LATEST = 10**17  # as microseconds the year 5138, so that all above are nanoseconds
_EARLIEST = {"s": 10**11, "ms": 10**14}  # as microseconds 1970 and 1973, in their unit the year 5138
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")

_Read = tuple[NDArray[np.int64], Mask, Mask, NDArray[np.int8]]
"""Microseconds, what is missing, what is no time, and in which unit (from 1 on) a number would not lie in 1970."""


class EventTimes:
    """Reads the times of a table's events, as ingestion reads its columns.

    table: of the design; names: of its columns. Raises `DataError` for an unknown zone.
    """

    def __init__(self, table: Table, names: Collection[str]) -> None:
        check_zone(f"data.tables[{table.name}].time", table.timezone)
        self.table = table
        self.columns = {
            field: name for field, name in (("time", table.time), ("created", table.created)) if name is not None
        }
        """From `time` and `created` to the columns that hold them."""
        form = table.time_format
        numbers = int | float | str | None if form in EPOCHS else int | str | None
        self.places: dict[str, tuple[str, Any, str]] = {}
        """From a field's name to what it is (`at`, `own` or `created`), its types, and what is said of other ones."""
        if "time" not in set(names) - {table.time}:
            self.places["time"] = "at", numbers if table.time == "time" else int | str | None, "time: not a time"
        if table.time not in (None, "time"):
            self.places[str(table.time)] = "own", numbers, "time: not a time"
        if table.created not in (None, table.time):
            self.places[str(table.created)] = "created", numbers, "created: not a time"
        self.named = dict(self.places)
        """The same, and under the names of the table's source."""
        for their, ours in by_source(table, names).items():
            if ours[0] in self.places:
                attribute, _, refusal = self.places[ours[0]]
                self.named[their] = attribute, numbers, refusal

    def times(
        self, given: Mapping[str, list[Any]], arrival: NDArray[np.int64]
    ) -> tuple[dict[str, Times], list[Refusal]]:
        """Read `time` and `created` of events (n,), and say which are numbers in another unit.

        given: the values of `at`, `own` and `created`, as far as there are such fields; arrival: (n,) stands where
        there is none.
        """
        read = {attribute: self._read(attribute, values) for attribute, values in given.items()}
        found = {"time": self._read("own", [None] * len(arrival))}
        for attribute in ("own", "at"):
            if attribute in read:
                found["time"] = _first(read[attribute], found["time"])
        if "created" in read:
            found["created"] = read["created"]
        times, odd = {}, []
        for name, (values, missing, broken, unit) in found.items():
            times[name] = Times(np.where(missing, arrival, values), np.zeros_like(missing), broken)
            odd += [
                Refusal(f"{name}: {_elsewhere(form)}", unit == place)
                for place, form in enumerate(COUNTED, 1)
                if (unit == place).any()
            ]
        return times, odd

    def faults(self, field: str, values: list[Any], now: int) -> tuple[int, str, str] | None:
        """Say which of the values (n,) of a field is the first that is no time, what is wrong, and what to send.

        field: its name, of `named`. now: what the clock shows, microseconds since 1970 UTC.
        """
        attribute, kind, _ = self.named[field]
        example = 'for example "2011-12-09T12:50:00Z"'
        fitting: list[Any] = []
        for value in values:
            try:
                fitting.append(whole(value, kind))
            except msgspec.ValidationError:
                fitting.append("no time")
        read, missing, broken, unit = self._read(attribute, fitting)
        far = beyond(Times(read, missing, broken))
        for place in np.flatnonzero(broken | far | ((unit > 0) & (now >= OUR_DAYS))).tolist():
            value = values[place]
            if broken[place]:
                return place, repr(value), example
            if far[place]:
                return place, f"{value!r}, which lies {BEYOND}", example
            form = list(COUNTED)[unit[place] - 1]
            return place, f"{value}, which {_elsewhere(form)}", f"{counted(float(value), EPOCHS[form])} in microseconds"
        return None

    def allowed(self, field: str) -> str:
        """Say what a field may hold."""
        form, own = self.table.time_format, self.named[field][0] != "at" or self.table.time == "time"
        texts = "ISO 8601 text" if form is None or form in EPOCHS else f"ISO 8601 text, or text by {form!r}"
        counts = [COUNTED[form]] if own and form in EPOCHS else []
        counts += ["microseconds"] if "microseconds" not in counts and self.named[field][0] == "at" else []
        counts = counts or ["microseconds"]
        return f"{texts}, or {' or '.join(counts)} since 1970 UTC"

    def _read(self, attribute: str, values: list[Any]) -> _Read:
        form, unit = self.table.time_format, EPOCHS.get(self.table.time_format or "")
        given = values
        if attribute == "at":
            if self.table.time == "time" and unit is not None:
                # the row's own column, or the event's: which one, its size tells
                values = [_as_microseconds(value, unit) for value in values]
            unit = None
        if form is not None and form not in EPOCHS:
            values = [_as_digits(value, form) for value in values]
        found, missing, broken = moments(values, self.table.timezone, form, unit or "us")
        elsewhere = np.zeros(len(values), np.int8)
        for place in np.flatnonzero(~missing & ~broken & (np.abs(found) < YEAR)).tolist():
            elsewhere[place] = _unit(given[place], values[place], form)
        return found, missing, broken, elsewhere


def moments(values: list[Any], zone: str, form: str | None, unit: str) -> tuple[NDArray[np.int64], Mask, Mask]:
    """Read the times of events (n,): microseconds since 1970 UTC, which have none, and which are no times.

    Text is read as a batch reads it.

    zone, form: the table's; unit: what numbers count since 1970 UTC, whole or not: `s`, `ms`, `us` or `ns`.
    """
    n, kinds = len(values), set(map(type, values))
    if kinds <= {type(None)}:
        return np.zeros(n, np.int64), np.ones(n, np.bool_), np.zeros(n, np.bool_)
    if kinds == {int} and unit == "us":
        read, bad = array_of(values, pa.int64())
        return read.fill_null(0).to_numpy(zero_copy_only=False), np.zeros(n, np.bool_), bad
    missing = np.fromiter((value is None or value == "" for value in values), np.bool_, n)
    texts = pa.array([value if type(value) is str else None for value in values], pa.string())
    found, valid, aware = parse_text(texts, form)
    naive = valid & ~aware
    if zone != "UTC" and naive.any():
        local = pa.array(found[naive]).cast(pa.timestamp("us"))
        placed = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")
        found[naive] = placed.cast(pa.int64()).to_numpy()
    for place, value in enumerate(values if kinds & {int, float} else ()):
        if type(value) in (int, float) and abs(value) < 2**63 and abs(micro := counted(value, unit)) < 2**63:
            found[place], valid[place] = micro, True
    return found, missing, ~valid & ~missing


def counted(value: float, unit: str) -> int:
    """Give a count since 1970 as microseconds; of whole nanoseconds, rounded down.

    >>> counted(1.5, "s"), counted(1999, "ns")
    (1500000, 1)
    """
    if unit == "ns":
        return int(value // 1000)
    return round(value * SCALE[unit])


def whole(value: Any, kind: Any) -> Any:
    """Give a value in a type; a number without a fraction is a whole one. Raises `ValidationError`.

    >>> whole(2.0, int | None), whole(2.5, float)
    (2, 2.5)
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        if type(value) is not float or not value.is_integer():
            raise
    return msgspec.convert(int(value), kind)


def by_source(table: Table, names: Collection[str]) -> dict[str, list[str]]:
    """Give the names that columns have in a table's source, and which of the design's (n,) each stands for.

    A name that the design uses itself means what it means there.

    >>> by_source(Table("t", columns={"user": "userId|uid", "item": "movieId|"}), ["user", "item", "uid"])
    {'userId': ['user'], 'movieId': ['item']}
    """
    found: dict[str, list[str]] = {}
    for our, theirs in table.columns.items():
        for their in theirs.split("|") if our in names else ():
            if their not in ("", "table", "time", *names) and not ODD.search(their):
                found.setdefault(their, []).append(our)
    return found


def _first(one: _Read, other: _Read) -> _Read:
    """Give times (n,), and where there is none, others."""
    missing = one[1]
    return (
        np.where(missing, other[0], one[0]),
        missing & other[1],
        one[2] | (missing & other[2]),
        np.where(missing, other[3], one[3]),
    )


def _elsewhere(form: str) -> str:
    return f"lies in 1970, unless it counts {COUNTED[form]}"


def _unit(given: Any, value: Any, form: str | None) -> int:
    """Give the place, from 1 on, of the unit that brings a number of 1970 to our days; 0: none does, or it is a date.

    given: as it was sent; value: what was read for it.
    """
    if type(value) is str and (form not in EPOCHS or not _NUMBER.fullmatch(value)):
        return 0
    found = unit_of(np.array([float(given)]))
    return 0 if found is None else list(COUNTED).index(found) + 1


def _as_digits(value: Any, form: str) -> Any:
    """Give a number that as microseconds would lie in 1970 as its digits, where those are a time: 20240131."""
    if type(value) is not int or abs(value) >= YEAR:
        return value
    digits = str(value)
    return digits if parse_text(pa.array([digits]), form)[1][0] else value


def _as_microseconds(value: Any, unit: str) -> Any:
    """Give a number that as microseconds would lie in the first years after 1970, or far from now, in its unit."""
    if type(value) not in (int, float):
        return value
    theirs = abs(value) >= _LATEST if unit == "ns" else abs(value) < _EARLIEST.get(unit, 0)
    return counted(value, unit) if theirs else value
