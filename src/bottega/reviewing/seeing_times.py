"""Looking at times: those that a design does not name, when examples were asked, and how far moments lie apart."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.data.time_text import guess_format
from bottega.data.times import Times, beyond, parse, unit_of_column
from bottega.design.design import Design
from bottega.errors import DataError
from bottega.reviewing.looking import DAY, examples_table
from bottega.reviewing.seen import Dated, Moment

NEARLY = 0.95
"""Share of the rows that must have a time."""

_SPAN = 2 * DAY  # shorter than that nothing changes
_SOME = 500  # texts from which the form is guessed
_MOMENTS = 10
_LONG = 100 * DAY  # longer logs are counted by days, others by hours
_TEXT = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_COUNTS = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|at|when|epoch|unix)($|_)", re.IGNORECASE)
_OF_A_PERSON = re.compile(r"birth|(^|_)(dob|born)($|_)", re.IGNORECASE)


def unnamed(design: Design, log: Log) -> tuple[dict[str, Dated], Log]:
    """Find the columns of times that a design without a time of its examples leaves unnamed, the earliest first.

    Those that nearly every row has count, where they lie over two days or more; days of birth, and the time at which a
    label came, say nothing of when was asked. Gives with them the log with the times of the first; rows without one
    have the earliest.
    """
    table, found = examples_table(design), []
    named = {name for label in design.data.labels for name in (label.name, label.observed_at)}
    for name in log.rows.column_names:
        if name in named or _OF_A_PERSON.search(name):
            continue
        times, form = _times(name, log.rows.column(name), table.timezone)
        if times is None:
            continue
        there = times.valid & ~beyond(times)
        inside = times.values[there]
        if len(inside) >= NEARLY * len(there) and np.ptp(inside) >= _SPAN:
            dated = Dated(int(inside.min()), int(inside.max()), form or "")
            found.append((float(np.median(inside)), name, dated, np.where(there, times.values, dated.begin)))
    found.sort(key=lambda one: one[:2])
    timed = replace(log, time=found[0][3], known=found[0][3]) if found else log
    return {name: dated for _, name, dated, _ in found}, timed


def moments(time: NDArray[np.int64], value: NDArray[np.float32]) -> tuple[Moment, ...]:
    """Count examples by the hour, or by the day where they lie over more than a hundred; with the range of the label.

    time: (n,) microseconds; value: (n,) of the main label.
    """
    if not len(time):
        return ()
    step = DAY if np.ptp(time) > _LONG else DAY // 24
    order = np.argsort(time // step, kind="stable")
    which, first, rows = np.unique(time[order] // step, return_index=True, return_counts=True)
    least, most = np.minimum.reduceat(value[order], first), np.maximum.reduceat(value[order], first)
    columns = (which * step, rows, least, most)
    return tuple(Moment(*one) for one in zip(*(column.tolist() for column in columns), strict=True))


def spacing(time: NDArray[np.int64]) -> tuple[int, int] | None:
    """Give what nine of ten times from one moment to the next are no shorter, and no longer than; of few, nothing."""
    apart = np.diff(np.unique(time))
    if len(apart) < _MOMENTS - 1:
        return None
    low, high = np.quantile(apart, [0.1, 0.9], method="nearest")
    return int(low), int(high)


def _times(name: str, column: pa.ChunkedArray, zone: str) -> tuple[Times | None, str | None]:
    """Read a column as times, with the form by which that goes; nothing for one that looks like something else."""
    kind, form = column.type, None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        some = [text for text in pc.unique(column.slice(0, 20 * _SOME)).to_pylist() if text][:_SOME]
        if not some or not _TEXT.search(some[0]):
            return None, None
        form = next(iter(guess_format(some)), None)
    elif pa.types.is_integer(kind) and _COUNTS.search(name):
        form = unit_of_column(column)
        if form is None:
            return None, None
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return None, None
    try:
        return parse(column, name, zone, form), form
    except DataError:
        return None, None
