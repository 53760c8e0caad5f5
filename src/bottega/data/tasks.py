"""Further labels of examples that are made from positives: what else the person did with a candidate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import TEST, TRAIN, VALIDATE, Requests
from bottega.data.keys import encode
from bottega.data.labels import holds
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.examples import FromPositives
from bottega.design.part import microseconds
from bottega.errors import DataError

Ints = NDArray[np.int64]


def task_labels(
    design: Design, log: Log, requests: Requests, group: NDArray[np.int32], candidate: pa.Array
) -> Mapping[str, NDArray[np.float32]]:
    """Give the further labels of candidates, name → (n,): 1 where the person has a row for which the label's `when` is
    true with the candidate in [t, t + matures_after], else 0.

    A label is missing (NaN) where its span ends after the log, or after the first request of the part that follows,
    since models learn nothing of that; rows that became known only then are no labels either.

    design: with FromPositives; log: of its table; group: (n,) the request of each candidate; candidate: (n,) ids.
    Raises `DataError`: a condition that the table's columns do not carry, or that no row meets.
    """
    examples, further = design.data.examples, design.data.labels[1:]
    if not isinstance(examples, FromPositives) or log.time is None:
        raise DataError("data.examples", type(examples).__name__, "FromPositives over a table with a time")
    person, people = encode(log.column(examples.request[0]))
    item, items = encode(log.column(examples.candidate))
    asking = encode(requests.columns.column(examples.request[0]), people)[0][group]
    offered = encode(candidate, items)[0]
    known = np.where((asking >= 0) & (offered >= 0), asking.astype(np.int64) * max(len(items), 1) + offered, -1)
    pair = np.where((person >= 0) & (item >= 0), person.astype(np.int64) * max(len(items), 1) + item, -1)
    time, part = requests.time[group], requests.part[group]
    found: dict[str, NDArray[np.float32]] = {}
    for place, label in enumerate(further, start=1):
        where = f"data.labels[{place}].when"
        rows = holds(log.rows, label.when or "", where) & (pair >= 0)
        if not rows.any():
            raise DataError(where, f"{label.when!r} holds for no row", "a condition that some rows meet")
        until = time + microseconds(label.matures_after)
        value = np.full(len(group), np.nan, np.float32)
        for number, end in _ends(requests, log).items():
            inside = (part == number) & (until < end)
            usable = rows if log.known is None else rows & (log.known <= end)
            value[inside] = _taken(pair[usable], log.time[usable], known[inside], time[inside], until[inside])
        found[label.name] = value
    return found


def _ends(requests: Requests, log: Log) -> dict[int, int]:
    """Give for each part the moment from which on models may know nothing that it says."""
    ends, end = {}, log.end()
    for part in (TEST, VALIDATE, TRAIN):
        ends[part] = end
        own = requests.time[requests.part == part]
        end = min(end, int(own.min())) if len(own) else end
    return ends


def _taken(pair: Ints, at: Ints, asked: Ints, begin: Ints, until: Ints) -> NDArray[np.bool_]:
    """Say of each pair asked for whether it has an event in [begin, until], (m,).

    pair, at: (e,) of the events. asked: (m,) pairs, −1 for one that has none.
    """
    pairs, moments = np.unique(pair), np.unique(at)
    size = len(moments) + 1
    events = np.sort(np.searchsorted(pairs, pair) * size + np.searchsorted(moments, at))
    place = np.minimum(np.searchsorted(pairs, asked), max(len(pairs) - 1, 0))
    there = pairs[place] == asked if len(pairs) else np.zeros(len(asked), np.bool_)
    low = np.searchsorted(events, place * size + np.searchsorted(moments, begin, side="left"))
    high = np.searchsorted(events, place * size + np.searchsorted(moments, until, side="right"))
    return there & (high > low)
