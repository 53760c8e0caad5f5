"""Windows as one Ibis expression: the same definitions for any engine that Ibis speaks to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ibis  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.data import Label
from bottega.design.features import Window
from bottega.design.part import microseconds
from bottega.features.aggregates import ZERO_WHEN_EMPTY, Aggregate, parse_aggregate
from bottega.features.entities import by_columns
from bottega.features.expressions import Parsed, parse, to_ibis
from bottega.features.spans import ENDLESS, Span, spans
from bottega.features.windows import window_names

TIME, KNOWN, ARRIVAL = "event_us", "known_us", "log_row"
"""Columns of the events beside the table's own: int64 microseconds since 1970 UTC twice, and the place in the log."""
ROW, AT = "example_row", "at_us"
"""Columns of the examples beside the keys: a number that names the example, and its time in microseconds (int64)."""
TEXT = "text_of_"
"""Begins the name of a key's column as text, beside one that is none."""
_LARGEST = float(np.finfo(np.float64).max)


def events_table(log: Log, by: str | Sequence[str]) -> pa.Table:
    """Give a log's rows as expressions read them: with TIME, KNOWN and ARRIVAL, and as text the keys that are none.

    The rows of a table without time were always there: both of their times are the smallest integer.
    """
    rows = log.rows
    for name in by_columns(by):
        if not pa.types.is_string(log.column(name).type):
            rows = rows.append_column(f"{TEXT}{name}", as_text(log.column(name)))
    time = np.full(rows.num_rows, ENDLESS) if log.time is None else log.time
    known = time if log.known is None else log.known
    for name, values in ((TIME, time), (KNOWN, known), (ARRIVAL, np.arange(rows.num_rows))):
        rows = rows.append_column(name, pa.array(values, pa.int64()))
    return rows


def window_expression(
    window: Window, events: Any, examples: Any, *, labels: Sequence[Label] = (), zone: str = "UTC"
) -> Any:
    """Give a table with ROW and the window's columns for each example: what `window_columns` computes, on any engine.

    It joins each example with all its key's rows that were known, and aggregates: right everywhere, and slow where a
    key has many rows and many examples. Times come as timestamps. Not for windows whose terms overflow a float.

    events: an Ibis table like `events_table`. examples: an Ibis table with ROW, AT and the columns of `by`, of the same
    types. labels, zone: as for `window_columns`. Tested on DuckDB and Polars.
    """
    by = by_columns(window.by)
    where = None if window.where is None else parse(window.where, zone)
    items = [_Item(index, text, zone, where, labels) for index, text in enumerate(window.values.values())]
    clocks = {item.labels: f"clock_{item.labels.bit_count()}_{item.labels}" for item in items}
    rows = events if where is None else events.filter(to_ibis(where, events, condition=True))
    rows = rows.select(
        **{f"key_{place}": key_of(rows, name) for place, name in enumerate(by)},
        **{
            name: clock_of(rows, [label for bit, label in enumerate(labels) if chosen & 2**bit])
            for chosen, name in clocks.items()
        },
        **{item.value: value_of(rows, item.parsed) for item in items if item.parsed is not None},
        known=rows[KNOWN],
        arrival=rows[ARRIVAL],
    )
    orders = {clocks[item.labels] for item in items if item.aggregate.function == "last"}
    rows = rows.mutate(**{f"order_{name}": order_of(rows, name) for name in sorted(orders)})
    asked = examples.select(
        row=examples[ROW], at=examples[AT], **{f"ask_{i}": examples[name] for i, name in enumerate(by)}
    )
    joined = asked.join(rows, [asked[f"ask_{place}"] == rows[f"key_{place}"] for place in range(len(by))])
    joined = joined.filter(joined.known <= joined["at"])
    cells = {
        name: (item, span)
        for name, (item, span) in zip(window_names(window), ((x, y) for x in items for y in spans(window)), strict=True)
    }
    gathered = joined.group_by("row").aggregate(
        **{name: _cell(joined, item, span, clocks[item.labels]) for name, (item, span) in cells.items()}
    )
    result = asked.select("row").left_join(gathered, "row").drop("row_right")
    filled = {
        name: result[name].fill_null(0).cast("float64")
        for name, (item, _) in cells.items()
        if item.aggregate.function in ZERO_WHEN_EMPTY
    }
    result = result.mutate(**filled)
    return result.select(**{ROW: result["row"]}, **{name: result[name] for name in cells})


