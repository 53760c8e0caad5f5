"""Compiled passes over rows in the order of their scores; in a module of its own, as it loads Numba.

Rows come in rising order of score. `starts` (k + 1,) says where each distinct score begins, and the end. `times`
(groups, lanes) is how often each group was drawn in each of a few resamples, which one pass serves together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]


@compiled
def areas(starts: Places, positive: npt.NDArray[np.bool_], group: Places, weight: Array, times: Array) -> Array:
    """What both areas are made of, (lanes, 4): Σ over positives of twice the negatives above and once those level,
    Σ of the precision at each positive, the positives, the negatives."""
    lanes = times.shape[1]
    pairs, precise, true, false = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    hits, misses = np.zeros(lanes), np.zeros(lanes)
    for run in range(len(starts) - 2, -1, -1):  # the highest score first
        met = False
        for row in range(starts[run], starts[run + 1]):
            counts, once = times[group[row]], weight[row]
            if positive[row]:
                met = True
                for lane in range(lanes):
                    hits[lane] += once * counts[lane]
            else:
                for lane in range(lanes):
                    misses[lane] += once * counts[lane]
        if met:
            for lane in range(lanes):
                pairs[lane] += hits[lane] * (2 * false[lane] + misses[lane])
                true[lane] += hits[lane]
                false[lane] += misses[lane]
                precise[lane] += hits[lane] * true[lane] / max(true[lane] + false[lane], 1e-300)
                hits[lane] = misses[lane] = 0.0
        else:
            for lane in range(lanes):
                false[lane] += misses[lane]
                misses[lane] = 0.0
    out = np.empty((lanes, 4))
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = pairs, precise, true, false
    return out


@compiled
def tables(
    starts: Places,
    positive: npt.NDArray[np.bool_],
    group: Places,
    weight: Array,
    times: Array,
    scores: Array,
    total: Array,
    bins: int,
) -> Array:
    """Bins of equal mass, (lanes, bins, 3): weight, Σ weight · score, weight of the positives.

    scores: (n,). total: (lanes,) the weight of all rows.
    """
    lanes = times.shape[1]
    out, below = np.zeros((lanes, bins, 3)), np.zeros(lanes)
    hits, mass = np.zeros(lanes), np.zeros(lanes)
    for run in range(len(starts) - 1):
        for row in range(starts[run], starts[run + 1]):
            counts, once = times[group[row]], weight[row]
            for lane in range(lanes):
                mass[lane] += once * counts[lane]
            if positive[row]:
                for lane in range(lanes):
                    hits[lane] += once * counts[lane]
        score = scores[starts[run]]
        for lane in range(lanes):
            if mass[lane] > 0:
                place = int(bins * ((below[lane] + mass[lane] / 2) / total[lane]))
                cell = out[lane, min(place, bins - 1)]
                cell[0] += mass[lane]
                cell[1] += mass[lane] * score
                cell[2] += hits[lane]
                below[lane] += mass[lane]
                hits[lane] = mass[lane] = 0.0
    return out
