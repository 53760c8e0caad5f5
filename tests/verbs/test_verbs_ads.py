"""The systems of sponsored search and of the ad auction run whole on a small world, and their scorecards are sane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_shop import REQUESTS, WARM_UP, Command, changed

import bottega as bt
from bottega.reporting.screen import summary
from bottega.runs.steps import measuring
from bottega.systems.ad_auction import design as auction
from bottega.systems.sponsored_search import design as search

RUNGS = ["HistoricalRate", "Logistic", "BoostedTrees"]
ROWS = 60_000


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Sponsored search with few, small trees."""
    home = tmp_path_factory.mktemp("search")
    rungs = [
        changed(rung, trees=20, leaves=7) if isinstance(rung, bt.BoostedTrees) else rung
        for rung in search.models["rank"]
    ]
    small = changed(
        search,
        models={"rank": rungs},
        serving=changed(search.serving, workers=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BOTTEGA_DATA", raising=False)
        patch.setattr(measuring, "REQUESTS", REQUESTS)
        patch.setattr(measuring, "WARM_UP", WARM_UP)
        ran = bt.run(small, rows=ROWS, seed=0, workspace=home, models=RUNGS)
    return ran.scorecard, home / search.name


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The ad auction as anybody would type it."""
    home = tmp_path_factory.mktemp("auction")
    typed = ("run", auction.name, "--rows", ROWS, "--models", ",".join(RUNGS), "--workspace", home, "--json")
    said = Command(*typed, folder=home / "said").wait()
    assert said.code == 0, said.err
    return json.loads(said.out), home / auction.name


@pytest.fixture(params=["ads", "sold"])
def card(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The scorecard of each."""
    found: dict[str, Any] = request.getfixturevalue(request.param)[0]
    return found


def entry(card: dict[str, Any], stage: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in card["models"] if (one["stage"], one["name"]) == (stage, name))
    return found


def test_what_is_served_is_what_was_learnt(card: dict[str, Any]) -> None:
    assert card["parity"]["compared"] > 1000
    assert card["parity"]["mismatches"] == 0
    assert card["serving"]["requests"] == REQUESTS
    assert card["serving"]["errors"] == 0
    gates = {gate["name"]: gate["passed"] for gate in card["release"]["gates"]}
    assert gates["parity"]
    assert gates["smoke load"]


def test_every_rung_is_judged_and_each_ladder_has_a_champion(card: dict[str, Any]) -> None:
    assert list(card["champions"]) == list(card["ladders"])
    for stage, champion in card["champions"].items():
        assert [one["name"] for one in card["models"] if one["stage"] == stage] == RUNGS
        assert champion in RUNGS
        assert stage in card["calibration"]


def test_the_champion_lies_between_the_rate_of_an_ad_and_the_limit(card: dict[str, Any]) -> None:
    stage, champion = next(iter(card["champions"].items()))
    value = entry(card, stage, champion)["metrics"]["normalized_entropy"]["value"]
    limit = card["ceiling"]["metrics"]["normalized_entropy"]["value"]
    assert limit < value < entry(card, stage, "HistoricalRate")["metrics"]["normalized_entropy"]["value"] < 1
    assert card["ceiling"]["gap"]["normalized_entropy"] == pytest.approx(value / limit - 1)
    assert 0 < value / limit - 1 < 0.15
    assert limit > 0.7
    assert {"ece", "predicted_over_observed"}.isdisjoint(card["ceiling"]["metrics"])  # nothing bounds them


def test_the_load_is_told_with_its_candidates_and_those_of_the_scope(card: dict[str, Any]) -> None:
    stated = {"ad-auction": 40, "sponsored-search": 200}[card["design"]]
    assert card["serving"]["limit"]["candidates"] == stated
    assert 10 < card["serving"]["candidates"] <= stated
    fewer = card["serving"]["candidates"] < stated - 0.5
    assert ("and the scope states" in summary(card)) == fewer
    sold = card["serving"]["sold"]
    assert sold is None if card["design"] == "sponsored-search" else sold > card["serving"]["requests"]


def test_predicted_over_observed_is_near_one_and_its_deciles_rise(card: dict[str, Any]) -> None:
    stage = next(iter(card["champions"]))
    told = card["calibration"][stage]
    overall = told["overall"]["predicted_over_observed"]
    assert overall["low"] < overall["value"] < overall["high"]
    assert overall["value"] == pytest.approx(1, abs=0.12)  # of one or two days of some 300 clicks each
    predicted = [decile["predicted"] for decile in told["deciles"]]
    assert len(predicted) == 10
    assert predicted == sorted(predicted)
    inside = [decile["low"] <= decile["predicted"] <= decile["high"] for decile in told["deciles"]]
    assert sum(inside) >= 6  # of intervals that hold 95 of 100
    observed = [decile["observed"] for decile in told["deciles"]]
    assert observed[-1] > 3 * observed[0]


def test_the_predictions_give_the_scorecards_entropy_again(ads: tuple[dict[str, Any], Path]) -> None:
    card, folder = ads
    told = pq.read_table(folder / "predictions.parquet")
    label = told["label"].to_numpy().astype(np.float64)
    rate = label.mean()
    base = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    for rung in RUNGS:
        said = told[rung].to_numpy().astype(np.float64)
        loss = -np.mean(label * np.log(said) + (1 - label) * np.log1p(-said))
        found = entry(card, "rank", rung)["metrics"]
        assert found["normalized_entropy"]["value"] == pytest.approx(loss / base, rel=1e-5)
        assert found["predicted_over_observed"]["value"] == pytest.approx(said.mean() / rate, rel=1e-5)


def test_half_of_the_negatives_were_left_out_and_put_right(ads: tuple[dict[str, Any], Path]) -> None:
    card, _ = ads
    assert search.data.sampling == bt.Downsample(keep_negatives=0.5)
    for rung in RUNGS:  # uncorrected they would say nearly twice what was observed
        assert entry(card, "rank", rung)["metrics"]["predicted_over_observed"]["value"] == pytest.approx(1, abs=0.2)


def test_a_days_auctions_sell_slots_within_the_budgets(sold: tuple[dict[str, Any], Path]) -> None:
    card, folder = sold
    told = card["auction"]
    (ads,) = folder.glob("steps/world-ads-*/ads.parquet")
    bids = pq.read_table(ads)["bid"].to_numpy()
    slots = next(stage.slots for stage in auction.serving.path if isinstance(stage, bt.Auction))
    assert 1000 < told["drawn"] <= told["searches"]
    assert told["searches"] < told["sold"] <= slots * told["searches"]
    assert told["revenue"] > 0
    assert told["revenue_per_1000"] == pytest.approx(1000 * told["revenue"] / told["searches"])
    assert 0.02 < told["click_through"] == pytest.approx(told["clicks"] / told["sold"], rel=0.01)
    assert sum(hour["revenue"] for hour in told["by_hour"]) == pytest.approx(told["revenue"])
    shares = [hour["spent_share"] for hour in told["by_hour"]]
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    for one in told["advertisers"]:
        assert one["spent"] <= one["budget"] * (1 + 1e-9)
        assert one["cost_per_click"] <= bids.max() + 1e-9
    assert told["over_budget"] == {"advertisers": 0, "largest": 0.0}
    assert any(one["spent"] > 0.999999 * one["budget"] for one in told["advertisers"])  # some budgets end
    assert 0 < told["given_free"]["clicks"] < 0.1 * told["clicks"]
    assert 0 < told["given_free"]["worth"] < 0.1 * told["revenue"]


def test_conversions_are_put_right_for_those_that_come_late(sold: tuple[dict[str, Any], Path]) -> None:
    card, _ = sold
    labels = {label["name"]: label for label in card["labels"]}
    assert 0.6 < labels["converted"]["window_share"] < 1
    assert labels["converted"]["rows"] < labels["clicked"]["positives"]
    found = entry(card, "convert", card["champions"]["convert"])["metrics"]["predicted_over_observed"]
    assert found["low"] < 1 < found["high"]
