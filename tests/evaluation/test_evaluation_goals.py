"""Goals: the logic on hand-made numbers, and on outcomes with slices and views."""

from __future__ import annotations

import math
from dataclasses import replace

import evaluation_worlds as worlds
import msgspec
import numpy as np
import pyarrow as pa
import pytest

from bottega.design.evaluation import Evaluation, Goal, View
from bottega.errors import DesignError
from bottega.evaluation.goals import clear, judge_goals, met
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Rung
from bottega.evaluation.slicing import by_value, cold
from bottega.metrics import Estimate


@pytest.mark.parametrize(
    ("goal", "low", "value", "high", "expected"),
    [
        ({"at_least": 0.5}, 0.4, 0.5, 0.6, True),
        ({"at_least": 0.5}, 0.4, 0.4999, 0.6, False),
        ({"at_most": 0.5}, 0.4, 0.5, 0.6, True),
        ({"at_most": 0.5}, 0.4, 0.5001, 0.6, False),
        ({"within": (0.9, 1.1)}, 0.5, 0.9, 2.0, True),
        ({"within": (0.9, 1.1)}, 0.5, 1.1, 2.0, True),
        ({"within": (0.9, 1.1)}, 0.5, 1.2, 2.0, False),
        ({"within": (0.9, 1.1)}, 0.5, 0.8, 2.0, False),
        ({"above": "A"}, 0.001, 0.1, 0.2, True),
        ({"above": "A"}, 0.0, 0.1, 0.2, False),
        ({"above": "A"}, math.nan, 0.1, math.nan, False),
        ({"below": "A"}, -0.2, -0.1, -0.001, True),
        ({"below": "A"}, -0.2, -0.1, 0.0, False),
        ({"below": "A"}, 0.1, 0.2, 0.3, False),
    ],
)
def test_met_on_hand_made_numbers(goal, low, value, high, expected):
    assert met(Goal("mrr", **goal), Estimate(value, low, high, 9)) is expected


@pytest.mark.parametrize(
    ("goal", "low", "value", "high", "expected"),
    [
        ({"at_least": 0.5}, 0.5, 0.6, 0.7, True),
        ({"at_least": 0.5}, 0.4999, 0.6, 0.7, False),
        ({"at_least": 0.5}, 0.3, 0.4, 0.4999, True),
        ({"at_least": 0.5}, 0.3, 0.4, 0.5, False),
        ({"at_most": 0.5}, 0.3, 0.4, 0.5, True),
        ({"at_most": 0.5}, 0.3, 0.4, 0.51, False),
        ({"within": (0.9, 1.1)}, 0.9, 1.0, 1.1, True),
        ({"within": (0.9, 1.1)}, 0.89, 1.0, 1.1, False),
        ({"within": (0.9, 1.1)}, 1.0, 1.2, 1.4, False),
        ({"within": (0.9, 1.1)}, 1.11, 1.2, 1.4, True),
        ({"within": (0.9, 1.1)}, 0.6, 0.7, 0.89, True),
        ({"within": (0.9, 1.1)}, math.nan, 1.0, math.nan, None),
        ({"above": "A"}, 0.001, 0.1, 0.2, None),
        ({"below": "A"}, -0.2, -0.1, 0.001, None),
    ],
)
def test_an_interval_is_clear_where_it_says_the_same_as_the_value(goal, low, value, high, expected):
    assert clear(Goal("mrr", **goal), Estimate(value, low, high, 9)) is expected


def goals(outcome, champion, *made):
    views = [View(name, "x = 0") for name in outcome.views]
    return judge_goals(outcome, Evaluation("ndcg@5", views=views, goals=made), champion)


def test_values_and_differences_under_each_view():
    outcome = worlds.lists({"Rate": 2.0, "Trees": 0.3})
    trees = judge(outcome, Evaluation("ndcg@5"))[1]
    rows = goals(
        outcome,
        "Trees",
        Goal("ndcg@5", at_least=0.2),
        Goal("ndcg@5", at_least=0.2, view="new items"),
        Goal("ndcg@5", above="Rate", view="new items"),
        Goal("ndcg@5", below="Rate"),
        Goal("ndcg@5", above="Trees"),
    )
    for row, found in zip(rows, (trees["metrics"], trees["views"]["new items"]), strict=False):
        assert {key: row[key] for key in ("value", "low", "high", "n")} == found["ndcg@5"]
    assert [row["view"] for row in rows] == [None, "new items", "new items", None, None]
    assert [row["limit"] for row in rows] == ["at least 0.2", "at least 0.2", "above Rate", "below Rate", "above Trees"]
    assert [row["met"] for row in rows] == [True, True, True, False, None]
    assert 0 < rows[2]["low"] <= rows[2]["value"] <= rows[2]["high"]
    assert rows[4]["value"] is None
    assert rows[4]["reason"] == "Trees is the champion itself"


def test_nothing_has_gained_on_a_baseline_that_is_served():
    (row,) = goals(worlds.lists({"Rate": 2.0, "Trees": 0.3}), "Rate", Goal("ndcg@5", above="Rate"))
    assert (row["met"], row["value"], row["reason"]) == (False, 0.0, "Rate is the champion itself")


def test_a_small_difference_is_not_above():
    outcome = worlds.lists({"Linear": 0.51, "Trees": 0.5}, requests=30)
    assert [row["met"] for row in goals(outcome, "Trees", Goal("ndcg@5", above="Linear"))] == [False]


