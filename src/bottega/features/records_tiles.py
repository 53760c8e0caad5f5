"""Records from plain tables of tiles, which any engine can make: see `state_expression` of `ibis_tiles`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.errors import DataError
from bottega.features.entities import match
from bottega.features.hashing import hashes
from bottega.features.records import Codec, Events, TrackEvents
from bottega.features.records_layout import AS_OF, COUNT, DECAY, LEAST, MOST, SUM, parts_of
from bottega.features.tracks import EVERY, Track

Array = NDArray[np.int64]
_NAMES = {COUNT: "count", SUM: "sum", LEAST: "min", MOST: "max", DECAY: "decayed"}


def records_from_tiles(
    codec: Codec, tables: Sequence[tuple[pa.Table, pa.Table]], now: int
) -> tuple[pa.Table, list[bytes]]:
    """Make the record of every entity that some tables name, and give the keys (n,), as text, with the records.

    All tables have the columns of the group's key; rows with a null in it are left out. A state is of the rows with
    `max(time + 1, known) ≤ now`, by the kind of the track:

    - *tiles*: a row for each entity and bucket, with `bucket` (0 of a track of all time), `rows`, and for argument i as
      the cells need `count_i`, `sum_i`, `min_i`, `max_i`, `decayed_i_{half life in microseconds}`; where a sum is
      decayed, `as_of`, the moment of which it is, not before the newest row of the tile.
    - *distinct*: a row for each entity and `value`, with the newest `time` at which it came.
    - *newest* and *row*: at most one row for each entity, with `time`, `known` and `value_i`.

    What waits has a row for each event, in the order of arrival, with `time`, `known` and `value_i`. Buckets, rows and
    moments are whole numbers, moments in microseconds since 1970 UTC.

    tables: for each track of the group its state, and what waits. now: microseconds since 1970 UTC.
    Errors: `DataError` for a column that misses.

    >>> from bottega.design.features import Window
    >>> from bottega.features.tracks import Group, window_tracks
    >>> track, = window_tracks(Window("sales", "item", {"n": "count(*)"}, over=["1d"]), (), lambda *_: "number")
    >>> codec = Codec(Group("item", ("item",), (track,)))
    >>> tiles = pa.table({"item": ["pear", "pear"], "bucket": [0, 1], "rows": [3, 4]})
    >>> late = pa.table({"item": ["pear"], "time": [7_200_000_005], "known": [0]})
    >>> names, rows = records_from_tiles(codec, [(tiles, late)], now=7_200_000_000)
    >>> [codec.values(rows, at).numbers.tolist() for at in (7_200_000_005, 7_200_000_006)]
    [[[7.0]], [[8.0]]]
    """
    group = codec.group
    names, entity = _entities(group.by, [table for pair in tables for table in pair])
    texts: dict[int, str] = {}
    states, waiting, whose, later = [], list[TrackEvents](), [], []
    begin = 0
    for place, (track, (state, late)) in enumerate(zip(group.tracks, tables, strict=True)):
        there, waits = entity[2 * place], entity[2 * place + 1]
        whose.append(there[there >= 0])
        states.append(_entries(track, state, texts)[there >= 0])
        rows = np.arange(begin, begin + len(waits))
        moments = [_column(late, name, 0) for name in ("time", "known")]
        waiting.append(TrackEvents(rows, moments[0], moments[1], _arguments(track, late, texts)))
        later.append(waits)
        begin += len(waits)
    made = codec.assembled(names.num_rows, whose, states, texts)
    nowhere = np.full(begin, -1, np.int64)
    events = Events(np.concatenate([*later, nowhere[:0]]), nowhere, nowhere, waiting, texts)
    return names, list(codec.fold(made, events, now))


def _entities(by: Sequence[str], tables: Sequence[pa.Table]) -> tuple[pa.Table, list[Array]]:
    """Give the distinct keys, and for each table the place of each row's key among them, −1 for one with a null."""
    texts = [
        pa.chunked_array([as_text(_found(table, name)).cast(pa.large_string()) for table in tables], pa.large_string())
        for name in by
    ]
    codes = match(texts, texts).events
    there = np.flatnonzero(codes >= 0)
    _, first, numbers = np.unique(codes[there], return_index=True, return_inverse=True)
    whole = np.full(len(codes), -1, np.int64)
    whole[there] = numbers
    rows = pa.array(there[first])
    names = pa.table({name: as_text(text.take(rows)) for name, text in zip(by, texts, strict=True)})
    ends = np.cumsum([table.num_rows for table in tables])
    return names, np.split(whole, ends[:-1])


def _entries(track: Track, table: pa.Table, texts: dict[int, str]) -> Array:
    """Give the words of a state's rows, (k, width)."""
    if track.kind in ("newest", "row"):
        moments = [_column(table, name, 0) for name in ("time", "known")]
        return np.column_stack([*moments, _arguments(track, table, texts)])
    if track.kind == "distinct":
        values = _bits(_found(table, "value"), track.kinds[0], {})
        if track.kinds[0] != "text":
            values = (values.view(np.float64) + 0.0).view(np.int64)  # −0 becomes 0
        return np.column_stack([values, _column(table, "time", 0)])
    words = [] if track.hop == EVERY else [_column(table, "bucket", 0)]
    for what, argument, half_life in parts_of(track):
        if what == AS_OF:
            words.append(_column(table, "as_of", 0))
        elif what == COUNT:
            words.append(_column(table, "rows" if argument < 0 else f"count_{argument}", 0))
        else:
            name = f"{_NAMES[what]}_{argument}" + (f"_{half_life}" if what == DECAY else "")
            values = _bits(_found(table, name), track.kinds[argument], {}).view(np.float64)
            if what in (SUM, DECAY):
                values = np.where(np.isnan(values), 0.0, values)
            words.append(values.view(np.int64))
    return np.column_stack(words)


def _arguments(track: Track, table: pa.Table, texts: dict[int, str]) -> Array:
    columns = [_bits(_found(table, f"value_{place}"), kind, texts) for place, kind in enumerate(track.kinds)]
    return np.column_stack(columns) if columns else np.zeros((table.num_rows, 0), np.int64)


def _bits(column: pa.ChunkedArray, kind: str, texts: dict[int, str]) -> Array:
    """Give a column as words: numbers, times as microseconds, texts as hashes, which are added to `texts`."""
    if kind == "text":
        found = as_text(column).dictionary_encode()
        named = hashes(found.dictionary)
        texts.update(zip(named.tolist(), found.dictionary.to_pylist(), strict=True))
        places = pc.fill_null(found.indices, -1).to_numpy(zero_copy_only=False)
        words: Array = np.append(named, np.uint64(0)).view(np.int64)[places]
        return words
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).cast(pa.int64())
    numbers = column.cast(pa.float64()).to_numpy()
    return np.require(numbers, np.float64, ["C", "W"]).view(np.int64)


def _column(table: pa.Table, name: str, null: int) -> Array:
    column = _found(table, name)
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)))
    whole: Array = pc.fill_null(column.cast(pa.int64()), null).to_numpy()
    return whole


def _found(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise DataError("tiles", f"no column {name!r}", f"one of {', '.join(table.column_names)}", "see ibis_tiles")
    return table.column(name)
