"""What a review makes of its rules: one fault is told once, and severities are those that pages name."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import bottega as bt
from bottega.data.log import Log
from bottega.design.reading import load
from bottega.features.hashing import hashes
from bottega.reviewing.judging import judge
from bottega.reviewing.log_parts import fitting_split, parts_of
from bottega.reviewing.looking import DAY
from bottega.reviewing.rules import RULES, find_rule
from bottega.reviewing.seeing import see
from bottega.reviewing.seen import Seen, TableSeen
from bottega.reviewing.writing_pages import markdown

DESIGNS = Path(__file__).parent / "designs"
PAYMENTS = load(DESIGNS / "R611.py")
SPLITS = {"R201", "R202", "R203", "R204", "R219"}


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def of_days(days: float, table: str = "shown") -> Seen:
    """What is seen of a log that begins at a midnight."""
    return Seen({table: TableSeen(1000, begin=0, end=int(days * DAY) - 1)})


def test_a_part_that_a_rule_explains_is_not_told_again_by_the_run() -> None:
    ads = load("R301_near.py")
    twice = replace(ads, features=[*ads.features, bt.Categories(["position"])])
    assert [one.code for one in judge(twice).open] == ["R302"]
    silenced = replace(twice, silenced={"R302": "it is how we do it"})
    assert [one.code for one in judge(silenced).open] == ["R902"]  # a run is refused all the same
    elsewhere = replace(twice, evaluation=replace(ads.evaluation, slices=["devcie"]), features=ads.features)
    assert [one.code for one in judge(elsewhere).open] == ["R902"]


@pytest.mark.parametrize("path", sorted(DESIGNS.glob("R*.py")), ids=lambda path: path.stem)
def test_a_rule_that_finds_something_speaks_of_the_design(path: Path) -> None:
    design = load(path)
    for rule in RULES:
        for seen in (None, Seen({})):
            assert rule.about(design, seen) or not list(rule.run(design, seen)), rule.code


def test_a_rule_that_has_nothing_to_look_at_is_counted_apart() -> None:
    payments = judge(load("R206_near.py"))
    assert {"R206", "R303", "R611"} <= set(payments.held)  # it decides, and has windows
    assert {"R407", "R505", "R603", "R607"} <= set(payments.inapplicable)  # it retrieves, shows and sells nothing
    assert {"R211"} <= set(payments.inapplicable)  # data would not help: no column says when a label came
    assert {"R314", "R501"} <= set(payments.waiting)
    codes = [*payments.held, *payments.inapplicable, *payments.waiting]
    assert sorted(codes) == [rule.code for rule in RULES]
    bought = judge(load("R511_near.py"), Seen({"orders": TableSeen(1000, begin=0, end=99 * DAY)}))
    assert {"R217", "R313", "R314", "R406", "R501"} <= set(bought.inapplicable)  # nobody looked for a label


def test_codes_that_collide_are_found_where_examples_are_made_of_what_people_took() -> None:
    shop = load("R511_near.py")
    customers, products = np.repeat(np.arange(400), 3), np.arange(1200) % 300
    time = np.arange(1200) * DAY // 20
    rows = pa.table({"customer": customers, "product": products, "line": np.arange(1200)})
    design = replace(shop, features=[bt.Categories(["product", "customer"], own_from=1_000, hashed=64)])
    found = see(design, {"orders": Log("orders", rows, time, time)}).coded["features[0]"]
    code = {name: int(hashes([str(name)])[0] % np.uint64(64)) for name in range(400)}
    often = Counter(code[name] for name in range(400))
    shared = sum(3 for name in range(400) if often[code[name]] > 1)
    assert (found.column, found.values, found.rows) == ("customer", 400, shared / 1200)
    (claim,) = find_rule("R313").run(design, Seen({}, coded={"features[0]": found}))
    assert claim.found == "400 values of 'customer' share 64 codes."


def test_a_page_names_both_severities() -> None:
    assert "models, warns or stops" in markdown(find_rule("R403"))


@pytest.mark.parametrize(
    ("split", "late", "learnt"),
    [
        (bt.TimeSplit(test="7d"), "1h", 14 - 2 / 24),
        (bt.TimeSplit(test="7d", validate="2d"), "1d", 17),
        (bt.TimeSplit(test="7d", validate="2d", embargo="0s"), "1d", 19),
        (bt.TimeSplit(test="20d"), "1d", -14),
    ],
)
def test_what_is_left_to_learn_from(split: bt.TimeSplit, late: str, learnt: float) -> None:
    ads = load("R301_near.py")
    design = replace(ads, data=replace(ads.data, split=split, labels=[bt.Label("clicked", matures_after=late)]))
    found = parts_of(design, of_days(28))
    assert found is not None
    assert found.learnt / DAY == pytest.approx(learnt)
    assert parts_of(replace(design, data=replace(design.data, split=bt.TimeSplit("2026-01-01"))), of_days(28)) is None


@pytest.mark.parametrize("late", ["0s", "1h", "2d", "9d"])
@pytest.mark.parametrize("days", [3, 9, 14, 28, 40, 365])
@pytest.mark.parametrize("name", ["R201", "R202"])
def test_a_split_that_is_proposed_fits_the_log_and_its_labels(name: str, days: int, late: str) -> None:
    bad = load(f"{name}.py")
    bad = replace(bad, data=replace(bad.data, labels=[bt.Label("clicked", matures_after=late)]))
    fix = fitting_split(bad, of_days(days))
    if not fix.startswith("split="):
        assert "sooner final" in fix
        assert days < 3 * float(late.rstrip("dsh")) + 4
        return
    good = replace(bad, data=replace(bad.data, split=eval(fix.removeprefix("split="), {"bt": bt})))
    assert {one.code for one in judge(good, of_days(days)).findings} & SPLITS == set()


@pytest.mark.parametrize("horizon", ["1d", "7d", "20d"])
@pytest.mark.parametrize("days", [10, 30, 120])
def test_so_does_one_for_what_people_took(days: int, horizon: str) -> None:
    near = load("R407_near.py")
    examples = replace(near.data.examples, horizon=horizon)
    labels = [bt.Label("bought", matures_after=horizon)]
    design = replace(near, data=replace(near.data, examples=examples, labels=labels))
    fix = fitting_split(design, of_days(days, "orders"))
    if not fix.startswith("split="):
        assert days < 3 * float(horizon.rstrip("d")) + 4
        return
    split = eval(fix.removeprefix("split="), {"bt": bt})
    good = replace(design, data=replace(design.data, split=split))
    assert {one.code for one in judge(good, of_days(days, "orders")).findings} & SPLITS == set()


def test_a_split_for_a_log_that_nobody_looked_at_says_how_long_it_must_be() -> None:
    bad = load("R201.py")
    assert fitting_split(bad) == 'split=bt.TimeSplit(test="7d") on a log of 28d or more; less on a shorter one'
    late = replace(bad, data=replace(bad.data, labels=[bt.Label("clicked", matures_after="30d")]))
    assert fitting_split(late).startswith('split=bt.TimeSplit(test="37d") on a log of 149d')


def test_one_stage_is_told_as_one() -> None:
    bad = load("R601.py")
    one = replace(bad, serving=replace(bad.serving, path=[bt.Retrieve(), bt.Rank(budget_ms=80), bt.Show()]))
    (claim,) = find_rule("R601").run(one, None)
    assert claim.found == "a stage may take 80 ms, and the limit is 50 ms."


def test_a_guardrail_that_is_a_metric_of_the_model_needs_more_than_an_experiment() -> None:
    ads = load("R301_near.py")
    named = replace(ads, scope=replace(ads.scope, guardrails=["coverage of the catalogue", "hides per search"]))
    (claim,) = find_rule("R104").run(named, None)
    assert claim.place == "scope.guardrails[0]"
    assert claim.fix == "a watch of coverage@4, with the smallest value that you would still serve as at_least"
    goal = bt.Goal("coverage@4", at_least=0.2)
    held = replace(named, evaluation=replace(ads.evaluation, goals=[goal]))
    assert [claim.fix for claim in find_rule("R701").run(held, None)] == ['bt.Watch("coverage@4", at_least=0.2)']
    assert list(find_rule("R104").run(held, None)) == []


def test_a_stranger_is_looked_for_where_windows_tell_of_the_one_who_asks() -> None:
    ads = load("R301_near.py")
    past = bt.Window("shown", by="user", over=["7d"], values={"n": "count(*)"})
    lives = replace(ads, features=[*ads.features, past])
    assert [claim.fix for claim in find_rule("R503").run(lives, None)] == ['slices=["cold"]']
    alone = replace(lives, evaluation=replace(lives.evaluation, unit="request"))  # nobody comes twice
    assert [list(find_rule("R503").run(one, None)) for one in (ads, alone)] == [[], []]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("visual-search", "put bt.RawPixels() before it"),
        ("document-search", 'put bt.Fusion(over=["bm25_score"]) before it'),
        ("shop-recommendation", 'put bt.HistoricalRate(by="product") before it'),
        ("sponsored-search", 'put bt.HistoricalRate(by="ad_id") before it'),
    ],
)
def test_a_first_rung_suits_what_the_ladder_does(name: str, fix: str) -> None:
    from bottega.systems import find

    design = find(name)
    ladders = {ladder: rungs[-1:] if ladder != "retrieve" else rungs for ladder, rungs in design.models.items()}
    short = replace(design, models=ladders, evaluation=bt.Evaluation(design.evaluation.primary))
    claims = list(find_rule("R401").run(short, None))
    assert fix in [claim.fix for claim in claims]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ([bt.Candidates(at_most=3), bt.Rank(), bt.Show(k=4)], "a request may bring 3 candidates, for 4 places."),
        ([bt.Candidates(at_most=4), bt.Rank(), bt.Show(k=4)], ""),
        (
            [bt.Candidates(), bt.Rank(), bt.Show(k=40, at_most=10)],
            "40 places are shown, and at most 10 may be asked for.",
        ),
    ],
)
def test_candidates_that_a_request_brings_fill_the_page_too(path: list[Any], found: str) -> None:
    ads = load("R301_near.py")
    claims = find_rule("R603").run(replace(ads, serving=replace(ads.serving, path=path)), None)
    assert [claim.found for claim in claims] == [found] * bool(found)


@pytest.mark.parametrize(
    "feature",
    [bt.Expression({"twice": "clicked * 2"}), bt.Cross("ad", "clicked"), bt.TargetRate(["clicked"])],
    ids=lambda feature: type(feature).__name__,
)
def test_the_label_in_a_feature_is_told_as_the_label(feature: Any) -> None:
    ads = load("R301_near.py")
    assert [one.code for one in judge(replace(ads, features=[*ads.features, feature])).open] == ["R301"]


@pytest.mark.parametrize(("share", "silent"), [(0.05, True), (0.25, True), (0.5, False), (1.0, False)])
def test_few_people_meet_a_version_first(share: float, silent: bool) -> None:
    ads = load("R301_near.py")
    retrain = bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(share)])
    claims = list(find_rule("R705").run(replace(ads, monitoring=replace(ads.monitoring, retrain=retrain)), None))
    assert (not claims) == silent


@pytest.mark.parametrize(
    ("goal", "stands_open"),
    [
        (bt.Goal("roc_auc", at_least=0.5), True),
        (bt.Goal("roc_auc", at_least=0.6), False),
        (bt.Goal("pr_auc", at_least=0.0), True),
        (bt.Goal("log_loss", at_most=0.7), False),
        (bt.Goal("ece", at_most=1.0), True),
        (bt.Goal("predicted_over_observed", within=(0.9, 1.1)), False),
        (bt.Goal("normalized_entropy", at_most=1.05), False),  # a net that overfits misses it
        (bt.Goal("log_loss", below="HistoricalRate"), False),
    ],
)
def test_a_gate_that_stands_open(goal: bt.Goal, stands_open: bool) -> None:
    ads = load("R301_near.py")
    claims = list(find_rule("R507").run(replace(ads, evaluation=replace(ads.evaluation, goals=[goal])), None))
    assert bool(claims) == stands_open


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=4))
def test_an_action_without_use_is_one_that_no_probability_chooses(pairs: list[tuple[int, int]]) -> None:
    names = ["approve", "review", "hold", "block"][: len(pairs)]
    decide = bt.Decide(names, costs=dict(zip(names, pairs, strict=True)))
    path = [bt.Score(budget_ms=20), decide]
    bad = replace(PAYMENTS, serving=replace(PAYMENTS.serving, path=path))
    told = {claim.found.split("'")[1] for claim in find_rule("R611").run(bad, None)}
    crossed = sorted(
        {p for a in pairs for b in pairs if (p := crossing(a, b)) is not None} | {Fraction(0), Fraction(1)}
    )
    chances = [*crossed, *((low + high) / 2 for low, high in pairwise(crossed))]
    for place, (name, (if_not, if_so)) in enumerate(zip(names, pairs, strict=True)):
        others = [pair for other, pair in enumerate(pairs) if other != place]
        used = any((1 - p) * if_not + p * if_so < min((1 - p) * a + p * b for a, b in others) for p in chances)
        assert used == (name not in told)


def crossing(a: tuple[int, int], b: tuple[int, int]) -> Fraction | None:
    """The probability, if there is one, at which two actions cost the same."""
    slope = (a[1] - a[0]) - (b[1] - b[0])
    p = Fraction(b[0] - a[0], slope) if slope else None
    return p if p is not None and 0 <= p <= 1 else None
