"""What `Logistic` believes of its weights: each one's value, and how much it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bottega.models.logistic_sight import Sight

Array = npt.NDArray[np.float64]
Small = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Belief:
    """Weights, each with the curvature at which leaving it costs: before a fit the penalty, after it the rows as well.

    weights: (1 + f + u,) of the intercept, the numbers, the nulls. trust: (1 + f + u,) from 0 up. categories: (c,) of
    the codes. category_trust: (c,). penalty: (f,) of a code of each column that was never seen.

    >>> sight = Sight.of(np.array([[1.0], [3]], np.float32), ["number"])
    >>> Belief.none(sight, 2.0).trust.tolist()
    [0.0, 2.0]
    """

    weights: Array
    trust: Array
    categories: Small
    category_trust: Small
    penalty: Array

    @classmethod
    def none(cls, sight: Sight, reg: float) -> Belief:
        """Before any row: all weights 0, and every one but the intercept held there by the penalty."""
        trust = np.full(sight.dense, float(reg))
        trust[0] = 0.0
        codes = int(sight.offset[-1])
        penalty = np.full(len(sight.mean), float(reg))
        return cls(
            np.zeros(sight.dense), trust, np.zeros(codes, np.float32), np.full(codes, reg, dtype=np.float32), penalty
        )

    def moved(self, old: Sight, new: Sight, reg: float) -> Belief:
        """The same belief for a sight that may have more codes and nulls; those start at 0, held by their penalty."""
        fresh = Belief.none(new, reg)
        weights, trust = fresh.weights, fresh.trust
        known = np.concatenate([np.arange(old.dense - len(old.null)), _places(old, new)])
        weights[known], trust[known] = self.weights, self.trust
        categories, category_trust = fresh.categories, np.repeat(self.penalty, np.diff(new.offset)).astype(np.float32)
        for j in old.columns:
            before, after = slice(old.offset[j], old.offset[j + 1]), int(new.offset[j])
            here = slice(after, after + before.stop - before.start)
            categories[here], category_trust[here] = self.categories[before], self.category_trust[before]
        return Belief(weights, trust, categories, category_trust, self.penalty)


def _places(old: Sight, new: Sight) -> npt.NDArray[np.intp]:
    """Where the weights of the old null indicators stand among the new weights."""
    return 1 + len(new.mean) + np.searchsorted(new.null, old.null)
