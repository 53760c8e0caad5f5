"""Leaks: columns that know the label because they are its consequence, found by what each of them tells alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.metrics.binary import roc_auc
from bottega.proposals.columns import Column

KNOWS, SUSPECT = 0.98, 0.9  # ROC-AUC of one column alone
_ROWS = 200_000  # that are looked at
_PRIOR = 5.0  # rows of the overall rate that are mixed into that of a value


@dataclass(frozen=True)
class Knows:
    """What one column alone tells of the label. auc: its ROC-AUC, of rows that it did not learn from."""

    name: str
    auc: float
    how: str


def leaks(columns: Sequence[Column], label: NDArray[np.float64], seed: int = 0) -> list[Knows]:
    """Say how well each column alone tells the label, the best first: from `SUSPECT` up one should be looked at.

    A column is read in three ways, and the best counts: by its size, by the rate of the label among rows with the same
    value in the other half, and by whether it is filled. When it is wrong: a leak that is only partly filled, or that
    two columns make together, is not seen; an honest column that decides alone is suspected.

    columns: with a value for each row. label: (n,), above 0 is positive; NaN where there is none.
    """
    known = np.flatnonzero(np.isfinite(label))
    rng = np.random.default_rng(seed)
    positive, negative = known[label[known] > 0], known[label[known] <= 0]
    if not len(positive) or not len(negative):
        return []
    some = np.sort(np.concatenate([rng.permutation(part)[: _ROWS // 2] for part in (positive, negative)]))
    target, half = label[some] > 0, rng.random(len(some)) < 0.5
    found = [one for column in columns if (one := _told(column, some, target, half)) is not None]
    return sorted(found, key=lambda one: (-one.auc, one.name))


def _told(column: Column, rows: NDArray[np.int64], target: NDArray[np.bool_], half: NDArray[np.bool_]) -> Knows | None:
    codes, values = column.codes[rows], None
    if column.kind in ("number", "whole", "flag"):
        values = column.numbers[rows]
    filled = codes >= 0 if values is None else np.isfinite(values)
    ways = {} if filled.all() else {"whether it is filled": filled.astype(np.float64)}
    if values is not None:
        ways["its size"] = np.where(
            np.isfinite(values), values, np.nanmin(values) - 1 if np.isfinite(values).any() else 0
        )
    if column.kind not in ("number", "time") and column.distinct < len(rows) / 2:
        ways["its values"] = _rates(codes + 1, target, half)
    judged = {how: float(roc_auc(target, scores)) for how, scores in ways.items() if np.ptp(scores) > 0}
    if not judged:
        return None
    how = max(judged, key=lambda one: abs(judged[one] - 0.5))
    auc = max(judged[how], 1 - judged[how])
    return Knows(column.name, auc, how)


def _rates(codes: NDArray[np.int64], target: NDArray[np.bool_], half: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rate each row by the rows of the other half that have its value."""
    size, scores = int(codes.max(initial=0)) + 1, np.empty(len(codes))
    for side in (True, False):
        other = half != side
        seen = np.bincount(codes[other], minlength=size)
        hits = np.bincount(codes[other], target[other], size)
        rate = (hits + _PRIOR * target.mean()) / (seen + _PRIOR)
        scores[half == side] = rate[codes[half == side]]
    return scores
