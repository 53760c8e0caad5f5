"""Look-ups: columns of the newest row of an entity that was known at each request's own time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.design.features import Lookup
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.errors import DesignError
from bottega.features.arguments import Values, column, taken
from bottega.features.entities import Matched, by_columns, distinct_keys, match
from bottega.features.newest import newest_rows


def lookup_names(lookup: Lookup) -> list[str]:
    """Give the names of a look-up's columns: `{by}_{column}`.

    >>> lookup_names(Lookup("prices", ["shop", "item"], ["price"]))
    ['shop_item_price']
    """
    return [f"{'_'.join(by_columns(lookup.by))}_{name}" for name in lookup.columns]


def lookup_entities(lookup: Lookup, table: Table, log: Log, at: int) -> dict[str, pa.StringArray]:
    """Give the distinct keys that have a value at a moment, one array for each column of `by`.

    at: microseconds since 1970 UTC; larger gives more, but for rows that are older than the time to live.
    """
    oldest = _oldest(lookup, table, log)
    if oldest is not None and log.time is not None:
        log = log.take(log.time > at - oldest)
    return distinct_keys(log, lookup.by, at)


def lookup_columns(
    lookup: Lookup, table: Table, log: Log, keys: Mapping[str, pa.Array], at: NDArray[np.int64]
) -> dict[str, Values]:
    """Look up columns for questions (key, t), each at its own time.

    The row is that of the key with event time before t, known at t or before, which is last by (event time, known,
    order of arrival); with a time to live it counts only while its event time lies after t − ttl (at exactly t − ttl
    it is too old, and no older row takes its place). In a table without time the last row of a key holds for ever.
    A null in the row stays null: no older row fills it.

    table: for its time. log: its rows. keys: the columns of `by`, (n,) ids each; a null finds nothing. at: (n,)
    microseconds since 1970 UTC. Gives each name of `lookup_names` with (n,) values: float64 with NaN, datetime64[us]
    with NaT, or texts. Errors: `DataError` for a column that is not there, `DesignError` for a ttl without time.

    >>> log = Log("prices", pa.table({"item": ["a", "a"], "price": [2.0, 3.0]}), np.array([0, 5]), np.array([0, 5]))
    >>> prices, lookup = Table("prices", time="day"), Lookup("prices", "item", ["price"], ttl="5us")
    >>> keys = {"item": pa.array(["a"] * 4)}
    >>> lookup_columns(lookup, prices, log, keys, np.array([0, 5, 6, 10]))["item_price"].tolist()
    [nan, nan, 3.0, nan]
    """
    by = by_columns(lookup.by)
    at = np.asarray(at, np.int64)
    oldest = _oldest(lookup, table, log)
    found = match([log.column(name) for name in by], [keys[name] for name in by])
    if log.time is None:
        rows = _last_rows(found)
    else:
        known = log.time if log.known is None else log.known
        rows = newest_rows(found.events, log.time, known, found.asked, at, found.size)
        if oldest is not None and len(log.time):
            rows[(rows >= 0) & (log.time[rows] <= at - oldest)] = -1
    names = lookup_names(lookup)
    return {name: taken(column(log, source), rows) for name, source in zip(names, lookup.columns, strict=True)}


def _last_rows(found: Matched) -> NDArray[np.int64]:
    last = np.full(found.size + 1, -1, np.int64)
    last[found.events] = np.arange(len(found.events))  # of equal keys the last one stays
    last[-1] = -1  # the key −1
    rows: NDArray[np.int64] = last[found.asked]
    return rows


def _oldest(lookup: Lookup, table: Table, log: Log) -> int | None:
    if lookup.ttl is None:
        return None
    if log.time is None:
        place = f"features: Lookup in {table.name}"
        raise DesignError(
            place, f"ttl={lookup.ttl!r} on a table without time", "no ttl", "say which column holds it: time=…"
        )
    return microseconds(lookup.ttl)
