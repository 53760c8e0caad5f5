"""Positives by a condition over their row: what is right, what is taken, what is only known, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.cuts import Cut, cuts
from bottega.data.each import each
from bottega.data.examples import TEST, TRAIN, VALIDATE, Requests
from bottega.data.log import Log
from bottega.data.positives import requests
from bottega.design.reading import load
from bottega.errors import DataError
from bottega.runs.steps.interactions import followed_events, taken

DAY = 86_400_000_000
END = 60
Row = dict[str, Any]


def design(where: str | None, at: bt.Cuts | bt.Each, newcomers: bool = False) -> bt.Design:
    return bt.Design(
        name="test",
        scope=bt.Scope(question="Does it work?"),
        data=bt.Data(
            tables=[bt.Table("log", time="time", created="created")],
            examples=bt.FromPositives(
                "log", ["who", "place"], "what", "10d", requests=at, newcomers=newcomers, where=where
            ),
            labels=[bt.Label("liked")],
            split=bt.TimeSplit(test="10d" if isinstance(at, bt.Cuts) else "20d", validate="10d"),
        ),
        features=(),
        models={"retrieve": [bt.Popularity()], "rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="ndcg@20"),
        serving=bt.Serving(path=[bt.Retrieve(), bt.Rank()]),
    )


def log_of(rows: list[Row]) -> Log:
    """A log as ingestion leaves it."""
    kinds = {"who": pa.string(), "what": pa.string(), "place": pa.string(), "rating": pa.float64()}
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})
    time, known = (np.array([row[name] for row in rows], np.int64) for name in ("time", "known"))
    return Log("log", table, time, known)


@st.composite
def ratings(draw: st.DrawFn) -> list[Row]:
    """Draw a log of few people and things, some rows known late, some without an id, a place or a rating."""
    dice = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows = []
    for _ in range(draw(st.integers(60, 240))):
        time = int(dice.integers(0, END * 4)) * DAY // 4
        rows.append(
            {
                "time": time,
                "known": time + (int(dice.integers(0, 15 * DAY)) if dice.random() < 0.3 else 0),
                "who": None if dice.random() < 0.03 else f"p{dice.integers(9)}",
                "what": None if dice.random() < 0.03 else f"i{dice.integers(12):02}",
                "place": [None, "a", "b"][dice.integers(3)],
                "rating": None if dice.random() < 0.1 else float(dice.integers(2, 11)) / 2,
            }
        )
    rows.append({"time": END * DAY - 1, "known": END * DAY - 1, "who": "z", "what": "i00", "place": "a", "rating": 5})
    return rows


# A condition in SQL, and the same of one row: null is not true.
CONDITIONS = {
    "rating >= 4": lambda row: row["rating"] is not None and row["rating"] >= 4,
    "rating IS NULL OR rating < 2": lambda row: row["rating"] is None or row["rating"] < 2,
    "NOT (rating >= 4)": lambda row: row["rating"] is not None and row["rating"] < 4,
    "place = 'a' AND rating > 3.5 -- a remark": lambda row: (
        row["place"] == "a" and row["rating"] is not None and row["rating"] > 3.5
    ),
}
conditions = st.sampled_from(sorted(CONDITIONS))


def named(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["who"] is not None and row["what"] is not None]


def naive_at_cuts(rows: list[Row], condition: str, places: list[Cut], newcomers: bool) -> list[tuple[Any, ...]]:
    """Say who asks at which cut, and what is right: any event is a history, and only positives are right."""
    made = []
    for cut in sorted(places, key=lambda cut: (cut.part, cut.at)):
        for who in sorted({row["who"] for row in named(rows)}):
            past = [row for row in named(rows) if row["who"] == who and row["time"] < cut.at and row["known"] <= cut.at]
            right = {
                row["what"]
                for row in named(rows)
                if row["who"] == who
                and CONDITIONS[condition](row)
                and cut.at <= row["time"] < cut.until
                and row["known"] <= cut.known_by
            }
            if right and (past or newcomers):
                newest = sorted(past, key=lambda row: row["time"])[-1:]  # of one time the later row
                made.append((cut.at, who, newest[0]["place"] if newest else None, cut.part, sorted(right)))
    return made


def naive_each(rows: list[Row], condition: str, newcomers: bool) -> list[tuple[Any, ...]]:
    """Say who asks when: at the first positive of each pair. Horizon, gap and validation are of ten days each."""
    test = (END - 20) * DAY
    validate = test - 20 * DAY
    first: dict[tuple[str, str], Row] = {}
    for row in sorted(named(rows), key=lambda row: row["time"]):
        if CONDITIONS[condition](row):
            first.setdefault((row["who"], row["what"]), row)
    made = []
    for row in first.values():
        at, who = row["time"], row["who"]
        if not newcomers and not any(
            one["who"] == who and one["time"] < at and one["known"] <= at for one in named(rows)
        ):
            continue
        if at < validate - 10 * DAY:
            part, by = TRAIN, validate
        elif validate <= at < test - 10 * DAY:
            part, by = VALIDATE, test
        elif test <= at < END * DAY - 10 * DAY:
            part, by = TEST, None
        else:
            continue
        right = sorted(
            what
            for (somebody, what), other in first.items()
            if somebody == who and at <= other["time"] <= at + 10 * DAY and (by is None or other["known"] <= by)
        )
        if row["what"] in right:
            made.append((at, who, row["place"], part, right))
    return made


def told(made: Requests) -> list[tuple[Any, ...]]:
    right: list[list[str]] = [[] for _ in range(len(made))]
    for request, candidate in zip(made.positives_request.tolist(), made.positives_candidate.to_pylist(), strict=True):
        right[request].append(candidate)
    who, place = (made.columns.column(name).to_pylist() for name in ("who", "place"))
    return list(zip(made.time.tolist(), who, place, made.part.tolist(), right, strict=True))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ratings(), conditions, st.booleans())
def test_requests_at_cuts(rows: list[Row], condition: str, newcomers: bool) -> None:
    plan, log = design(condition, bt.Cuts(slices=2), newcomers), log_of(rows)
    places = cuts(plan, log)
    right = naive_at_cuts(rows, condition, places, newcomers)
    if {cut.part for cut in places} <= {request[3] for request in right}:
        assert told(requests(plan, log, places)) == right
    else:
        with pytest.raises(DataError, match=r"nobody asks in the|holds for none"):
            requests(plan, log, places)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ratings(), conditions, st.booleans())
def test_each_positive_is_a_request(rows: list[Row], condition: str, newcomers: bool) -> None:
    plan = design(condition, bt.Each(), newcomers)
    right = naive_each(rows, condition, newcomers)
    if {request[3] for request in right} == {TRAIN, VALIDATE, TEST}:
        assert told(each(plan, log_of(rows))) == right
    else:
        with pytest.raises(DataError, match=r"no example in the|holds for none"):
            each(plan, log_of(rows))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ratings(), conditions, st.integers(0, END))
def test_what_retrievers_learn_as_taken(rows: list[Row], condition: str, day: int) -> None:
    examples, log, at = design(condition, bt.Cuts()).data.examples, log_of(rows), day * DAY
    kept = [row for row in named(rows) if CONDITIONS[condition](row)]
    if not kept:
        with pytest.raises(DataError, match="holds for none"):
            taken(examples, log, None, [], at)
        return
    found = taken(examples, log, None, ["place"], at)
    right = [row for row in kept if row["time"] < at and row["known"] <= at]
    pairs = zip(found.people.take(found.person).to_pylist(), found.items.take(found.item).to_pylist(), strict=True)
    assert list(pairs) == [(row["who"], row["what"]) for row in right]
    assert found.time.tolist() == [row["time"] for row in right]
    assert found.texts["place"].to_pylist() == [row["place"] for row in right]
    items = pa.array(sorted({row["what"] for row in named(rows)}), pa.string())
    events = followed_events(examples, log, None, items)
    order = sorted(kept, key=lambda row: max(row["time"] + 1, row["known"]))
    assert events.people.take(events.person).to_pylist() == [row["who"] for row in order]
    assert items.take(events.item).to_pylist() == [row["what"] for row in order]
    assert events.since.tolist() == [max(row["time"] + 1, row["known"]) for row in order]


@pytest.mark.parametrize("at", [bt.Cuts(slices=2), bt.Each()], ids=["cuts", "each"])
def test_a_condition_that_is_always_true_changes_nothing(at: bt.Cuts | bt.Each) -> None:
    dice = np.random.default_rng(2)
    rows = [
        {
            "time": time,
            "known": time,
            "who": f"p{dice.integers(9)}",
            "what": f"i{dice.integers(40):02}",
            "place": None,
            "rating": float(dice.integers(1, 6)),
        }
        for time in np.linspace(0, END * DAY - 1, 700).astype(np.int64).tolist()
    ]
    log, found = log_of(rows), []
    for where in (None, "rating > 0"):
        plan = design(where, at)
        found.append(told(requests(plan, log, cuts(plan, log)) if isinstance(at, bt.Cuts) else each(plan, log)))
    assert found[0] == found[1]
    assert len(found[0]) > 20


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ("rating >= 40", r"'rating >= 40' holds for none of the 300 rows of 'log'"),
        ("ratng >= 4", "ratng"),
        ("rating >=", "syntax error"),
        ("count(*) > 1", "WHERE clause cannot contain aggregates"),
    ],
)
@pytest.mark.parametrize("at", [bt.Cuts(slices=2), bt.Each()], ids=["cuts", "each"])
def test_a_condition_that_cannot_be_is_refused(where: str, match: str, at: bt.Cuts | bt.Each) -> None:
    rows = [
        {"time": time, "known": time, "who": "p", "what": "i", "place": None, "rating": 3.0}
        for time in np.linspace(0, END * DAY - 1, 300).astype(np.int64).tolist()
    ]
    plan, log = design(where, at), log_of(rows)
    with pytest.raises(DataError, match=match) as caught:
        _ = requests(plan, log, cuts(plan, log)) if isinstance(at, bt.Cuts) else each(plan, log)
    assert caught.value.where == "data.examples.where"


def test_the_condition_stands_in_the_design_as_text(tmp_path: Path) -> None:
    plan = design("rating >= 4", bt.Cuts())
    (tmp_path / "design.yaml").write_text(bt.to_yaml(plan))
    assert load(tmp_path / "design.yaml") == plan
    assert "rating >= 4" in bt.to_yaml(plan)


def test_nobody_who_asks_is_told_with_what_the_condition_leaves() -> None:
    day = [
        {"who": f"w{at % 3}", "what": "a", "place": "x", "rating": 1.0 + (at == 5), "time": at * DAY}
        for at in range(END)
    ]
    log = log_of([{**row, "known": row["time"]} for row in day])
    plan = design("rating > 1", bt.Cuts(slices=2), newcomers=True)
    with pytest.raises(DataError, match="'rating > 1' holds for 1 of 60 rows") as error:
        requests(plan, log, cuts(plan, log))
    assert error.value.fix.startswith("a condition that more rows meet, ")
