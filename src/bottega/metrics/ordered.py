"""Statistics of rows in the order of their scores: sorted once, then one compiled pass serves several resamples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bottega.metrics.arrays import Array, Codes, sums_by
from bottega.metrics.predictions import Predictions
from bottega.metrics.statistic import Draws

LANES = 8  # resamples that one pass serves: a cache line of counts a group

Pass = Callable[[Array, Codes, int], Draws]  # weights (n,), group (n,), groups -> from times (b, groups) to sums (b, …)


@dataclass(frozen=True, eq=False)
class Ordered:
    """A statistic that needs the rows in the order of their scores, such as an area or a calibration error.

    When it is wrong: for anything that needs the order of the rows within their entity.

    walk: from weights (n,), the group of each row (n,) and the number of groups to a function of how often each group
    was drawn, (b, groups), which gives sums (b, …). finish: from these sums to values (b,), with nan where the value is
    not defined. resampled: the same on a resample, which carries the noise of sampling twice; nothing: as `finish`.

    >>> ones = lambda weights, group, groups: lambda times: times @ sums_by(group, weights, groups)
    >>> Ordered(ones, lambda sums: sums)(np.array([1.0, 2.0]))
    3.0
    """

    walk: Pass
    finish: Callable[[Array], Array]
    resampled: Callable[[Array], Array] | None = None

    def __call__(self, weights: Array) -> float:
        once = self.walk(weights, np.zeros(len(weights), dtype=np.int64), 1)(np.ones((1, 1)))
        return float(self.finish(once)[0])

    def draws(self, weights: Array, group: Codes, groups: int) -> Draws:
        """The values on resamples of groups of rows, (n,)."""
        sums, finish = self.walk(weights, group, groups), self.resampled or self.finish
        return lambda times: finish(sums(times))


def areas_of(predictions: Predictions) -> Pass:
    """Prepare both areas: the sums are (b, 4), as `ordered_kernel.areas` says.

    >>> walk = areas_of(Predictions([0, 1], [0.2, 0.7]))
    >>> walk(np.ones(2), np.array([0, 0]), 1)(np.ones((1, 1))).tolist()
    [[0.0, 1.0, 1.0, 1.0]]
    """
    from bottega.metrics.ordered_kernel import areas

    rows, starts = predictions.order
    positive = predictions.labels[rows] == 1

    def walk(weights: Array, group: Codes, groups: int) -> Draws:  # noqa: ARG001 (a pass of another kind needs it)
        where, once = group[rows].astype(np.int32), weights[rows]
        return lambda times: np.concatenate([areas(starts, positive, where, once, part) for part in _parts(times)])

    return walk


def tables_of(predictions: Predictions, bins: int) -> Pass:
    """Prepare tables of reliability in bins of equal mass: the sums are (b, bins, 3), as `ordered_kernel.tables` says.

    >>> walk = tables_of(Predictions([0, 1], [0.25, 0.75]), 1)
    >>> walk(np.ones(2), np.array([0, 0]), 1)(np.ones((1, 1))).tolist()
    [[[2.0, 1.0, 1.0]]]
    """
    from bottega.metrics.ordered_kernel import tables

    rows, starts = predictions.order
    positive, scores = predictions.labels[rows] == 1, predictions.probabilities[rows]

    def walk(weights: Array, group: Codes, groups: int) -> Draws:
        where, once, mass = group[rows].astype(np.int32), weights[rows], sums_by(group, weights, groups)

        def drawn(times: Array) -> Array:
            found = [tables(starts, positive, where, once, part, scores, mass @ part, bins) for part in _parts(times)]
            return np.concatenate(found)

        return drawn

    return walk


def _parts(times: Array) -> list[Array]:
    """A few resamples at a time, (groups, lanes), so that the counts of a group lie beside each other."""
    return [np.ascontiguousarray(times[low : low + LANES].T) for low in range(0, len(times), LANES)]
