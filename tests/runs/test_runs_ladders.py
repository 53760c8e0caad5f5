"""What is said of rungs before a run begins."""

from __future__ import annotations

import bottega as bt
from bottega.runs.steps.ladders import Ladder, distorted

PLAIN = (bt.HistoricalRate(by="ad"), bt.Logistic(), bt.DCN())
BENT = (
    bt.Logistic(positive_weight=5.0),
    bt.BoostedTrees(positive_weight=0.5, calibrate="platt"),
    bt.DCN(loss="focal"),
    bt.DCN(loss="focal", positive_weight=3.0, name="Both"),
    bt.DeepFM(loss="focal", calibrate="isotonic"),
)


def test_each_rung_whose_probability_nothing_mends_is_named_with_the_cause() -> None:
    alone = {"Logistic": "positive_weight=5", "DCN": "the focal loss", "Both": "positive_weight=3 with the focal loss"}
    assert distorted([Ladder("rank", "clicked", PLAIN)]) == {}
    assert distorted([Ladder("rank", "clicked", BENT)]) == alone
    two = distorted([Ladder("click", "clicked", BENT), Ladder("convert", "bought", BENT)])
    assert two == {f"{ladder}.{name}": why for ladder in ("click", "convert") for name, why in alone.items()}
