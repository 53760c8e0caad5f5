"""Records against the naive oracle: any features, any batches in any order of arrival, read at any later moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length, lookup, window
from test_features_windows import STEPS, make_log

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.design.tables import Table
from bottega.features.aggregates import parse_aggregate
from bottega.features.hashing import hash_text
from bottega.features.lookups import lookup_columns, lookup_names
from bottega.features.records import Codec, Events, TrackEvents
from bottega.features.tracks import Group, Track, lookup_track, window_tracks
from bottega.features.windows import window_columns, window_names

MINUTE, HOUR, DAY = length("1min"), length("1h"), length("1d")
START = 20_000 * DAY
WILD = [0.0, -0.0, 1.0, -1.0, 0.1, 3.5, 1e18, -1e18, 1e-18, 1e250, -1e250, math.nan, math.inf, None]
LIFE = 2 * HOUR
EXACT = {"count", "distinct", "min", "max", "last"}
Row = Mapping[str, Any]

ARGUMENTS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "x": ("number", lambda row: row["x"]),
    "c": ("text", lambda row: row["c"]),
    "seen": ("time", lambda row: row["seen"]),
    "moment": ("time", lambda row: row["moment"]),
    "case when c = 'u' then x end": ("number", lambda row: row["x"] if row["c"] == "u" else None),
}
CONDITIONS: dict[str | None, Callable[[Row], bool]] = {
    None: lambda _: True,
    "c = 'u'": lambda row: row["c"] == "u",
    "x = 1": lambda row: row["x"] == 1,
}
VALUES = [
    "count(*)", "count(x)", "count(c)", "count(distinct c)", "count(distinct x)", "count(distinct seen)", "sum(x)",
    "sum(case when c = 'u' then x end)", "avg(x)", "min(x)", "max(x)", "min(moment)", "max(seen)", "last(x)", "last(c)",
    "last(seen)", "decayed_sum(x, '2h')", "decayed_sum(x, '2us')", "decayed_sum(x, '400d')",
]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Features of one key with the labels that the table holds."""

    features: list[Window | Lookup]
    labels: list[Label]

    def group(self) -> Group:
        tracks: list[Track] = []
        for feature in self.features:
            if isinstance(feature, Window):
                tracks += window_tracks(feature, self.labels, kind)
            else:
                tracks.append(lookup_track(feature, kind))
        return Group("k", ("k",), tuple(tracks))

    def shift(self, names: Sequence[str]) -> Callable[[Event], int]:
        """From an event to its time, where an aggregate reads some labels."""
        if not names:
            return lambda event: event.time
        (label,) = self.labels

        def shifted(event: Event) -> int:
            seen = event.row["seen"] if label.observed_at else None
            return event.time + length(label.matures_after) if seen is None else int(seen)

        return shifted


def kind(_: str, text: str) -> Any:
    return ARGUMENTS[text.strip('"')][0]


def bits(value: Any, of: str, texts: dict[int, str]) -> int:
    if of == "text":
        if value is None:
            return 0
        texts[hash_text(value)] = value
        return int(np.array(hash_text(value), np.uint64).view(np.int64))
    return int(np.array(math.nan if value is None else value, np.float64).view(np.int64))


def events_of(
    asked: Asked, keys: Sequence[str], events: Sequence[Event], places: Sequence[tuple[int, int]] | None = None
) -> Events:
    """Give events as the code takes them, from plain rows."""
    texts: dict[int, str] = {}
    tracks = []
    for track in asked.group().tracks:
        shifted = asked.shift(track.labels)
        chosen = [row for row, event in enumerate(events) if CONDITIONS[track.where](event.row)]
        values = [
            [bits(ARGUMENTS[text][1](events[row].row), of, texts)
             for text, of in zip(track.arguments, track.kinds, strict=True)]
            for row in chosen
        ]  # fmt: skip
        tracks.append(
            TrackEvents(
                np.array(chosen, np.int64),
                np.array([shifted(events[row]) for row in chosen], np.int64),
                np.array([events[row].known for row in chosen], np.int64),
                np.array(values, np.int64).reshape(len(chosen), len(track.arguments)),
            )
        )
    places = [(-1, -1)] * len(events) if places is None else places
    entity = [keys.index(event.key[0]) if event.key[0] in keys else -1 for event in events]
    return Events(
        np.array(entity, np.int64),
        np.array([partition for partition, _ in places], np.int64),
        np.array([offset for _, offset in places], np.int64),
        tracks,
        texts,
    )


