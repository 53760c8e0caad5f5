"""Records and the stream: events that come again count once, and records of different events merge."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event
from test_features_records import check, events_of, features, logs, moments

from bottega.features.records import Codec


@st.composite
def deliveries(draw: st.DrawFn, sizes: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Batches of places in the partitions: each in its order, and at any moment begun again from any place before."""
    heads, batches = [0] * len(sizes), []
    for _ in range(draw(st.integers(0, 6))):
        batch = []
        for _ in range(draw(st.integers(1, 4))):
            partition = draw(st.integers(0, len(sizes) - 1))
            begin = draw(st.sampled_from([heads[partition], heads[partition], draw(st.integers(0, heads[partition]))]))
            end = draw(st.integers(begin, sizes[partition]))
            batch += [(partition, place) for place in range(begin, end)]
            heads[partition] = max(end, heads[partition])
        batches.append(batch)
    for partition, size in enumerate(sizes):
        batches.append([(partition, place) for place in range(heads[partition], size)])
    return batches


@settings(max_examples=200)
@given(st.data())
def test_a_redelivered_event_counts_once(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec, keys = Codec(asked.group()), ["a", "b"]
    parts: list[list[Event]] = [[], [], []]
    for event in events:
        parts[data.draw(st.integers(0, 2))].append(event)
    steps = [draw_offset * 7 + 3 for draw_offset in range(len(events) + 1)]  # offsets have gaps
    batches = data.draw(deliveries([len(part) for part in parts]))
    clock = moments(events)
    nows = sorted(data.draw(st.lists(st.sampled_from(clock), min_size=len(batches), max_size=len(batches))))
    again: list[bytes | None] = [None, None]
    once: list[bytes | None] = [None, None]
    seen: set[tuple[int, int]] = set()
    arrived: list[Event] = []
    for batch, now in zip(batches, nows, strict=True):
        places = [(partition, steps[place]) for partition, place in batch]
        again = list(codec.fold(again, events_of(asked, keys, [parts[p][i] for p, i in batch], places), now))
        new = [place for place in dict.fromkeys(batch) if place not in seen]
        seen |= set(new)
        arrived += [parts[partition][place] for partition, place in new]
        places = [(partition, steps[place]) for partition, place in new]
        once = list(codec.fold(once, events_of(asked, keys, [parts[p][i] for p, i in new], places), now))
        assert again == once, "to the byte"
    at = data.draw(st.sampled_from([moment for moment in clock if moment >= nows[-1]]))
    check(asked, codec, again, keys, arrived, at)
    for row, key in zip(again, keys, strict=True):
        assert codec.offsets(row) == {
            number: max(steps[place] for place, event in enumerate(part) if event.key == (key,))
            for number, part in enumerate(parts)
            if any(event.key == (key,) for event in part)
        }


@settings(max_examples=150)
@given(st.data())
def test_merged_records_tell_of_the_events_of_both(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec, clock = Codec(asked.group()), moments(events)
    cut = data.draw(st.integers(0, len(events)))
    one, two = sorted(data.draw(st.tuples(st.sampled_from(clock), st.sampled_from(clock))))
    places = [(0, place) for place in range(len(events))]
    left = codec.fold([None], events_of(asked, ["a"], events[:cut]), one)[0]
    right = codec.fold([None], events_of(asked, ["a"], events[cut:], places[cut:]), two)[0]
    merged = codec.merge(left, right)
    later = [moment for moment in clock if moment >= two]
    for at in data.draw(st.lists(st.sampled_from(later), min_size=1, max_size=3)):
        check(asked, codec, [merged], ["a"], events, at)
    assert codec.offsets(merged) == codec.offsets(right)
    folded = codec.fold([merged], events_of(asked, ["a"], []), later[-1])
    check(asked, codec, folded, ["a"], events, later[-1])