class _Item:
    """One aggregate, and by the bits of `labels` which of the labels it reads."""

    def __init__(self, index: int, text: str, zone: str, where: Parsed | None, labels: Sequence[Label]) -> None:
        self.aggregate: Aggregate = parse_aggregate(text)
        self.parsed = self.aggregate.parsed(zone)
        self.value = f"value_{index}"
        read = frozenset[str]().union(*(part.columns for part in (self.parsed, where) if part is not None))
        self.labels = sum(2**bit for bit, label in enumerate(labels) if read & {label.name, label.observed_at})


def key_of(rows: Any, name: str) -> Any:
    """Give a column of the key as text. rows: an Ibis table like `events_table`."""
    return rows[f"{TEXT}{name}" if f"{TEXT}{name}" in rows.columns else name]


def clock_of(rows: Any, labels: Sequence[Label]) -> Any:
    """Give what decides membership: event time, or when the last of some labels was known."""
    times = []
    for label in labels:
        time = rows[TIME] + microseconds(label.matures_after)
        if label.observed_at is not None:
            seconds = to_ibis(parse(f'epoch("{label.observed_at}")'), rows)
            time = ibis.coalesce((seconds * 1e6).round().cast("int64"), time)
        times.append(time)
    return ibis.greatest(*times) if len(times) > 1 else times[0] if times else rows[TIME]


def value_of(rows: Any, parsed: Parsed) -> Any:
    """Give an expression over an Ibis table's rows; a number that is not finite is null, and −0 is 0."""
    value = to_ibis(parsed, rows)
    if value.type().is_boolean():
        value = value.cast("float64")
    if not value.type().is_numeric():
        return value
    value = value.cast("float64")
    # Engines may tell −0 from 0. Infinity fails the second test, and so does NaN, which they hold for the largest.
    return ibis.cases((value == 0, 0.0), (value.abs() <= _LARGEST, value))


def _inside(joined: Any, span: Span, clock: str) -> Any:
    time, at = joined[clock], joined["at"]
    if span.length is None:
        return time < at
    end = at - span.length
    return (time < at) & (time >= end - rest(end, span.hop))


def rest(time: Any, hop: int) -> Any:
    """Give how far a time lies behind the last multiple of a hop: engines differ in the sign of a remainder."""
    return ((time % hop) + hop) % hop


def order_of(rows: Any, clock: str) -> Any:
    """Give texts that sort as (time, known, arrival) do: each number is moved to where all have 19 digits."""
    first, second, third = ((rows[name] + 2**62).cast("string") for name in (clock, "known", "arrival"))
    return first + second + third


def _cell(joined: Any, item: _Item, span: Span, clock: str) -> Any:
    inside = _inside(joined, span, clock)
    function = item.aggregate.function
    if item.parsed is None:
        return joined.count(where=inside)
    value = joined[item.value]
    if function == "count":
        return value.count(where=inside)
    if function == "last":
        return value.argmax(joined[f"order_{clock}"], where=inside & value.notnull())
    if function == "distinct":
        return value.nunique(where=inside & value.notnull())  # some engines count a null
    if function == "decayed_sum":
        age = ibis.greatest(joined["at"] - joined[clock], 0).cast("float64") / float(item.aggregate.half_life or 1)
        value = value * (age * -math.log(2)).exp()
    method = {"sum": "sum", "decayed_sum": "sum", "avg": "mean", "min": "min", "max": "max"}[function]
    return getattr(value, method)(where=inside)
