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
_TOGETHER = 16  # rows side by side that one thread looks after: two threads seldom write into one line of memory


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
    slot: Array, touched: Array, sums: Array, count: int, part: int, parts: int,
) -> int:  # fmt: skip
    """Add the slopes of what `read` gave to those of the rows it came from, and give how many rows were touched.

    slope: (n, 2·size). slot: (rows,) the place of a row in `touched`, −1 for none. touched: (room,) rows. sums:
    (room, size). count: rows that were touched before. part: which of so many parts of the table to look after; parts
    can be done side by side, each with room of its own.
    """
    size, alone = sums.shape[1], np.arange(len(own) + 1)
    count = _add(flat, low, high, nothing, slope[:, :size], slot, touched, sums, count, part, parts)
    return _add(own, alone[:-1], alone[1:], -1, slope[:, size:], slot, touched, sums, count, part, parts)


@compiled
def _add(
    flat: Array, low: Array, high: Array, nothing: int, slope: Array,
    slot: Array, touched: Array, sums: Array, count: int, part: int, parts: int,
) -> int:  # fmt: skip
    """The same for means of lists alone. It adds in one place, which is then compiled to wide instructions."""
    size = sums.shape[1]
    mean = np.empty(size, dtype=sums.dtype)
    for i in range(len(low)):
        many = high[i] - low[i]
        share = _ONE / np.float32(max(many, 1))
        for j in range(size):
            mean[j] = share * slope[i, j]
        for place in range(low[i], low[i] + max(many, 1)):
            row = flat[place] if many > 0 else nothing
            if row < 0 or (row // _TOGETHER) % parts != part:
                continue
            at = slot[row]
            if at < 0:
                slot[row], touched[count], at = count, row, count
                sums[at] = 0
                count += 1
            for j in range(size):
                sums[at, j] += mean[j]
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
def hide(logits: Array, person: Array, item: Array, start: Array, taken: Array, first: Array) -> None:
    """Put −∞ into the logits of the items that the row's person took.

    logits: (n, m). person: (n,) of the rows; equal ones side by side are looked up once. item: (m,) of the columns,
    ascending. start, taken: the items of each person, ascending: taken[start[p]:start[p + 1]]. first: (items,) the
    first column of each item that has one, and anything from 0 on for the others.
    """
    many, found, last = len(item), 0, -1
    columns = np.empty(many, dtype=np.int64)
    for row in range(len(person)):
        if person[row] != last:
            last, found = person[row], 0
            own = taken[start[last] : start[last + 1]]
            if len(own) <= _MANY * many:
                for thing in own:
                    column = first[thing]
                    while column < many and item[column] == thing:
                        columns[found] = column
                        found += 1
                        column += 1
            else:
                for column in range(many):
                    place = np.searchsorted(own, item[column])
                    if place < len(own) and own[place] == item[column]:
                        columns[found] = column
                        found += 1
        for column in columns[:found]:
            logits[row, column] = -np.inf
