"""The shop is held to a plain ranker over the same candidates, and on the real log to what libraries reach."""

from __future__ import annotations

import os
from pathlib import Path

import lightgbm
import pytest

import bottega as bt
from bottega.runs.steps import measuring
from bottega.systems.shop_recommendation import PLAIN, design

DATA = os.environ.get("BOTTEGA_DATA")
without_log = pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "online_retail").is_dir(),
    reason="BOTTEGA_DATA names no folder with online_retail",
)
YARDSTICK = {None: 0.372, "new items": 0.157}  # NDCG@20 of two stages by LightGBM, tuned, and picked on the test


def test_the_plain_ranker_is_lightgbm_as_it_comes() -> None:
    own = lightgbm.LGBMRanker().get_params()
    wanted = (own["n_estimators"], own["num_leaves"], own["learning_rate"])
    assert (PLAIN.trees, PLAIN.leaves, PLAIN.learning_rate) == wanted
    held = (own["min_child_samples"], own["reg_lambda"], own["colsample_bytree"])
    assert (PLAIN.min_leaf, PLAIN.reg, PLAIN.column_share) == held
    assert not PLAIN.without  # it reads all that the others read
    assert PLAIN in design.models["rank"]
    assert bt.Goal("ndcg@20", above=PLAIN.name) in design.evaluation.goals


@without_log
def test_the_real_log_is_ranked_better_than_by_plain_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "REQUESTS", 100)  # this is not about the service
    monkeypatch.setattr(measuring, "WARM_UP", 20)
    card = bt.run(design, data=DATA, workspace=tmp_path).scorecard
    goals = [(goal["limit"], goal["view"], goal["met"]) for goal in card["goals"]]
    assert ("above PlainLightGBM", None, True) in goals
    assert all(met for *_, met in goals)
    (model,) = [each for each in card["models"] if each["name"] == card["champions"]["rank"]]
    found = {None: model["metrics"], **model["views"]}
    for view, least in YARDSTICK.items():
        assert found[view]["ndcg@20"]["value"] > least
