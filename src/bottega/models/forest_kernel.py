"""The compiled loop of `Forest`; in a module of its own, so that Numba is imported only where trees are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled
from bottega.models.forest_codes import CATEGORY, HASH_32, HASH_64, NAN_LEFT

_ROWS = 128  # rows of a block: its columns and bits stay in the first cache
_LANES = 16
_ZERO = np.float32(1e-35)  # LightGBM reads smaller numbers as 0


@compiled
def add_leaves(
    values: npt.NDArray[np.float32],
    start: npt.NDArray[np.int32],
    feature: npt.NDArray[np.int32],
    threshold: npt.NDArray[np.float32],
    kind: npt.NDArray[np.int8],
    first_word: npt.NDArray[np.int32],
    word_count: npt.NDArray[np.int32],
    mask: npt.NDArray[Any],
    words: npt.NDArray[np.uint32],
    value: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
) -> None:
    """Add the value of each tree's leaf to each row's total; shapes as in `Forest`."""
    rows, width = values.shape
    block = np.zeros((width, _ROWS), dtype=np.float32)
    leaves = np.empty(_ROWS, dtype=mask.dtype)
    wide = value.shape[1] == 64
    for low in range(0, rows, _ROWS):
        count = min(_ROWS, rows - low)
        padded = (count + _LANES - 1) // _LANES * _LANES
        for r in range(count):
            for f in range(width):
                x = values[low + r, f]
                block[f, r] = np.float32(0) if abs(x) <= _ZERO else x
        for tree in range(len(start) - 1):
            leaves[:padded] = ~mask.dtype.type(0)
            for node in range(start[tree], start[tree + 1]):
                column, left, stay = block[feature[node]], threshold[node], mask[node]
                if kind[node] == CATEGORY:
                    first, most = first_word[node], word_count[node] * 32
                    for r in range(count):
                        x = column[r]
                        inside = x > -1 and x < most and (words[first + (np.int64(x) >> 5)] >> (np.int64(x) & 31)) & 1
                        if not inside:
                            leaves[r] &= stay
                elif kind[node] == NAN_LEFT:
                    for r in range(padded):
                        leaves[r] = leaves[r] & stay if column[r] > left else leaves[r]
                else:
                    for r in range(padded):
                        leaves[r] = leaves[r] if column[r] <= left else leaves[r] & stay
            if wide:
                for r in range(count):
                    bit = leaves[r] & (~leaves[r] + np.uint64(1))
                    total[low + r] += value[tree, (bit * np.uint64(HASH_64)) >> np.uint64(58)]
            else:
                for r in range(count):
                    bit = leaves[r] & (~leaves[r] + np.uint32(1))
                    total[low + r] += value[tree, np.uint32(bit * np.uint32(HASH_32)) >> np.uint32(27)]
