"""Rows of a log put together as requests, each candidate once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.keys import as_text, combined, encode, is_long
from bottega.data.labels import column_of
from bottega.data.log import Log
from bottega.design.examples import Logged


def in_requests(
    examples: Logged, log: Log, row: NDArray[np.int64], time: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Find the requests of rows: equal request columns at an equal time; without a candidate each row is one.

    row: (n,) of the log, in the order of time; time: (n,).
    Gives the first row of each request (r,), as a place in `row`, and the request of each row (n,).
    """
    named = {name: column_of(log, name, "data.examples.request") for name in examples.request}
    if examples.candidate is None:
        return np.arange(len(row)), np.arange(len(row), dtype=np.int32)
    when = np.cumsum(np.diff(time, prepend=time[:1]) > 0, dtype=np.int32)  # (n,) the place of its time
    columns = [(when, len(row))]
    for column in named.values():
        codes, vocabulary = encode(column)
        columns.append((codes[row] + 1, len(vocabulary) + 1))  # null is a value: 0
    _, first, group = np.unique(combined(columns), return_index=True, return_inverse=True)
    order = np.argsort(first)  # rows come in the order of time, then of arrival
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[group].astype(np.int32)


def once(group: NDArray[np.int32], candidate: pa.StringArray) -> NDArray[np.bool_]:
    """Mark the rows that have a candidate, and one that their request did not have before, (n,)."""
    codes, vocabulary = encode(candidate)
    _, first = np.unique(group.astype(np.int64) * (len(vocabulary) + 1) + codes, return_index=True)
    stays = np.zeros(len(codes), np.bool_)
    stays[first] = True
    return stays & (codes >= 0)


def renumbered(first: NDArray[np.int64], group: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Leave out the requests that have no row any more."""
    used, again = np.unique(group, return_inverse=True)
    return first[used], again.astype(np.int32)


def relevant(
    group: NDArray[np.int32], candidate: pa.StringArray | None, value: NDArray[np.float32]
) -> tuple[NDArray[np.int32], pa.StringArray]:
    """Give the pairs of request and candidate (p,) whose label is above 0, sorted."""
    if candidate is None:
        return np.empty(0, np.int32), pa.array([], pa.string())
    codes, vocabulary = encode(candidate)
    good = (value > 0) & (codes >= 0)
    size = max(len(vocabulary), 1)
    pairs = np.unique(group[good].astype(np.int64) * size + codes[good])
    return (pairs // size).astype(np.int32), vocabulary.take(pa.array(pairs % size))


def starts(group: NDArray[np.int32]) -> NDArray[np.int64]:
    """Give the first row of each request (r,), where rows of one stand together."""
    return np.flatnonzero(np.r_[True, group[1:] != group[:-1]])


def request_columns(examples: Logged, log: Log, ids: frozenset[str], row: NDArray[np.int64]) -> pa.Table:
    """Give the request's columns at some rows (r,): ids, text, and whole numbers that no float64 holds as text, other
    columns in their own type."""
    columns = {}
    for name in examples.request:
        column = log.column(name)
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        is_id = name in ids or is_text or is_long(column)
        columns[name] = (as_text(column) if is_id else column.combine_chunks()).take(pa.array(row))
    return pa.table(columns)
