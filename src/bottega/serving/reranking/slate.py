"""The candidates of one request in the order so far, and what moved each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = np.ndarray[Any, np.dtype[Any]]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Slate:
    """What a re-ranking stage takes and gives; it changes none of its arrays."""

    rows: Rows  # (m,) the candidates that are left, best first
    scores: Floats  # (n,) of all candidates
    columns: Mapping[str, Array]  # (n,) each: float64 with NaN, datetime64 with NaT, or texts as objects with None
    ids: Sequence[str]  # (n,)
    k: int  # how many will be shown
    vectors: Array | None = None  # (n, d)
    why: Mapping[int, Sequence[str]] = field(default_factory=dict)  # row -> what moved it, in the order of the stages
    told: tuple[str, ...] = ()  # what could not be done as designed
    propensity: Floats | None = None  # (shown,) the chance of this item in this place; nothing: none was drawn
    given_above: Floats | None = None  # (shown,) the same, given those above; the product is the chance of the list

    @property
    def shown(self) -> Rows:
        """Give the rows that will be shown, best first."""
        return self.rows[: self.k]

    def then(self, rows: Rows, why: Mapping[int, str], told: Sequence[str] = (), **changes: Any) -> Slate:
        """Give the slate after a stage: its order, what it says of each row that it moved, and of what it could not."""
        merged = {**self.why, **{row: (*self.why.get(row, ()), text) for row, text in why.items()}}
        return replace(self, rows=rows, why=merged, told=(*self.told, *told), **changes)

    def moves(self, rows: Rows) -> Iterator[tuple[int, int, int]]:
        """Give each row that stands elsewhere in a new order, with both its places from 1 on, 0 for one that is gone.

        Only rows that are shown in one of the orders.
        """
        before, after = self.places(self.rows), self.places(rows)
        for row in np.flatnonzero((before != after) & ((_in(before, self.k)) | _in(after, self.k))).tolist():
            yield row, int(before[row]), int(after[row])

    def places(self, rows: Rows) -> Rows:
        """Give the place of each candidate in an order, (n,), from 1 on, 0 for one that is not in it."""
        places = np.zeros(len(self.ids), np.intp)
        places[rows] = np.arange(1, len(rows) + 1)
        return places


def _in(places: Rows, k: int) -> npt.NDArray[np.bool_]:
    return (places > 0) & (places <= k)


def moved(before: int, after: int) -> str:
    """Say how an item moved.

    >>> moved(14, 3), moved(3, 5), moved(3, 0)
    ('up from 14', 'down from 3', 'left out, from 3')
    """
    if not after:
        return f"left out, from {before}"
    return f"{'up' if after < before else 'down'} from {before}"
