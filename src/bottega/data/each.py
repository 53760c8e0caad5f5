"""Requests made from a log of positives of which each is a request of its own, as a feed is read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.cuts import begin_of_test
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE, Requests
from bottega.data.keys import as_text, encode, identifiers
from bottega.data.log import Log
from bottega.data.splits import check_parts
from bottega.design.data import TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Each, FromPositives
from bottega.design.part import microseconds
from bottega.errors import DataError


def each(design: Design, log: Log) -> Requests:
    """Make a request of each first time that a person takes a candidate, at that time.

    Relevant are the candidates that the person takes for the first time in [t, t + horizon], the request's own among
    them; a later first time within the horizon is a request of its own too. Unless the examples take newcomers, a
    person asks once they have taken something before. Validation and test begin as the split says; with the gap
    g = max(horizon, embargo or maturity) training ends before validation by g, and validation before the test. The
    request's other columns are those of the row.

    log: of the examples' table. Gives requests in the order of time, then of arrival; those in a gap are of no part.
    Raises `DataError`: an empty part, examples of another kind.
    """
    examples, split = design.data.examples, design.data.split
    if (
        not isinstance(examples, FromPositives)
        or not isinstance(examples.requests, Each)
        or not isinstance(split, TimeSplit)
        or log.time is None
    ):
        raise DataError("data.examples", type(examples).__name__, "FromPositives at Each, over a table with a time")
    person, _ = encode(log.column(examples.request[0]))
    item, items = encode(log.column(examples.candidate))
    order = np.argsort(log.time, kind="stable")
    order = order[(person[order] >= 0) & (item[order] >= 0)]
    pair = person[order].astype(np.int64) * max(len(items), 1) + item[order]
    row = order[np.sort(np.unique(pair, return_index=True)[1])]  # the first of each pair
    time = log.time[row]
    if not examples.newcomers:
        known = _known(person[row])
        row, time = row[known], time[known]
    part = _parts(examples.requests, split, design, log, time, microseconds(examples.horizon))
    asks = part != UNUSED
    row, time, part = row[asks], time[asks], part[asks]
    check_parts(part)
    owner, taken = _relevant(person[row], item[row], time, microseconds(examples.horizon))
    ids = identifiers(design)
    return Requests(
        pa.table({name: _column(log, name, ids).take(pa.array(row)) for name in examples.request}),
        time,
        part,
        owner,
        items.take(pa.array(taken)),
    )


def _known(person: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark the rows whose person stands in an earlier row, (n,)."""
    known = np.ones(len(person), np.bool_)
    known[np.unique(person, return_index=True)[1]] = False
    return known


def _parts(
    requests: Each, split: TimeSplit, design: Design, log: Log, time: NDArray[np.int64], horizon: int
) -> NDArray[np.int8]:
    maturity = max(microseconds(label.matures_after) for label in design.data.labels)
    gap = max(horizon, maturity if split.embargo is None else microseconds(split.embargo))
    test = begin_of_test(split, log)
    length = log.end() - test if split.validate is None else microseconds(split.validate)
    validate = test - gap - length
    begin = (0 if log.time is None else int(log.time.min())) + microseconds(requests.warm_up)
    if requests.train is not None:
        begin = max(begin, validate - gap - microseconds(requests.train))
    part = np.full(len(time), UNUSED, np.int8)
    part[(time >= begin) & (time < validate - gap)] = TRAIN
    part[(time >= validate) & (time < test - gap)] = VALIDATE
    part[(time >= test) & (time < log.end() - horizon)] = TEST
    return part


def _relevant(
    person: NDArray[np.int32], item: NDArray[np.int32], time: NDArray[np.int64], horizon: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give each request (r,) what its person takes from its time to the horizon's end: owners ascending, and items."""
    rows = np.lexsort((time, person))
    first = np.empty(len(rows), np.int64)  # places within `rows`
    last = np.empty(len(rows), np.int64)
    bounds = (
        np.r_[np.flatnonzero(np.r_[True, np.diff(person[rows]) != 0]), len(rows)] if len(rows) else np.zeros(1, int)
    )
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        own = time[rows[low:high]]
        first[low:high] = low + np.searchsorted(own, own, side="left")
        last[low:high] = low + np.searchsorted(own, own + horizon, side="right")
    begin, end = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    begin[rows], end[rows] = first, last
    size = end - begin
    owner = np.repeat(np.arange(len(rows)), size)
    place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + np.repeat(begin, size)
    taken = item[rows[place]]
    by_owner = np.lexsort((taken, owner))
    return owner[by_owner].astype(np.int32), taken[by_owner]


def _column(log: Log, name: str, ids: frozenset[str]) -> pa.Array:
    column = log.column(name)
    is_text = name in ids or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return as_text(column) if is_text else column.combine_chunks()
