"""Compiled loops over hashes; importing this loads Numba, so import it where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]

BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
FIRST, SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
LEFT = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _HALF = np.uint64(33), np.uint64(32)


@compiled
def mix(value: Any) -> Any:
    """Spread the bits of a number over all of its 64: the finaliser of MurmurHash3."""
    value = (value ^ (value >> _SHIFT)) * FIRST
    value = (value ^ (value >> _SHIFT)) * SECOND
    return value ^ (value >> _SHIFT)


@compiled
def hash_texts(content: Array, offsets: Array) -> Array:
    """Hash each text, (n,) uint64. content: their bytes in a row. offsets: (n + 1,) where each begins."""
    result = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(offsets) - 1):
        value = BASIS
        for index in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(content[index])) * PRIME
        result[row] = mix(value)
    return result


@compiled
def pair(left: Array, right: Array) -> Array:
    """Hash two hashes to one, (n,) uint64: mix(left · c + right)."""
    result = np.empty(len(left), np.uint64)
    for row in range(len(left)):
        result[row] = mix(left[row] * LEFT + right[row])
    return result


@compiled
def number(hashes: Array) -> tuple[Array, int]:
    """Number distinct hashes 0, 1, … as they first come: the number of each, (n,) int32, and how many there are."""
    places = 2 * len(hashes) + 1
    size = np.uint64(places)
    held = np.full(places, -1, np.int32)
    known = np.empty(len(hashes), np.uint64)
    result = np.empty(len(hashes), np.int32)
    count = 0
    for row in range(len(hashes)):
        value = hashes[row]
        slot = ((value >> _HALF) * size) >> _HALF
        while held[slot] >= 0 and known[held[slot]] != value:
            slot = slot + np.uint64(1) if slot + np.uint64(1) < size else np.uint64(0)
        if held[slot] < 0:
            held[slot] = count
            known[count] = value
            count += 1
        result[row] = held[slot]
    return result, count
