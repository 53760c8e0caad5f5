"""Requests of a search: what people ask, and which candidates were judged right for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import Requests
from bottega.data.keys import as_text, encode, identifiers
from bottega.data.labels import numbers_of
from bottega.data.log import Log
from bottega.data.splits import at_random, by_chance, by_group, check_parts, given, held_out
from bottega.design.data import GivenSplit, GroupSplit, RandomSplit
from bottega.design.design import Design
from bottega.design.examples import Judged
from bottega.errors import DataError, nearest


def judged(design: Design, judgements: Log, asked: Log) -> Requests:
    """Make the requests of judged examples, in the order of their table, with the grade of each right candidate.

    A request is a row of `asked` with at least one candidate of a grade above 0; of rows that name one request the last
    counts, and of several grades of one pair the best. All stand at time 0.

    judgements: a row for each pair; without a column for the label each pair is right. asked: a row for each request.
    Raises `DataError`: no such column, no pair that names a request, a part that is empty.
    """
    examples = design.data.examples
    if not isinstance(examples, Judged):
        raise DataError("data.examples", type(examples).__name__, "Judged")
    query, names = encode(asked.column(examples.query))
    last = np.full(len(names), -1, np.int64)
    last[query[query >= 0]] = np.flatnonzero(query >= 0)
    pair_query = encode(judgements.column(examples.query), names)[0]
    item, items = encode(judgements.column(examples.candidate))
    label = design.data.labels[0].name
    if label in judgements.rows.column_names or nearest(label, judgements.rows.column_names):  # else numbers_of tells
        grade = numbers_of(judgements, label, "data.labels[0].name", "grades as numbers, 0 is wrong")
    else:
        grade = np.ones(len(item))
    right = (pair_query >= 0) & (item >= 0) & (np.nan_to_num(grade) > 0)
    if not right.any():
        raise DataError(
            "data.examples",
            f"no judgement above 0 whose {examples.query} stands in {examples.requests!r}",
            "at least one right candidate for some request",
            "look whether both tables name requests alike",
        )
    pairs, place = np.unique(pair_query[right].astype(np.int64) * len(items) + item[right], return_inverse=True)
    best = np.zeros(len(pairs), np.float32)
    np.maximum.at(best, place, grade[right].astype(np.float32))
    kept = np.unique(pairs // len(items))  # codes of the requests that have a right candidate
    order = np.argsort(last[kept], kind="stable")
    number = np.full(len(names), -1, np.int64)
    number[kept[order]] = np.arange(len(kept))
    owner = number[pairs // len(items)]
    by_owner = np.lexsort((pairs % len(items), owner))
    rows = pa.array(last[kept[order]])
    part = _parts(design, examples, judgements, asked, names.take(pa.array(kept[order])))
    check_parts(part)
    ids = identifiers(design)
    return Requests(
        pa.table({name: _column(asked, name, ids).take(rows) for name in examples.request}),
        np.zeros(len(kept), np.int64),
        part,
        owner[by_owner].astype(np.int32),
        items.take(pa.array((pairs % len(items))[by_owner])),
        best[by_owner],
    )


def _column(asked: Log, name: str, ids: frozenset[str]) -> pa.Array:
    column = asked.column(name)
    is_text = name in ids or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return as_text(column) if is_text else column.combine_chunks()


def _parts(design: Design, examples: Judged, judgements: Log, asked: Log, names: pa.StringArray) -> NDArray[np.int8]:
    """Part the requests (r,), named so: by a column of their own table, else of the judgements."""
    split = design.data.split
    if isinstance(split, RandomSplit):
        return at_random(split, len(names))
    if isinstance(split, GroupSplit):
        return by_group(split, _of_requests(split.by, examples, judgements, asked, names))
    if not isinstance(split, GivenSplit):
        raise DataError("data.split", type(split).__name__, "GivenSplit, GroupSplit or RandomSplit: there is no time")
    there = split.column in {*asked.rows.column_names, *judgements.rows.column_names}
    if not there and split.otherwise is not None:
        return by_chance(split.otherwise, names)
    return held_out(split, given(split, _of_requests(split.column, examples, judgements, asked, names)), names)


def _of_requests(column: str, examples: Judged, judgements: Log, asked: Log, names: pa.StringArray) -> pa.Array:
    """Give a column's value for each request (r,); `DataError` where the rows of one request disagree."""
    table = asked if column in asked.rows.column_names else judgements
    owner, (values, words) = encode(table.column(examples.query), names)[0], encode(as_text(table.column(column)))
    known = owner >= 0
    found = np.full(len(names), -1, np.int64)
    found[owner[known]] = values[known]
    odd = np.flatnonzero(known & (found[owner] != values))
    if len(odd):
        name = names[int(owner[odd[0]])].as_py()
        raise DataError(
            f"data.tables[{table.name}].{column}",
            f"several values for the request {name!r}",
            "one part for each request",
            "let all its rows have the same value",
        )
    return words.take(pa.array(found, mask=found < 0))
