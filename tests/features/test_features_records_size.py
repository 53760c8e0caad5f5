"""How large records are: their bytes by a formula, bounded however many events come, and from when they say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_features_records import DAY, HOUR, MINUTE, START, Asked, events_of, features, logs, moments, one

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.features.records import Codec

FOREVER = np.iinfo(np.int64).max


@settings(max_examples=200)
@given(st.data())
def test_the_formula_gives_the_bytes(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec = Codec(asked.group())
    places = [(data.draw(st.integers(-1, 3)), number) for number in range(len(events))]
    row = codec.fold([None], events_of(asked, ["a"], events, places), data.draw(st.sampled_from(moments(events))))[0]
    entries, waiting = zip(*codec.counts(row), strict=True)
    texts = [text for _, text in codec.texts(row)]
    assert codec.size(entries, waiting, len(codec.offsets(row)), texts) == len(row)
    for most, count in zip(codec.most(), entries, strict=True):
        assert most is None or count <= most


def test_published_bytes_for_each_entity_and_feature() -> None:
    """The numbers that the documents give: a change of the layout changes them here first."""
    asked = Asked([Window("events", "k", {"n": "count(*)", "s": "sum(x)"}, ["1d", "7d"])], [])
    hours = Codec(asked.group())
    assert hours.most() == (169,), "7 d in tiles of 1 h, the oldest one cut"
    events = [one(START - step * HOUR - 1) for step in range(400)]
    row = hours.fold([None], events_of(asked, ["a"], events), START)[0]
    assert len(row) == 8 * (2 + 2 + 168 * 3) == 4064, "a full week: 1,016 bytes for each of 4 features"
    assert hours.size([169]) == 8 * (2 + 2 + 169 * 3) == 4088
    days = Codec(Asked([Window("events", "k", {"m": "avg(x)"}, ["30d"])], []).group())
    assert days.size(days.most()) == 8 * (2 + 2 + 31 * 3) == 776  # type: ignore[arg-type]
    everything = Codec(
        Asked([Window("events", "k", {"n": "count(*)", "f": "decayed_sum(x, '7d')"}, ["all"])], []).group()
    )
    assert everything.size(everything.most(), partitions=1) == 8 * (2 + 2 + 2 + 3) == 72  # type: ignore[arg-type]
    looked = Codec(Asked([Lookup("events", "k", ["x", "c"])], []).group())
    assert looked.size([1], texts=["blue"]) == 8 * (2 + 2 + 2 + 2) + 24 == 88


@pytest.mark.parametrize("label", [None, "2h"])
def test_an_entity_with_endless_events_keeps_its_size(label: str | None) -> None:
    """Tiles that nobody reads go, and events that wait are folded: after a year as large as after a month."""
    values = {"n": "count(*)", "s": "sum(x)", "d": "count(distinct c)", "c": "last(c)", "f": "decayed_sum(x, '1d')"}
    asked = Asked(
        [Window("events", "k", values, ["1h", "7d"]), Lookup("events", "k", ["x", "c"])],
        [] if label is None else [Label("x", matures_after=label)],
    )
    codec, row, sizes = Codec(asked.group()), None, []
    step = 20 * MINUTE
    for day in range(60):
        now = START + day * DAY
        events = [one(now + number * step, c=f"{number % 5}") for number in range(DAY // step)]
        (row,) = codec.fold(
            [row], events_of(asked, ["a"], events, [(0, day * 1000 + n) for n in range(len(events))]), now
        )
        sizes.append(len(row))
        for most, (entries, waiting) in zip(codec.most(), codec.counts(row), strict=True):
            assert entries <= (5 if most is None else most)
            assert waiting <= 2 * len(events), "a day ahead, and what has not matured"
    assert max(sizes[30:]) <= max(sizes[10:30])
    whole = codec.fold([row], events_of(asked, ["a"], []), START + 400 * DAY)[0]
    assert [count for count, _ in codec.counts(whole)][:1] == [0], "of the windows nothing is left"


def test_events_that_can_never_count_are_not_kept() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)", "d": "count(distinct x)"}, ["1h"])], [])
    codec = Codec(asked.group())
    late = [one(START, START + 2 * HOUR), one(START - 3 * HOUR)]
    row = codec.fold([None], events_of(asked, ["a"], late), START + 1)[0]
    assert codec.counts(row) == [(0, 0), (0, 0)]
    nulls = [one(START, x=None), one(START + DAY, x=float("nan"))]
    row = codec.fold([None], events_of(asked, ["a"], nulls), START + 1)[0]
    assert codec.counts(row) == [(1, 1), (0, 0)], "a null is no value, and a row"


@settings(max_examples=200)
@given(st.data())
def test_from_until_on_a_record_says_no_more_than_none(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec = Codec(asked.group())
    now = data.draw(st.sampled_from(moments(events)))
    row = codec.fold([None], events_of(asked, ["a"], events), now)[0]
    (until,) = codec.until([row])
    if until == FOREVER:
        assert any(track.keep is None for track in codec.group.tracks)
        return
    for at in (max(int(until), now), max(int(until), now) + data.draw(st.sampled_from([1, HOUR, DAY, 90 * DAY]))):
        made, none = codec.values([row], at), codec.values([None], at)
        np.testing.assert_array_equal(made.numbers, none.numbers)
        assert all(not column.places.any() for column in made.texts.values())
    assert codec.counts(codec.fold([row], events_of(asked, ["a"], []), max(int(until), now))[0]) == [(0, 0)] * len(
        codec.group.tracks
    )


def test_until_is_as_early_as_the_hop_allows() -> None:
    asked = Asked([Window("events", "k", {"n": "count(*)"}, ["1h"]), Lookup("events", "k", ["x"], ttl="2h")], [])
    codec = Codec(asked.group())
    rows = codec.fold([None] * 3, events_of(asked, ["a", "b"], [one(START + MINUTE)]), START + HOUR)
    lookup_ends, empty = START + MINUTE + 2 * HOUR, np.iinfo(np.int64).min
    assert codec.until([*rows, None]).tolist() == [lookup_ends, empty, empty, empty]
    waits = codec.fold([None], events_of(asked, ["a"], [one(START + DAY)]), START)
    assert codec.until(waits).tolist() == [START + DAY + 2 * HOUR]
