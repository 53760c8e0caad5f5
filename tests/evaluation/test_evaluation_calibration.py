"""Calibration for the scorecard: against other libraries, plain formulas, and how often intervals hold the truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from bottega.errors import DataError
from bottega.evaluation.calibration import by_slice, calibration_of
from bottega.metrics import Predictions, bootstrap_of, ece, metric, normalized_entropy, predicted_over_observed


def world(rng: np.random.Generator, people: int = 400, rows: int = 10, shift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Labels, the chance that a model gives, and the person of each row; a person's own taste is not seen."""
    person = np.repeat(np.arange(people), rows)
    margin = rng.normal(-2, 1, len(person))
    own = rng.normal(0, shift, people)[person]
    truth = 1 / (1 + np.exp(-margin - own))
    seen = 1 / (1 + np.exp(-margin))
    return (rng.random(len(person)) < truth).astype(float), seen, person, truth


def test_deciles_are_tenths_of_the_rows_with_wilsons_interval() -> None:
    labels, scores, _, _ = world(np.random.default_rng(0))
    deciles = calibration_of(labels, scores)["deciles"]
    observed, predicted = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [decile["n"] for decile in deciles] == [400] * 10
    np.testing.assert_allclose([decile["predicted"] for decile in deciles], predicted, rtol=1e-9)
    np.testing.assert_allclose([decile["observed"] for decile in deciles], observed, rtol=1e-9)
    for decile in deciles:
        right = binomtest(round(decile["observed"] * 400), 400).proportion_ci(method="wilson")
        assert (decile["low"], decile["high"]) == pytest.approx((right.low, right.high), rel=2e-3)  # n − 1 for n


def test_the_three_numbers_are_those_of_the_metrics() -> None:
    labels, scores, person, _ = world(np.random.default_rng(1))
    found = calibration_of(labels, scores, person, seed=3)
    rights = (predicted_over_observed, ece, normalized_entropy)
    for name, right in zip(("predicted_over_observed", "ece", "normalized_entropy"), rights, strict=True):
        assert found[name]["value"] == pytest.approx(right(labels, scores))
        estimate = metric(name).estimate(Predictions(labels, scores), entity=person, resamples=200, seed=3)
        assert found[name] == estimate.to_dict()
    assert found["undefined"] == {}
    assert json.loads(json.dumps(found)) == found


def test_deciles_hold_the_truth_as_often_as_they_say() -> None:
    """Rows of one person alike: Wilson's interval for rows that stand alone is too narrow, this one is not."""
    rng = np.random.default_rng(2)
    truths, together, alone = [], [], []
    for _ in range(25):
        labels, scores, person, _ = world(rng, shift=2.0, people=150, rows=20)
        scores = 1 / (1 + np.exp(2 - rng.normal(0, 1, 150)[person]))  # one score a person: a tenth is 15 of them
        together.append(calibration_of(labels, scores, person)["deciles"])
        alone.append(calibration_of(labels, scores)["deciles"])
        truths.append(np.mean(labels))
    truth = float(np.mean(truths))
    covered = [np.mean([d["low"] <= truth <= d["high"] for each in kind for d in each]) for kind in (together, alone)]
    assert 0.88 <= covered[0] <= 0.98
    assert covered[1] < 0.6


def test_equal_scores_share_a_decile_and_few_rows_have_few() -> None:
    found = calibration_of([0, 1, 0, 1, 1], [0.25, 0.25, 0.25, 0.25, 0.75])["deciles"]
    assert [(d["predicted"], d["observed"], d["n"]) for d in found] == [(0.25, 0.5, 4), (0.75, 1.0, 1)]
    assert [d["n"] for d in calibration_of([0, 1], [0.5, 0.5])["deciles"]] == [2]


def test_one_class_has_deciles_and_a_reason() -> None:
    found = calibration_of([0] * 50, np.linspace(0.01, 0.1, 50), np.zeros(50))
    assert found["predicted_over_observed"] is None
    assert set(found["undefined"]) == {"predicted_over_observed", "normalized_entropy"}
    assert found["ece"]["low"] is None  # one entity
    assert all(d["observed"] == d["low"] == 0 < d["high"] < 1 for d in found["deciles"])


def test_slices_are_ratios_with_the_interval_of_the_bootstrap() -> None:
    rng = np.random.default_rng(3)
    labels, scores, person, _ = world(rng, people=3000, shift=1.0)
    device = np.array(["phone", "tablet", "desk"])[rng.choice(3, len(labels), p=[0.5, 0.1, 0.4])]
    found = by_slice(labels, scores, {"device": pa.array(device)}, person, smallest=100)["device"]
    assert list(found) == ["phone", "desk", "tablet"]
    for value, entry in found.items():
        rows = device == value
        assert entry["value"] == pytest.approx(predicted_over_observed(labels[rows], scores[rows]))
        assert (entry["n"], entry["observed"]) == (rows.sum(), labels[rows].sum())
        statistic = metric("predicted_over_observed").statistic(Predictions(labels[rows], scores[rows]))
        right = bootstrap_of(statistic, int(rows.sum()), entity=person[rows], resamples=4000)
        assert (entry["low"], entry["high"]) == pytest.approx(
            (right.low, right.high), abs=0.1 * (right.high - right.low)
        )


def test_slices_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    held = []
    for _ in range(300):
        labels, scores, person, truth = world(rng, people=60, rows=8, shift=0.5)
        entry = by_slice(labels, scores, {"all": pa.array(["x"] * len(labels))}, person, smallest=1)["all"]["x"]
        held.append(entry["low"] <= scores.sum() / truth.sum() <= entry["high"])
    assert np.mean(held) >= 0.9


def test_a_slice_without_what_it_needs_says_nothing() -> None:
    columns = {"hour": pa.array([1, 1, None, None, 3]), "city": pa.array(["a"] * 5)}
    found = by_slice([0, 0, 1, 0, 1], [0.1, 0.3, 0.5, 0.5, 0.2], columns, [1, 2, 3, 4, 5], smallest=2)
    assert list(found["hour"]) == ["1", "(missing)"]
    assert found["hour"]["1"] == {"value": None, "low": None, "high": None, "n": 2, "predicted": 0.4, "observed": 0.0}
    assert found["hour"]["(missing)"]["value"] == 1.0
    assert found["city"]["a"]["n"] == 5
    alone = by_slice([0, 1], [0.5, 0.25], {"x": pa.array(["a", "a"])}, [7, 7], smallest=1)["x"]["a"]
    assert (alone["value"], alone["low"], alone["high"]) == (0.75, None, None)
    assert json.loads(json.dumps(found)) == found


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="2 values"):
        by_slice([0, 1, 1], [0.1, 0.2, 0.3], {"a": pa.array(["x", "y"])})
    with pytest.raises(DataError, match="one id a row"):
        calibration_of([0, 1], [0.1, 0.2], [1])
    with pytest.raises(DataError, match="probabilities"):
        calibration_of([0, 1], [0.1, 1.2])
    with pytest.raises(DataError, match="missing"):
        by_slice([0, 1], [0.1, math.nan], {})
