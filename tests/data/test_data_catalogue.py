"""A catalogue beside a log of positives, newcomers, and events to follow: each against dicts and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.cuts import Cut
from bottega.data.examples import TEST, TRAIN, VALIDATE
from bottega.data.log import Log
from bottega.data.positives import requests
from bottega.errors import DataError
from bottega.models.interactions import NEVER
from bottega.runs.steps.interactions import followed_events, taken

EXAMPLES = bt.FromPositives("log", ["who", "place"], "what", "3s", catalogue="things")
SECOND = 1_000_000
Row = dict[str, Any]


def log_of(rows: list[Row], name: str = "log", timed: bool = True) -> Log:
    names = [name for name in ("who", "what", "place", "text") if rows and name in rows[0]]
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})
    if not timed:
        return Log(name, table, None, None)
    time, known = (np.array([row[name] for row in rows], np.int64) for name in ("time", "known"))
    return Log(name, table, time, known)


ids = st.none() | st.sampled_from(["a", "b", "c", "d", "e"])
times = st.integers(1, 12)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Draw a log and a catalogue: rows known late, without ids, repeated, and things of the one alone."""

    def row(**fields: Any) -> Row:
        time = draw(times)
        return {"time": time, "known": time + draw(st.sampled_from([0, 0, 0, 1, 5])), **fields}

    some = draw(st.integers(1, 14))
    log = [
        row(who=draw(st.none() | st.sampled_from(["p", "q", "r"])), what=draw(ids), place=draw(ids), text=draw(ids))
        for _ in range(some)
    ]
    things = [row(what=draw(ids), text=draw(ids)) for _ in range(draw(st.integers(1, 6)))]
    return log, things


@settings(max_examples=200, deadline=None)
@given(worlds(), st.integers(0, 20), st.booleans())
def test_what_was_taken_and_what_could_be(world: tuple[list[Row], list[Row]], at: int, timed: bool) -> None:
    rows, things = world
    past = [row for row in rows if row["time"] < at and row["known"] <= at]
    past = [row for row in past if row["who"] is not None and row["what"] is not None]
    there = [one for one in things if not timed or (one["time"] < at and one["known"] <= at)]
    there = [one for one in there if one["what"] is not None]
    found = taken(EXAMPLES, log_of(rows), log_of(things, "things", timed), ["text"], at)
    assert found.items.to_pylist() == sorted({row["what"] for row in past} | {one["what"] for one in there})
    assert found.people.to_pylist() == sorted({row["who"] for row in past})
    names, items = found.people.to_pylist(), found.items.to_pylist()
    got = [
        (names[who], items[what], time)
        for who, what, time in zip(found.person.tolist(), found.item.tolist(), found.time.tolist(), strict=True)
    ]
    assert got == [(row["who"], row["what"], row["time"]) for row in past]
    last = {one["what"]: one["text"] for one in there}
    assert found.newest("text").to_pylist() == [last.get(item) for item in items]


@settings(max_examples=200, deadline=None)
@given(worlds(), st.booleans(), st.booleans())
def test_events_in_the_order_in_which_they_could_be_known(
    world: tuple[list[Row], list[Row]], timed: bool, listed: bool
) -> None:
    rows, things = world
    every = pa.array(["a", "b", "c", "d", "e"])
    catalogue = log_of(things, "things", timed) if listed else None
    found = followed_events(EXAMPLES, log_of(rows), catalogue, every)
    whole = [row for row in rows if row["who"] is not None and row["what"] is not None]
    whole = sorted(whole, key=lambda row: max(row["time"] + 1, row["known"]))
    items, people = every.to_pylist(), found.people.to_pylist()
    assert [people[code] for code in found.person.tolist()] == [row["who"] for row in whole]
    assert [items[code] for code in found.item.tolist()] == [row["what"] for row in whole]
    assert found.time.tolist() == [row["time"] for row in whole]
    assert found.since.tolist() == [max(row["time"] + 1, row["known"]) for row in whole]
    first = dict.fromkeys(items, NEVER)
    for one in things if listed else ():
        if one["what"] is not None:
            first[one["what"]] = min(first[one["what"]], one["known"] if timed else 0)
    assert found.listed.tolist() == [first[item] for item in items]


def newcomers(rows: list[Row], cuts: list[Cut]) -> list[tuple[Any, ...]]:
    """Say who asks: all who take something at the cut, with the other column as it was known before, else null."""
    made = []
    for cut in cuts:
        for who in sorted({row["who"] for row in rows if row["who"] is not None}):
            own = [row for row in rows if row["who"] == who and row["what"] is not None]
            late = {row["what"] for row in own if cut.at <= row["time"] < cut.until and row["known"] <= cut.known_by}
            before = [row for row in own if row["time"] < cut.at and row["known"] <= cut.at]
            place = max(before, key=lambda row: (row["time"], rows.index(row)))["place"] if before else None
            if late:
                made.append((cut.part, cut.at, who, place, sorted(late)))
    return made


def test_newcomers_ask_too(make_design) -> None:
    draw = np.random.default_rng(4)
    rows = []
    for number in range(300):
        time = int(draw.integers(0, 100))
        who = f"p{draw.integers(time // 4 + 1):02}" if number % 17 else None  # more people come all the time
        rows.append(
            {
                "time": time,
                "known": time + int(draw.integers(0, 3)) * int(draw.integers(0, 15)),
                "who": who,
                "what": f"i{draw.integers(20)}" if number % 13 else None,
                "place": ["x", "y", None][number % 3],
            }
        )
    cuts = [Cut(20, 40, TRAIN, 60), Cut(60, 70, VALIDATE, 80), Cut(80, 100, TEST)]
    examples = bt.FromPositives("log", ["who", "place"], "what", "20s", newcomers=True)
    made = requests(make_design(examples, bt.TimeSplit(test="20s")), log_of(rows), cuts)
    right: list[list[str]] = [[] for _ in range(len(made))]
    for request, candidate in zip(made.positives_request.tolist(), made.positives_candidate.to_pylist(), strict=True):
        right[request].append(candidate)
    columns = [made.columns.column(name).to_pylist() for name in ("who", "place")]
    got = list(zip(made.part.tolist(), made.time.tolist(), *columns, right, strict=True))
    wanted = newcomers(rows, cuts)
    assert got == wanted
    known = {request[:3] for request in wanted if request[3] is not None}
    assert len(known) < len(wanted)  # some are new indeed


def test_a_part_in_which_nobody_asks_says_so_of_newcomers(make_design) -> None:
    rows = [{"time": 5, "known": 5, "who": "p", "what": "a", "place": "x"}]
    examples = bt.FromPositives("log", ["who", "place"], "what", "20s", newcomers=True)
    with pytest.raises(DataError, match="nobody asks in the test part: no one took anything") as error:
        requests(make_design(examples, bt.TimeSplit(test="20s")), log_of(rows), [Cut(50, 60, TEST)])
    assert error.value.where == "data.examples"
