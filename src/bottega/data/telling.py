"""What one column alone tells of a label: by its size, by its values, or by whether it is filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.metrics.binary import roc_auc

MOST_OF_A_KIND = 100_000
"""Rows of each label that are looked at."""
_OWN = 0xB077E6A  # a stream of its own: a table that was drawn by the same seed must not know the halves
_PRIOR = 5.0  # rows of the overall rate that are mixed into that of a value

Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Told:
    """What one column alone tells of the label. auc: its ROC-AUC, 0.5 to 1; how: in which way it tells most."""

    auc: float
    how: str


def drawn(positive: Marks, seed: int = 0) -> NDArray[np.int64]:
    """Draw the rows that are looked at, in their order: of both kinds at most a hundred thousand, so that rare ones
    stay. Nothing where there are rows of one kind alone, which no column can tell apart.

    positive: (n,); seed: another one draws others.
    """
    rng = np.random.default_rng((_OWN, seed))
    kinds = np.flatnonzero(positive), np.flatnonzero(~positive)
    if not all(map(len, kinds)):
        return np.zeros(0, np.int64)
    return np.sort(np.concatenate([rng.permutation(part)[:MOST_OF_A_KIND] for part in kinds]))


def told(column: pa.ChunkedArray | pa.Array, positive: Marks, seed: int = 0) -> Told | None:
    """Say how well a column alone tells the label; nothing where it is the same in every row.

    A number counts by its size, whatever comes again by the rate of the label among rows of the other half that have
    the same value, and what has gaps by whether it is filled; the best way is taken. When it is wrong: a leak that is
    only partly filled, or that two columns make together, is not seen; an honest column that decides alone is
    suspected. Times are held back by what reads them: of them only gaps count.

    column: (n,); positive: (n,) bool. Gives the ROC-AUC on rows that it was not learnt from, where it is learnt.

    >>> told(pa.array([3, 1, 2, None] * 50), np.array([True, False, False, False] * 50))
    Told(auc=1.0, how='its size')
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        return None
    filled, ways = column.is_valid().to_numpy(zero_copy_only=False), {}
    numbers = _numbers(column)
    if numbers is not None:
        filled = np.isfinite(numbers)
        least = numbers[filled].min() - 1 if filled.any() else 0.0
        ways["its size"] = np.where(filled, numbers, least)
    if not filled.all():
        ways["whether it is filled"] = filled.astype(np.float64)
    if not pa.types.is_temporal(column.type) and (numbers is None or _is_whole(numbers[filled])):
        codes = column.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        if codes.max(initial=0) < len(codes) / 2:
            ways["its values"] = _rates(codes, positive, np.random.default_rng((_OWN, seed)).random(len(codes)) < 0.5)
    judged = {how: float(roc_auc(positive, scores)) for how, scores in ways.items() if np.ptp(scores) > 0}
    if not judged:
        return None
    how = max(judged, key=lambda one: abs(judged[one] - 0.5))
    return Told(max(judged[how], 1 - judged[how]), how)


def _numbers(column: pa.Array) -> NDArray[np.float64] | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _is_whole(numbers: NDArray[np.float64]) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def _rates(codes: NDArray[np.int64], positive: Marks, half: Marks) -> NDArray[np.float64]:
    """Rate each row by the rows of the other half that have its value."""
    size, scores = int(codes.max(initial=0)) + 1, np.empty(len(codes))
    for side in (True, False):
        other = half != side
        seen = np.bincount(codes[other], minlength=size)
        hits = np.bincount(codes[other], positive[other], size)
        rate = (hits + _PRIOR * positive.mean()) / (seen + _PRIOR)
        scores[half == side] = rate[codes[half == side]]
    return scores
