"""The compiled sum of `epsilon_chances`; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.float64]


@compiled
def epsilon_in_place(shown: npt.NDArray[np.int64], pool: int, first: int, epsilon: float) -> tuple[Array, Array]:
    """Give the chance of each shown item in its place over all draws, and given those above it, (k,) each.

    shown: (k,) items by their number in the order before. first: places that explore, pool at most.
    """
    k = len(shown)
    propensity, given_above = np.ones(k), np.ones(k)
    for place in range(k):
        item = shown[place]
        chance = np.zeros(first + 1)  # that the item is not taken yet, by how many better ones are
        chance[0] = 1.0
        for above in range(min(place, first)):
            left = pool - above
            for taken in range(min(above, item), -1, -1):
                better = min(item, pool) - taken
                worse = left - better - (item < pool)
                now, chance[taken] = chance[taken], 0.0
                if better > 0:
                    chance[taken + 1] += now * (1.0 - epsilon + epsilon * better / left)
                chance[taken] = now * epsilon * worse / left
        if place < first:
            left = pool - place
            propensity[place] = chance.sum() * epsilon / left
            if item <= place:
                propensity[place] += chance[item] * (1.0 - epsilon)
            best = item - np.sum(shown[:place] < item) == 0
            given_above[place] = epsilon / left + (1.0 - epsilon) * best
        else:
            propensity[place] = chance[item - (place - first)]
    return propensity, given_above
