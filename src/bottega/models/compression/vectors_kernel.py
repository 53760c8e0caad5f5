"""The compiled reading of compressed vectors; a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from bottega.metrics.compiling import compiled
from bottega.models.networks.fields_kernel import place, read_numbers

Array = np.ndarray[Any, np.dtype[Any]]


@compiled
def read_rounded(
    values: Array,
    categories: Array,
    offset: Array,
    whole: Array,
    scale: Array,
    columns: Array,
    shape: Array,
    nulls: Array,
    dense: Array,
) -> None:
    """Write what the dense part reads, from whole numbers: whole (rows, width) int8, scale (rows,) float32.

    The others as in `read_dense` of the networks.
    """
    width = whole.shape[1]
    for i in range(len(values)):
        for j in range(len(categories)):
            row = place(values[i, categories[j]], offset[j], offset[j + 1])
            by = scale[row]
            for k in range(width):
                dense[i, j * width + k] = by * whole[row, k]
    read_numbers(values, columns, shape, nulls, dense[:, len(categories) * width :])


@compiled
def read_sparse(
    values: Array,
    categories: Array,
    offset: Array,
    mask: Array,
    first: Array,
    kept: Array,
    width: int,
    columns: Array,
    shape: Array,
    nulls: Array,
    dense: Array,
) -> None:
    """Write what the dense part reads, from the numbers that are not 0.

    mask: (rows, ⌈width / 8⌉) uint8, a bit for each number, the highest first. first: (rows,) where a row's numbers
    begin in kept: (m + 1,) float32, the last one 0. The others as in `read_dense` of the networks.
    """
    for i in range(len(values)):
        for j in range(len(categories)):
            row = place(values[i, categories[j]], offset[j], offset[j + 1])
            at = first[row]
            for k in range(width):
                bit = (mask[row, k >> 3] >> (7 - (k & 7))) & 1
                dense[i, j * width + k] = kept[at] * np.float32(bit)  # no branch: half of the guesses would be wrong
                at += bit
    read_numbers(values, columns, shape, nulls, dense[:, len(categories) * width :])
