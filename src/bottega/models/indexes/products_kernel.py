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
_AHEAD = 8  # rows that are fetched while others are summed
_LARGEST, _MINUS_ZERO = 2**31 - 1, -(2**31)  # as whole numbers of 32 bits
_END = -(2**63)  # a key under all others


def _sum(query: Array, vector: Array) -> Any:
    """⟨query, vector⟩ in float32, of as many sums side by side as the processor has room for."""
    total = np.float32(0)
    for j in range(len(query)):
        total += query[j] * vector[j]
    return total


_product = numba.njit(nogil=True, fastmath={"reassoc", "contract"})(_sum)


@compiled
def products(base: Array, more: Array, rows: Array, queries: Array, total: Array) -> Any:
    """The product of each query with its rows, (q, r) into `total`; rows below 0 are left as they are.

    base, more: (n, d), (m, d) the vectors, first the ones and then the others. rows: (q, r), or (1, r) for all queries.
    Gives a number without a meaning.
    """
    held, each, many = len(base), 0 if len(rows) == 1 else 1, rows.shape[1]
    middle, early = base.shape[1] // 2, np.float32(0)
    for i in range(len(queries)):
        for c in range(many):
            if c + _AHEAD < many and each:
                soon = rows[i, c + _AHEAD]
                if 0 <= soon < held:  # touched now, so that it is in the cache when its turn comes
                    early += base[soon, 0] + base[soon, middle]
            row = rows[i * each, c]
            if row >= 0:
                total[i, c] = _product(queries[i], base[row] if row < held else more[row - held])
    return early


@compiled
def offer(codes: Array, rows: Array, bits: Array, start: Array, out: Array, best: Array, count: Array) -> None:
    """Take into the heap of each query those of its rows that are better than the worst in it.

    A row's key orders as its product does, and as the lower code among equals: the bits of the float, made to rise with
    it, before 2³¹ − 1 − code.

    codes: of each row, −1 where it is gone. rows: (q, r), or (1, r) for all queries; below 0 for none. bits: (q, r) of
    their products. start, out: what each query leaves out, ascending: out[start[i]:start[i + 1]]. best: (q, k) heaps of
    keys with the worst on top. count: (q,) how many there are.
    """
    each = 0 if len(rows) == 1 else 1
    for i in range(len(bits)):
        heap, left, many = best[i], out[start[i] : start[i + 1]], count[i]
        for c in range(rows.shape[1]):
            row = rows[i * each, c]
            if row < 0 or codes[row] < 0:
                continue
            code, rising = codes[row], _rising(np.int64(bits[i, c]))
            key = (rising << 32) | (_LARGEST - code)
            if many == len(heap) and key < heap[0]:
                continue
            if len(left):
                place = np.searchsorted(left, code)
                if place < len(left) and left[place] == code:
                    continue
            if many == len(heap):
                _sink(heap, key)
            else:
                _rise(heap, many, key)
                many += 1
        count[i] = many


@compiled
def read(best: Array, codes: Array, bits: Array) -> None:
    """Read keys that rise in each row as codes and the bits of products, the best first; −1 and 0 where a heap ended.

    best, codes, bits: (q, k).
    """
    last = best.shape[1] - 1
    for i in range(len(best)):
        for c in range(last + 1):
            key = best[i, last - c]
            codes[i, c], bits[i, c] = -1, 0
            if key != _END:
                codes[i, c] = _LARGEST - (key & _LARGEST)
                bits[i, c] = _rising(key >> 32)


@compiled
def _rising(bits: Any) -> Any:
    """The bits of a float as a number that rises with it, and back; both zeros are one."""
    if bits == _MINUS_ZERO:
        return np.int64(0)
    return bits if bits >= 0 else bits ^ _LARGEST


@compiled
def _rise(heap: Array, place: int, key: int) -> None:
    """Put a key into a place at the end, and let it rise to where all above are worse."""
    while place > 0:
        above = (place - 1) // 2
        if heap[above] < key:
            break
        heap[place] = heap[above]
        place = above
    heap[place] = key


@compiled
def _sink(heap: Array, key: int) -> None:
    """Put a key in place of the worst, and let it sink to where all below are better."""
    place, size = 0, len(heap)
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if key < heap[child]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = key
