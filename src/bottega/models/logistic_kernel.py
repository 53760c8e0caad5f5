"""The compiled passes of `Logistic` over rows; in a module of its own, so that Numba is imported only where it is used.

One thread, and always in the order of the rows: a row has the same bits alone and among many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Sizes = npt.NDArray[np.int64]

CLIP = 5.0  # standard deviations at which a number is cut, so that one wild value decides nothing
OWN_UP_TO = 2**20  # weights of one category column; above it, codes share weights by their hash


@compiled
def _place(value: Any, size: int) -> Any:
    """The place of a code among its column's weights, −1 where it has none."""
    if not value >= 0:  # NaN is not
        return -1
    code = np.int64(value)
    if size == OWN_UP_TO:
        return np.int64((np.uint64(code) * np.uint64(2_654_435_761)) % np.uint64(2**32) >> np.uint64(12))  # Knuth's
    return code if code < size else -1


@compiled
def places(values: Values, columns: Codes, offset: Sizes) -> Codes:
    """The place of each code among its column's weights, (columns, n), −1 where it has none."""
    found = np.empty((len(columns), len(values)), np.int32)
    for i in range(len(columns)):
        size = offset[columns[i] + 1] - offset[columns[i]]
        for row in range(len(values)):
            found[i, row] = _place(values[row, columns[i]], size)
    return found


@compiled
def add_dense(values: Values, mean: Array, scale: Array, null: Codes, change: Array, margin: Array) -> None:
    """Add to each row's margin (n,) what a change of intercept, numbers and null indicators (1 + f + u,) does to it."""
    width = len(mean)
    for row in range(len(values)):
        total = change[0]
        for j in range(width):
            if change[1 + j] != 0:
                x = values[row, j]
                if not np.isnan(x):
                    total += change[1 + j] * min(max((x - mean[j]) * scale[j], -CLIP), CLIP)
        for i in range(len(null)):
            if np.isnan(values[row, null[i]]):
                total += change[1 + width + i]
        margin[row] += total


@compiled
def add_codes(values: Values, columns: Codes, offset: Sizes, categories: Values, margin: Array) -> None:
    """Add the weights of each row's categories to its margin, (n,)."""
    for row in range(len(values)):
        for j in columns:
            place = _place(values[row, j], offset[j + 1] - offset[j])
            if place >= 0:
                margin[row] += categories[offset[j] + place]


@compiled
def dense_slope(
    values: Values, mean: Array, scale: Array, null: Codes, margin: Array, target: Array, mass: Array
) -> Array:
    """The slope of the log loss by intercept, numbers and null indicators, (1 + f + u,)."""
    width = len(mean)
    slope = np.zeros(1 + width + len(null))
    for row in range(len(values)):
        miss = mass[row] * (1 / (1 + np.exp(-margin[row])) - target[row])
        slope[0] += miss
        for j in range(width):
            if scale[j] != 0:
                x = values[row, j]
                if not np.isnan(x):
                    slope[1 + j] += miss * min(max((x - mean[j]) * scale[j], -CLIP), CLIP)
        for i in range(len(null)):
            if np.isnan(values[row, null[i]]):
                slope[1 + width + i] += miss
    return slope


@compiled
def column_slope(
    before: Codes, change: Array, code: Codes, margin: Array, target: Array, mass: Array, slope: Array
) -> None:
    """Add the change (sizes,) of the column before to the margins; then slope and curvature by this one's code.

    before, code: (n,) places, −1 for none. slope: (size, 2), of zeros.
    """
    for row in range(len(margin)):
        last, here = before[row], code[row]
        if last >= 0:
            margin[row] += change[last]
        if here >= 0:
            chance = 1 / (1 + np.exp(-margin[row]))
            slope[here, 0] += mass[row] * (chance - target[row])
            slope[here, 1] += mass[row] * chance * (1 - chance)
