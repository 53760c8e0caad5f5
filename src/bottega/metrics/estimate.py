"""An estimate: a value with its interval, by resampling whole entities with replacement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError, DesignError
from bottega.metrics.arrays import Array, Codes, as_weights, floats
from bottega.metrics.statistic import Statistic, Sums, difference, draws_of, mean

MAX_ENTITIES = 10_000  # more are dealt into this many groups: the width of the interval moves by under 1 %
COUNTS_AT_ONCE = 240_000  # counts held at a time, so that they stay in the cache


@dataclass(frozen=True)
class Estimate:
    """A value, the interval that its sampling leaves open, and the number of entities behind it.

    When it is wrong: the interval knows only the chance in which entities came; it does not know drift, leakage, or
    that the best of many models was picked on the same data.

    value: the statistic on all rows. low, high: ends of the interval, in the value's unit; nan with fewer than two
    entities. n: entities that count (rows, where no entity is given).

    >>> Estimate(0.372, 0.359, 0.386, 1540).to_dict()
    {'value': 0.372, 'low': 0.359, 'high': 0.386, 'n': 1540}
    """

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """The four fields for JSON, which has no nan: None stands for it.

        >>> Estimate(0.5, float("nan"), float("nan"), 1).to_dict()["low"] is None
        True
        """
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {**{key: None if math.isnan(bound) else bound for key, bound in bounds.items()}, "n": self.n}


def bootstrap(
    values: npt.ArrayLike,
    *,
    entity: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Estimate the weighted mean of values with a cluster bootstrap.

    `Σ w·v / Σ w`; the interval runs between the (1 − level)/2 and (1 + level)/2 quantiles of that mean over resamples
    of whole entities. When it is wrong: under about 20 entities it is too narrow; entities that influence each other
    (sellers and their buyers) need the larger one as entity.

    values: (n,), nan leaves a row out. entity: (n,) ids of any type, rows of one entity stay together; nothing: each
    row is its own. weights: (n,) from 0 up. level: in (0, 1), larger widens. resamples: from 10, larger steadies the
    ends and costs time in proportion. seed: the same one gives the same entities in every call with the same
    entities. Raises `DataError` for columns that do not fit or hold no value, `DesignError` for settings out of
    range.

    >>> bootstrap([1.0, 0.0, 1.0, 1.0], entity=[7, 7, 8, 9]).value
    0.75

    Source: Field and Welsh, Bootstrapping clustered data (2007); Efron and Tibshirani, An Introduction to the Bootstrap
    (1993), chapter 13.
    """
    statistic = mean(values)
    return bootstrap_of(
        statistic, len(statistic.parts), entity=entity, weights=weights, level=level, resamples=resamples, seed=seed
    )


