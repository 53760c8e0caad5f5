"""The compiled sum of weighted rows; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

_COLUMNS = 2048  # columns summed at once: their total stays in the first cache


def weighted_rows(
    matrix: npt.NDArray[np.float32],
    start: npt.NDArray[np.int64],
    row: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float32],
    asked: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """The sum of weighted rows for each that is asked for, (n, columns) float32: the same bits alone and among many.

    matrix: (m, columns). start: (people + 1,) places in row and weight. asked: (n,) people, −1 for nobody: zeros.

    >>> matrix = np.array([[1, 0], [0, 10]], dtype=np.float32)
    >>> start, row = np.array([0, 2]), np.array([0, 1], dtype=np.int32)
    >>> weighted_rows(matrix, start, row, np.array([2, 3], dtype=np.float32), np.array([0, -1]))
    array([[ 2., 30.],
           [ 0.,  0.]], dtype=float32)
    """
    total = np.zeros((len(asked), matrix.shape[1]), dtype=np.float32)
    add_rows(_frozen(matrix), _frozen(start), _frozen(row), _frozen(weight), asked, total)
    return total


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, not to be written into: as it comes from a file, so that there is one thing to compile."""
    view = values.view()
    view.setflags(write=False)
    return view


@compiled
def add_rows(
    matrix: npt.NDArray[np.float32],
    start: npt.NDArray[np.int64],
    row: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float32],
    asked: npt.NDArray[np.int64],
    total: npt.NDArray[np.float32],
) -> None:
    """Add the rows to each total, in one thread and always in the same order; shapes as in `weighted_rows`.

    BLAS must copy the rows first, gives other last bits to a person among many, and its threads wait for each other on
    a busy machine.
    """
    columns = matrix.shape[1]
    for low in range(0, columns, _COLUMNS):
        high = min(low + _COLUMNS, columns)
        for place in range(len(asked)):
            person = asked[place]
            if person < 0:
                continue
            sums = total[place, low:high]
            here, end = start[person], start[person + 1]
            while here + 4 <= end:  # four rows at a time: the total is read and written a fourth as often
                first, second = matrix[row[here], low:high], matrix[row[here + 1], low:high]
                third, fourth = matrix[row[here + 2], low:high], matrix[row[here + 3], low:high]
                a, b, c, d = weight[here], weight[here + 1], weight[here + 2], weight[here + 3]
                for j in range(high - low):
                    sums[j] += a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
                here += 4
            while here < end:
                first, a = matrix[row[here], low:high], weight[here]
                for j in range(high - low):
                    sums[j] += a * first[j]
                here += 1
