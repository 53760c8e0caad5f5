"""Tiles as Ibis expressions: what a store keeps of a log as of a moment, made by any engine.

The rows that may be used at the moment make the state; those that have come and may be used only later are given one by
one. Both are plain tables, from which `records_tiles` makes an entity's record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ibis  # type: ignore[import-untyped]

from bottega.design.data import Label
from bottega.features.expressions import parse, to_ibis
from bottega.features.ibis_windows import ARRIVAL, KNOWN, clock_of, key_of, rest, value_of
from bottega.features.tracks import EVERY, Track

BUCKET, ROWS, AS_OF, VALUE = "bucket", "rows", "as_of", "value"
"""Columns of states beside the keys: the number of a tile, `floor(time / hop)`, 0 of a track with one for all time; its
rows; the moment of which its decayed sums are, in microseconds; a distinct value."""


def state_expression(
    track: Track,
    by: Sequence[str],
    events: Any,
    at: int,
    *,
    after: int | None = None,
    labels: Sequence[Label] = (),
    zone: str = "UTC",
) -> Any:
    """Give a table of what a track holds of each entity at a moment: of the rows with `max(time + 1, known) ≤ at`.

    Its columns are those of `by`, and by the kind of the track: *tiles* `bucket`, `rows` and for argument i as its
    cells need `count_i`, `sum_i`, `min_i`, `max_i` and `decayed_i_{half life}`, the last as of the moment in `as_of`;
    *distinct* `value` and the newest `time` at which it came; *newest* and *row* `time`, `known` and `value_i` of the
    one row that is last by (time, known, arrival). What no cell reaches any more is left out.

    by: names of the key's columns. events: an Ibis table like `events_table`. at: microseconds since 1970 UTC; larger
    takes more rows. after: only rows that could not be used yet at this earlier moment, whose state `merged_expression`
    adds them to. labels: those of the table; the track says which it reads. zone: where parts of times are read.
    Tested on DuckDB and Spark, *tiles* and *distinct* on Polars too, which has no `row_number` in Ibis.
    """
    rows = rows_of(track, by, events, labels, zone)
    rows = rows.filter((rows.time < at) & (rows.known <= at))
    if after is not None:
        rows = rows.filter((rows.time >= after) | (rows.known > after))
    oldest = oldest_of(track, at)
    if oldest is not None:
        rows = rows.filter(rows.time >= oldest)
    if track.kind == "tiles":
        made = _tiles(track, by, rows, at)
    elif track.kind == "distinct":
        filled = rows.filter(rows.value_0.notnull()).rename({VALUE: "value_0"})
        made = filled.group_by([*keys_of(by), VALUE]).aggregate(time=filled.time.max())
    else:
        filled = rows if track.kind == "row" else rows.filter(rows.value_0.notnull())
        place = ibis.row_number().over(
            group_by=keys_of(by), order_by=[filled.time.desc(), filled.known.desc(), filled.arrival.desc()]
        )
        placed = filled.mutate(place=place)
        made = placed.filter(placed.place == 0).select([name for name in rows.columns if name != "arrival"])
    return _named(made, by)


def waiting_expression(
    track: Track,
    by: Sequence[str],
    events: Any,
    at: int,
    *,
    labels: Sequence[Label] = (),
    zone: str = "UTC",
    delay: int = 0,
) -> Any:
    """Give a table of the rows that have come by a moment and may be used only later, in the order of arrival.

    A row has come when the later of its event time and `created` lies at the moment or before. Its columns are those of
    `by`, `time`, `known`, `arrival`, and `value_i` for each argument.

    delay: microseconds of the table's `available_after`, by which rows are known later than they come. The others as
    for `state_expression`.
    """
    rows = rows_of(track, by, events, labels, zone)
    late = rows.filter((rows.known <= at + delay) & ((rows.time >= at) | (rows.known > at)))
    return _named(late, by).order_by("arrival")


def rows_of(track: Track, by: Sequence[str], events: Any, labels: Sequence[Label], zone: str) -> Any:
    """Give the rows that a track takes: `key_0` …, `time`, `known`, `arrival`, and `value_0` … of its arguments."""
    rows = events if track.where is None else events.filter(to_ibis(parse(track.where, zone), events, condition=True))
    values = [
        _column(rows[text]) if track.kind == "row" else value_of(rows, parse(text, zone)) for text in track.arguments
    ]
    rows = rows.select(
        **{key: key_of(rows, name) for key, name in zip(keys_of(by), by, strict=True)},
        time=clock_of(rows, [label for label in labels if label.name in track.labels]),
        known=rows[KNOWN],
        arrival=rows[ARRIVAL],
        **{f"value_{place}": value for place, value in enumerate(values)},
    )
    return rows.filter([rows[key].notnull() for key in keys_of(by)])


def _column(column: Any) -> Any:
    """Give a column of a look-up: numbers as float64, NaN as null."""
    kind = column.type()
    if not (kind.is_numeric() or kind.is_boolean()):
        return column
    value = column.cast("float64")
    return value.isnan().ifelse(ibis.null("float64"), value) if kind.is_floating() else value


def _tiles(track: Track, by: Sequence[str], rows: Any, at: int) -> Any:
    bucket = ibis.literal(0, "int64")
    if track.hop != EVERY:
        bucket = ((rows.time - rest(rows.time, track.hop)) / track.hop).cast("int64")
    rows = rows.mutate(**{BUCKET: bucket})
    parts: dict[str, Any] = {ROWS: rows.count()}
    for cell in track.cells:
        if cell.argument < 0:
            continue
        value, place = rows[f"value_{cell.argument}"], cell.argument
        if cell.function in ("count", "avg"):
            parts[f"count_{place}"] = value.count()
        if cell.function in ("sum", "avg"):
            parts[f"sum_{place}"] = ibis.coalesce(value.sum(), 0.0)
        if cell.function in ("min", "max"):
            parts[f"{cell.function}_{place}"] = value.min() if cell.function == "min" else value.max()
        if cell.half_life is not None:
            faded = value * weight(at - rows.time, cell.half_life)
            parts[f"decayed_{place}_{cell.half_life}"] = ibis.coalesce(faded.sum(), 0.0)
    made = rows.group_by([*keys_of(by), BUCKET]).aggregate(**parts)
    return made.mutate(**{AS_OF: ibis.literal(at, "int64")}) if any(cell.half_life for cell in track.cells) else made


def oldest_of(track: Track, at: int) -> int | None:
    """Give the first time that any cell reaches at a moment; nothing: all."""
    tails = [None if cell.length is None else (at - cell.length) // cell.hop * cell.hop for cell in track.cells]
    known = [tail for tail in tails if tail is not None]
    return min(known) if len(known) == len(tails) else None


def weight(age: Any, half_life: int) -> Any:
    """Give 2^(−age / half life). age: an Ibis column of microseconds, from 0 up."""
    return (age.cast("float64") / float(half_life) * -math.log(2)).exp()


def keys_of(by: Sequence[str]) -> list[str]:
    """Name the columns of a key within an expression, whatever a table calls them."""
    return [f"key_{place}" for place in range(len(by))]


def _named(table: Any, by: Sequence[str]) -> Any:
    return table.rename(dict(zip(by, keys_of(by), strict=True)))
