"""Probabilities stay honest on the ads world: sampling is undone, and calibrators mend what losses and weights bend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ads_proofs import Traffic
from numpy.typing import NDArray

import bottega as bt
from bottega.data.examples import TEST
from bottega.metrics import Predictions, metric
from bottega.models.probability import Corrected
from bottega.worlds.ads import AdsWorld, true_probabilities

COLUMNS = ["query", "ad_id", "device", "position"]
SAMPLINGS = {
    "a fifth": bt.Downsample(0.2),
    "a twentieth": bt.Downsample(0.05),
    "positives five times": bt.Upsample(5),
    "a fifth, weighted": bt.Downsample(0.2, correct=False, weight=True),
}
BENT = {
    "trees that weigh positives": bt.BoostedTrees(trees=40, leaves=15, positive_weight=5.0),
    "a line that weighs positives": bt.Logistic(positive_weight=5.0),
    "a net with focal loss": bt.DCN(
        embedding_size=4,
        layers=[16],
        cross_layers=1,
        epochs=3,
        batch=1024,
        learning_rate=0.01,
        loss="focal",
        focal_gamma=4.0,
    ),
}


@dataclass(frozen=True)
class Judged:
    """The test of a log: its columns as inputs, its labels, and what the world knows."""

    traffic: Traffic
    label: NDArray[np.float32]
    truth: NDArray[np.float64]
    score: Callable[[Corrected], NDArray[np.float32]]

    def auc(self, scores: NDArray[Any]) -> float:
        return metric("roc_auc").value(Predictions(self.label, scores))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Five working days without moods: what the test holds differs from what is learnt from by chance alone."""
    folder: Path = tmp_path_factory.mktemp("ads")
    still = {"interactions": "none", "shock": 0, "new_ads": 0, "auctions": 0}
    AdsWorld(240_000, days=5, start=date(2024, 3, 4), users=200, queries=10, ads=30, **still).write(folder)  # type: ignore[arg-type]
    traffic = Traffic.read(folder, COLUMNS, calibrate="1d")
    test = traffic.examples.part() == TEST
    rows = traffic.table(test)
    inputs = traffic.inputs(rows)
    label = traffic.examples.label[test]
    return Judged(traffic, label, true_probabilities(folder, rows), lambda model: model.score(inputs))


@pytest.fixture(scope="module")
def sampled(judged: Judged) -> Callable[[str], Corrected]:
    """Fit once under each sampling."""

    @cache
    def taught(name: str) -> Corrected:
        lesson = judged.traffic.lesson(sampling=SAMPLINGS.get(name))
        return judged.traffic.taught(bt.Logistic(), lesson)

    return taught


@pytest.mark.parametrize("name", ["nothing", *SAMPLINGS])
def test_what_sampling_does_is_undone(judged: Judged, sampled: Callable[[str], Corrected], name: str) -> None:
    whole, scores = judged.score(sampled("nothing")), judged.score(sampled(name))
    assert scores.mean() == pytest.approx(judged.label.mean(), rel=0.05)
    assert scores.mean() == pytest.approx(judged.truth.mean(), rel=0.05)
    assert judged.auc(scores) == pytest.approx(judged.auc(whole), abs=0.002)
    assert judged.auc(scores) > judged.auc(judged.truth) - 0.05  # who searches no column tells here


@pytest.mark.parametrize(("name", "least"), [("a fifth", 3.0), ("a twentieth", 6.0), ("positives five times", 3.0)])
def test_without_the_correction_the_mean_is_far_off(
    judged: Judged, sampled: Callable[[str], Corrected], name: str, least: float
) -> None:
    assert judged.score(sampled(name).scorer).mean() > least * judged.label.mean()  # type: ignore[arg-type]


def test_a_correction_and_weights_together_are_as_far_off_the_other_way(
    judged: Judged, sampled: Callable[[str], Corrected]
) -> None:
    right = sampled("a fifth, weighted")
    twice = Corrected(right.scorer, replace(right.probability, kept=0.2))
    assert judged.score(twice).mean() < judged.label.mean() / 3


@pytest.mark.parametrize("name", BENT)
def test_a_calibrator_on_a_slice_of_its_own_mends_what_a_loss_bends(judged: Judged, name: str) -> None:
    setting: Any = BENT[name]
    if isinstance(setting, bt.DCN):
        pytest.importorskip("torch", reason="networks need the extra: pip install bottega[deep]")
    lesson = judged.traffic.lesson(calibrate=True, sampling=bt.Downsample(0.2))
    assert not (lesson.times[lesson.calibrate] > 0).any()
    bent = judged.traffic.taught(setting, lesson)
    observed = judged.label.mean()
    assert judged.score(bent).mean() > 1.5 * observed
    for kind in ("platt", "beta", "isotonic"):
        mended = judged.traffic.calibrated(bent, lesson, kind)
        assert judged.score(mended).mean() == pytest.approx(observed, rel=0.05)
        assert judged.score(mended).mean() == pytest.approx(judged.truth.mean(), rel=0.05)
        scores = judged.score(mended)
        edges = np.quantile(scores, [0.5, 0.9])
        for group in range(3):  # also where it says little, and where it says much
            some = np.digitize(scores, edges) == group
            assert scores[some].mean() == pytest.approx(judged.truth[some].mean(), rel=0.1)