def test_slices_with_enough_requests_carry_the_promise():
    outcome = worlds.lists({"Trees": 0.5}, requests=400)
    country = np.repeat(["UK", "France", "Malta", "Eire"], [200, 100, 99, 1])
    outcome = replace(outcome, slices={"country": by_value(pa.array(country)), "cold": cold(np.arange(400) // 50)})
    rows = goals(outcome, "Trees", Goal("ndcg@5", within=(0, 1), slices=["country", "cold"]))
    assert [row["slice"] for row in rows] == [None, "country=UK", "country=France", "cold"]
    expected, n = worlds.average(worlds.ndcg, outcome, outcome.rungs[0].scores, 5, requests=range(200, 300))
    assert rows[2]["value"] == pytest.approx(expected)
    assert rows[2]["n"] == n
    assert all(row["met"] and row["limit"] == "within 0 to 1" for row in rows)


def test_a_slice_can_miss_what_all_meet():
    outcome = worlds.events({"Trees": 0.0}, rows=6000)
    half = np.arange(6000) < 3000
    scores = np.where(half, outcome.rungs[0].scores * 1.25, outcome.rungs[0].scores * 0.75)
    outcome = replace(
        outcome, rungs=[Rung("Trees", "score", scores.clip(0, 1))], slices={"device": {"phone": half, "desk": ~half}}
    )
    rows = goals(outcome, "Trees", Goal("predicted_over_observed", within=(0.9, 1.1), slices=["device"]))
    assert [(row["slice"], row["met"]) for row in rows] == [
        (None, True), ("device=phone", False), ("device=desk", False)
    ]  # fmt: skip
    assert rows[1]["value"] == pytest.approx(scores[:3000].clip(0, 1).sum() / outcome.label[:3000].sum())


def test_a_slice_without_a_large_value_is_said_not_to_be_judged():
    outcome = worlds.lists({"Trees": 0.5}, requests=40)
    outcome = replace(outcome, slices={"hour": {"1": np.arange(40) < 9, "2": np.arange(40) >= 30}})
    goal = Goal("ndcg@5", at_least=0.0, slices=["hour"], smallest=11)
    rows = goals(outcome, "Trees", goal)
    assert [(row["slice"], row["met"]) for row in rows] == [(None, True), ("hour", None)]
    assert rows[1]["reason"] == "the largest has 10 requests, fewer than 11"
    assert set(rows[0]) <= set(rows[1])
    rows = goals(outcome, "Trees", msgspec.structs.replace(goal, smallest=10))
    assert [row["slice"] for row in rows] == [None, "hour=2"]


def test_what_is_not_defined_is_not_met_and_what_is_empty_is_not_judged():
    outcome = worlds.lists({"Trees": 0.5}, requests=40)
    nobody = {"cold": cold(np.full(40, 9))}
    nothing = {"none": np.zeros(len(outcome.group), bool)}
    outcome = replace(outcome, slices=nobody, views=nothing)
    rows = goals(
        outcome,
        "Trees",
        Goal("log_loss", at_most=0.5),
        Goal("ndcg@5", at_least=0.0, slices=["cold"]),
        Goal("ndcg@5", at_least=0.0, view="none"),
    )
    assert [(row["slice"], row["met"]) for row in rows] == [(None, False), (None, True), ("cold", None), (None, None)]
    assert rows[0]["value"] is None
    assert "probabilities" in rows[0]["reason"]
    assert rows[2]["reason"] == "no request in this slice"
    assert rows[3]["reason"] == "no candidate under this view"
    one_class = goals(replace(outcome, label=outcome.label * 0), "Trees", Goal("ndcg@5", at_least=0.0))
    assert [row["met"] for row in one_class] == [False]


@pytest.mark.parametrize(
    ("goal", "where"),
    [
        (Goal("ndcg@5", above="Tree"), r"goals\[0\].above.*\n.*\n.*did you mean 'Trees'"),
        (Goal("ndcg@5", at_least=0, slices=["contry"]), r"goals\[0\].slices.*\n.*\n.*did you mean 'country'"),
        (Goal("ndcg", at_least=0, slices=["x"]), r"goals\[0\].slices"),
        (Goal("auc", at_least=0), r"goals\[0\].metric"),
    ],
)
def test_names_that_are_unknown(goal, where):
    with pytest.raises(DesignError, match=where):
        goals(worlds.lists({"Trees": 0.5}), "Trees", goal)


def test_a_view_that_the_outcome_lacks():
    made = Evaluation("mrr", views=[View("old", "x = 1")], goals=[Goal("mrr", at_least=0, view="old")])
    with pytest.raises(DesignError, match=r"goals\[0\].view"):
        judge_goals(worlds.lists({"Trees": 0.5}), made, "Trees")


def test_slices_by_value():
    column = pa.chunked_array([["b", None, "a"], ["b", "c", "a", None, None]])
    masks = by_value(column, at_most=3)
    assert list(masks) == ["(missing)", "a", "b"]
    assert masks["a"].tolist() == [False, False, True, False, False, True, False, False]
    assert masks["(missing)"].sum() == 3
    assert list(by_value(pa.array([1.0, 2.0, 1.0]))) == ["1", "2"]
    many = by_value(pa.array([str(i % 30) for i in range(300)]))
    assert len(many) == 20


def test_slices_of_cold_people():
    masks = cold(np.array([0.0, np.nan, 5.0, 6.0]))
    assert masks["cold"].tolist() == [True, True, True, False]
    assert (masks["warm"] == ~masks["cold"]).all()
