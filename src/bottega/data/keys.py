"""Ids of entities: the one way to write them as text, and to number them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.design.data import GroupSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Judged, Logged
from bottega.design.features import Expression, Lookup, Window

_ROOM = 2**62  # numbers
_LARGE = 2**31 - 1  # bytes of text that one array with 32-bit offsets can hold


def as_text(array: pa.ChunkedArray | pa.Array) -> pa.StringArray | pa.LargeStringArray:
    """Write ids as text, so that one id has one form in every table, file and request.

    Whole numbers lose nothing and gain nothing (`17850`, and `17850.0` of a column of floats, are both `17850`);
    other floats are written in their shortest form; truth values are `true` and `false`; text stays as it is, with
    its zeros and spaces. NaN and infinity are null. Wrong for floats above 2⁵³, which are no exact numbers.

    array: (n,) of any flat type; bytes must be UTF-8, else `pyarrow.ArrowInvalid`.
    Gives (n,) text, large only above 2 GiB.

    >>> as_text(pa.array([17850.0, None, 2.5])).to_pylist()
    ['17850', None, '2.5']
    """
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(whole, pa.ChunkedArray):  # too large for one array with 32-bit offsets
        whole = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in whole.chunks])
    if pa.types.is_dictionary(whole.type):
        return as_text(whole.dictionary).take(whole.indices)
    broken = pa.types.is_decimal(whole.type) and whole.type.scale != 0  # whole ones are written digit by digit
    if pa.types.is_floating(whole.type) or broken:
        whole = _numbers(whole.cast(pa.float64()))
    if pa.types.is_large_string(whole.type) and whole.nbytes > _LARGE:
        return whole
    return whole if pa.types.is_string(whole.type) else whole.cast(pa.string())


def is_long(column: pa.ChunkedArray) -> bool:
    """Say whether a column holds whole numbers beyond 2^53, of which a float64 could make one of two.

    >>> is_long(pa.chunked_array([[2**53 + 1]])), is_long(pa.chunked_array([[17850]]))
    (True, False)
    """
    kind = column.type
    if not (pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)):
        return False
    ends = pc.min_max(column).as_py()
    return ends["max"] is not None and max(-ends["min"], ends["max"]) > 2**53


def _numbers(array: pa.Array) -> pa.Array:
    valid = pc.fill_null(pc.is_finite(array), False)
    array = pc.if_else(valid, array, pa.scalar(None, pa.float64()))
    exact = pc.and_(pc.equal(array, pc.floor(array)), pc.less(pc.abs(array), 2.0**63))
    whole = pc.if_else(exact, array, pa.scalar(None, pa.float64())).cast(pa.int64(), safe=False).cast(pa.string())
    if whole.null_count == array.null_count:
        return whole
    return pc.coalesce(whole, array.cast(pa.string()))


def encode(
    array: pa.ChunkedArray | pa.Array, vocabulary: pa.StringArray | None = None
) -> tuple[NDArray[np.int32], pa.StringArray]:
    """Number ids by their place in a sorted vocabulary, that of the array itself or a given one.

    array: (n,) ids of any flat type, written by `as_text`; null is no id.
    vocabulary: (v,) distinct texts to number by; nothing: the array's own, sorted by their bytes.
    Gives codes (n,) int32, −1 for null and for what the vocabulary lacks, and the vocabulary (v,).

    >>> codes, vocabulary = encode(pa.array(["b", None, "a", "b"]))
    >>> codes.tolist(), vocabulary.to_pylist()
    ([1, -1, 0, 1], ['a', 'b'])
    """
    text = as_text(array)
    if vocabulary is not None:
        found = pc.index_in(text, value_set=vocabulary.cast(text.type), skip_nulls=True)
        return _codes(found), vocabulary
    seen = text.dictionary_encode()
    order = pc.array_sort_indices(seen.dictionary).to_numpy()  # (v,)
    rank = np.empty(len(order) + 1, np.int32)  # (v + 1,) the last stands for null
    rank[order], rank[-1] = np.arange(len(order), dtype=np.int32), -1
    return rank[_codes(seen.indices)], seen.dictionary.take(pa.array(order)).cast(pa.string())


def combined(columns: Iterable[tuple[NDArray[np.int32], int]]) -> NDArray[np.int64]:
    """Give rows with equal codes in all columns an equal number, and others others, in the order of the columns.

    columns: codes (n,) from 0 up, and how many there can be; at least one. Gives numbers (n,), not without gaps.

    >>> combined([(np.array([0, 1, 1], np.int32), 2), (np.array([2, 0, 0], np.int32), 3)]).tolist()
    [2, 3, 3]
    """
    keys, size = np.zeros(1, np.int64), 1
    for codes, many in columns:
        if size * max(many, 1) >= _ROOM:
            _, keys = np.unique(keys, return_inverse=True)
            size = int(keys.max(initial=0)) + 1
        keys = keys * max(many, 1) + codes
        size *= max(many, 1)
    return keys


def _codes(indices: pa.Array) -> NDArray[np.int32]:
    codes: NDArray[np.int32] = pc.fill_null(indices, -1).cast(pa.int32()).to_numpy(zero_copy_only=False)
    return codes


def identifiers(design: Design) -> frozenset[str]:
    """Name the columns that hold ids of entities anywhere in the design: they are read and kept as text.

    They are the keys of tables, the candidate, the person of a request, what windows, look-ups and rates go by, what
    is crossed, and the group of a split. Other columns keep their type.
    """
    data = design.data
    found = {name for table in data.tables for name in _names(table.key)}
    examples = data.examples
    found.update(_names(getattr(examples, "candidate", None)))
    if isinstance(examples, (FromPositives, Logged)):
        found.add(examples.request[0])
    if isinstance(examples, Judged):
        found.add(examples.query)
    if isinstance(data.split, GroupSplit):
        found.add(data.split.by)
    keys = {name for part in design.features if isinstance(part, Window) for name in _names(part.by)}
    for part in [*design.features, *(rung for ladder in design.models.values() for rung in ladder)]:
        for field in ("by", "left", "right"):
            found.update(_names(getattr(part, field, None)))
        if isinstance(part, Lookup):  # what it tells may be what a window goes by
            told = {f"{'_'.join(_names(part.by))}_{name}": name for name in part.columns}
            found.update(name for key, name in told.items() if key in keys)
    made = {name for part in design.features if isinstance(part, Expression) for name in part.values}
    return frozenset(found - made)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, tuple) else ()
