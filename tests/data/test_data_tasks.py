"""Further labels of examples from positives: against row after row, on drawn logs, and their limits in time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.cuts import cuts
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE, Requests
from bottega.data.log import Log
from bottega.data.positives import requests
from bottega.data.tasks import task_labels
from bottega.errors import DataError, DesignError

HOUR = 3_600_000_000
KINDS = ("VIEW", "LIKE", "HIDE")
LABELS = (
    bt.Label("read"),
    bt.Label("like", when="event = 'LIKE'", matures_after="3h"),
    bt.Label("odd", when="event <> 'VIEW' AND stars % 2 = 1"),
)
CONDITIONS = {"like": lambda event, _: event == "LIKE", "odd": lambda event, stars: event != "VIEW" and stars % 2 == 1}
SPANS = {"like": 3 * HOUR, "odd": 0}


def a_design(labels: Any = LABELS, **fields: Any) -> bt.Design:
    examples = bt.FromPositives("log", request=["person"], candidate="item", horizon="1h", **fields)
    return bt.Design(
        name="test",
        scope=bt.Scope(question="Does it work?"),
        data=bt.Data(
            tables=[bt.Table("log", time="time")], examples=examples, labels=labels, split=bt.TimeSplit(test="1d")
        ),
        features=[],
        models={"retrieve": [bt.Popularity()], "rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="ndcg@20"),
        serving=bt.Serving(path=[bt.Retrieve(), bt.Rank()]),
    )


def a_log(rows: list[Any], known: list[int] | None = None) -> Log:
    time, person, item, event, stars = (list(column) for column in zip(*rows, strict=True))
    table = pa.table({"time": time, "person": person, "item": item, "event": event, "stars": stars})
    at = np.array(time, np.int64)
    return Log("log", table, at, at if known is None else np.array(known, np.int64))


def asked(people: list[str], time: list[int], part: list[int]) -> Requests:
    nothing = np.zeros(0, np.int32)
    columns = pa.table({"person": pa.array(people, pa.string())})
    return Requests(columns, np.array(time), np.array(part, np.int8), nothing, pa.array([], pa.string()))


def naive(log: Log, made: Requests, group: list[int], candidate: list[str | None]) -> dict[str, list[float]]:
    """Every row of the log for every candidate."""
    rows = list(zip(*(log.rows[name].to_pylist() for name in log.rows.column_names), log.known.tolist(), strict=True))  # type: ignore[union-attr]
    found: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    for request, item in zip(group, candidate, strict=True):
        at, part = int(made.time[request]), int(made.part[request])
        later = [int(t) for t, p in zip(made.time, made.part, strict=True) if part < p <= TEST]
        end = min([*later, max(row[0] for row in rows) + 1])
        for name, condition in CONDITIONS.items():
            until = at + SPANS[name]
            if part == UNUSED or until >= end:
                found[name].append(math.nan)
                continue
            found[name].append(
                float(
                    any(
                        at <= time <= until and known <= end and (person, thing) == (made_for(made, request), item)
                        and condition(event, stars)
                        for time, person, thing, event, stars, known in rows
                    )
                )
            )  # fmt: skip
    return found


def made_for(made: Requests, request: int) -> Any:
    return made.columns["person"][request].as_py()


names = st.sampled_from(["a", "b", "c", None])
rows_of_log = st.tuples(
    st.integers(0, 12), names, st.sampled_from(["x", "y", None]), st.sampled_from(KINDS), st.integers(0, 3)
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(rows_of_log, max_size=25),
    late=st.lists(st.integers(0, 6), min_size=28, max_size=28),
    questions=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["a", "b", "stranger"]), st.integers(TRAIN, UNUSED)),
        min_size=1,
        max_size=8,
    ),
    offered=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["x", "y", "new"])), max_size=20, unique=True),
)
def test_labels_are_those_of_row_after_row(rows: Any, late: Any, questions: Any, offered: Any) -> None:
    rows = [*rows, (1, "a", "x", "LIKE", 1), (2, "b", "y", "HIDE", 3), (12, None, None, "VIEW", 0)]
    rows = [(time * HOUR, *rest) for time, *rest in rows]
    log = a_log(rows, [row[0] + wait * HOUR for row, wait in zip(rows, late, strict=False)])
    time, people, part = zip(*questions, strict=True)
    made = asked(list(people), [at * HOUR for at in time], list(part))
    chosen = sorted((request, item) for request, item in offered if request < len(made))
    group, candidate = [request for request, _ in chosen], [item for _, item in chosen]
    found = task_labels(a_design(), log, made, np.array(group, np.int32), pa.array(candidate, pa.string()))
    expected = naive(log, made, group, candidate)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], np.array(values, np.float32), err_msg=name)


def test_both_ends_of_the_span_count_and_what_comes_after_does_not() -> None:
    rows = [(at * HOUR, "a", item, "LIKE", 1) for at, item in [(4, "w"), (5, "x"), (8, "y"), (9, "z")]]
    log = a_log([*rows, (20 * HOUR, "a", "x", "VIEW", 0), (5 * HOUR, "a", "w", "HIDE", 1)])
    found = task_labels(
        a_design(), log, asked(["a"], [5 * HOUR], [TEST]), np.zeros(4, np.int32), pa.array(["w", "x", "y", "z"])
    )
    assert found["like"].tolist() == [0, 1, 1, 0]
    assert found["odd"].tolist() == [1, 1, 0, 0]


def test_nothing_that_models_may_not_know_yet_is_a_label() -> None:
    log = a_log([(at * HOUR, "a", "x", "LIKE", 1) for at in range(21)])
    made = asked(["a"] * 5, [hour * HOUR for hour in (3, 8, 10, 14, 18)], [TRAIN, TRAIN, VALIDATE, TEST, TEST])
    found = task_labels(a_design(), log, made, np.arange(5, dtype=np.int32), pa.array(["x"] * 5))
    assert found["like"].tolist()[:1] == [1.0]
    assert np.isnan(found["like"]).tolist() == [False, True, False, False, True]


def test_the_first_label_is_what_it_was() -> None:
    rng = np.random.default_rng(0)
    time = np.sort(rng.integers(0, 20 * 24, 3000)) * HOUR
    rows = [(int(at), f"p{rng.integers(9)}", f"i{rng.integers(7)}", KINDS[rng.integers(3)], 1) for at in time]
    log = a_log(rows)
    liked = bt.Label("like", when="event = 'LIKE'", matures_after="1h")  # no later than the horizon: no border moves
    several, one = (
        requests(design, log, cuts(design, log)) for design in (a_design([LABELS[0], liked]), a_design(LABELS[:1]))
    )
    assert one.relevant().sum() > 20
    assert several.columns.equals(one.columns)
    assert several.positives_candidate.equals(one.positives_candidate)
    np.testing.assert_array_equal(several.part, one.part)
    np.testing.assert_array_equal(several.positives_request, one.positives_request)


@pytest.mark.parametrize(
    ("when", "found"), [("event = 'SHARE'", "holds for no row"), ("evnet = 'LIKE'", "evnet"), ("event =", "event =")]
)
def test_a_condition_that_cannot_be_met_is_refused(when: str, found: str) -> None:
    log = a_log([(HOUR, "a", "x", "LIKE", 1), (9 * HOUR, "a", "x", "VIEW", 1)])
    design = a_design([bt.Label("read"), bt.Label("like", when=when)])
    with pytest.raises(DataError, match=found) as error:
        task_labels(design, log, asked(["a"], [HOUR], [TEST]), np.zeros(1, np.int32), pa.array(["x"]))
    assert error.value.where == "data.labels[1].when"


def test_a_condition_stands_where_it_means_something() -> None:
    with pytest.raises(DesignError, match="which rows of the positives"):
        a_design([bt.Label("read"), bt.Label("like")])
    with pytest.raises(DesignError, match="first label of positives"):
        a_design([bt.Label("read", when="event = 'VIEW'")])
    tables, split = [bt.Table("log", time="time")], bt.TimeSplit(test="1d")
    labels = [bt.Label("read"), bt.Label("like", when="event = 'LIKE'")]
    with pytest.raises(DesignError, match="Logged"):
        bt.Data(tables=tables, examples=bt.Logged("log", request=["person"]), labels=labels, split=split)