@st.composite
def features(draw: st.DrawFn) -> Asked:
    labels = draw(st.sampled_from([[], [], [Label("x", matures_after="2h")], [Label("x", "2h", observed_at="seen")]]))
    found: list[Window | Lookup] = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 2)) == 0 and not any(isinstance(item, Lookup) for item in found):
            columns = draw(st.lists(st.sampled_from(["x", "c", "seen", "moment"]), min_size=1, unique=True))
            found.append(Lookup("events", "k", columns, ttl=draw(st.sampled_from([None, "1h", "2d"]))))
            continue
        values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=5, unique=True))
        over = draw(st.sampled_from([["1h", "7d", "all"], ["5min"], ["30d", "1d"], ["all"], ["1d", "3d", "14d", "1h"]]))
        hop = draw(st.sampled_from([None, None, "exact", "1h", "7min"]))
        where = draw(st.sampled_from([None, None, "c = 'u'", "x = 1"]))
        named = {f"v{place}": text for place, text in enumerate(values)}
        found.append(Window("events", "k", named, over, where, hop, name=f"w{number}"))
    return Asked(found, labels)


@st.composite
def logs(draw: st.DrawFn, most: int = 25) -> list[Event]:
    """Events in the order of arrival: late ones, ties, and some that lie ahead."""
    after = draw(st.sampled_from([0, 0, 1, 5 * MINUTE]))
    late = draw(st.sampled_from([[0], [0], [0, 0, 1, HOUR], [0, 5 * MINUTE, 9 * DAY]]))
    clock, events = START, []
    for _ in range(draw(st.integers(0, most))):
        clock += draw(st.sampled_from([0, 0, 1, MINUTE, 5 * MINUTE, HOUR, DAY, 6 * DAY, 40 * DAY]))
        time = clock - draw(st.sampled_from([0, 0, 0, 1, HOUR, 8 * DAY]))
        row = {
            "x": draw(st.sampled_from(WILD)),
            "c": draw(st.sampled_from(["u", "v", "", "ünï" * 9, None])),
            "seen": draw(st.sampled_from([None, time, time + HOUR, time + 50 * DAY])),
            "moment": time,
        }
        key = draw(st.sampled_from(["a", "a", "b", None]))
        event = Event((key,), time, time + draw(st.sampled_from(late)) + after, row)
        events += [event] * draw(st.sampled_from([1, 1, 1, 2]))
    return events


def moments(events: Sequence[Event]) -> list[int]:
    found = {START}
    for event in events:
        for moment in (event.time, event.known, event.time + 2 * HOUR, event.row["seen"]):
            if moment is not None:
                found |= {moment + step for step in STEPS}
    return sorted(found)


def truth(asked: Asked, events: Sequence[Event], key: str, at: int) -> dict[str, tuple[Any, float, str]]:
    """Give from the plain list of events each column's value, the sum of the sizes of its terms, and its function."""
    found: dict[str, tuple[Any, float, str]] = {}
    for feature in asked.features:
        if isinstance(feature, Lookup):
            ttl = None if feature.ttl is None else length(feature.ttl)
            for name, column in zip(lookup_names(feature), feature.columns, strict=True):
                found[name] = (lookup(events, (key,), at, column, ttl), 0.0, "last")
            continue
        names = iter(window_names(feature))
        for text in feature.values.values():
            aggregate = parse_aggregate(text)
            argument = ARGUMENTS[aggregate.argument][1] if aggregate.argument != "*" else (lambda _: 1)
            reads = aggregate.argument + (feature.where or "")
            touched = [item.name for item in asked.labels if "x" in reads or (item.observed_at and "seen" in reads)]
            shifted = asked.shift(touched)
            for span in feature.over:
                value, size = window(
                    events, (key,), at, span, feature.hop, aggregate.function, argument, CONDITIONS[feature.where],
                    aggregate.half_life or 1, shifted,
                )  # fmt: skip
                found[next(names)] = (value, size, aggregate.function)
    return found


