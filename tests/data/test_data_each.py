"""Requests of which each is a positive of its own, against an oracle of dicts and loops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.each import each
from bottega.data.examples import TEST, TRAIN, VALIDATE, Requests
from bottega.data.log import Log
from bottega.errors import DataError

HOUR = 3_600_000_000
DAY = 24 * HOUR
END = 60 * DAY


@dataclass(frozen=True)
class Plan:
    """What a design says, in hours."""

    horizon: int = 0
    newcomers: bool = False
    warm_up: int = 0
    train: int | None = None
    validate: int | None = 24 * 6
    test: int = 24 * 10
    embargo: int | None = None
    matures: int = 0
    late: int = 0

    def design(self) -> bt.Design:
        requests = bt.Each(train=_span(self.train), warm_up=f"{self.warm_up}h")
        return bt.Design(
            name="test",
            scope=bt.Scope(question="Does it work?"),
            data=bt.Data(
                tables=[bt.Table("log", time="time", created="created", available_after=f"{self.late}h")],
                examples=bt.FromPositives(
                    "log", ["who", "place"], "what", f"{self.horizon}h", requests=requests, newcomers=self.newcomers
                ),
                labels=[bt.Label("read", matures_after=f"{self.matures}h")],
                split=bt.TimeSplit(test=f"{self.test}h", validate=_span(self.validate), embargo=_span(self.embargo)),
            ),
            features=(),
            models={"retrieve": [bt.Popularity()], "rank": [bt.Logistic()]},
            evaluation=bt.Evaluation(primary="ndcg@20"),
            serving=bt.Serving(path=[bt.Retrieve(), bt.Rank()]),
        )


def _span(hours: int | None) -> str | None:
    return None if hours is None else f"{hours}h"


def log_of(rows: list[dict[str, Any]]) -> Log:
    """Make a log as ingestion leaves it."""
    columns = {name: [row[name] for row in rows] for name in ("who", "what", "place")}
    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    return Log(
        "log", table, np.array([row["time"] for row in rows]), np.array([row["known"] for row in rows], np.int64)
    )


def naive(plan: Plan, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Say who asks when, in which part, and what is relevant: the sentences of `each` and `Each`, one by one."""
    begin, end = min(row["time"] for row in rows), max(row["time"] for row in rows) + 1
    horizon, matures = plan.horizon * HOUR, max(plan.horizon, plan.matures) * HOUR
    gap = max(horizon, matures + plan.late * HOUR if plan.embargo is None else plan.embargo * HOUR)
    test = (-(-end // DAY) * DAY - plan.test * HOUR) // DAY * DAY
    validate = test - gap - (end - test if plan.validate is None else plan.validate * HOUR)
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["time"]):
        if row["who"] is not None and row["what"] is not None:
            first.setdefault((row["who"], row["what"]), row)
    made = []
    for row in first.values():
        at, who = row["time"], row["who"]
        history = any(o["who"] == who and o["what"] is not None and o["time"] < at and o["known"] <= at for o in rows)
        if at < begin + plan.warm_up * HOUR or not (plan.newcomers or history):
            continue
        if validate <= at < test - gap:
            part, by = VALIDATE, test
        elif test <= at < end - matures:
            part, by = TEST, None
        elif at < validate - gap and (plan.train is None or at >= validate - gap - plan.train * HOUR):
            part, by = TRAIN, validate
        else:
            continue
        right = sorted(
            what
            for (somebody, what), other in first.items()
            if somebody == who and at <= other["time"] <= at + horizon and (by is None or other["known"] <= by)
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


def drawn(seed: int, n: int = 500, late: bool = True, coarse: int = HOUR) -> list[dict[str, Any]]:
    """Draw events of 12 people and 25 items over 60 days, many at equal times, some null, some known late."""
    draw = np.random.default_rng(seed)
    rows = []
    for time in draw.integers(0, END // coarse, n).tolist():
        delay = int(draw.integers(0, 20 * DAY)) if late and draw.random() < 0.3 else 0
        rows.append(
            {
                "time": time * coarse,
                "known": time * coarse + delay,
                "who": None if draw.random() < 0.03 else f"p{draw.integers(12)}",
                "what": None if draw.random() < 0.03 else f"i{draw.integers(25):02}",
                "place": [None, "a", "b"][draw.integers(3)],
            }
        )
    return rows


PLANS = [
    Plan(),
    Plan(newcomers=True),
    Plan(horizon=30),
    Plan(horizon=30, newcomers=True, embargo=2),
    Plan(horizon=7, matures=50),
    Plan(horizon=50, train=24 * 9, warm_up=24 * 3),
    Plan(warm_up=24 * 25, newcomers=True, train=24 * 40),
    Plan(validate=None, embargo=30),
    Plan(horizon=12, late=20),
]


@pytest.mark.parametrize("coarse", [HOUR, 5 * DAY], ids=["hours", "days"])
@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_requests_against_the_naive_oracle(plan: Plan, coarse: int) -> None:
    rows = drawn(3, coarse=coarse)
    shift = plan.late * HOUR
    rows = [{**row, "known": row["known"] + shift} for row in rows]
    assert told(each(plan.design(), log_of(rows))) == naive(plan, rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10**6),
    st.integers(40, 200),
    st.builds(
        Plan,
        horizon=st.integers(0, 60),
        newcomers=st.booleans(),
        warm_up=st.integers(0, 24 * 20),
        train=st.none() | st.integers(24, 24 * 30),
        validate=st.none() | st.integers(24, 24 * 12),
        embargo=st.none() | st.integers(0, 100),
        matures=st.integers(0, 60),
    ),
)
def test_any_plan_on_any_log(seed: int, n: int, plan: Plan) -> None:
    rows = drawn(seed, n, coarse=6 * HOUR)
    right = naive(plan, rows)
    if {TRAIN, VALIDATE, TEST} <= {request[3] for request in right}:
        assert told(each(plan.design(), log_of(rows))) == right
    else:
        with pytest.raises(DataError, match="no example in the"):
            each(plan.design(), log_of(rows))


def test_what_comes_after_a_part_changes_nothing_in_it() -> None:
    """What training and validation hold does not hang on what was known only later."""
    plan = Plan(horizon=40, newcomers=True)
    rows = drawn(8)
    test = 50 * DAY
    rows.append({"time": END - 1, "known": END - 1, "who": "z", "what": "z", "place": None})  # the log ends as before
    early = [request for request in told(each(plan.design(), log_of(rows))) if request[3] != TEST]
    later = [{**row, "what": "i99", "who": "p1"} if row["time"] >= test and row["who"] != "z" else row for row in rows]
    assert [request for request in told(each(plan.design(), log_of(later))) if request[3] != TEST] == early


def test_equal_times_in_the_order_of_arrival() -> None:
    """Two firsts at one time are two requests, relevant to each other, and neither is the other's past."""
    rows = [
        {"time": day * DAY, "known": day * DAY, "who": who, "what": f"{what}{day}", "place": None}
        for day in range(60)
        for who, what in (("b", "y"), ("a", "x"), ("b", "x"))
    ]
    found = told(each(replace(Plan(), validate=24 * 6).design(), log_of(rows)))
    first = [(who, right) for at, who, _, _, right in found if at == DAY]
    assert first == [("b", ["x1", "y1"]), ("a", ["x1"]), ("b", ["x1", "y1"])]
    assert min(request[0] for request in found) == DAY


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DataError, match="no example in the training part"):
        each(Plan(warm_up=24 * 50, newcomers=True).design(), log_of(drawn(1)))
