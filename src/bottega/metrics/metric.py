"""A metric by its name: which way is better, what it needs, and its estimate on data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError
from bottega.metrics.arrays import Array, as_weights
from bottega.metrics.estimate import Estimate, bootstrap_of, checked_value, paired_of
from bottega.metrics.jackknife import jackknife_of, jackknife_paired_of
from bottega.metrics.predictions import Predictions
from bottega.metrics.ranking import Ranking
from bottega.metrics.statistic import Statistic, Sums

Direction = Literal["up", "down", "within"]
Kind = Literal["binary", "ranking", "list"]
Data = Predictions | Ranking


@dataclass(frozen=True)
class Metric:
    """A number that judges a model: its name, its direction, what it needs, and how to compute it.

    When it is wrong: stated with each metric's function. Make your own by giving `statistic`; it must pass
    `bottega.testing.metric_checks`.

    name: as in a design, `ndcg@20`. direction: which way is better; `within`: near `target`. kind: `binary` reads
    `Predictions` row by row, `ranking` a `Ranking` request by request, `list` a `Ranking` as one set. needs: the
    columns to fetch, fields of that noun; `relevant` of a ranking is always welcome. reads: `order` if only the order
    of scores matters, `probability` if they must be probabilities. statistic: prepares data (a `Predictions` or a
    `Ranking`) into a function of the weights of its units. bounds: smallest and largest possible value. k: the cut of
    a ranked list, from 1. target: the best value where the direction is `within`.

    >>> Metric("error", "down", "binary", ("labels", "scores"), "order", lambda data: lambda weights: float(
    ...     weights @ ((data.scores > 0) != data.labels) / weights.sum())).value(Predictions([1, 0], [3.0, 2.0]))
    0.5
    """

    name: str
    direction: Direction
    kind: Kind
    needs: tuple[str, ...]
    reads: Literal["order", "probability"]
    statistic: Callable[[Any], Statistic]
    bounds: tuple[float, float] = (0.0, 1.0)
    k: int | None = None
    target: float | None = None

    @property
    def best(self) -> float:
        """The value of a perfect model."""
        low, high = self.bounds
        if self.target is not None:
            return self.target
        return high if self.direction == "up" else low

    def better(self, a: float, b: float) -> bool:
        """Whether value a is strictly better than value b; for `within`, nearer to the target.

        >>> from bottega.metrics import metric
        >>> metric("log_loss").better(0.2, 0.3), metric("predicted_over_observed").better(0.9, 1.2)
        (True, True)
        """
        if self.direction == "within":
            return abs(a - self.best) < abs(b - self.best)
        return a > b if self.direction == "up" else a < b

    def value(self, data: Data, *, weights: npt.ArrayLike | None = None) -> float:
        """The metric on data.

        data: `Predictions` for kind `binary`, a `Ranking` for the others. weights: one a unit (row or request) from 0
        up; a mask of booleans is a slice. Raises `DataError` for the other noun and where the metric is not defined.

        >>> from bottega.metrics import metric
        >>> metric("recall@1").value(Ranking([0, 0, 1], [2, 1, 1], [1, 1, 0]))
        0.5
        """
        statistic = self._prepare(data)
        return checked_value(statistic, as_weights(weights, len(data)), self.name)

    def estimate(
        self,
        data: Data,
        *,
        entity: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        level: float = 0.95,
        resamples: int = 1000,
        seed: int = 0,
    ) -> Estimate:
        """The metric with its interval: a cluster bootstrap, for kind `list` a delete-a-group jackknife.

        data, weights: as in `value`. entity: one id a unit; units of one entity stay together. level, resamples,
        seed: as in `bootstrap`; the jackknife has no resamples. Areas and calibration errors take a pass over the
        rows for each resample, at 1 ms for half a million; all else is resampled at once. Errors: as `value`, and
        `DesignError` for settings out of range.

        >>> from bottega.metrics import metric
        >>> metric("recall@1").estimate(Ranking([0, 0, 1], [2, 1, 1], [1, 1, 1]), entity=["u", "v"]).n
        2
        """
        statistic, rows = self._prepare(data), len(data)
        if self.kind != "list":
            return bootstrap_of(
                statistic,
                rows,
                entity=entity,
                weights=weights,
                level=level,
                resamples=resamples,
                seed=seed,
                name=self.name,
            )
        found = jackknife_of(statistic, rows, entity=entity, weights=weights, level=level, seed=seed, name=self.name)
        low, high = self.bounds  # the normal interval does not know them
        return Estimate(found.value, max(found.low, low), min(found.high, high), found.n)

    def paired(
        self,
        a: Data,
        b: Data,
        *,
        entity: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        level: float = 0.95,
        resamples: int = 1000,
        seed: int = 0,
    ) -> Estimate:
        """The metric of a less that of b, with its interval on the same resamples.

        a, b: two models' data for the same units in the same order. The rest: as in `estimate`. Raises `DataError`
        where the units differ in number, or in labels or relevants: the difference would then be of two truths.

        >>> from bottega.metrics import metric
        >>> good, bad = Predictions([0, 1], [0.1, 0.9]), Predictions([0, 1], [0.9, 0.1])
        >>> metric("brier").paired(good, bad).value < 0
        True
        """
        if len(a) != len(b):
            raise DataError(
                self.name,
                f"{len(a)} and {len(b)} units",
                "the same rows or requests for both models",
                "score both models on the same examples",
            )
        if not _same_truth(a, b, self.kind):
            raise DataError(
                self.name,
                "labels or relevants that differ between the two models",
                "one truth for both",
                "keep one order of rows; give both rankings relevant=, counted before candidates are cut",
            )
        one, other, rows = self._prepare(a), self._prepare(b), len(a)
        if self.kind == "list":
            return jackknife_paired_of(
                one, other, rows, entity=entity, weights=weights, level=level, seed=seed, name=self.name
            )
        return paired_of(
            one,
            other,
            rows,
            entity=entity,
            weights=weights,
            level=level,
            resamples=resamples,
            seed=seed,
            name=self.name,
        )

    def per_request(self, ranking: Ranking) -> Array:
        """The values of the requests, (R,), nan where not defined; for kind `ranking` only.

        Raises `DataError` for the other kinds, which have one value for all.

        >>> from bottega.metrics import metric
        >>> metric("mrr").per_request(Ranking([0, 0, 1], [2, 1, 1], [0, 1, 1])).tolist()
        [0.5, 1.0]
        """
        statistic = self._prepare(ranking)
        if self.kind != "ranking" or not isinstance(statistic, Sums):
            raise DataError(
                self.name,
                f"a metric of kind {self.kind!r}",
                "a mean over requests, such as 'ndcg@20'",
                "use value() or estimate()",
            )
        return statistic.finish(statistic.parts)

    def _prepare(self, data: Data) -> Statistic:
        wanted = Predictions if self.kind == "binary" else Ranking
        if not isinstance(data, wanted):
            raise DataError(
                self.name,
                f"a {type(data).__name__}",
                f"a {wanted.__name__}",
                f"{wanted.__name__}({', '.join(self.needs)})",
            )
        return self.statistic(data)


def _same_truth(a: Data, b: Data, kind: Kind) -> bool:
    """Whether two models are judged by the same labels; the lists of two rankings may hold other candidates."""
    if isinstance(a, Predictions) and isinstance(b, Predictions):
        return np.array_equal(a.labels, b.labels)
    if isinstance(a, Ranking) and isinstance(b, Ranking):
        return kind == "list" or np.array_equal(a.relevant, b.relevant)
    return True  # nouns that do not match are refused by name
