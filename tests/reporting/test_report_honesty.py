"""What a figure does not say by itself is said beside it: on few candidates, by the value alone, on validation."""

from __future__ import annotations

import re

from msgspec.structs import replace
from report_click_cards import ads, clicks

import bottega as bt
from bottega.reporting.drawing.mermaid import mermaid
from bottega.reporting.drawing.plan import plan
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.reporting.reasons import reason
from bottega.reporting.scorecard import of
from bottega.reporting.screen import summary
from bottega.reporting.verdict import verdict
from bottega.serving.wire import counted


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
    assert "87 % degraded, most often ads were without a budget" in told
    card = clicks()
    card["serving"]["degraded"] = 0.02
    assert "2.0 % degraded parity" in " ".join(summary(card, 80).split())


def test_a_latency_that_says_nothing_of_the_service_is_not_held_against_the_limit_anywhere() -> None:
    card = clicks()
    card["serving"] |= {"saturated": True, "limit": {**card["serving"]["limit"], "met": None}}
    why = "not judged: the generator of the load was late"
    screen, page = " ".join(summary(card, 80).split()), markdown(ads, card)
    assert re.search(rf"p99 [^(]+ ms \({why}; the limit is [^)]+ ms\)", screen)
    assert f"; p99 {why}; " in page.partition("## ")[0]  # the verdict
    assert re.search(rf"p99 latency[^\n]*{why}; the limit is", page)
    assert "in all<br/>not judged" in mermaid(plan(ads, of(card)))
    assert verdict(of(card)).good is not True
    assert why not in " ".join(summary(clicks(), 80).split()) + markdown(ads, clicks())


def test_what_answers_lacked_is_told_in_sentences() -> None:
    card = clicks()
    card["serving"] |= {
        "degraded": 0.2,
        "degradations": {"BM25: left out, not there after n ms": 2, "customer: missing": 1},
        "unasked": {"query": 12},
        "shortfalls": {"k: n of n found": 1, "quota new: n of at least n in the first n": 3},
    }
    told = markdown(ads, card)
    assert (
        "- **Degraded**: 20 % of the answers: BM25 was not there in time in 2 answers; customer: missing in 1" in told
    )
    assert "- **Fewer than asked for**: quota new found too few in 3 answers; too few were found in 1 answer" in told
    assert "- **Asked without, as the log has it**: query in 12 requests" in told
    assert "20 % degraded, most often BM25 was not there in time" in " ".join(summary(card, 80).split())


def test_every_reason_that_a_service_counts_is_said_without_the_letter_n() -> None:
    given = [
        "k: 3 of 20 found", "k: 50 of 70, the most that is shown", "BM25: left out, not there after 25 ms",
        "Dense: left out, 4 earlier requests still wait for it", "candidates: 3 unknown", "candidates: 1 not allowed",
        "candidates: 2 repeated or empty", "candidates: 2 without a number", "auction: 1 of 3 slots sold",
        "auction: 2 of 9 below the reserve", "quota new: 1 of at least 3 in the first 10",
        "quota old: 7 of at most 3 in the first 10", "quota genre: 4 of drama, at most 2, in the first 10",
        "rank: left out", "f_79: missing", "rank: left out, features took 3.1 of 2.5 ms",
        "ALS: left out, not there after 2.5 ms",
    ]  # fmt: skip
    for names in counted(given):
        for name in names:
            assert not re.search(r"\bn\b", reason(name)), name


def test_numbers_that_come_with_the_candidates_are_counted_and_named() -> None:
    told = markdown(replace(ads, features=[bt.Given(["bm25", "age"])]), clicks())
    assert "2 features, each as it was known" in told
    assert "`bm25, age`" in told
    left_open = markdown(replace(ads, features=[bt.Given()]), {})
    assert "Every number that comes with a candidate, each as it was known" in left_open
    assert "0 features" not in left_open


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
    assert "| Extra (optional) | rank |" in markdown(design, card)


def test_a_rung_that_a_run_did_not_train_is_said_to_be_so() -> None:
    rank = [*ads.models["rank"], bt.BoostedTrees(name="Extra", optional=True)]
    design, card = replace(ads, models={**ads.models, "rank": rank}), clicks()
    card["left_out"]["Extra"] = "optional, --models all trains it"
    page = markdown(design, card)
    assert "| Extra (optional) | rank |" in page
    assert "- Extra: optional, --models all trains it" in page
    assert "Extra: optional, --models all trains it" in " ".join(summary(card, 80).split())
    drawn = mermaid(plan(design, of(card)))
    assert "Extra, not trained" in drawn
    assert "DCN, not trained" not in drawn
    assert "not trained" not in mermaid(plan(design, of({})))


def test_a_label_that_no_model_learnt_is_said_to_be_so() -> None:
    card = clicks()
    gone = card["labels"].pop()["name"]
    assert f"No model of this run learnt {gone}." in markdown(ads, card)
    assert "No model of this run" not in markdown(ads, clicks())


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
