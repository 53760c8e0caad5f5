"""The compiled loop of `union`; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled
from bottega.models.vocabulary import Codes


@compiled
def take_turns(flat: Codes, ends: npt.NDArray[np.int64], result: Codes) -> None:
    """Fill each row of `result` with the items of its lists in turn, each once, until it is full.

    flat: (n, total) the lists beside each other. ends: (lists,) where each of them ends. result: (n, k), all -1.
    """
    rows, kept = result.shape
    seen = np.full(flat.max() + 1 if flat.size else 0, -1, np.int32)  # the last row in which an item was taken
    for row in range(rows):
        filled, turn, left = 0, 0, True
        while left and filled < kept:
            left, start = False, 0
            for end in ends:
                if start + turn < end:
                    left = True
                    item = flat[row, start + turn]
                    if item >= 0 and seen[item] != row and filled < kept:
                        seen[item] = row
                        result[row, filled] = item
                        filled += 1
                start = end
            turn += 1
