"""Records made of tables of tiles, which a plain loop or an engine has made, tell what records of the events tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Event
from test_features_records import (
    ARGUMENTS,
    CONDITIONS,
    HOUR,
    START,
    Asked,
    check,
    events_of,
    features,
    logs,
    moments,
    one,
)
from test_features_windows import make_log

from bottega.design.features import Lookup, Window
from bottega.errors import DataError
from bottega.features.ibis_tiles import state_expression, waiting_expression
from bottega.features.ibis_windows import events_table
from bottega.features.records import Codec
from bottega.features.records_tiles import records_from_tiles
from bottega.features.tracks import Track

TYPES = {"number": pa.float64(), "time": pa.timestamp("us"), "text": pa.string()}


def there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def tables(asked: Asked, events: Sequence[Event], now: int, ends: bool) -> list[tuple[pa.Table, pa.Table]]:
    """Count tiles in plain loops. ends: whether decayed sums are as of `now`, else as of the tile's newest row."""
    return [(state(asked, track, events, now, ends), late(asked, track, events, now)) for track in asked.group().tracks]


def chosen(asked: Asked, track: Track, events: Sequence[Event]) -> list[tuple[int, Event]]:
    shifted = asked.shift(track.labels)
    return [(shifted(event), event) for event in events if CONDITIONS[track.where](event.row)]


def late(asked: Asked, track: Track, events: Sequence[Event], now: int) -> pa.Table:
    waiting = [item for item in chosen(asked, track, events) if max(item[0] + 1, item[1].known) > now]
    return rows_of(track, waiting)


def rows_of(track: Track, rows: Sequence[tuple[int, Event]]) -> pa.Table:
    columns = {
        "k": pa.array([event.key[0] for _, event in rows], pa.string()),
        "time": pa.array([time for time, _ in rows], pa.int64()),
        "known": pa.array([event.known for _, event in rows], pa.int64()),
    }
    for place, (text, kind) in enumerate(zip(track.arguments, track.kinds, strict=True)):
        columns[f"value_{place}"] = pa.array([ARGUMENTS[text][1](event.row) for _, event in rows], TYPES[kind])
    return pa.table(columns)


