"""Metrics of predictions with labels of 0 and 1: of their order, and of their probabilities.

Each comes in two forms: `name(labels, scores, weights)` for a number, `name_of(predictions)` for a statistic of the
weights of the rows. Weights are counts: a weight of 2 is the row twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError
from bottega.metrics.arrays import Array, as_weights
from bottega.metrics.ordered import Ordered, areas_of
from bottega.metrics.predictions import Predictions
from bottega.metrics.statistic import Statistic, Sums, ratio

CLIP = 1e-7  # probabilities are kept this far from 0 and 1, the resolution of float32 below 1: a loss of at most 16.1


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The chance that a positive scores above a negative.

    `P(s⁺ > s⁻) + ½·P(s⁺ = s⁻)`. When it is wrong: on rare positives it stays high while nearly every alarm is false
    (see `pr_auc`); over all rows it mixes requests, so it says little about the order within one; it is blind to
    calibration.

    labels: (n,) 0 or 1. scores: (n,) any unit, larger is more positive. weights: (n,) from 0 up. Returns a number in
    [0, 1], 0.5 by chance. Raises `DataError` for columns that do not fit and labels of one class.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75

    Source: Hanley and McNeil, The meaning and use of the area under a ROC curve (1982).
    """
    return value_of("roc_auc", roc_auc_of, labels, scores, weights)


