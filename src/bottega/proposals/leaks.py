"""Leaks: columns that know the label because they are its consequence, found by what each of them tells alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.telling import drawn, told
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


def _as_read(column: Column) -> pa.ChunkedArray:
    """Give the values, of a time that is written as text or as a number only whether there is one."""
    if column.kind != "time":
        return column.values
    none = column.time == np.iinfo(np.int64).min
    return pa.chunked_array([pa.array(column.time, mask=none).view(pa.timestamp("us"))])