def state(asked: Asked, track: Track, events: Sequence[Event], now: int, ends: bool) -> pa.Table:
    usable = [item for item in chosen(asked, track, events) if max(item[0] + 1, item[1].known) <= now]
    values = [ARGUMENTS[text][1] for text in track.arguments]
    if track.kind in ("newest", "row"):
        best: dict[str | None, tuple[int, Event]] = {}
        for time, event in usable:
            if track.kind == "newest" and not there(values[0](event.row)):
                continue
            old = best.get(event.key[0])
            if old is None or (time, event.known) >= (old[0], old[1].known):
                best[event.key[0]] = time, event
        return rows_of(track, list(best.values()))
    if track.kind == "distinct":
        found: dict[tuple[str | None, Any], int] = {}
        for time, event in usable:
            if there(value := values[0](event.row)):
                found[event.key[0], value] = max(time, found.get((event.key[0], value), time))
        return pa.table(
            {
                "k": pa.array([key for key, _ in found], pa.string()),
                "value": pa.array([value for _, value in found], TYPES[track.kinds[0]]),
                "time": pa.array(list(found.values()), pa.int64()),
            }
        )
    tiles: dict[tuple[str | None, int], list[tuple[int, Event]]] = {}
    for time, event in usable:
        tiles.setdefault((event.key[0], time // track.hop if track.hop else 0), []).append((time, event))
    rows = [
        tile(track, key, bucket, held, now if ends else max(time for time, _ in held))
        for (key, bucket), held in tiles.items()
    ]
    names = tile(track, None, 0, [], 0)
    types = {name: TYPES[track.kinds[int(name[4])]] for name in names if name.startswith(("min_", "max_"))}
    types |= {"k": pa.string(), "bucket": pa.int64(), "as_of": pa.int64()}
    return pa.table({name: pa.array([row[name] for row in rows], types.get(name, pa.float64())) for name in names})


def tile(track: Track, key: str | None, bucket: int, rows: Sequence[tuple[int, Event]], as_of: int) -> dict[str, Any]:
    made: dict[str, Any] = {"k": key, "bucket": bucket, "rows": len(rows), "as_of": as_of}
    for place, text in enumerate(track.arguments):
        values = [(time, value) for time, event in rows if there(value := ARGUMENTS[text][1](event.row))]
        made[f"count_{place}"] = len(values)
        if track.kinds[place] != "text":
            made[f"min_{place}"] = min((value for _, value in values), default=None)
            made[f"max_{place}"] = max((value for _, value in values), default=None)
        if track.kinds[place] == "number":
            made[f"sum_{place}"] = math.fsum(value for _, value in values) if values else None
            for cell in track.cells:
                if cell.half_life and cell.argument == place:
                    terms = [aged(value, (as_of - time) / cell.half_life) for time, value in values]
                    made[f"decayed_{place}_{cell.half_life}"] = math.fsum(terms)
    return made


def aged(value: float, age: float) -> float:
    return math.ldexp(value * 2.0 ** (math.floor(age) - age), -math.floor(age))


@settings(max_examples=200)
@given(st.data())
def test_records_of_tiles_equal_the_oracle(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec, clock = Codec(asked.group()), moments(events)
    cut, now = data.draw(st.integers(0, len(events))), data.draw(st.sampled_from(clock))
    names, rows = records_from_tiles(codec, tables(asked, events[:cut], now, data.draw(st.booleans())), now)
    keys = names["k"].to_pylist()
    assert len(keys) == len(set(keys)) == len(rows)
    assert set(keys) <= {"a", "b"}
    held = [dict(zip(keys, rows, strict=True)).get(key) for key in ("a", "b")]
    later = [moment for moment in clock if moment >= now]
    check(asked, codec, held, ["a", "b"], events[:cut], data.draw(st.sampled_from(later)))
    fresh = events_of(asked, ["a", "b"], events[cut:])  # and the stream goes on where the batch ended
    after = data.draw(st.sampled_from(later))
    folded = codec.fold(held, fresh, after)
    at = data.draw(st.sampled_from([moment for moment in clock if moment >= after]))
    check(asked, codec, folded, ["a", "b"], events, at)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(st.data())
def test_an_engine_makes_the_tiles(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    calm = [event for event in events if event.row["x"] is None or abs(event.row["x"]) < 1e200]
    codec, clock = Codec(asked.group()), moments(events)
    now = max(data.draw(st.sampled_from(clock)), max((event.known + 1 for event in calm), default=0))
    connection = ibis.duckdb.connect()
    log = ibis.memtable(events_table(make_log(calm), "k"))
    pairs = [
        tuple(
            connection.to_pyarrow(expression(track, ["k"], log, now, labels=asked.labels))
            for expression in (state_expression, waiting_expression)
        )
        for track in codec.group.tracks
    ]
    connection.disconnect()
    names, rows = records_from_tiles(codec, pairs, now)
    at = data.draw(st.sampled_from([now, *(moment for moment in clock if moment >= now)]))
    held = dict(zip(names["k"].to_pylist(), rows, strict=True))
    check(asked, codec, [held.get("a"), held.get("b")], ["a", "b"], calm, at)


def test_rows_of_one_tile_are_joined() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)", "s": "sum(x)"}, ["1d"])], [])
    codec, bucket = Codec(asked.group()), START // HOUR
    half = pa.table({"k": ["a", "a", None], "bucket": [bucket] * 3, "rows": [2, 3, 9], "sum_0": [0.5, 7.0, 1.0]})
    late = rows_of(codec.group.tracks[0], [])
    names, rows = records_from_tiles(codec, [(half, late)], START + HOUR)
    assert names.to_pydict() == {"k": ["a"]}
    assert codec.values(rows, START + HOUR).numbers.tolist() == [[5.0, 7.5]]
    assert codec.counts(rows[0]) == [(1, 0)]


def test_empty_tables_make_no_records() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)"}, ["1d"]), Lookup("events", "k", ["c"])], [])
    names, rows = records_from_tiles(Codec(asked.group()), tables(asked, [], START, False), START)
    assert names.column_names == ["k"]
    assert (names.num_rows, rows) == (0, [])


def test_a_column_that_misses_is_named() -> None:
    asked = Asked([Window("events", "k", {"s": "sum(x)"}, ["1d"])], [])
    ((tiles, late_),) = tables(asked, [one(START)], START + 1, False)
    for gone in ("sum_0", "bucket", "k"):
        with pytest.raises(DataError, match=f"no column '{gone}'"):
            records_from_tiles(Codec(asked.group()), [(tiles.drop_columns([gone]), late_)], START + 1)


def test_many_entities_find_their_own() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)", "c": "last(c)"}, ["all"])], [])
    codec, rng = Codec(asked.group()), np.random.default_rng(3)
    keys = [f"k{number}" for number in rng.integers(0, 40, 300)]
    events = [
        Event((key,), START + place, START + place, {"x": 1.0, "c": key.upper(), "seen": None, "moment": 0})
        for place, key in enumerate(keys)
    ]
    names, rows = records_from_tiles(codec, tables(asked, events, START + 200, False), START + 200)
    made = codec.values(rows, START + 500)
    texts = made.texts["k_c_all"]
    for row, key in enumerate(names["k"].to_pylist()):
        assert made.numbers[row, codec.group.columns.index("k_n_all")] == keys.count(key)
        assert texts.words.texts[texts.places[row]] == key.upper()
