"""Which rungs are trained, and what is said of those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from small_feed import Tables, design_of, made

import bottega as bt
from bottega.design.models import rung_name
from bottega.errors import DataError
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.ladders import Ladder, distorted, ladders
from bottega.runs.steps.lessons import make_lessons
from bottega.runs.steps.retrieving import score
from bottega.runs.steps.training import train

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


def several(**settings: Any) -> bt.Design:
    """Give a feed with a label that nobody has in the time of training, and a rung that learns it too."""
    plain = design_of([bt.Popularity(k=20, unseen=5)], [bt.Retrieve(k=20), bt.Rank(), bt.Show(k=5)])
    late = bt.Label("late", when="epoch(time) >= 55 * 86400")
    rungs = [bt.Logistic(), bt.MultiTask(objectives={"read": 1, "late": 1}, epochs=1, **settings)]
    return replace(
        plain, data=replace(plain.data, labels=[bt.Label("read"), late]), models={**plain.models, "rank": rungs}
    )


def test_an_optional_rung_that_nobody_asked_for_is_left_out_by_name() -> None:
    design = several(optional=True)
    (quiet,), (whole,), (part,) = ladders(design), ladders(design, ["all"]), ladders(design, ["Logistic"])
    assert [rung_name(rung) for rung in quiet.rungs] == ["Logistic"]
    assert quiet.left_out == {"MultiTask": "optional, --models all trains it"}
    assert (whole.left_out, part.left_out) == ({}, {})


@pytest.mark.parametrize("optional", [True, False])
def test_an_optional_rung_that_nothing_teaches_is_left_out_by_name(tmp_path: Path, optional: bool) -> None:
    found = "label 'late': 0 positives in"
    with made(several(optional=optional), Tables.drawn(0), tmp_path, models=("all",)) as steps:
        job, examples = steps.job, steps.examples
        scores = score(job, steps.retrieved, examples)
        features = compute_features(job, examples, scores)
        if not optional:  # whoever asks for a rung is told that it cannot be
            with pytest.raises(DataError, match=found):
                train(job, examples, make_lessons(job, examples), scores, features)
            return
        trained = train(job, examples, make_lessons(job, examples), scores, features)
        assert {rung for _, rung, _ in trained} == {"Logistic"}
        (ladder,) = job.ladders
        assert [rung_name(rung) for rung in ladder.rungs] == ["Logistic"]
        assert ladder.left_out.keys() == {"MultiTask"}
        assert ladder.left_out["MultiTask"].startswith(found)
