"""Real logs of clicks: the sample that the package carries, and one without a time whose rates must not leak."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_shop import changed

import bottega as bt
from bottega.reporting.screen import summary
from bottega.systems.banner_clicks import design as banners

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = os.environ.get("BOTTEGA_DATA")
without_frappe = pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "frappe_part").is_dir(), reason="BOTTEGA_DATA names no folder with frappe_part"
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sample design as it is bundled, built once from the sample."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BOTTEGA_DATA", raising=False)
        return bt.run("banner-clicks", workspace=tmp_path_factory.mktemp("w"))


def test_the_sample_runs_anywhere_and_says_how_little_it_tells(ran: Any) -> None:
    card = ran.scorecard
    assert card["source"]["kind"] == "sample"
    assert card["data"]["accepted"] == 60_000
    assert card["labels"][0]["positives"] == 287
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    told = " ".join(summary(card).split())
    assert "86 of the 287 positives" in told
    assert "no rung can" in told
    gap = next(each for each in card["comparisons"] if each["metric"] == "log_loss")
    assert gap["low"] < 0 < gap["high"]


def test_true_propensities_stand_beside_the_predictions(ran: Any) -> None:
    found = pq.read_table(ran.report.parent / "predictions.parquet")
    assert found.num_rows == 16_427  # four of the last minute are not final
    shown = found.column("propensity").to_numpy()
    assert ((shown > 0) & (shown <= 1)).all()
    random = np.array(found.column("policy").to_pylist()) == "random"
    assert {round(float(one), 4) for one in np.unique(shown[random])} == {round(1 / n, 4) for n in (80, 46, 34)}


@without_frappe
@pytest.mark.usefixtures("quick")
def test_pairwise_target_rates_reach_the_best_yardstick_without_a_time(tmp_path: Path) -> None:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from frappe_ladder import frappe, table
    finally:
        sys.path.remove(str(BENCHMARKS))
    table(Path(str(DATA)) / "frappe_part", tmp_path / "frappe.parquet")
    design = frappe()
    trees = changed(design.models["rank"][2], trees=120, learning_rate=0.1, leaves=31)
    card = bt.run(
        changed(design, models={"rank": [*design.models["rank"][:2], trees]}), data=tmp_path, workspace=tmp_path / "w"
    ).scorecard
    scores = {each["name"]: each["metrics"] for each in card["models"]}
    assert scores["BoostedTrees"]["roc_auc"]["value"] > 0.966  # the yardstick's own interval begins at .967
    assert scores["BoostedTrees"]["log_loss"]["value"] < 0.172
    assert scores["BoostedTrees"]["log_loss"]["value"] < scores["HistoricalRate"]["log_loss"]["value"] - 0.1
    assert card["parity"]["mismatches"] == 0
    assert card["parity"]["compared"] > 100_000


def test_the_bundled_design_is_short_and_loads() -> None:
    source = Path(sys.modules["bottega.systems.banner_clicks"].__file__ or "")
    assert len(source.read_text().splitlines()) <= 150
    assert bt.load_design(source) == banners
