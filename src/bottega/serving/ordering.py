"""The best of many by score, and by id where scores are equal; only as many as are shown are ever sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]


def best(scores: npt.NDArray[Any], rows: Rows, k: int, ids: Sequence[str] = ()) -> Rows:
    """Give the k rows of the highest scores, the highest first; of equal scores the lower id comes first.

    scores: (n,); one that is no number comes last. rows: which of the n count. k: at least 0. ids: (n,); nothing: of
    equal scores the lower place comes first.

    >>> best(np.array([0.1, 0.7, 0.7, 0.2]), np.arange(4), 3, ["a", "c", "b", "d"]).tolist()
    [2, 1, 3]
    """
    below = -scores[rows].astype(np.float64)
    below[np.isnan(below)] = np.inf
    if k < len(rows):
        last = np.partition(below, k - 1)[k - 1] if k else -np.inf
        near = below <= last
        rows, below = rows[near], below[near]
    keys = below.tolist()
    places = rows.tolist()
    if ids:
        order = sorted(range(len(places)), key=lambda place: (keys[place], ids[places[place]]))
    else:
        order = sorted(range(len(places)), key=lambda place: (keys[place], places[place]))
    return rows[order[:k]]
