"""Calibrators against scikit-learn, plain oracles and a world of known distortion; Probability against its formula."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from bottega.design.scorers import BoostedTrees, HistoricalRate, Logistic
from bottega.errors import BuildError, DataError, DesignError
from bottega.metrics import ece, predicted_over_observed, roc_auc
from bottega.models.calibrators import Beta, Calibrator, Isotonic, Platt, calibrator_of, fit_calibrator
from bottega.models.making import make_scorer
from bottega.models.probability import Corrected, Probability
from bottega.testing.model_checks import SCORER_CHECKS

KINDS: tuple[Any, ...] = ("platt", "beta", "isotonic")


def world(
    rows: int, seed: int = 0, slope: float = 2.0, shift: float = 2.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose log-odds are `slope` times too steep and shifted; labels; the truth."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-2, 1.2, rows)
    truth = 1 / (1 + np.exp(-margin))
    return 1 / (1 + np.exp(-(slope * margin + shift))), (rng.random(rows) < truth).astype(float), truth


def drawn_in(labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each row as a positive and a negative row, weighted by Platt's targets: (index, label, weight)."""
    positive, negative = weights[labels == 1].sum(), weights[labels == 0].sum()
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    index = np.tile(np.arange(len(labels)), 2)
    return index, np.repeat([1, 0], len(labels)), np.concatenate([weights * target, weights * (1 - target)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["platt", "beta"])
def test_lines_are_those_of_scikit_learn(kind: Any, weighted: bool) -> None:
    scores, labels, _ = world(3000)
    weights = np.random.default_rng(1).random(3000) if weighted else np.ones(3000)
    index, target, mass = drawn_in(labels, weights)
    lines = [np.log(scores / (1 - scores))] if kind == "platt" else [np.log(scores), -np.log(1 - scores)]
    inputs = np.column_stack(lines)
    other = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(inputs[index], target, sample_weight=mass)
    assert (other.coef_ > 0).all()  # else the bound at 0 decides, below
    mine = fit_calibrator(kind, scores, labels, weights if weighted else None)
    np.testing.assert_allclose(mine.apply(scores), other.predict_proba(inputs)[:, 1], rtol=2e-4)


def test_platt_of_raw_scores_is_the_sigmoid_of_scikit_learn() -> None:
    """Its own code for Platt's method, on the margins of a model that is given."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 1))
    labels = (rng.random(800) < 1 / (1 + np.exp(-3 * x[:, 0] + 1))).astype(int)
    model = LogisticRegression().fit(x[:400], labels[:400])
    margins = model.decision_function(x[400:])
    right = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(x[400:], labels[400:])
    mine = Platt.fit(margins, labels[400:], log_odds=False)
    np.testing.assert_allclose(mine.apply(margins), right.predict_proba(x[400:])[:, 1], atol=2e-4)


def test_beta_keeps_its_slopes_from_0_up() -> None:
    """Where the best line would fall at one end, the best of those that do not, as a bounded solver finds it."""
    rng = np.random.default_rng(3)
    scores = rng.beta(1, 1, 4000)
    labels = (rng.random(4000) < np.where(scores < 0.5, 0.3 - 0.5 * scores, scores - 0.45)).astype(float)
    index, target, mass = drawn_in(labels, np.ones(4000))
    inputs = np.column_stack([np.log(scores), -np.log(1 - scores), np.ones(4000)])[index]

    def loss(point: np.ndarray) -> float:
        margin = inputs @ point
        return float(mass @ (np.logaddexp(0, margin) - target * margin)) / 4000

    free = minimize(loss, [1, 1, 0], method="BFGS").x
    assert free[:2].min() < -0.05
    bounded = minimize(loss, [1, 1, 0], bounds=[(0, None), (0, None), (None, None)], method="L-BFGS-B").x
    mine = Beta.fit(scores, labels)
    np.testing.assert_allclose([mine.a, mine.b, mine.c], bounded, atol=2e-3)


def isotonic_oracle(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rising fit by its max-min formula, for distinct scores in rising order."""
    n = len(labels)
    hits, mass = (np.concatenate([[0], np.cumsum(column)]) for column in (labels * weights, weights))
    means = (hits[None, 1:] - hits[:-1, None]) / np.where(
        np.tri(n, k=-1).T + np.eye(n) > 0, mass[None, 1:] - mass[:-1, None], 1
    )
    return np.array([max(min(means[a][b] for b in range(i, n)) for a in range(i + 1)) for i in range(n)])


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_is_the_rising_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, weights = np.sort(rng.normal(size=60)), rng.integers(1, 4, 60).astype(float)
    labels = (rng.random(60) < np.linspace(0.1, 0.9, 60)).astype(float)
    right = isotonic_oracle(labels, weights)
    mine = Isotonic.fit(scores, labels, weights).apply(scores)
    inside = (right > 0) & (right < 1)
    assert inside.sum() > 20
    np.testing.assert_allclose(mine[inside], right[inside], rtol=1e-6)
    low, high = weights[right == 0].sum(), weights[right == 1].sum()
    np.testing.assert_allclose(mine[right == 0], min(0.5 / (low + 1), right[inside].min()), rtol=1e-5)
    np.testing.assert_allclose(mine[right == 1], max(1 - 0.5 / (high + 1), right[inside].max()), rtol=1e-5)


def test_isotonic_is_that_of_scikit_learn_between_and_beyond_its_scores() -> None:
    scores, labels, _ = world(5000)
    scores = np.round(scores, 2)  # many equal ones
    other = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    asked = np.linspace(-0.5, 1.5, 3000)
    mine, right = Isotonic.fit(scores, labels).apply(asked), other.predict(asked)
    steps = other.predict(scores)
    inside = scores[(steps > 0) & (steps < 1)]
    between = (asked >= inside.min()) & (asked <= inside.max())  # outside, the steps of one class say less than 0 or 1
    assert between.sum() > 800
    np.testing.assert_allclose(mine[between], right[between], rtol=1e-6)
    assert mine.min() > 0
    assert mine.max() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_distortion_is_undone(kind: Any) -> None:
    """Fitted on one draw of the world, judged on another: near the truth, honest in total, and in the same order."""
    scores, labels, _ = world(60_000)
    fresh, outcomes, truth = world(60_000, seed=1)
    assert predicted_over_observed(outcomes, fresh) > 1.4
    mended = fit_calibrator(kind, scores, labels).apply(fresh)
    assert mended.dtype == np.float32
    assert np.abs(mended - truth).mean() < 0.008
    assert predicted_over_observed(outcomes, mended) == pytest.approx(1, abs=0.03)
    assert ece(outcomes, mended) < 0.01 < ece(outcomes, fresh)
    assert roc_auc(outcomes, mended) == pytest.approx(roc_auc(outcomes, fresh), abs=0.002)


columns = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.0, 1e-9, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=n, max_size=n),
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda labels: 0 < sum(labels) < len(labels)),
        st.lists(st.sampled_from([0.25, 1.0, 7.0]), min_size=n, max_size=n),
    )
)


