"""What a figure does not say by itself is said beside it: on few candidates, by the value alone, on validation."""

from __future__ import annotations

import re

from msgspec.structs import replace
from report_click_cards import ads, clicks

import bottega as bt
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.reporting.screen import summary


def test_what_was_clicked_beyond_a_budget_is_told_with_its_worth() -> None:
    for told in (markdown(ads, clicks()), " ".join(summary(clicks(), 80).split())):
        assert "12 clicks beyond a budget, worth 3.46 that nobody paid" in told
    card = clicks()
    card["auction"]["given_free"] = {"clicks": 0.0, "worth": 0.0}
    assert "beyond a budget" not in markdown(ads, card) + summary(card)


def test_a_p99_of_fewer_candidates_than_the_scope_states_is_said_to_be_so_and_is_not_green() -> None:
    few_of_them = "with 61 candidates a request, and the scope states 200"
    for told in (markdown(ads, clicks()), html(ads, clicks()), " ".join(summary(clicks(), 80).split())):
        assert few_of_them in told
    green = re.compile(r"\x1b\[32m *p99")
    assert not green.search(summary(clicks(), 118, colour=True))
    card = clicks()
    card["serving"]["candidates"] = 199.7
    assert green.search(summary(card, 118, colour=True))
    assert "200 candidates" in " ".join(summary(card, 80).split())
    for told in (markdown(ads, card), html(ads, card), summary(card)):
        assert "the scope states" not in told
    assert "200 candidates a request" in markdown(ads, card)


def test_the_commonest_degradation_is_on_the_screen_where_many_answers_have_one() -> None:
    told = " ".join(summary(clicks(), 80).split())
    assert "87 % degraded, most often auction: n of n without a budget" in told
    card = clicks()
    card["serving"]["degraded"] = 0.02
    assert "2.0 % degraded parity" in " ".join(summary(card, 80).split())


def test_a_goal_that_its_value_meets_and_its_interval_does_not_is_told_with_both() -> None:
    card, how = clicks(), "met by the value; its interval reaches beyond the limit"
    for told in (markdown(ads, card).replace("**", ""), " ".join(summary(card, 80).split())):
        assert how in told
        assert "0.972 ± 0.093" in told
    assert markdown(ads, card).count("reaches beyond") == 1
    card["goals"][2] |= {"met": False, "value": 0.91}
    missed = " ".join(summary(card, 80).split())
    assert "missed by the value; its interval reaches within the limit" in missed
    assert "(0.910 [0.879, 1.065])" in missed
    card["goals"] = 9 * [{**card["goals"][2], "met": True}]
    many = " ".join(summary(card, 80).split())
    assert many.count(how) == 3
    assert "and 6 more met by the value alone" in many


def test_metrics_without_a_best_possible_value_are_not_in_the_ceiling() -> None:
    card = clicks()
    card["ceiling"]["metrics"]["ece"] = {"value": 0.00328, "low": -0.00249, "high": 0.00905, "n": 9}
    card["ceiling"]["gap"]["ece"] = -1.0
    card["ceiling"]["gap"]["coverage@20"] = 0.5
    assert markdown(ads, card) == markdown(ads, clicks())
    assert summary(card) == summary(clicks())


def test_the_champion_is_said_to_be_chosen_on_validation_beside_a_table_of_the_test() -> None:
    told = " ".join(summary(clicks(), 80).split())
    assert "rank, on validation (above: the test): DCN is the best (normalized_entropy 0.8705)" in told


def test_a_ladder_without_a_run_has_its_optional_rungs_as_such() -> None:
    rank = [*ads.models["rank"], bt.BoostedTrees(name="Extra", optional=True)]
    design = replace(ads, models={**ads.models, "rank": rank})
    assert "| Extra (optional) | rank |" in markdown(design, {})
    assert "| Extra" not in markdown(design, clicks())  # it was not tried
    card = clicks()
    card["left_out"] = {"Extra": "a library is not there"}
    assert "| Extra | rank |" in markdown(design, card)


def test_one_of_a_thing_is_told_as_one() -> None:
    once = replace(ads, scope=replace(ads.scope, traffic=bt.Traffic(daily_users=1, requests_per_user=1, candidates=1)))
    card = clicks()
    card["serving"] |= {"candidates": 1.0, "requests": 1}
    told = markdown(once, card)
    assert "1 request each" in told
    assert "1 request, " in told
    assert "1 candidate a request" in told
    assert not re.search(r"\b1 (requests|candidates)\b", told)


def test_the_plan_of_the_experiment_says_what_else_is_read_in_its_arms() -> None:
    planned = replace(ads, evaluation=replace(ads.evaluation, experiment=bt.Experiment("revenue", "user", 0.02)))
    guarded = replace(planned, scope=replace(ads.scope, guardrails=["hides per search", "complaints"]))
    assert "must not get worse: hides per search; complaints." in markdown(guarded, {})
    assert "read as well" not in markdown(replace(planned, scope=replace(ads.scope, guardrails=[])), {})
