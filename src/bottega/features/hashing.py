"""Stable hashes of texts, and crosses: the same 64 bits in any process, on any machine, in any year.

h(text) = mix(FNV-1a 64 of its UTF-8 bytes), mix the finaliser of MurmurHash3: FNV alone spreads its low bits poorly.
A null hashes to a constant of its own, apart from the empty text by all but chance (2⁻⁶⁴).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from bottega.features.frame import codes
from bottega.features.words import TextColumn

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
Texts: TypeAlias = Sequence[str | None] | np.ndarray[Any, Any] | pa.Array | pa.ChunkedArray | TextColumn

_BASIS, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1
_FIRST, _SECOND = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
_LEFT = 0x9E3779B97F4A7C15
NULL = 0x9AE16A3B2F90404F
_SMALL = 2_000
_KNOWN, _SHORT = 1 << 16, 64  # how many texts are remembered, up to which length


def hashes(values: Texts) -> Hashes:
    """Hash each text to 64 bits, (n,) uint64; nulls to `NULL`.

    Few texts are hashed in Python, with a memory of the last ones; many by compiled code over Arrow's buffers: both
    give the same values. Of n texts drawn into H buckets by `h % H`, one shares its bucket with another one with
    probability 1 − e^(−n/H).

    >>> [hex(int(h)) for h in hashes(["a", None])]
    ['0x82a2a958a9bece5b', '0x9ae16a3b2f90404f']
    """
    if isinstance(values, TextColumn):
        return values.of(hashes)
    if isinstance(values, pa.ChunkedArray):
        values = _whole(values)
    if isinstance(values, pa.DictionaryArray) and len(values.dictionary) < len(values):
        known = np.append(hashes(values.dictionary), np.uint64(NULL))  # the last one stands for null
        return np.asarray(known[codes(values)])
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()  # listed many times quicker
    if len(values) <= _SMALL:
        if isinstance(values, pa.Array):
            values = values.to_pylist()
        elif isinstance(values, np.ndarray):
            values = values.tolist()
        return np.fromiter(map(hash_text, values), np.uint64, len(values))
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.large_string())
    return _buffers(array.cast(pa.large_string()))


def cross(left: Texts, right: Texts, buckets: int) -> Codes:
    """Give one category for each pair of texts: (n,) int64 in 0 … buckets − 1; a null is a value like any other.

    code = mix(h(left) · c + h(right)) mod buckets, so that ("a", "b") and ("b", "a") differ. Two of n distinct pairs
    collide as often as hashing must: one pair meets another with probability 1 − e^(−n/buckets). Wrong where single
    pairs must stay apart. buckets: 2 to 2³⁰; larger collides less and needs a larger model.

    >>> cross(["red", "red"], ["shoe", None], buckets=1000)
    array([372,  78])
    """
    return (paired(hashes(left), hashes(right)) % np.uint64(buckets)).astype(np.int64)


def paired(left: Hashes, right: Hashes) -> Hashes:
    """Hash two hashes to one: mix(left · c + right), (n,); few by NumPy, many by compiled code."""
    if len(left) > _SMALL:
        from bottega.features import kernels_hashing

        return kernels_hashing.pair(left, right)
    with np.errstate(over="ignore"):  # arithmetic modulo 2⁶⁴ is meant
        return _mix(left * np.uint64(_LEFT) + right)


def _mix(values: Hashes) -> Hashes:
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(_FIRST)
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(33))


_memory: dict[str, int] = {}


def hash_text(text: str | None) -> int:
    """Hash one text as `hashes` does, remembering the last short ones.

    >>> hex(hash_text("a"))
    '0x82a2a958a9bece5b'
    """
    if text is None:
        return NULL
    known = _memory.get(text)
    if known is not None:
        return known
    value = _BASIS
    for byte in text.encode():
        value = ((value ^ byte) * _PRIME) & _MASK
    value = ((value ^ (value >> 33)) * _FIRST) & _MASK
    value = ((value ^ (value >> 33)) * _SECOND) & _MASK
    value ^= value >> 33
    if len(text) <= _SHORT:
        if len(_memory) >= _KNOWN:
            _memory.clear()
        _memory[text] = value
    return value


def _whole(values: pa.ChunkedArray) -> pa.Array:
    """Put chunks together, those of dictionaries under one dictionary; texts of over 2 GiB need large offsets."""
    if pa.types.is_dictionary(values.type):
        return values.unify_dictionaries().combine_chunks()
    whole = values.cast(pa.large_string()).combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _buffers(array: pa.LargeStringArray) -> Hashes:
    from bottega.features import kernels_hashing  # slow to load: only for many rows

    valid, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int64)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    result = kernels_hashing.hash_texts(content, offsets)
    if valid is not None and array.null_count:
        result[np.asarray(array.is_null())] = NULL
    return result
