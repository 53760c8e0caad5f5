"""Calibration: whether a predicted probability is the share that comes true, measured over bins of equal mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bottega.errors import DesignError
from bottega.metrics.arrays import Array, as_weights
from bottega.metrics.ordered import Ordered, Pass, tables_of
from bottega.metrics.predictions import Predictions

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """The table behind a reliability diagram, one entry a bin that holds rows, in rising order of score.

    predicted: (b,) mean score of the bin. observed: (b,) share of positives. n: (b,) weight of the bin, in rows.

    >>> Reliability(np.array([0.2]), np.array([0.25]), np.array([4.0])).to_dict()
    {'predicted': [0.2], 'observed': [0.25], 'n': [4.0]}
    """

    predicted: Array
    observed: Array
    n: Array

    def to_dict(self) -> dict[str, list[float]]:
        """The three columns as lists, for JSON."""
        return {"predicted": self.predicted.tolist(), "observed": self.observed.tolist(), "n": self.n.tolist()}


def reliability(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, bins: int = BINS
) -> Reliability:
    """Predicted and observed share in bins of equal mass.

    A row falls into bin `⌊bins · q⌋`, q the share of weight below the middle of its score's weight; equal scores
    share a bin. When it is wrong: bins of few rows scatter by `√(y(1 − y)/n)` with no fault of the model.

    labels: (n,) 0 or 1. scores: (n,) probabilities in [0, 1]. weights: (n,) counts from 0 up. bins: from 1; larger
    shows finer faults and more noise. Raises `DataError` for columns that do not fit, `DesignError` for bins under 1.

    >>> reliability([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], bins=2).observed.tolist()
    [0.5, 1.0]

    Source: DeGroot and Fienberg, The comparison and evaluation of forecasters (1983).
    """
    predictions = Predictions(labels, scores)
    weight, group = as_weights(weights, len(predictions)), np.zeros(len(predictions), dtype=np.int64)
    n, predicted, observed = _walk(predictions, bins)(weight, group, 1)(np.ones((1, 1)))[0].T
    used = n > 0
    return Reliability(predicted[used] / n[used], observed[used] / n[used], n[used])


def ece(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, bins: int = BINS) -> float:
    """The calibration error, root mean square over bins, with the noise of sampling subtracted.

    `√max(0, Σ_b n_b/n · [(s_b − y_b)² − y_b(1 − y_b)/(n_b − 1)])`, s_b and y_b the predicted and observed share of
    bin b; a bin of one row adds nothing. The bracket is unbiased for the squared error of the bin, while the plain
    form reads noise as error and so grows with fewer rows. When it is wrong: faults within a bin cancel, so it is a
    lower bound; weights that are not counts (inverse propensities) make the noise term too small.

    labels, scores, weights, bins: as in `reliability`. Returns a number in [0, 1], in units of probability, small is
    good. Errors: as `reliability`; labels of one class are fine.

    >>> round(ece([0] * 8 + [1] * 2, [0.5] * 10), 4)
    0.2687

    Source: Kumar, Liang and Ma, Verified uncertainty calibration (2019), its debiased estimator.
    """
    predictions = Predictions(labels, scores)
    return ece_of(predictions, bins)(as_weights(weights, len(predictions)))


def ece_plain(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, bins: int = BINS
) -> float:
    """The expected calibration error as commonly published: mean absolute gap over bins, noise included.

    `Σ_b n_b/n · |s_b − y_b|`. When it is wrong: it is above 0 for a perfect model and shrinks with more rows, so models
    compare only on equal rows and bins; prefer `ece`.

    labels, scores, weights, bins: as in `reliability`. Returns a number in [0, 1], small is good. Errors: as
    `reliability`.

    >>> round(ece_plain([0] * 8 + [1] * 2, [0.5] * 10), 4)
    0.3

    Source: Guo et al., On calibration of modern neural networks (2017), there in bins of equal width.
    """
    predictions = Predictions(labels, scores)
    return ece_plain_of(predictions, bins)(as_weights(weights, len(predictions)))


def ece_of(predictions: Predictions, bins: int = BINS) -> Ordered:
    """`ece` as a statistic of the weights of rows, (n,), which subtracts the noise twice on a resample: a resample
    has the sample's noise and its own, so that the draws scatter around the value."""
    return Ordered(_walk(predictions, bins), lambda tables: _rms(tables, 1), lambda tables: _rms(tables, 2))


def ece_plain_of(predictions: Predictions, bins: int = BINS) -> Ordered:
    """`ece_plain` as a statistic of the weights of rows, (n,)."""

    def value(tables: Array) -> Array:
        n, predicted, observed = np.moveaxis(tables, -1, 0)
        return np.asarray(np.abs(predicted - observed).sum(axis=1) / n.sum(axis=1))

    return Ordered(_walk(predictions, bins), value)


def _walk(predictions: Predictions, bins: int) -> Pass:
    if bins < 1:
        raise DesignError("bins", bins, "1 or more", f"bins={BINS}")
    return tables_of(predictions, bins)


def _rms(tables: Array, times: int) -> Array:
    """Root mean square gap, (b,), with the noise of sampling subtracted the given number of times."""
    n, predicted, observed = np.moveaxis(tables, -1, 0)  # (b, bins) each
    known = np.where(n > 1, n, 2.0)
    rate = observed / known
    squares = (predicted / known - rate) ** 2 - times * rate * (1 - rate) / (known - 1)
    return np.asarray(np.sqrt(np.maximum(0.0, (n * squares * (n > 1)).sum(axis=1) / n.sum(axis=1))))
