"""Solving `Logistic` for many codes: column after column, each code's weight by a Newton step of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.models.logistic_belief import Belief
from bottega.models.logistic_sight import Sight
from bottega.models.vocabulary import Codes

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_FIRST = 2.0  # penalties at the start: the weights of log-odds spread by about 0.7
_FOLLOWED = 12  # sweeps after each of which penalties follow the evidence; by then the log loss has settled
_SWEEPS = 3  # sweeps under the penalties found, to end where they say
_SAMPLE = 50_000  # rows from which the curvature of the numbers is read
_AGAIN = 3  # sweeps after which it is read again
_HALVINGS = 20  # of a step; then it is as good as none
_FARTHEST = 1.0  # largest step of a code's weight in a sweep
_LEVELLED = 3  # Newton steps of the intercept at the end
_LEAST = 1e-6  # curvature of an intercept that no row of the sample can move


def solve(sight: Sight, values: Values, target: Array, mass: Array, prior: Belief, reg: float | None) -> Belief:
    """Take the columns in turn, few codes first: the codes of one column share no row, so all their steps are exact.

    Each column has a penalty of its own, from the evidence for the spread of its weights: `(Σ h ÷ (h + penalty) + 1) ÷
    (Σ w² + 1)`, h the curvature of each code that was seen. A column of noise is shrunk to nothing, one that matters is
    left free. Where codes are seen seldom this evidence sees too little spread and shrinks more than is best; it is
    followed for a dozen sweeps, not to its end. The penalties are then multiplied by `reg`, and stay.

    values: (n, f). target: (n,) 0 or 1. mass: (n,). prior: where the weights start, and what holds them there. reg:
    nothing where penalties stay as in the prior.

    Source: D. MacKay, Bayesian interpolation, 1992 (the evidence); N. Breslow and X. Lin, Bias correction in
    generalised linear mixed models, 1995 (what it does not see).
    """
    from bottega.models.logistic_kernel import places

    columns = sight.columns[np.argsort(np.diff(sight.offset)[sight.columns], kind="stable")]
    codes = places(values, columns, sight.offset)
    task = _Turns(sight, columns, values, codes, target, mass, prior)
    if reg is not None:
        task.hold(np.full(len(prior.penalty), _FIRST))
        task.sweep(_FOLLOWED, evidence=True)
        task.hold(task.penalty * reg)
    task.sweep(_SWEEPS if reg == 1 else _FOLLOWED)
    task.level()
    return task.belief()


class _Turns:
    """The weights on their way, and the margin of every row under them."""

    def __init__(
        self,
        sight: Sight,
        columns: Codes,
        values: Values,
        codes: Codes,
        target: Array,
        mass: Array,
        prior: Belief,
    ) -> None:
        self.sight, self.columns, self.prior = sight, columns, prior
        self.values, self.codes, self.target, self.mass = values, codes, target, mass
        self.blocks = [slice(int(sight.offset[j]), int(sight.offset[j + 1])) for j in columns]
        self.weights, self.categories = prior.weights.copy(), prior.categories.astype(np.float64)
        self.penalty = prior.penalty
        self.before = self.categories.copy()
        self.held = prior.category_trust.astype(np.float64)
        self.spread = np.zeros(len(self.held))
        self.margin = sight.margins(values, self.weights, prior.categories)

    def hold(self, penalty: Array) -> None:
        """Hold every code's weight by the penalty of its column, (f,)."""
        self.penalty = penalty
        self.held = np.repeat(penalty, np.diff(self.sight.offset))

    def sweep(self, times: int, evidence: bool = False) -> None:
        """Take all columns in turn so many times; with evidence, set penalties from the second time on."""
        from bottega.models.logistic_kernel import column_slope, dense_slope

        sight, mass = self.sight, self.mass
        seen_as = self.values, sight.mean, sight.scale, sight.null
        nowhere = np.full(len(self.margin), -1, np.int32)
        for time in range(times):
            if time < _AGAIN or time % _AGAIN == 0:  # the first steps are long: an old curvature carries them too far
                hessian = self._curvature() + np.diag(np.maximum(self.prior.trust, _LEAST))
            slope = dense_slope(*seen_as, self.margin, self.target, mass)
            step = -np.linalg.solve(hessian, slope + self.prior.trust * (self.weights - self.prior.weights))
            self._move(step)
            last, change = nowhere, np.zeros(1)
            for j, block, code in zip(self.columns, self.blocks, self.codes, strict=True):
                sums = np.zeros((block.stop - block.start, 2))
                column_slope(last, change, code, self.margin, self.target, mass, sums)
                self.spread[block] = sums[:, 1]
                if evidence and time > 0:
                    self._weigh(int(j), block)
                pull = sums[:, 0] + self.held[block] * (self.categories[block] - self.before[block])
                change = np.clip(-pull / (sums[:, 1] + self.held[block]), -_FARTHEST, _FARTHEST)
                self.categories[block] += change
                last = code
            column_slope(last, change, nowhere, self.margin, self.target, mass, np.zeros((1, 2)))

    def _move(self, step: Array) -> None:
        """Take a step of the dense weights, halved until the loss falls: Newton's goes too far near 0 and 1."""
        from bottega.models.logistic_kernel import add_dense

        seen_as = self.values, self.sight.mean, self.sight.scale, self.sight.null
        loss = self._loss()
        self.weights += step
        add_dense(*seen_as, step, self.margin)
        for _ in range(_HALVINGS):
            if self._loss() <= loss:
                return
            step = step / 2
            self.weights -= step
            add_dense(*seen_as, -step, self.margin)

    def _loss(self) -> float:
        """The log loss of all rows, and what holds the dense weights to where they came from."""
        lost = self.mass @ (np.logaddexp(0, self.margin) - self.target * self.margin)
        return float(lost + self.prior.trust @ (self.weights - self.prior.weights) ** 2 / 2)

    def level(self) -> None:
        """Solve for the intercept alone, which no penalty holds: the mean prediction is that of the labels."""
        before, trust = self.prior.weights[0], self.prior.trust[0]
        for _ in range(_LEVELLED):
            chance = 1 / (1 + np.exp(-self.margin))
            slope = self.mass @ (chance - self.target) + trust * (self.weights[0] - before)
            step = -slope / (self.mass @ (chance * (1 - chance)) + trust + _LEAST)
            self.weights[0] += step
            self.margin += step

    def belief(self) -> Belief:
        """What is believed by now."""
        trust, category_trust = self.prior.trust + np.diag(self._curvature()), self.held + self.spread
        categories = self.categories.astype(np.float32)
        return Belief(self.weights, trust, categories, category_trust.astype(np.float32), self.penalty)

    def _weigh(self, column: int, block: slice) -> None:
        seen = self.spread[block][self.spread[block] > 0]
        known = float((seen / (seen + self.penalty[column])).sum())
        self.penalty = self.penalty.copy()
        self.penalty[column] = (known + 1) / (float((self.categories[block] ** 2).sum()) + 1)
        self.held[block] = self.penalty[column]

    def _curvature(self) -> Array:
        """The Hessian of the log loss by the dense weights, (d, d), read from a sample and scaled to all rows."""
        rows = np.linspace(0, len(self.margin) - 1, min(len(self.margin), _SAMPLE)).astype(np.int64)
        chance, mass = 1 / (1 + np.exp(-self.margin[rows])), self.mass
        curve = mass[rows] * chance * (1 - chance) * (mass.sum() / mass[rows].sum())
        hessian = np.zeros((self.sight.dense, self.sight.dense))
        for part, z in self.sight.blocks(self.values[rows]):
            hessian += z.T @ (z * curve[part, None])
        return hessian
