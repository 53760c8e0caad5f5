"""Thompson sampling: what is believed of each item, a draw from it, and the chance of what the draws showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bottega.serving.reranking.slate import Array, Floats

_FAR = 40.0  # standard deviations: one so far below another never passes it
_MOST = 1e9  # of what a Beta counts: beyond it nothing changes but rounding


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Independent beliefs about the values of some items, on a scale on which only their order counts.

    `beta`: ln(x / (1 − x)) of x from Beta(first, second). `normal`: Normal(first, second).
    """

    kind: Literal["beta", "normal"]
    first: Floats  # (m,)
    second: Floats  # (m,) above 0

    def take(self, places: Array) -> Beliefs:
        """Give the beliefs about some of the items."""
        return Beliefs(self.kind, self.first[places], self.second[places])


def beta_beliefs(successes: Floats, trials: Floats, prior: Sequence[float]) -> Beliefs:
    """Believe of each item's rate Beta(prior[0] + successes, prior[1] + trials − successes).

    successes, trials: (m,); what is no finite number, or below 0, counts as 0, and successes up to the trials.

    >>> beta_beliefs(np.array([3.0, np.nan]), np.array([10.0, 5.0]), (1, 1)).second.tolist()
    [8.0, 6.0]
    """
    tried = np.maximum(np.where(np.isfinite(trials), trials, 0.0), 0.0)
    won = np.clip(np.where(np.isfinite(successes), successes, 0.0), 0.0, tried)
    scale = np.minimum(1.0, _MOST / np.maximum(tried, 1.0))
    return Beliefs("beta", prior[0] + won * scale, prior[1] + (tried - won) * scale)


def normal_beliefs(scores: Floats, std: float) -> Beliefs:
    """Believe of each item's value Normal(score, std), in units of std; a gap that no draw bridges is made shorter.

    scores: (m,) finite. std: above 0.
    """
    order = np.argsort(-scores, kind="stable")
    mean = np.zeros(len(scores))
    with np.errstate(over="ignore"):
        gaps = (scores[order[:-1]] - scores[order[1:]]) / std
    mean[order[1:]] = -np.cumsum(np.minimum(gaps, _FAR))
    return Beliefs("normal", mean, np.ones(len(scores)))


def draw(beliefs: Beliefs, rng: np.random.Generator) -> Floats:
    """Draw a value of each item, (m,)."""
    if beliefs.kind == "normal":
        return rng.normal(beliefs.first, beliefs.second)
    least = np.finfo(np.float64).tiny
    won, lost = rng.standard_gamma(beliefs.first), rng.standard_gamma(beliefs.second)
    return np.asarray(np.log(np.maximum(won, least)) - np.log(np.maximum(lost, least)), np.float64)


def thompson_chances(beliefs: Beliefs, k: int) -> tuple[Floats, Floats]:
    """Give the chance of each of the first k items in its place when all are ordered by drawn values, (k,) twice.

    Over all draws, item i stands at place j where j − 1 others draw more: ∫ f_i(x) P(j − 1 of the others > x) dx, a
    Poisson-binomial under the integral. Given those above: with A_j(x) = P(X_1 > X_2 > … > X_j > x), so that
    A_j(x) = ∫_x^∞ f_j A_{j−1}, the chance that a list begins with 1, …, j is
    L_j = ∫ f_j(x) A_{j−1}(x) Π_{others} F_o(x) dx, and that of j given those above it is L_j / L_{j−1}.

    By Gauss's rule with five points, on panels as narrow as the narrowest belief at their place; the error is below
    1e-3 of the chance, and below 1e-12 a chance is given as 1e-12.

    beliefs: of the m items, in the order that was drawn. k: m at most.

    >>> [round(float(chance), 4) for chance in thompson_chances(normal_beliefs(np.array([1.0, 0.0]), 1.0), 1)[0]]
    [0.7602]
    """
    from bottega.serving.reranking.thompson_kernel import in_place, in_turn, integrands, reaches

    if not k:
        return np.ones(0), np.ones(0)
    beta = beliefs.kind == "beta"
    low, high, width = reaches(beliefs.first, beliefs.second, beta)
    weights, density, above = integrands(beliefs.first, beliefs.second, beta, low, high, width, k)
    return in_place(weights, density, above), in_turn(weights, density, above)
