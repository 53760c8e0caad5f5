"""Entities: keys of one or several text columns as dense numbers, the same for events and for questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.features.kernels_calls import cut, together

_SPARSE = 4  # numbers may be this many times as many as events before they are made dense again
_MANY = 1 << 18  # texts that are worth a thread


@dataclass(frozen=True)
class Matched:
    """Keys of events and of questions under one numbering; −1 for a null, or for a key that no event has."""

    events: NDArray[np.int32]  # (m,)
    asked: NDArray[np.int32]  # (n,)
    size: int
    """All numbers lie below it."""


def by_columns(by: str | Sequence[str]) -> tuple[str, ...]:
    """Give the columns of a key, in their order."""
    return (by,) if isinstance(by, str) else tuple(by)


def match(events: Sequence[pa.ChunkedArray | pa.Array], asked: Sequence[pa.Array]) -> Matched:
    """Number the keys of events by their texts, and find those of the questions among them.

    events, asked: the key's columns in the same order, (m,) and (n,) each, ids of any flat type.

    >>> match([pa.array(["a", "b", None])], [pa.array(["b", "z", None])])
    Matched(events=array([ 0,  1, -1], dtype=int32), asked=array([ 1, -1, -1], dtype=int32), size=2)
    """
    ours: NDArray[np.integer]
    theirs: NDArray[np.integer]
    ours, theirs, size = _column(events[0], asked[0])
    for one, other in zip(events[1:], asked[1:], strict=True):
        left, right, more = _column(one, other)
        ours, theirs, size = _mixed(ours, left, more), _mixed(theirs, right, more), size * more
        if size > _SPARSE * len(ours) + 1024:
            ours, theirs, size = _dense(ours, theirs)
    if len(ours) > _MANY:
        pa.default_memory_pool().release_unused()  # the pool would keep what the texts' numbers took, twice their size
    return Matched(ours.astype(np.int32, copy=False), theirs.astype(np.int32, copy=False), max(size, 1))


def distinct_keys(log: Log, by: str | Sequence[str], at: int) -> dict[str, pa.StringArray]:
    """Give the distinct keys of the rows that are usable at a moment, one array a column, in order of first arrival.

    at: microseconds since 1970 UTC; larger gives more keys. A key with a null in it is none.
    """
    names = by_columns(by)
    usable = log.before(at)
    keys = pa.table({name: as_text(usable.column(name)) for name in names}).drop_null()
    found = keys.group_by(list(names), use_threads=False).aggregate([])
    return {name: as_text(found[name]) for name in names}


def _column(events: pa.ChunkedArray | pa.Array, asked: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    texts = _text(events)
    codes, vocabulary = _encoded(texts)
    if isinstance(asked, pa.DictionaryArray):
        places = _found(as_text(asked.dictionary), vocabulary)
        return codes, _numbers(pa.array(places).take(asked.indices)), len(vocabulary)
    theirs = _text(asked)
    return codes, codes if _same(texts, theirs) else _found(theirs, vocabulary), len(vocabulary)


def _encoded(texts: pa.Array) -> tuple[NDArray[np.int32], pa.Array]:
    """Number texts, −1 for null, and give them in the order of their numbers."""
    parts = together(lambda part: texts[part].dictionary_encode(), cut(len(texts), _MANY))
    chunks = pa.chunked_array(parts).unify_dictionaries().chunks
    return _joined([_numbers(chunk.indices) for chunk in chunks]), chunks[0].dictionary


def _found(texts: pa.Array, vocabulary: pa.Array) -> NDArray[np.int32]:
    """Give the number of each text, −1 for null and for one that is not in the vocabulary."""
    texts = texts.cast(vocabulary.type)
    return _joined(
        together(
            lambda part: _numbers(pc.index_in(texts[part], value_set=vocabulary, skip_nulls=True)),
            cut(len(texts), _MANY),
        )
    )


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _text(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Write ids as text; a single chunk is not copied."""
    single = isinstance(column, pa.ChunkedArray) and column.num_chunks == 1
    return as_text(column.chunk(0) if single else column)


def _same(left: pa.Array, right: pa.Array) -> bool:
    """Tell whether two arrays lie in the same memory: events that are themselves the questions."""
    places = [
        [item.type, len(item), item.offset, *(None if part is None else part.address for part in item.buffers())]
        for item in (left, right)
    ]
    return places[0] == places[1]


def _numbers(indices: pa.Array) -> NDArray[np.int32]:
    filled = indices.fill_null(-1) if indices.null_count else indices
    numbers: NDArray[np.int32] = filled.cast(pa.int32()).to_numpy(zero_copy_only=False)
    return numbers


def _mixed(left: NDArray[np.integer], right: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    mixed = left.astype(np.int64) * size + right
    mixed[(left < 0) | (right < 0)] = -1
    return mixed


def _dense(ours: NDArray[np.integer], theirs: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    seen = pa.array(ours, mask=ours < 0).dictionary_encode()
    found = pc.index_in(pa.array(theirs, mask=theirs < 0), value_set=seen.dictionary)
    return _numbers(seen.indices), _numbers(found), len(seen.dictionary)
