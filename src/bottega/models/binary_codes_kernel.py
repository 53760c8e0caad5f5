"""The compiled search of codes; in a module of its own, so that Numba is imported only where it is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled
from bottega.models.vocabulary import Codes

Bits = npt.NDArray[np.uint64]


@compiled
def nearest_bits(queries: Bits, items: Bits, places: Codes, apart: Codes) -> None:
    """Fill each row with the places of the nearest items, and the bits in which they differ, by counting, not sorting.

    queries: (q, w). items: (n, w). places, apart: (q, k), all −1.
    """
    pairs, fours, bytes_ = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
    ones, one, two, four, top = np.uint64(0x0101010101010101), np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)
    count, words = items.shape
    differ = np.empty(count, np.int32)
    for row in range(len(queries)):
        times = np.zeros(64 * words + 2, np.int64)
        for item in range(count):
            total = np.int64(0)
            for word in range(words):
                x = queries[row, word] ^ items[item, word]
                x = x - ((x >> one) & pairs)
                x = (x & fours) + ((x >> two) & fours)
                total += np.int64((((x + (x >> four)) & bytes_) * ones) >> top)
            differ[item] = total
            times[total + 1] += 1
        for bits in range(1, len(times)):
            times[bits] += times[bits - 1]  # from here on: where items of so many bits begin in the order of all
        for item in range(count):
            bits = differ[item]
            place = times[bits]
            times[bits] += 1
            if place < places.shape[1]:
                places[row, place], apart[row, place] = item, bits
