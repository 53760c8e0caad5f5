"""The compiled reading and stepping of the table; in a module of its own, so that Numba is imported only where used.

A thing goes into its tower as two vectors side by side: the mean of a list of rows (the items of a history, the words
of a text), and one row of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]
_ONE = np.float32(1)
_MANY = 16  # items of a person, for each of the batch, up to which they are looked through one by one


@compiled
def read(table: Array, flat: Array, low: Array, high: Array, nothing: int, own: Array, out: Array) -> None:
    """Write what goes into a tower, (n, 2·size): the mean of table[flat[low:high]], and table[own].

    nothing: the row in place of an empty list, −1 for zeros. own: (n,) rows, −1 for zeros.
    """
    size = table.shape[1]
    for i in range(len(low)):
        mean, single = out[i, :size], out[i, size:]
        mean[:] = 0
        single[:] = 0
        for place in range(low[i], high[i]):
            row = table[flat[place]]
            for j in range(size):
                mean[j] += row[j]
        if high[i] > low[i]:
            share = _ONE / np.float32(high[i] - low[i])
            for j in range(size):
                mean[j] *= share
        elif nothing >= 0:
            mean[:] = table[nothing]
        if own[i] >= 0:
            single[:] = table[own[i]]


@compiled
def collect(
    flat: Array, low: Array, high: Array, nothing: int, own: Array, slope: Array,
    slot: Array, touched: Array, sums: Array, count: int,
) -> int:  # fmt: skip
    """Add the slopes of what `read` gave to those of the rows it came from, and give how many rows were touched.

    slope: (n, 2·size). slot: (rows,) the place of a row in `touched`, −1 for none. touched: (room,) rows. sums:
    (room, size). count: rows that were touched before.
    """
    size = sums.shape[1]
    for i in range(len(low)):
        many = high[i] - low[i]
        share = _ONE / np.float32(max(many, 1))
        for place in range(low[i], high[i]):
            count = _add(flat[place], slope[i, :size], share, slot, touched, sums, count)
        if many == 0 and nothing >= 0:
            count = _add(nothing, slope[i, :size], _ONE, slot, touched, sums, count)
        if own[i] >= 0:
            count = _add(own[i], slope[i, size:], _ONE, slot, touched, sums, count)
    return count


@compiled
def _add(row: int, slope: Array, share: np.float32, slot: Array, touched: Array, sums: Array, count: int) -> int:
    place = slot[row]
    if place < 0:
        slot[row], touched[count], place = count, row, count
        sums[place] = 0
        count += 1
    total = sums[place]
    for j in range(len(slope)):
        total[j] += share * slope[j]
    return count


@compiled
def step(
    table: Array, moments: Array, slot: Array, touched: Array, sums: Array, count: int,
    rate: np.float32, keep_first: np.float32, keep_second: np.float32, small: np.float32,
) -> None:  # fmt: skip
    """One step of Adam on the rows that were touched, and on no others; `slot` is all −1 after it.

    moments: (rows, 2·size), the first and then the second. The rest float32: the step's rate with Adam's correction,
    what each moment keeps, and what keeps the division finite.
    """
    size = table.shape[1]
    for place in range(count):
        row = touched[place]
        slot[row] = -1
        vector, slope = table[row], sums[place]
        first, second = moments[row, :size], moments[row, size:]
        for j in range(size):
            first[j] = keep_first * first[j] + (_ONE - keep_first) * slope[j]
            second[j] = keep_second * second[j] + (_ONE - keep_second) * slope[j] * slope[j]
        for j in range(size):
            vector[j] -= rate * first[j] / (np.sqrt(second[j]) + small)


@compiled
def hits(
    person: Array, item: Array, order: Array, start: Array, taken: Array, first: Array, after: Array, columns: Array,
    out: Array,
) -> int:  # fmt: skip
    """Write the places row · n + column of a batch where the column's item is one that the row's person took.

    The row's own column is none of them. person, item: (n,) of the batch. order: (n,) rows by person. start, taken: the
    items of each person, ascending: taken[start[p]:start[p + 1]]. first: (items,) all −1 before and after. after,
    columns: (n,) room to work in. out: (room,). Gives how many there are; where there is no room for all, nothing is
    lost but their writing.
    """
    many, count, found, last = len(item), 0, 0, -1
    for column in range(many):
        after[column] = first[item[column]]
        first[item[column]] = column
    for row in order:
        if person[row] != last:  # once for all rows of a person
            last, found = person[row], 0
            own = taken[start[last] : start[last + 1]]
            if len(own) <= _MANY * many:
                for thing in own:
                    column = first[thing]
                    while column >= 0:
                        columns[found] = column
                        found += 1
                        column = after[column]
            else:
                for column in range(many):
                    place = np.searchsorted(own, item[column])
                    if place < len(own) and own[place] == item[column]:
                        columns[found] = column
                        found += 1
        for place in range(found):
            if columns[place] != row:
                if count < len(out):
                    out[count] = row * many + columns[place]
                count += 1
    for column in range(many):
        first[item[column]] = -1
    return count
