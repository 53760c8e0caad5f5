"""The compiled products of queries and rows, and the best of them; Numba is imported only where this is used.

Every product of an index comes from `products`: compiled once, it gives two vectors the same bits wherever they stand,
so that equal vectors tie, and a list has the products that are asked for later.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]


def _sum(query: Array, vector: Array) -> Any:
    """⟨query, vector⟩ in float32, of as many sums side by side as the processor has room for."""
    total = np.float32(0)
    for j in range(len(query)):
        total += query[j] * vector[j]
    return total


_product = numba.njit(nogil=True, fastmath={"reassoc", "contract"})(_sum)


@compiled
def products(base: Array, more: Array, rows: Array, queries: Array, total: Array) -> None:
    """The product of each query with its rows, (q, r) into `total`; rows below 0 are left as they are.

    base, more: (n, d), (m, d) the vectors, first the ones and then the others. rows: (q, r), or (1, r) for all queries.
    """
    held, each = len(base), 0 if len(rows) == 1 else 1
    for i in range(len(queries)):
        for c in range(rows.shape[1]):
            row = rows[i * each, c]
            if row >= 0:
                total[i, c] = _product(queries[i], base[row] if row < held else more[row - held])


@compiled
def offer(
    codes: Array, rows: Array, total: Array, start: Array, out: Array, best: Array, scores: Array, count: Array
) -> None:
    """Take into the heap of each query those of its rows that are better than the worst in it.

    codes: of each row, −1 where it is gone. rows: (q, r), or (1, r) for all queries; below 0 for none. total: (q, r)
    their products. start, out: what each query leaves out, ascending: out[start[i]:start[i + 1]]. best, scores: (q, k)
    heaps with the worst on top; of equals that is the highest code. count: (q,) how many there are.
    """
    each = 0 if len(rows) == 1 else 1
    for i in range(len(total)):
        held, values, left = best[i], scores[i], out[start[i] : start[i + 1]]
        many = count[i]
        for c in range(rows.shape[1]):
            row, score = rows[i * each, c], total[i, c]
            if row < 0 or (many == len(held) and score < values[0]):
                continue
            code = codes[row]  # read once: another thread may strike the row out
            if code < 0:
                continue
            if many == len(held) and score == values[0] and code > held[0]:
                continue
            if len(left):
                place = np.searchsorted(left, code)
                if place < len(left) and left[place] == code:
                    continue
            if many == len(held):
                held[0], values[0] = code, score
                _sink(held, values, 0, many)
            else:
                _rise(held, values, many, code, score)
                many += 1
        count[i] = many


@compiled
def in_order(best: Array, scores: Array, count: Array) -> None:
    """Turn each heap into a list, best first."""
    for i in range(len(best)):
        codes, values = best[i], scores[i]
        for end in range(count[i] - 1, 0, -1):
            codes[0], codes[end] = codes[end], codes[0]
            values[0], values[end] = values[end], values[0]
            _sink(codes, values, 0, end)


@compiled
def _rise(best: Array, scores: Array, place: int, code: int, score: float) -> None:
    """Put an entry into a place at the end, and let it rise to where all above are worse."""
    while place > 0:
        above = (place - 1) // 2
        if scores[above] < score or (scores[above] == score and best[above] > code):
            break
        scores[place], best[place] = scores[above], best[above]
        place = above
    scores[place], best[place] = score, code


@compiled
def _sink(best: Array, scores: Array, place: int, size: int) -> None:
    """Let an entry sink to where all below are better: the top is the worst, and of equals the highest code."""
    score, code = scores[place], best[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            scores[other] < scores[child] or (scores[other] == scores[child] and best[other] > best[child])
        ):
            child = other
        if score < scores[child] or (score == scores[child] and code > best[child]):
            break
        scores[place], best[place] = scores[child], best[child]
        place = child
    scores[place], best[place] = score, code
