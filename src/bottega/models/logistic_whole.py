"""Solving `Logistic` as a whole: L-BFGS over all weights, for few codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bottega.models.logistic_belief import Belief
from bottega.models.logistic_sight import Sight

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_SAMPLE = 50_000  # rows from which the curvature is read before solving
_LEAST = 1e-6  # curvature of an intercept that no row of the sample can move
_CLOSE = 1e-4  # standard errors within which the weights are solved


def solve(sight: Sight, values: npt.NDArray[np.float32], target: Array, mass: Array, prior: Belief) -> Belief:
    """Solve on a sample, then from there on all rows: few passes over them are left.

    values: (n, f). target: (n,) 0 or 1. mass: (n,). prior: where the weights start, and what holds them there.
    """
    task = _Task(sight, prior)
    rows = np.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).astype(np.int64)
    some, share = np.ascontiguousarray(values[rows]), mass[rows] * (mass.sum() / mass[rows].sum())
    dense, categories = prior.weights, prior.categories.astype(np.float64)
    for part, labels, weight in ((some, target[rows], share), (values, target, mass)):
        dense, categories = task.solve(part, labels, weight, dense, categories)
    hessian, spread = task.curvature(values, task.places(values), mass, dense, categories)
    return replace(
        prior,
        weights=dense,
        trust=np.diag(hessian),
        categories=categories.astype(np.float32),
        category_trust=spread.astype(np.float32),
    )


class _Task:
    """The prior's penalty beside the rows' loss."""

    def __init__(self, sight: Sight, prior: Belief) -> None:
        self.sight, self.prior = sight, prior
        self.dense, self.codes = sight.dense, int(sight.offset[-1])
        self.before, self.categories = prior.weights, prior.categories.astype(np.float64)
        self.trust, self.category_trust = prior.trust, prior.category_trust.astype(np.float64)

    def places(self, values: npt.NDArray[np.float32]) -> Places:
        """Where each category's weight stands, (n, columns); unknown ones stand behind the last."""
        from bottega.models.logistic_kernel import places

        columns = self.sight.columns
        found = places(values, columns, self.sight.offset).T.astype(np.int64)
        return np.where(found < 0, self.codes, found + self.sight.offset[columns])

    def solve(
        self, values: npt.NDArray[np.float32], target: Array, mass: Array, dense: Array, categories: Array
    ) -> tuple[Array, Array]:
        """From these weights on, turned and scaled so that a step of length 1 is about one standard error."""
        from scipy.optimize import minimize

        codes = self.places(values)
        hessian, spread = self.curvature(values, codes, mass, dense, categories)
        turn: Array = np.linalg.inv(np.linalg.cholesky(hessian)).T
        shrink = 1 / np.sqrt(spread)

        def loss(point: Array) -> tuple[float, Array]:
            weights, own = turn @ point[: self.dense], shrink * point[self.dense :]
            away, own_away = weights - self.before, own - self.categories
            slope, own_slope = self.trust * away, self.category_trust * own_away
            value = (float(slope @ away) + float(own_slope @ own_away)) / 2
            for rows, z in self.sight.blocks(values):
                margin = self._margin(z, codes[rows], weights, own)
                value += float(mass[rows] @ (np.logaddexp(0, margin) - target[rows] * margin))
                miss = mass[rows] * (_sigmoid(margin) - target[rows])
                slope += miss @ z
                for column in codes[rows].T:
                    own_slope += np.bincount(column, miss, minlength=self.codes + 1)[:-1]
            return value, np.concatenate([turn.T @ slope, shrink * own_slope])

        start = np.concatenate([np.linalg.solve(turn, dense), categories / shrink])
        options = {"maxiter": 500, "maxcor": 20, "ftol": 1e-14, "gtol": _CLOSE}
        point = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
        return turn @ point[: self.dense], shrink * point[self.dense :]

    def curvature(
        self, values: npt.NDArray[np.float32], codes: Places, mass: Array, dense: Array, categories: Array
    ) -> tuple[Array, Array]:
        """The Hessian of the dense weights (d, d) where they stand, and the diagonal of that of the categories (c,)."""
        hessian, spread = np.diag(np.maximum(self.trust, _LEAST)), np.zeros(self.codes + 1)
        for rows, z in self.sight.blocks(values):
            chance = _sigmoid(self._margin(z, codes[rows], dense, categories))
            curve = mass[rows] * chance * (1 - chance)
            hessian += z.T @ (z * curve[:, None])
            for column in codes[rows].T:
                spread += np.bincount(column, curve, minlength=self.codes + 1)
        return hessian, spread[:-1] + self.category_trust

    def _margin(self, z: Array, codes: Places, dense: Array, categories: Array) -> Array:
        margin: Array = z @ dense
        if codes.shape[1]:
            margin += np.append(categories, 0.0)[codes].sum(axis=1)
        return margin


def _sigmoid(margin: Array) -> Array:
    from scipy.special import expit

    result: Array = expit(margin)
    return result