@given(columns, st.sampled_from(KINDS))
def test_any_slice_gives_honest_numbers_that_keep_order(found: Any, kind: Any) -> None:
    """Few rows, classes apart, equal scores, 0 and 1: finite, inside (0, 1), never falling, and read back the same."""
    scores, labels, weights = found
    made = fit_calibrator(kind, scores, labels, weights)
    asked = np.sort(np.concatenate([scores, np.linspace(0, 1, 21)]))
    said = made.apply(asked)
    assert (said > 0).all()
    assert (said < 1).all()
    assert (np.diff(said) >= 0).all()
    again = calibrator_of(json.loads(json.dumps(made.to_dict())))
    assert np.array_equal(again.apply(asked), said)
    whole = np.average(made.apply(scores), weights=weights)
    rate, mass = np.average(labels, weights=weights), np.sum(weights)
    assert abs(whole - rate) <= 1.5 / mass + 1e-6  # drawn in by at most a row


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_calibrated_is_refused(kind: Any) -> None:
    for labels in ([0, 0, 0], [1, 1, 1]):
        with pytest.raises(DataError, match="one class only"):
            fit_calibrator(kind, [0.1, 0.2, 0.3], labels)
    with pytest.raises(DataError, match="one class only"):  # by weights of 0
        fit_calibrator(kind, [0.1, 0.2, 0.3], [0, 0, 1], [1, 1, 0])
    with pytest.raises(DataError, match="missing or infinite"):
        fit_calibrator(kind, [0.1, math.nan], [0, 1])
    with pytest.raises(DataError, match="negative or missing"):
        fit_calibrator(kind, [0.1, 0.2], [0, 1], [1, -1])
    with pytest.raises(DataError, match="one a row"):
        fit_calibrator(kind, [0.1, 0.2], [0, 1, 1])
    if kind != "isotonic":
        with pytest.raises(DataError, match="probabilities, 0 to 1"):
            fit_calibrator(kind, [0.1, 1.2], [0, 1])


def test_scores_of_an_order_go_to_platt_and_isotonic_only() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, 4000)
    labels = rng.random(4000) < 1 / (1 + np.exp(-(0.5 * scores - 1)))
    made = fit_calibrator("platt", scores, labels, probabilities=False)
    assert isinstance(made, Platt)
    assert (made.slope, made.shift) == pytest.approx((0.5, -1), abs=0.15)
    assert fit_calibrator("isotonic", scores, labels, probabilities=False).apply([-9.0]) < 0.1
    with pytest.raises(DesignError, match="platt"):
        fit_calibrator("beta", scores, labels, probabilities=False)
    with pytest.raises(DesignError, match="kept=1"):
        Probability(kept=0.1, calibrator=made)


