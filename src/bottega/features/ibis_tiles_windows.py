"""Windows from tiles as one Ibis expression: for keys with many rows and many examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ibis  # type: ignore[import-untyped]

from bottega.design.data import Label
from bottega.design.features import Window
from bottega.features.aggregates import ZERO_WHEN_EMPTY
from bottega.features.entities import by_columns
from bottega.features.ibis_tiles import keys_of, rows_of, weight
from bottega.features.ibis_windows import AT, ROW, order_of, rest
from bottega.features.tracks import Cell, Track, window_tracks
from bottega.features.windows import window_names

_HOUR = 3_600_000_000  # microseconds of a tile where no tail has to lie between two


def tiled_window_expression(
    window: Window, events: Any, examples: Any, *, labels: Sequence[Label] = (), zone: str = "UTC"
) -> Any:
    """Give what `window_expression` gives, without joining an example with all rows of its key.

    An example meets the tiles of its key that had ended, one by one the rows of the tile in which it lies, and those
    that were known only after their tile had ended. So the work grows with tiles, not with rows, which is less where
    a tile holds several, and a little more where it holds one. With exact tails each row is a tile.

    The parameters are those of `window_expression`. Tested on DuckDB and Spark.
    """
    by = by_columns(window.by)
    asked = examples.select(
        row=examples[ROW], at=examples[AT], **{f"ask_{place}": examples[name] for place, name in enumerate(by)}
    )
    result, zero = asked.select("row"), set[str]()
    for track in window_tracks(window, labels, lambda *_: "number"):
        result = result.left_join(_answers(track, by, events, asked, labels, zone), "row").drop("row_right")
        zero |= {cell.column for cell in track.cells if cell.function in ZERO_WHEN_EMPTY}
    columns = {name: result[name] for name in window_names(window)}
    filled = {name: value.fill_null(0).cast("float64") if name in zero else value for name, value in columns.items()}
    return result.select(**{ROW: result["row"]}, **filled)


def _answers(track: Track, by: Sequence[str], events: Any, asked: Any, labels: Sequence[Label], zone: str) -> Any:
    """Give a table with `row` and the cells of a track, for the examples that meet any of its rows."""
    rows = rows_of(track, by, events, labels, zone)
    if track.kind != "tiles":
        rows = rows.filter(rows.value_0.notnull())
    hops = [cell.hop for cell in track.cells if cell.length is not None]
    hop = math.gcd(*hops) if hops else _HOUR
    start = rows.time - rest(rows.time, hop)
    rows = rows.mutate(start=start, end=start + hop, ready=ibis.greatest(rows.time + 1, rows.known))
    single, tiles = _single(track, by, rows), _tiles(track, by, rows.filter(rows.ready <= rows.end))
    asked = asked.mutate(tile=asked["at"] - rest(asked["at"], hop))
    same = [(f"ask_{place}", key) for place, key in enumerate(keys_of(by))]
    names = [name for name in single.columns if name not in ("start", "end", "ready", *keys_of(by))]
    parts = []
    for pieces, on in (
        (single.filter(single.ready <= single.end), [*same, ("tile", "start")]),
        (single.filter(single.ready > single.end), same),
        (tiles, same),
    ):
        joined = asked.join(pieces, [asked[ours] == pieces[theirs] for ours, theirs in on])
        parts.append(joined.filter(joined.ready <= joined["at"]).select("row", "at", *names))
    met = ibis.union(*parts, distinct=False)
    return met.group_by("row").aggregate(**{cell.column: _cell(track, met, cell) for cell in track.cells})


def _single(track: Track, by: Sequence[str], rows: Any) -> Any:
    """Give each row as a piece: what a tile with that row alone would hold."""
    rows = rows.mutate(as_of=rows.time)
    if track.kind == "newest":
        rows = rows.mutate(order=order_of(rows, "time"))
    if track.kind == "tiles":
        rows = rows.mutate(**{name: value for name, (value, _) in _parts(track, rows).items()})
    names = {"distinct": ["value_0"], "newest": ["value_0", "order"]}.get(track.kind, list(_parts(track, rows)))
    return rows.select(*keys_of(by), "start", "end", "ready", "time", "as_of", *names)


def _tiles(track: Track, by: Sequence[str], rows: Any) -> Any:
    """Give the tiles of rows that were ready when theirs ended, from when on they are used."""
    keys = [*keys_of(by), "start", "end"]
    if track.kind == "distinct":
        made = rows.select(*keys, "value_0").distinct()
    elif track.kind == "newest":
        rows = rows.mutate(order=order_of(rows, "time"))
        made = rows.group_by(keys).aggregate(value_0=rows.value_0.argmax(rows.order), order=rows.order.max())
    else:
        made = rows.group_by(keys).aggregate(
            **{name: getattr(value, method)() for name, (value, method) in _parts(track, rows, rows.end).items()}
        )
    return made.mutate(ready=made.end, time=made.start, as_of=made.end)


def _parts(track: Track, rows: Any, as_of: Any = None) -> dict[str, tuple[Any, str]]:
    """Give what a tile holds: for each part its value of one row, and by which method those of several merge.

    as_of: the moment of which decayed sums are; nothing: each row's own.
    """
    parts: dict[str, tuple[Any, str]] = {"rows": (rows.time.notnull().cast("int64"), "sum")}
    for cell in track.cells:
        if cell.argument < 0:
            continue
        value, place = rows[f"value_{cell.argument}"], cell.argument
        if cell.function in ("count", "avg"):
            parts[f"count_{place}"] = value.notnull().cast("int64"), "sum"
        if cell.function in ("sum", "avg"):
            parts[f"sum_{place}"] = value, "sum"
        if cell.function in ("min", "max"):
            parts[f"{cell.function}_{place}"] = value, cell.function
        if cell.half_life is not None:
            faded = value if as_of is None else value * weight(as_of - rows.time, cell.half_life)
            parts[f"decayed_{place}_{cell.half_life}"] = faded, "sum"
    return parts


def _cell(track: Track, met: Any, cell: Cell) -> Any:
    inside = ibis.literal(True)
    if cell.length is not None:
        end = met["at"] - cell.length
        inside = met.time >= end - rest(end, cell.hop)
    if track.kind == "distinct":
        return met.value_0.nunique(where=inside)
    if track.kind == "newest":
        return met.value_0.argmax(met.order, where=inside)
    if cell.argument < 0:
        return met.rows.sum(where=inside)
    if cell.function == "avg":
        count = met[f"count_{cell.argument}"].sum(where=inside).nullif(0)
        return met[f"sum_{cell.argument}"].sum(where=inside) / count
    if cell.half_life is not None:
        value = met[f"decayed_{cell.argument}_{cell.half_life}"]
        return (value * weight(met["at"] - met.as_of, cell.half_life)).sum(where=inside)
    method = "sum" if cell.function == "count" else cell.function
    return getattr(met[f"{cell.function}_{cell.argument}"], method)(where=inside)
