"""A statistic: a number computed from rows, as a function of the weights of the rows.

A metric is prepared on its data once (sorted, its losses computed) and then asked for many weights: ones give the
value, a mask gives a slice, the counts of a resample give a draw of its sampling distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError
from bottega.metrics.arrays import Array, Codes, floats, sums_by

Statistic = Callable[[Array], float]  # weights (n,), float64, from 0 up -> the value; nan where it is not defined
Draws = Callable[[Array], Array]  # how often each group was drawn, (b, groups) -> the value on each resample, (b,)


@runtime_checkable
class Resampled(Protocol):
    """A statistic that knows a quicker, or a truer, way to its values on resamples than being asked for each."""

    def __call__(self, weights: Array) -> float:
        """The value."""

    def draws(self, weights: Array, group: Codes, groups: int) -> Draws:
        """The values on resamples.

        weights: (n,) of the rows. group: (n,) 0 to groups − 1; rows of one group are drawn together.
        """


@dataclass(frozen=True, eq=False)
class Sums:
    """A statistic that needs the rows only through weighted sums: `finish(Σ weight · parts)`.

    When it is wrong: for anything that depends on the order of the rows' values, such as ROC-AUC.

    parts: (n, m) float64, what each row adds; no nan; a row of zeros only means *not defined for this row*, so one
    column counts the rows. finish: maps sums of shape (..., m) to values of shape (...), with nan where the value is
    not defined. Because sums of entities add up, a thousand resamples cost one product of matrices.

    >>> Sums(np.array([[2.0, 1.0], [4.0, 1.0]]), lambda sums: sums[..., 0] / sums[..., 1])(np.array([1.0, 3.0]))
    3.5
    """

    parts: Array
    finish: Callable[[Array], Array]

    def __call__(self, weights: Array) -> float:
        return float(self.finish(weights @ self.parts))

    def draws(self, weights: Array, group: Codes, groups: int) -> Draws:
        """The values on resamples of groups of rows, (n,)."""
        sums = np.column_stack([sums_by(group, part * weights, groups) for part in self.parts.T])
        return lambda times: self.finish(times @ sums)


def mean(values: npt.ArrayLike) -> Sums:
    """The weighted mean `Σ w·v / Σ w` of the values that are there.

    values: (n,); nan means *not defined for this row*, which leaves the row out. Raises `DataError` for an infinity.

    >>> mean([1.0, float("nan"), 3.0])(np.ones(3))
    2.0
    """
    column = floats("values", values)
    there = ~np.isnan(column)
    if np.isinf(column).any():
        raise DataError("values", "an infinite value", "finite numbers, or nan to leave a row out", "clip the values")
    return Sums(np.column_stack([np.where(there, column, 0.0), there]), lambda sums: ratio(sums[..., 0], sums[..., 1]))


def ratio(over: Array, under: Array) -> Array:
    """Divide, and give nan where the divisor is 0.

    over, under: of one shape.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    out = np.full(np.shape(under), np.nan)
    np.divide(over, under, out=out, where=np.asarray(under != 0))
    return out


def difference(a: Statistic, b: Statistic) -> Statistic:
    """The statistic `a − b` on the same rows, as cheap as its parts allow.

    a, b: prepared on the same rows in the same order; a row that one of two `Sums` leaves out counts
    in neither.

    >>> difference(mean([1.0, 4.0]), mean([1.0, 2.0]))(np.ones(2))
    1.0
    """
    if isinstance(a, Sums) and isinstance(b, Sums):
        if len(a.parts) != len(b.parts):
            raise DataError(
                "paired",
                f"{len(a.parts)} and {len(b.parts)} rows",
                "the same rows in the same order",
                "score both models on the same examples",
            )
        cut, a_finish, b_finish = a.parts.shape[1], a.finish, b.finish
        # a row counts for both or for neither: else two means would be over different requests
        both = np.asarray(a.parts.any(axis=1) & b.parts.any(axis=1))
        return Sums(
            np.hstack([a.parts, b.parts]) * both[:, None],
            lambda sums: a_finish(sums[..., :cut]) - b_finish(sums[..., cut:]),
        )
    return _Difference(a, b)


def mapped(statistic: Statistic, change: Callable[[Array], Array]) -> Statistic:
    """A function of a statistic, as cheap to resample as the statistic.

    change: of values of any shape.

    >>> mapped(mean([1.0, 2.0]), lambda value: abs(value - 2))(np.ones(2))
    0.5
    """
    return _Mapped(statistic, change)


def draws_of(statistic: Statistic, weights: Array, group: Codes, groups: int) -> Draws:
    """The values of any statistic on resamples of groups of rows; parameters as in `Resampled.draws`.

    >>> draws_of(mean([1.0, 3.0]), np.ones(2), np.array([0, 1]), 2)(np.array([[2.0, 0.0], [1.0, 1.0]])).tolist()
    [1.0, 2.0]
    """
    if isinstance(statistic, Resampled):
        return statistic.draws(weights, group, groups)
    return lambda times: np.array([statistic(weights * row[group]) for row in times])


@dataclass(frozen=True, eq=False)
class _Difference:
    a: Statistic
    b: Statistic

    def __call__(self, weights: Array) -> float:
        return self.a(weights) - self.b(weights)

    def draws(self, weights: Array, group: Codes, groups: int) -> Draws:
        one, other = (draws_of(each, weights, group, groups) for each in (self.a, self.b))
        return lambda times: one(times) - other(times)


@dataclass(frozen=True, eq=False)
class _Mapped:
    inner: Statistic
    change: Callable[[Array], Array]

    def __call__(self, weights: Array) -> float:
        return float(self.change(np.asarray(self.inner(weights))))

    def draws(self, weights: Array, group: Codes, groups: int) -> Draws:
        drawn = draws_of(self.inner, weights, group, groups)
        return lambda times: self.change(drawn(times))