def test_a_calibrator_is_a_file(tmp_path: Path) -> None:
    made = Beta(1.5, 0.5, -0.25)
    made.save(tmp_path / "map.json")
    assert Calibrator.load(tmp_path / "map.json") == made
    for wrong in ({"kind": "spline"}, {"kind": "beta", "a": 1.0}, {}):
        with pytest.raises(BuildError, match="as a calibrator wrote them"):
            calibrator_of(wrong)


shares = st.floats(1e-3, 1.0)


@given(st.lists(st.floats(1e-4, 1 - 1e-4), min_size=1, max_size=20), shares)
def test_the_correction_undoes_the_sampling(truth: list[float], kept: float) -> None:
    """Among rows of chance p, keeping a share of the negatives makes the chance p ÷ (p + (1 − p) · kept)."""
    p = np.array(truth)
    sampled = p / (p + (1 - p) * kept)
    said = Probability(kept=kept).of(sampled)
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, p, rtol=3e-4 / kept, atol=1e-7)  # float32 near 1 cannot tell more
    odds = said.astype(float) / (1 - said)  # the same in odds: they shrink by the share
    near = sampled < 0.9
    np.testing.assert_allclose(odds[near], (sampled / (1 - sampled) * kept)[near], rtol=1e-4)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), shares, shares)
def test_probabilities_stay_probabilities_and_in_order(scores: list[float], kept: float, late: float) -> None:
    said = Probability(kept, late).of(np.sort(scores))
    assert ((said >= 0) & (said <= 1)).all()
    assert (np.diff(said) >= 0).all()
    assert np.array_equal(Probability().of(scores), np.float32(scores))


def test_the_worked_example_of_sampling() -> None:
    """True 2 %, a share of .05 kept: a model that is right on what it saw says 29 %, corrected 2 %."""
    said = 0.02 / (0.02 + 0.98 * 0.05)
    assert said == pytest.approx(0.29, abs=0.001)
    assert Probability(kept=0.05).of([said])[0] == pytest.approx(0.02, rel=1e-5)


def test_positives_repeated_are_negatives_kept_less() -> None:
    """A rate learnt on each positive written seven times, corrected, is that of the rows as they came."""
    rng = np.random.default_rng(0)
    labels = (rng.random(20_000) < 0.03).astype(int)
    repeated = np.repeat(labels, np.where(labels == 1, 7, 1))
    assert Probability(kept=1 / 7).of([repeated.mean()])[0] == pytest.approx(labels.mean(), rel=1e-5)


def test_correct_first_then_calibrate_then_the_late_ones() -> None:
    platt = Platt(slope=0.5, shift=0.1)
    both = Probability(kept=0.1, late=0.8, calibrator=platt)
    scores = np.float32([0.0, 0.3, 0.9999, 1.0])
    np.testing.assert_allclose(both.of(scores), np.minimum(platt.apply(both.corrected(scores)) / 0.8, 1), rtol=1e-6)
    assert Probability(late=0.5).of([0.9]).tolist() == [1.0]
    for wrong in ({"kept": 0.0}, {"kept": 1.5}, {"late": 0.0}, {"late": math.nan}):
        with pytest.raises(DesignError, match="share above 0"):
            Probability(**wrong)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_probability_reads_back(tmp_path: Path, kind: Any) -> None:
    scores, labels, _ = world(500)
    made = Probability(0.25, 0.9, None if kind is None else fit_calibrator(kind, scores, labels))
    assert Probability.load(tmp_path) == Probability()  # no file: nothing is changed
    made.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["probability.json"]
    assert np.array_equal(Probability.load(tmp_path).of(scores), made.of(scores))
    (tmp_path / "probability.json").write_text("{")
    with pytest.raises(BuildError, match="probability"):
        Probability.load(tmp_path)


@pytest.mark.parametrize("check", SCORER_CHECKS, ids=lambda check: check.__name__)
def test_a_corrected_scorer_is_a_scorer(check: Any) -> None:
    check(lambda: Corrected(make_scorer(HistoricalRate(by="item")), Probability(0.3, 0.9, Platt(1.2, -0.1))))


def test_a_corrected_scorer_passes_its_setting_on() -> None:
    for setting in (Logistic(), BoostedTrees()):
        model = Corrected(make_scorer(setting), Probability(0.5))
        assert model.setting is setting
        assert model.scorer.setting is setting
        assert model.probability.kept == 0.5
