"""The compiled loop of a rule that multiplies; in a module of its own, so that Numba is imported only where needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled


@compiled
def lift(scores: npt.NDArray[np.float64], meant: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Give the order, (m,), in which each item that is meant has passed those directly above it with a lower score.

    scores: (m,) in the order so far, none NaN. meant: (m,). It passes no other item that is meant. In a list that was
    ordered by score before some scores grew by one factor, it is the order by score.
    """
    m = len(scores)
    order = np.empty(m, np.int64)
    free = 0  # what stands here and after may be passed
    for place in range(m):
        at = place
        if meant[place]:
            while at > free and scores[order[at - 1]] < scores[place]:
                order[at] = order[at - 1]
                at -= 1
            free = at + 1
        order[at] = place
    return order
