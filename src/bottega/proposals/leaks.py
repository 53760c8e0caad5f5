"""Leaks: columns that know the label because they are its consequence, found by what each of them tells alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.telling import MOST_OF_A_KIND, drawn, told
from bottega.proposals.columns import Column

SUSPECT = 0.9  # ROC-AUC of one column alone, from which one should look at it


@dataclass(frozen=True)
class Knows:
    """What one column alone tells of the label. auc: its ROC-AUC, of rows that it did not learn from."""

    name: str
    auc: float
    how: str


def leaks(columns: Sequence[Column], label: NDArray[np.float64], seed: int = 0) -> list[Knows]:
    """Say how well each column alone tells the label, the best first, as review does; those that say nothing are not
    named.

    columns: with a value for each row. label: (n,), above 0 is positive; NaN where there is none.
    """
    known = np.flatnonzero(np.isfinite(label))
    some = known[drawn(label[known] > 0, seed)]
    if not len(some):
        return []
    rows, positive = pa.array(some), label[some] > 0
    every = ((column.name, told(_as_read(column).take(rows), positive, seed)) for column in columns)
    found = [Knows(name, one.auc, one.how) for name, one in every if one is not None]
    return sorted(found, key=lambda one: (-one.auc, one.name))


def beyond_chance(found: Sequence[Knows], label: NDArray[np.float64]) -> list[str]:
    """Name the columns that tell more than the best of as many that know nothing would, the best first.

    Without the label the ROC-AUC of a column has the standard deviation `√((p + n + 1) ÷ (12 · p · n))` around 0.5; the
    level of 5 % is for all columns together. A choice by it hardly looks ahead to the test, whose rows are among them.

    found: of `leaks`. label: as there. Source: C. Bonferroni's inequality; H. B. Mann and D. R. Whitney, On a Test of
    Whether one of Two Random Variables is Stochastically Larger than the Other, Annals of Mathematical Statistics 1947.
    """
    p, n = (min(int(np.count_nonzero(side)), MOST_OF_A_KIND) for side in (label > 0, label <= 0))
    if not found or not p or not n:
        return []
    z = NormalDist().inv_cdf(1 - 0.05 / (2 * len(found)))
    least = 0.5 + z * ((p + n + 1) / (12 * p * n)) ** 0.5
    return [one.name for one in found if one.auc > least]


def _as_read(column: Column) -> pa.ChunkedArray:
    """Give the values, of a time that is written as text or as a number only whether there is one."""
    if column.kind != "time":
        return column.values
    none = column.time == np.iinfo(np.int64).min
    return pa.chunked_array([pa.array(column.time, mask=none).view(pa.timestamp("us"))])
