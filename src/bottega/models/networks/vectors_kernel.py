"""The compiled step of the vectors; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]
_ONE = np.float32(1)


@compiled
def step_vectors(
    table: Array,
    moments: Array,
    codes: Array,
    slope: Array,
    slot: Array,
    rows: Array,
    sums: Array,
    rate: float,
    keep_first: float,
    keep_second: float,
    small: float,
    reg: float,
) -> None:
    """One step of Adam on the vectors that a batch touches, and on no others.

    table: (rows, width). moments: (rows, 2·width), the first and then the second. codes: (n, c) rows of the table,
    each field's its own. slope: (n, c·width + …) of the loss by what was read. slot: (rows,) int32, all −1 before
    and after. rows: (n,) int64 and sums: (n, width) float32, room to work in. The rest float32: the step's rate with
    Adam's correction, what each moment keeps, what keeps the division finite, twice the penalty.
    """
    width = table.shape[1]
    for j in range(codes.shape[1]):
        count, begin = 0, j * width
        for i in range(len(codes)):
            row, by = codes[i, j], slope[i, begin : begin + width]
            place = slot[row]
            if place < 0:
                slot[row], rows[count] = count, row
                fresh = sums[count]
                for k in range(width):
                    fresh[k] = by[k]
                count += 1
            else:
                known = sums[place]
                for k in range(width):
                    known[k] += by[k]
        for place in range(count):
            row = rows[place]
            slot[row] = -1
            vector, moment, total = table[row], moments[row], sums[place]
            for k in range(width):
                pull = total[k] + reg * vector[k]
                first = keep_first * moment[k] + (_ONE - keep_first) * pull
                second = keep_second * moment[width + k] + (_ONE - keep_second) * pull * pull
                moment[k], moment[width + k] = first, second
                vector[k] -= rate * first / (np.sqrt(second) + small)