def check(
    asked: Asked, codec: Codec, rows: Sequence[bytes | None], keys: Sequence[str], events: Sequence[Event], at: int
) -> None:
    made = codec.values(rows, at)
    for row, key in enumerate(keys):
        wanted = truth(asked, events, key, at)
        assert set(wanted) == set(codec.group.columns)
        for place, name in enumerate(codec.group.columns):
            value, size, function = wanted[name]
            if codec.kinds[place] == "text":
                column = made.texts[name]
                assert column.words.texts[column.places[row]] == value, (name, key, at)
            else:
                equal(float(made.numbers[row, place]), value, size, function in EXACT, (name, key, at))


def equal(made: float, wanted: float | None, size: float, exact: bool, where: Any) -> None:
    if wanted is None or wanted != wanted:
        assert made != made, where
    elif exact:
        assert made == wanted, where
    else:
        assert abs(made - wanted) <= 1e-11 * size + 1e-300, (where, made, wanted)


def one(time: int, known: int | None = None, x: float | None = 1.0, c: str | None = "u") -> Event:
    return Event(("a",), time, time if known is None else known, {"x": x, "c": c, "seen": None, "moment": time})


@settings(max_examples=400)
@given(st.data())
def test_folded_batches_equal_the_oracle_at_every_later_moment(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec, keys = Codec(asked.group()), ["a", "b", "z"]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    clock = moments(events)
    nows = sorted(data.draw(st.lists(st.sampled_from(clock), min_size=len(cuts) + 1, max_size=len(cuts) + 1)))
    rows: list[bytes | None] = [None, None, None]
    for begin, end, now in zip([0, *cuts], [*cuts, len(events)], nows, strict=True):
        rows = list(codec.fold(rows, events_of(asked, keys, events[begin:end]), now))
        later = [moment for moment in clock if moment >= now]
        for at in [now, *data.draw(st.lists(st.sampled_from(later), max_size=3))]:
            check(asked, codec, rows, keys, events[:end], at)


@settings(max_examples=100)
@given(st.data())
def test_every_entity_is_read_at_its_own_time_as_the_batch_does(data: st.DataObject) -> None:
    asked, events = data.draw(features()), data.draw(logs())
    codec, clock = Codec(asked.group()), moments(events)
    now = data.draw(st.sampled_from(clock))
    rows = codec.fold([None, None], events_of(asked, ["a", "b"], events), now)
    keys = data.draw(st.lists(st.sampled_from(["a", "b", "z"]), max_size=8))
    at = np.array([max(data.draw(st.sampled_from(clock)), now) for _ in keys], np.int64)
    made = codec.values([{"a": rows[0], "b": rows[1]}.get(key) for key in keys], at)
    log, named = make_log(events), {"k": pa.array(keys, pa.string())}
    for feature in asked.features:
        if isinstance(feature, Lookup):
            wanted = lookup_columns(feature, Table("events", time="moment"), log, named, at)
        else:
            wanted = window_columns(feature, log, named, at, labels=asked.labels)
        for name, column in wanted.items():
            place = codec.group.columns.index(name)
            of = codec.kinds[place]
            if of == "text":
                texts = made.texts[name]
                assert [texts.words.texts[item] for item in texts.places] == column.to_pylist()
                continue
            numbers = column
            if of == "time":
                numbers = np.where(np.isnat(column), np.nan, column.astype("datetime64[us]").view(np.int64))
            truths = [truth(asked, events, key, int(moment))[name] for key, moment in zip(keys, at, strict=True)]
            for row, (_, size, function) in enumerate(truths):
                there = None if numbers[row] != numbers[row] else float(numbers[row])
                equal(float(made.numbers[row, place]), there, size, function in EXACT, (name, row))
