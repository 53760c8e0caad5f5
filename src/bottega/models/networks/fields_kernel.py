"""The compiled reading of a network's inputs; in a module of its own, so that Numba is imported only where needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]
CLIP = 5.0  # standard deviations at which a number is cut, so that one wild value decides nothing


@compiled
def place(value: float, offset: int, after: int) -> int:
    """The row of a category's code in the table; the first of the field's rows for one that training has not seen."""
    if 0 <= value < after - offset - 1:
        return offset + 1 + int(value)
    return offset


@compiled
def transformed(value: float, middle: float, spread: float, mean: float, scale: float) -> float:
    """asinh((value − middle) / spread), standardised and cut; 0 for null and for a column that is constant."""
    far = (value - middle) / spread
    size = abs(far)
    bent = math.log(size + math.sqrt(size * size + 1))  # asinh, ten times as fast as the library's
    number = (math.copysign(bent, far) - mean) * scale
    if number != number:
        return 0.0
    return min(max(number, -CLIP), CLIP)


@compiled
def read_codes(values: Array, columns: Array, offset: Array, codes: Array) -> None:
    """Write the row of each category in the table. values: (n, f). columns: (c,). offset: (c + 1,). codes: (n, c)."""
    for i in range(len(values)):
        for j in range(len(columns)):
            codes[i, j] = place(values[i, columns[j]], offset[j], offset[j + 1])


@compiled
def read_numbers(values: Array, columns: Array, shape: Array, nulls: Array, numbers: Array) -> None:
    """Write the numbers and, after them, the indicators of nulls.

    values: (n, f). columns: (m,). shape: (4, m) middle, spread, mean, scale. nulls: (u,) columns. numbers: (n, m + u).
    """
    for i in range(len(values)):
        for j in range(len(columns)):
            numbers[i, j] = transformed(values[i, columns[j]], shape[0, j], shape[1, j], shape[2, j], shape[3, j])
        for j in range(len(nulls)):
            numbers[i, len(columns) + j] = math.isnan(values[i, nulls[j]])


@compiled
def read_dense(
    values: Array,
    categories: Array,
    offset: Array,
    table: Array,
    columns: Array,
    shape: Array,
    nulls: Array,
    dense: Array,
) -> None:
    """Write what the dense part reads: the vectors of the categories side by side, then the numbers.

    table: (rows, width). dense: (n, c·width + m + u); the others as in `read_codes` and `read_numbers`.
    """
    width = table.shape[1]
    ahead = len(categories) * width
    for i in range(len(values)):
        for j in range(len(categories)):
            row = table[place(values[i, categories[j]], offset[j], offset[j + 1])]
            for k in range(width):
                dense[i, j * width + k] = row[k]
    read_numbers(values, columns, shape, nulls, dense[:, ahead:])


@compiled
def gather(codes: Array, table: Array, numbers: Array, dense: Array) -> None:
    """Write what the dense part reads for rows whose codes and numbers were read before; shapes as in `read_dense`."""
    width = table.shape[1]
    ahead = codes.shape[1] * width
    for i in range(len(codes)):
        for j in range(codes.shape[1]):
            row = table[codes[i, j]]
            for k in range(width):
                dense[i, j * width + k] = row[k]
        for j in range(numbers.shape[1]):
            dense[i, ahead + j] = numbers[i, j]
