"""Records at their borders: heads, tails, labels, rows without time, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from oracle import Event
from test_features_records import DAY, HOUR, MINUTE, START, Asked, events_of, one

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.features.records import Codec


def counted(asked: Asked, events: Sequence[Event], now: int, at: Sequence[int]) -> list[list[float]]:
    codec = Codec(asked.group())
    rows = codec.fold([None], events_of(asked, ["a"], events), now)
    return codec.values(rows * len(at), np.array(at)).numbers.tolist()


def test_the_head_is_exact_while_an_event_waits() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)"}, ["1h", "all"])], [])
    ahead = [one(START + 5), one(START, START + 9)]
    at = [START, START + 5, START + 6, START + 8, START + 9]
    assert counted(asked, ahead, START, at) == [[0, 0], [0, 0], [1, 1], [1, 1], [2, 2]]


def test_the_tail_lies_on_the_hop() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)"}, ["1h"])], [])
    last = START + HOUR + 5 * MINUTE - 1
    assert counted(asked, [one(START), one(START - 1)], START + 1, [START + HOUR, last, last + 1]) == [[1], [1], [0]]


def test_the_ttl_of_a_look_up_ends_at_the_microsecond() -> None:
    asked = Asked([Lookup("events", "k", ["x"], ttl="5us")], [])
    ((first,), (last,), (late,)) = counted(asked, [one(0), one(-1, x=7.0)], 1, [1, 4, 5])
    assert (first, last) == (1.0, 1.0)
    assert late != late, "and no older row takes its place"


def test_a_label_waits_until_it_has_matured() -> None:
    asked = Asked([Window("events", "k", {"s": "sum(x)"}, ["1h"])], [Label("x", matures_after="2h")])
    ready = START + 2 * HOUR + 1
    assert counted(asked, [one(START)], START + 1, [ready - 1, ready, ready + 2 * HOUR]) == [[0], [1], [0]]


def test_a_row_without_time_holds_for_ever_and_the_last_to_come_counts() -> None:
    asked = Asked([Lookup("events", "k", ["x", "c"])], [])
    codec, never = Codec(asked.group()), np.iinfo(np.int64).min
    events = [one(never, c="old"), one(never, x=None, c="new")]
    rows = [codec.fold([None], events_of(asked, ["a"], events), START)]
    rows.append(
        codec.fold(codec.fold([None], events_of(asked, ["a"], events[:1]), 1), events_of(asked, ["a"], events[1:]), 2)
    )
    for row in rows:
        made = codec.values(row, START + 900 * DAY)
        assert np.isnan(made.numbers[0, 0])
        column = made.texts["k_c"]
        assert column.words.texts[column.places[0]] == "new"


def test_infinity_is_null_to_aggregates_and_a_value_of_a_look_up() -> None:
    window_, lookup_ = Window("events", "k", {"s": "sum(x)", "l": "last(x)"}, ["all"]), Lookup("events", "k", ["x"])
    asked = Asked([window_, lookup_], [])
    assert counted(asked, [one(START, x=2.0), one(START + 1, x=math.inf)], START + 2, [START + 2]) == [[2, 2, math.inf]]


def test_of_rows_of_one_moment_the_last_to_be_known_counts_and_then_the_last_to_come() -> None:
    asked = Asked([Window("events", "k", {"l": "last(x)"}, ["all"]), Lookup("events", "k", ["x"])], [])
    rows = [one(START, START + 9, x=1.0), one(START, START + 4, x=2.0), one(START - 1, START + 20, x=3.0)]
    assert counted(asked, rows, START + 30, [START + 30]) == [[1.0, 1.0]]
    assert counted(asked, rows, START, [START + 4, START + 8, START + 9, START + 20]) == [
        [2, 2],
        [2, 2],
        [1, 1],
        [1, 1],
    ]
    equals = [one(START, START + 4, x=1.0), one(START, START + 4, x=2.0)]
    assert counted(asked, equals, START + 4, [START + 4]) == [[2.0, 2.0]]
    assert counted(asked, equals, START, [START + 4]) == [[2.0, 2.0]]


def test_an_entity_without_a_record_has_the_values_of_an_empty_one() -> None:
    values = {"n": "count(*)", "d": "count(distinct c)", "s": "sum(x)", "f": "decayed_sum(x, '1d')", "m": "avg(x)",
              "least": "min(x)", "c": "last(c)"}  # fmt: skip
    asked = Asked([Window("events", "k", values, ["1d"]), Lookup("events", "k", ["c"])], [])
    codec = Codec(asked.group())
    empty = codec.fold([None], events_of(asked, ["a"], []), 0)[0]
    for rows in ([None], [empty]):
        made = codec.values(rows, START)
        numbers = dict(zip(codec.group.columns, made.numbers[0].tolist(), strict=True))
        assert [numbers[f"k_{name}_1d"] for name in ("n", "d", "s", "f")] == [0, 0, 0, 0]
        assert all(math.isnan(numbers[f"k_{name}_1d"]) for name in ("m", "least"))
        assert [column.places.tolist() for column in made.texts.values()] == [[0], [0]]
    assert codec.values([], START).numbers.shape == (0, len(codec.kinds))


def test_inputs_stay_as_they_were() -> None:
    asked = Asked([Window("events", "k", {"n": "count(distinct x)", "s": "sum(x)"}, ["1h"])], [])
    codec = Codec(asked.group())
    events = events_of(asked, ["a"], [one(START, x=-0.0), one(START - 1)])
    arrays = [events.entity, events.partition, events.offset]
    arrays += [array for track in events.tracks for array in (track.rows, track.time, track.known, track.values)]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    row = codec.fold([None], events, START + 1)[0]
    copy = bytes(bytearray(row))
    codec.fold([row], events, START + 2)
    codec.values([row], np.array([START + 2]))
    assert row == copy
    assert all((array == old).all() for array, old in zip(arrays, before, strict=True))


def test_events_that_do_not_fit_are_refused() -> None:
    asked = Asked([Window("events", "k", {"s": "sum(x)"}, ["1h"])], [])
    codec = Codec(asked.group())
    good = events_of(asked, ["a"], [one(START)])
    (track,) = good.tracks
    for wrong in (
        replace(good, tracks=[]),
        replace(good, offset=good.offset[:0]),
        replace(good, entity=good.entity + 1),
        replace(good, tracks=[replace(track, rows=track.rows + 1)]),
        replace(good, tracks=[replace(track, rows=track.rows - 1)]),
        replace(good, tracks=[replace(track, time=track.time[:0])]),
        replace(good, tracks=[replace(track, values=np.zeros((1, 2)))]),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            codec.fold([None], wrong, START)