def pr_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Average precision, the area under the steps of the precision-recall curve.

    `Σ (recallᵢ − recallᵢ₋₁)·precisionᵢ` over falling thresholds, equal scores as one step. When it is wrong: between
    data with different shares of positives, as chance alone reaches that share; and after negatives were sampled.

    labels: (n,) 0 or 1. scores: (n,) any unit, larger is more positive. weights: (n,) from 0 up. Returns a number in
    [0, 1]. Raises `DataError` for columns that do not fit and labels of one class.

    >>> round(pr_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333

    Source: Davis and Goadrich, The relationship between precision-recall and ROC curves (2006).
    """
    return value_of("pr_auc", pr_auc_of, labels, scores, weights)


def log_loss(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The mean negative log-likelihood of the labels, in nats.

    `−mean(y·ln p + (1 − y)·ln(1 − p))`, p kept within [1e-7, 1 − 1e-7], so one sure mistake costs at most 16.1. When
    it is wrong: between data with different base rates (see `normalized_entropy`), and where labels are noisy or
    late.

    labels: (n,) 0 or 1. scores: (n,) probabilities in [0, 1]. weights: (n,) from 0 up. Returns a number from 0 up,
    small is good. Raises `DataError` for columns that do not fit and scores outside [0, 1]; labels of one class are
    fine.

    >>> round(log_loss([1, 0], [0.8, 0.4]), 4)
    0.367

    Source: Good, Rational decisions (1952).
    """
    return value_of("log_loss", log_loss_of, labels, scores, weights)


def normalized_entropy(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The log loss relative to that of always predicting the base rate.

    `log loss ÷ (−r·ln r − (1 − r)·ln(1 − r))`, r the weighted share of positives: 1 is no better than the base rate,
    over 1 is worse. When it is wrong: r is that of the rows judged, so a slice is measured against its own base rate.

    labels, scores, weights: as in `log_loss`. Returns a number from 0 up, small is good. Raises `DataError` for columns
    that do not fit, scores outside [0, 1] and labels of one class, which have no entropy.

    >>> normalized_entropy([1, 0], [0.5, 0.5])
    1.0

    Source: He et al., Practical lessons from predicting clicks on ads at Facebook (2014).
    """
    return value_of("normalized_entropy", normalized_entropy_of, labels, scores, weights)


def brier(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The mean squared error of the probabilities.

    `mean((p − y)²)`. When it is wrong: on rare positives, where 0 for everything looks excellent.

    labels, scores, weights: as in `log_loss`. Returns a number in [0, 1], small is good. Raises `DataError` for columns
    that do not fit and scores outside [0, 1]; labels of one class are fine.

    >>> round(brier([1, 0], [0.8, 0.4]), 4)
    0.1

    Source: Brier, Verification of forecasts expressed in terms of probability (1950).
    """
    return value_of("brier", brier_of, labels, scores, weights)


def predicted_over_observed(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """The number of positives predicted over the number observed.

    `Σ w·p ÷ Σ w·y`: 1 is right on average, 3 bids three times too much. When it is wrong: errors of two slices
    cancel, so read it by slice; labels that have not matured make it look too large.

    labels, scores, weights: as in `log_loss`. Returns a number from 0 up, 1 is best. Raises `DataError` for columns
    that do not fit, scores outside [0, 1] and rows without a positive.

    >>> round(predicted_over_observed([1, 0], [0.8, 0.4]), 4)
    1.2

    Source: He et al. (2014), who call it calibration.
    """
    return value_of("predicted_over_observed", predicted_over_observed_of, labels, scores, weights)


def roc_auc_of(predictions: Predictions) -> Ordered:
    """`roc_auc` as a statistic of the weights of rows, (n,); nan where one class has no weight."""
    return Ordered(areas_of(predictions), lambda sums: 1 - ratio(sums[:, 0], 2 * sums[:, 2] * sums[:, 3]))


def pr_auc_of(predictions: Predictions) -> Ordered:
    """`pr_auc` as a statistic of the weights of rows, (n,); nan where one class has no weight."""
    return Ordered(areas_of(predictions), lambda sums: np.where(sums[:, 3] > 0, ratio(sums[:, 1], sums[:, 2]), np.nan))


def log_loss_of(predictions: Predictions) -> Sums:
    """`log_loss` as a statistic of the weights of rows, (n,)."""
    return Sums(
        np.column_stack([_losses(predictions), np.ones(len(predictions))]),
        lambda sums: ratio(sums[..., 0], sums[..., 1]),
    )


def normalized_entropy_of(predictions: Predictions) -> Sums:
    """`normalized_entropy` as a statistic of the weights of rows, (n,); nan where one class has no weight."""

    def finish(sums: Array) -> Array:
        rate = ratio(sums[..., 1], sums[..., 2])
        inside = np.where((rate > 0) & (rate < 1), rate, np.nan)
        entropy = -inside * np.log(inside) - (1 - inside) * np.log1p(-inside)
        return np.asarray(ratio(sums[..., 0], sums[..., 2]) / entropy)

    return Sums(np.column_stack([_losses(predictions), predictions.labels, np.ones(len(predictions))]), finish)


def brier_of(predictions: Predictions) -> Sums:
    """`brier` as a statistic of the weights of rows, (n,)."""
    error = (predictions.probabilities - predictions.labels) ** 2
    return Sums(np.column_stack([error, np.ones(len(predictions))]), lambda sums: ratio(sums[..., 0], sums[..., 1]))


def predicted_over_observed_of(predictions: Predictions) -> Sums:
    """`predicted_over_observed` as a statistic of the weights of rows, (n,); nan where no positive has weight."""
    parts = np.column_stack([predictions.probabilities, predictions.labels, np.ones(len(predictions))])
    return Sums(parts, lambda sums: ratio(sums[..., 0], sums[..., 1]))


def value_of(
    name: str,
    prepare: Callable[[Predictions], Statistic],
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    weights: npt.ArrayLike | None,
) -> float:
    """Prepare a metric, ask for its value, and refuse labels of one class where it is not defined on them.

    >>> value_of("brier", brier_of, [1], [0.5], None)
    0.25
    """
    predictions = Predictions(labels, scores)
    weight = as_weights(weights, len(predictions))
    value = prepare(predictions)(weight)
    if math.isnan(value):
        positives = int(np.count_nonzero(predictions.labels[weight > 0]))
        raise DataError(
            name,
            f"{positives} positives in {np.count_nonzero(weight)} rows",
            "labels of both classes",
            "take more rows or a longer period, or leave this slice out",
        )
    return value


def _losses(predictions: Predictions) -> Array:
    likelihood = np.where(predictions.labels == 1, predictions.probabilities, 1 - predictions.probabilities)
    return np.asarray(-np.log(np.clip(likelihood, CLIP, 1 - CLIP)))
