"""What a champion says where a source tells it nothing, against the same scores worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from small_feed import Tables, design_of, made

import bottega as bt
from bottega.runs.steps.blind import Blind
from bottega.runs.steps.examples import read_examples
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.lessons import FINAL, lesson_of, make_lessons
from bottega.runs.steps.retrieving import score
from bottega.runs.steps.training import train

OVER = ["popularity_score", "co_purchase_score"]


def places(scores: np.ndarray, group: np.ndarray) -> np.ndarray:
    """1 ÷ (60 + place) of each row in its request, 0 for a score of 0."""
    better = (scores[None, :] > scores[:, None]) & (group[None, :] == group[:, None])
    return np.where(scores > 0, 1 / (61 + better.sum(axis=1)), 0)


def test_a_champion_without_a_source_has_its_scores_left_out(tmp_path: Path) -> None:
    plain = design_of(
        [bt.Popularity(k=20, unseen=5), bt.CoPurchase(k=20, unseen=5), bt.PersonalHistory(k=5)],
        [bt.Retrieve(k=20), bt.Rank(), bt.Show(k=5)],
    )
    design = replace(plain, models={**plain.models, "rank": [bt.Fusion(over=OVER)]})
    with made(design, Tables.drawn(1, n=300), tmp_path) as steps:
        job, examples = steps.job, steps.examples
        scores = score(job, steps.retrieved, examples)
        features = compute_features(job, examples, scores)
        lessons = make_lessons(job, examples)
        trained = train(job, examples, lessons, scores, features)
        (ladder,) = job.ladders
        rows = lesson_of(lessons, ladder, ladder.rungs[0], FINAL).judged
        blind = Blind(job, ladder, "Fusion", examples, scores, trained, features[FINAL], rows)
        group = read_examples(examples.folder).group[rows]
        each = {
            name: places(np.load(scores[name].folder / "scores.npy")[rows], group)
            for name in ("Popularity", "CoPurchase")
        }
        whole = np.load(trained["rank", "Fusion", FINAL].folder / "scores.npy")[rows]
        assert whole == pytest.approx(each["Popularity"] + each["CoPurchase"], rel=1e-5)
        for gone, left in (("Popularity", "CoPurchase"), ("CoPurchase", "Popularity")):
            found = blind(gone)
            assert found is not None
            assert found.scores == pytest.approx(each[left], rel=1e-5)
            assert each[gone].any()
        assert blind("PersonalHistory") is not None  # among the inputs, and no order of the fusion
        np.testing.assert_array_equal(blind("PersonalHistory").scores, whole)  # type: ignore[union-attr]
        assert blind("Nobody") is None
