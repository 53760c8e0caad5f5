"""Requests made from a log of positives of which each is a request of its own, as a feed is read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.cuts import FOREVER, begin_of_test, waits
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE, Requests
from bottega.data.keys import as_text, encode, identifiers
from bottega.data.log import Log
from bottega.data.positives import positive
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
    person asks once it is known that they have taken something before. Validation and test begin as the split says;
    with the label's maturity m (at least the horizon) and the gap g = max(horizon, embargo or m plus the table's
    `available_after`) training ends before validation by g, validation before the test by g, and the test before the
    log's end by m. What became known only after the part that follows had begun is neither a request nor relevant. The
    request's other columns are those of the row. Rows that are no positives, by `where`, take nothing, and are events
    that a person had before all the same.

    log: of the examples' table. Gives requests in the order of time, then of arrival; those in a gap are of no part.
    Raises `DataError`: an empty part, examples of another kind, what `positive` refuses.
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
    order = order[((person >= 0) & (item >= 0) & positive(examples, log))[order]]
    pair = person[order].astype(np.int64) * max(len(items), 1) + item[order]
    row = order[np.sort(np.unique(pair, return_index=True)[1])]  # the first of each pair
    time, known = log.time[row], (log.time if log.known is None else log.known)[row]
    horizon = microseconds(examples.horizon)
    gaps = waits(design, split, examples, design.data.labels[:1])  # of further labels some are not known
    part, borders = _parts(examples.requests, split, log, time, gaps)
    known_by = np.array([*borders, FOREVER, FOREVER])[part]
    asks = (part != UNUSED) & (known <= known_by)
    if not examples.newcomers:
        asks &= _since(log, person, item)[person[row]] <= time
    check_parts(part[asks])
    owner, taken = _relevant(person[row], time, asks, horizon)
    there = known[taken] <= known_by[asks][owner]
    owner, taken = owner[there], item[row][taken[there]]
    by_owner = np.lexsort((taken, owner))
    row, time, part = row[asks], time[asks], part[asks]
    ids = identifiers(design)
    return Requests(
        pa.table({name: _column(log, name, ids).take(pa.array(row)) for name in examples.request}),
        time,
        part,
        owner[by_owner].astype(np.int32),
        items.take(pa.array(taken[by_owner])),
    )


def _since(log: Log, person: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.int64]:
    """Give from when on it is known of each person that they had an event, (people,)."""
    named = (person >= 0) & (item >= 0)
    since = np.full(int(person.max(initial=-1)) + 1, FOREVER)
    if log.time is not None:
        usable = log.time + 1 if log.known is None else np.maximum(log.time + 1, log.known)  # not at its own time yet
        np.minimum.at(since, person[named], usable[named])
    return since


def _parts(
    requests: Each, split: TimeSplit, log: Log, time: NDArray[np.int64], gaps: tuple[int, int]
) -> tuple[NDArray[np.int8], tuple[int, int]]:
    """Give the part of each row (n,), and when validation and the test begin. gaps: what `waits` gives."""
    maturity, gap = gaps
    test = begin_of_test(split, log)
    length = log.end() - test if split.validate is None else microseconds(split.validate)
    validate = test - gap - length
    begin = (0 if log.time is None else int(log.time.min())) + microseconds(requests.warm_up)
    oldest = begin if requests.train is None else max(begin, validate - gap - microseconds(requests.train))
    part = np.full(len(time), UNUSED, np.int8)
    part[(time >= oldest) & (time < validate - gap)] = TRAIN
    part[(time >= max(begin, validate)) & (time < test - gap)] = VALIDATE
    part[(time >= max(begin, test)) & (time < log.end() - maturity)] = TEST
    return part, (validate, test)


def _relevant(
    person: NDArray[np.int32], time: NDArray[np.int64], asks: NDArray[np.bool_], horizon: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each request what its person takes from its time to the horizon's end: requests ascending, and rows.

    person, time: (n,) of all rows. asks: (n,) those of them that are requests.
    """
    rows = np.lexsort((time, person))
    begin, end = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)  # places within `rows`
    bounds = [*np.flatnonzero(np.diff(person[rows], prepend=-1)).tolist(), len(rows)]
    for low, high in pairwise(bounds):
        here, own = rows[low:high], time[rows[low:high]]
        begin[here] = low + np.searchsorted(own, own, side="left")
        end[here] = low + np.searchsorted(own, own + horizon, side="right")
    begin, size = begin[asks], (end - begin)[asks]
    owner = np.repeat(np.arange(len(size)), size)
    place = np.arange(size.sum()) + np.repeat(begin - np.cumsum(size) + size, size)
    return owner, rows[place]


def _column(log: Log, name: str, ids: frozenset[str]) -> pa.Array:
    column = log.column(name)
    is_text = name in ids or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return as_text(column) if is_text else column.combine_chunks()
