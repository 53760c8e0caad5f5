"""Tiles through Ibis on DuckDB and Polars against a naive oracle: what is usable at a moment, and what waits."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Event, hop_of, length
from test_features_windows import DAY, HOUR, NUMBERS, START, STEPS, logs, make_log
from test_features_windows_ibis import CALM

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.features.expression_tree import Kind
from bottega.features.ibis_tiles import state_expression, waiting_expression
from bottega.features.ibis_tiles_merging import merged_expression
from bottega.features.ibis_windows import events_table
from bottega.features.tracks import EVERY, Track, lookup_track, window_tracks

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
KINDS: dict[str, Kind] = {"c": "text", "moment": "time", "seen": "time"}
WITHOUT_ROW_NUMBER = {"polars"}
VALUES = {
    **{name: text for name, (text, _, _) in NUMBERS.items()},
    "first": "min(moment)",
    "recent": "max(seen)",
    "slow": "decayed_sum(x, '30d')",
    "letter": "last(c)",
}
ARGUMENTS = {
    **{name: (lambda row, name=name: row[name]) for name in ("x", "c", "moment", "seen")},
    "case when c = 'u' then x end": lambda row: row["x"] if row["c"] == "u" else None,
}


def kind_of(_: str, text: str) -> Kind:
    return KINDS.get(text.strip('"'), "number")


@dataclass(frozen=True)
class Case:
    """A log, and the tracks of what is kept of it at a moment."""

    events: Sequence[Event]
    by: tuple[str, ...]
    at: int
    delay: int
    labels: Sequence[Label]
    tracks: Sequence[Track]
    before: int | None = None
    """An earlier moment, of which the state is made first; then what came since is merged with it."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    by = ("k", "l")[: draw(st.sampled_from([1, 2]))]
    events = draw(logs(keys=len(by), values=CALM))
    moments = sorted([START] + [moment for event in events for moment in (event.time, event.known)])
    at = draw(st.sampled_from(moments[len(moments) // 2 :])) + draw(st.sampled_from(STEPS))
    labels = draw(
        st.sampled_from([[], [Label("x", matures_after="2h")], [Label("x", matures_after="2h", observed_at="seen")]])
    )
    made = tracks(
        by, labels, draw(st.sampled_from([["1h", "7d"], ["1h"], ["30d", "all"], ["all"]])),
        draw(st.sampled_from([None, "c = 'u'"])), draw(st.sampled_from([None, "exact", "7min"])),
        draw(st.sampled_from([None, "1d"])),
    )  # fmt: skip
    before = draw(st.sampled_from([None, at, at - 1, *(moment for moment in moments if moment < at)]))
    return Case(events, by, at, draw(st.sampled_from([0, 5 * length("1min")])), labels, made, before)


def tracks(
    by: tuple[str, ...],
    labels: Sequence[Label],
    over: Sequence[str],
    where: str | None,
    hop: str | None,
    ttl: str | None,
) -> list[Track]:
    window, lookup = Window("events", by, VALUES, over, where, hop), Lookup("events", by, ["x", "c", "seen"], ttl)
    return [*window_tracks(window, labels, kind_of), lookup_track(lookup, kind_of)]


@dataclass(frozen=True)
class Row:
    """An event as a track takes it."""

    key: tuple[str | None, ...]
    time: int
    known: int
    arrival: int
    values: tuple[Any, ...]


def rows(track: Track, case: Case) -> list[Row]:
    """What a track takes of a log, by the written semantics."""
    taken = []
    for arrival, event in enumerate(case.events):
        if None in event.key or (track.where is not None and event.row["c"] != "u"):
            continue
        time = event.time
        if track.labels:
            (label,) = case.labels
            seen = event.row["seen"] if label.observed_at else None
            time = event.time + length("2h") if seen is None else seen
        values = tuple(plain(ARGUMENTS[text](event.row), track.kind == "row", text) for text in track.arguments)
        taken.append(Row(event.key, time, event.known, arrival, values))
    return taken


def plain(value: Any, whole: bool, text: str) -> Any:
    if text in ("moment", "seen"):
        return None if value is None else moment(value)
    if isinstance(value, float) and (math.isnan(value) or (math.isinf(value) and not whole)):
        return None
    return value


def moment(time: int) -> datetime.datetime:
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time)


def waiting(track: Track, case: Case) -> list[dict[str, Any]]:
    """The rows that had come by the moment, and are usable later."""
    return [
        {
            **dict(zip(case.by, row.key, strict=True)),
            "time": row.time,
            "known": row.known,
            "arrival": row.arrival,
            **{f"value_{place}": value for place, value in enumerate(row.values)},
        }
        for row in rows(track, case)
        if max(row.time + 1, row.known) > case.at and row.known - case.delay <= case.at
    ]


def state(track: Track, case: Case) -> dict[Any, dict[str, Any]]:
    """What the usable rows come to: by key and tile, by key and value, or by key."""
    tails = [EVERY if cell.length is None else (case.at - cell.length) // cell.hop * cell.hop for cell in track.cells]
    first = None if any(cell.length is None for cell in track.cells) else min(tails)
    usable = [
        row
        for row in rows(track, case)
        if max(row.time + 1, row.known) <= case.at and (first is None or row.time >= first)
    ]
    gathered: dict[Any, list[Row]] = {}
    for row in usable:
        if track.kind == "tiles":
            place: tuple[Any, ...] = (row.time // track.hop if track.hop else 0,)
        elif track.kind == "distinct":
            place = (row.values[0],)
        else:
            place = ()
        if track.kind in ("tiles", "row") or row.values[0] is not None:
            gathered.setdefault(row.key + place, []).append(row)
    return {place: {"rows": group} for place, group in gathered.items()}


def same(track: Track, case: Case, held: Sequence[Mapping[str, Any]], wanted: Mapping[Any, Mapping[str, Any]]) -> None:
    """Hold an engine's state against the rows that the oracle gathered."""
    extra = {"tiles": ["bucket"], "distinct": ["value"]}.get(track.kind, [])
    named = {tuple(row[name] for name in (*case.by, *extra)): row for row in held}
    assert len(named) == len(held)
    assert named.keys() == wanted.keys()
    for place, row in named.items():
        group = wanted[place]["rows"]
        if track.kind == "distinct":
            assert row["time"] == max(item.time for item in group)
        elif track.kind in ("newest", "row"):
            last = max(group, key=lambda item: (item.time, item.known, item.arrival))
            made = tuple(row[f"value_{i}"] for i in range(len(track.arguments)))
            assert (row["time"], row["known"], made) == (last.time, last.known, last.values)
        else:
            tile(track, case.at, row, group)


def tile(track: Track, at: int, row: Mapping[str, Any], group: Sequence[Row]) -> None:
    names = {"bucket", "rows"}
    assert row["rows"] == len(group)
    for cell in track.cells:
        if cell.argument < 0:
            continue
        filled = [item for item in group if item.values[cell.argument] is not None]
        values, part = [item.values[cell.argument] for item in filled], f"{cell.function}_{cell.argument}"
        if cell.function in ("count", "avg"):
            part = f"count_{cell.argument}"
            assert row[part] == len(values)
            names.add(part)
        if cell.function in ("sum", "avg"):
            part = f"sum_{cell.argument}"
            assert abs(row[part] - math.fsum(values)) <= 1e-9 * math.fsum(map(abs, values))
        if cell.function in ("min", "max"):
            assert row[part] == ({"min": min, "max": max}[cell.function](values) if values else None)
        if cell.half_life is not None:
            part = f"decayed_{cell.argument}_{cell.half_life}"
            ages = [(at - item.time) / cell.half_life for item in filled]
            terms = [value * 2.0**-age for value, age in zip(values, ages, strict=True)]
            assert abs(row[part] - math.fsum(terms)) <= 1e-9 * math.fsum(map(abs, terms)) + 1e-300
            assert row["as_of"] == at
            names.add("as_of")
        names.add(part)
    assert names == {name for name in row if name not in ("k", "l")}


def compare(engine: Any, case: Case) -> int:
    """Make all tracks of a case in an engine, hold them against the oracle, and count the rows of the states."""
    events = ibis.memtable(events_table(make_log(case.events, case.by), case.by))
    count = 0
    for track in case.tracks:
        if track.kind in ("newest", "row") and engine.name in WITHOUT_ROW_NUMBER:
            continue
        made = state_expression(track, case.by, events, case.at, after=case.before, labels=case.labels)
        if case.before is not None:
            first = state_expression(track, case.by, events, case.before, labels=case.labels)
            made = merged_expression(track, case.by, [first, made], case.at)
        held = engine.to_pyarrow(made).to_pylist()
        same(track, case, held, state(track, case))
        late = waiting_expression(track, case.by, events, case.at, labels=case.labels, delay=case.delay)
        assert engine.to_pyarrow(late).to_pylist() == waiting(track, case)
        count += len(held)
    return count


@pytest.mark.parametrize("name", ["duckdb", "polars"])
def test_tiles_equal_the_oracle(name: str) -> None:
    engine = getattr(ibis, name).connect()
    rows: list[int] = []

    @QUICK
    @given(case=cases())
    def equal(case: Case) -> None:
        rows.append(compare(engine, case))

    equal()
    engine.disconnect()
    assert sum(rows) > 80


LABELS = {
    "no label": [],
    "a label that matures": [Label("x", matures_after="2h")],
    "a label that says when it came": [Label("x", matures_after="2h", observed_at="seen")],
}


@pytest.mark.parametrize("labels", LABELS)
def test_borders_are_the_oracles(labels: str) -> None:
    engine = ibis.duckdb.connect()
    for at, over, hop in ((START + 50 * DAY, ["1h", "7d"], None), (START + 50 * DAY + 90, ["1d", "all"], "7min")):
        assert compare(engine, at_the_borders(at, LABELS[labels], over, hop)) > 30
    engine.disconnect()


def at_the_borders(at: int, labels: Sequence[Label], over: Sequence[str], hop: str | None) -> Case:
    """Rows a microsecond before, at and after each moment that decides, each known at such moments too, and twice."""
    by, before, delay = ("k",), at - 2 * HOUR, length("5min")
    tails = [(at - length(span)) // step * step for span in over if span != "all" for step in [hop_of(span, hop)]]
    times = [moment + step for moment in (at, before, at - 2 * HOUR - 30, *tails) for step in (-1, 0, 1)]
    times += [time - length("2h") for time in times]  # as labels shift
    events = []
    for place, time in enumerate(times):
        later = {max(time, moment) for moment in (time, before, before + 1, at, at + 1, at + delay, at + delay + 1)}
        for turn, known in enumerate(sorted(later)):
            for twice in range(2):
                value = CALM[(place + 3 * turn + 5 * twice) % len(CALM)]
                seen = [None, time, at, at - 1, before, *tails][(place + turn) % (5 + len(tails))]
                letter = ["u", "v", None][(place + turn + twice) % 3]
                row = {"x": value, "c": letter, "seen": seen, "moment": time}
                events.append(Event((["a", "b", None][(place + turn) % 3],), time, known, row))
    random.Random(3).shuffle(events)  # of equal times the later known one may have arrived before
    return Case(events, by, at, delay, labels, tracks(by, labels, over, None, hop, "1d"), before)