def paired(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    entity: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean of `a − b` over the same rows, both models on the same resamples.

    What two models share on a request cancels, so this is far tighter than two intervals beside each other; the models
    can be told apart where it does not hold 0. When it is wrong, and the parameters: as in `bootstrap`.

    a, b: (n,) values of two models in the same order; a row that is nan in one counts in neither.

    >>> paired([0.75, 0.5, 1.0], [0.5, 0.25, 0.75]).value
    0.25
    """
    left, right = floats("a", a), floats("b", b)
    return paired_of(
        mean(left), mean(right), len(left), entity=entity, weights=weights, level=level, resamples=resamples, seed=seed
    )


def bootstrap_of(
    statistic: Statistic,
    rows: int,
    *,
    entity: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    name: str = "statistic",
) -> Estimate:
    """Estimate any statistic of weighted rows with a cluster bootstrap.

    A resample gives each row the number of times its entity was drawn, times its weight. When it is wrong: for extremes
    and counts of distinct things, which a resample, holding 63 % of the entities, cannot reach (see `jackknife_of`);
    otherwise as `bootstrap`.

    statistic: maps weights (rows,) to a number, nan where it is not defined; it is called once a resample, unless it
    is `Resampled`, as `Sums` and `Ordered` are. Resamples on which it is nan are left out. rows: their number. name:
    what errors call it. The other parameters and errors are those of `bootstrap`.

    >>> clicks, shows = np.array([1.0, 0.0, 3.0]), np.array([10.0, 5.0, 15.0])
    >>> round(bootstrap_of(lambda w: float(w @ clicks / (w @ shows)), 3).value, 6)
    0.133333
    """
    check_settings(level, resamples)
    weight = as_weights(weights, rows)
    group, groups, n = deal(entity, weight, rows, MAX_ENTITIES, seed, statistic)
    value = checked_value(statistic, weight, name)
    draws = np.concatenate(list(_draws(statistic, weight, group, groups, resamples, seed)))
    draws = draws[~np.isnan(draws)]
    if n < 2 or not len(draws):
        return Estimate(value, math.nan, math.nan, n)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    # with few, skewed entities the quantiles can miss the value itself, which is the best single guess
    return Estimate(value, min(float(low), value), max(float(high), value), n)


def paired_of(
    a: Statistic,
    b: Statistic,
    rows: int,
    *,
    entity: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    name: str = "statistic",
) -> Estimate:
    """Estimate `a − b` for two statistics of the same rows, both on the same resamples.

    When it is wrong, and the parameters: as in `bootstrap_of`; a and b must be prepared on the same rows in one order.

    >>> paired_of(mean([0.5, 0.7]), mean([0.25, 0.45]), 2).value
    0.25
    """
    return bootstrap_of(
        difference(a, b), rows, entity=entity, weights=weights, level=level, resamples=resamples, seed=seed, name=name
    )


def checked_value(statistic: Statistic, weights: Array, name: str = "statistic") -> float:
    """The value of a statistic, refused where it is not defined.

    weights: (n,). name: for the error. Raises `DataError` when the statistic is nan.

    >>> checked_value(mean([1.0, 3.0]), np.ones(2))
    2.0
    """
    value = statistic(weights)
    if math.isnan(value):
        raise DataError(
            name,
            f"not defined on these {np.count_nonzero(weights)} rows",
            "rows on which the statistic has a value",
            "take more rows, or leave this slice out: no row has a value, or all labels are of one class",
        )
    return value


def check_settings(level: float, resamples: int) -> None:
    """Refuse a level or a number of resamples out of range with a `DesignError`.

    >>> check_settings(0.95, 1000)
    """
    if not 0 < level < 1:
        raise DesignError("level", level, "above 0 and under 1", "level=0.95")
    if resamples < 10:
        raise DesignError("resamples", resamples, "10 or more", "resamples=1000")


def deal(
    entity: npt.ArrayLike | None, weights: Array, rows: int, most: int, seed: int, statistic: Statistic
) -> tuple[Codes, int, int]:
    """Number the entities that count; deal them into `most` groups where there are more.

    Random groups of independent entities are independent too, so resampling groups is sound and bounds the cost.
    Returns the group of each row (rows,), the number of groups and the number of entities.

    >>> deal(["u", "v", "u"], np.ones(3), 3, 10, 0, mean([1.0, 2.0, 3.0]))
    (array([0, 1, 0]), 2, 2)
    """
    counts = weights > 0
    if isinstance(statistic, Sums):
        if len(statistic.parts) != rows:
            raise DataError("rows", rows, f"{len(statistic.parts)}, the rows of the statistic", "pass its own rows")
        counts = counts & statistic.parts.any(axis=1)
    group = np.zeros(rows, dtype=np.int64)  # a row that does not count may lie in any group
    if entity is None:
        n = int(np.count_nonzero(counts))
        group[counts] = np.arange(n)
    else:
        ids = np.asarray(entity)
        if ids.shape != (rows,):
            raise DataError(
                "entity",
                f"an array of shape {ids.shape}",
                f"({rows},), one id a row",
                "for a ranking metric, one id a request",
            )
        group[counts], n = _numbered(ids[counts])
    if n <= most:
        return group, n, n
    hands = np.arange(n) % most
    np.random.default_rng([seed, 1]).shuffle(hands)
    return hands[group], most, n


def _numbered(ids: npt.NDArray[Any]) -> tuple[Codes, int]:
    """The place of each id among the sorted distinct ones, (n,), and their number."""
    if ids.dtype.kind in "iu" and len(ids):
        low, high = int(ids.min()), int(ids.max())
        if high - low < 4 * len(ids):  # codes, nearly without gaps: counting is twenty times as fast as sorting
            there = np.zeros(high - low + 1, dtype=bool)
            there[ids - low] = True
            place = np.cumsum(there) - 1
            return place[ids - low], int(place[-1]) + 1
    found, inverse = np.unique(ids, return_inverse=True)
    return inverse, len(found)


def _draws(
    statistic: Statistic, weights: Array, group: Codes, groups: int, resamples: int, seed: int
) -> Iterator[Array]:
    """The statistic on resamples, in blocks whose counts fit the memory set aside."""
    drawn = draws_of(statistic, weights, group, groups)
    rng = np.random.default_rng(seed)
    at_once = max(1, COUNTS_AT_ONCE // max(groups, 1))
    for start in range(0, resamples, at_once):
        yield drawn(_counts(rng, min(at_once, resamples - start), groups))


def _counts(rng: np.random.Generator, resamples: int, groups: int) -> Array:
    """How often each group is drawn, (resamples, groups): a multinomial, five times as fast as NumPy's own."""
    picks = rng.integers(0, groups, size=(resamples, groups)) + np.arange(resamples)[:, None] * groups
    return np.bincount(picks.ravel(), minlength=resamples * groups).reshape(resamples, groups).astype(np.float64)
