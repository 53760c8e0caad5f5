"""One question to an outcome: a metric of a rung, or of two rungs, under a view and on a slice, with its interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from bottega.design.evaluation import Evaluation
from bottega.errors import DataError, DesignError
from bottega.evaluation.outcome import Data, Mask, Outcome, Rung
from bottega.metrics import Estimate, Metric, mapped, metric
from bottega.metrics.statistic import Statistic

RESAMPLES = {"ranking": 1000, "list": 1000, "binary": 200}  # of rows: areas are computed anew for each resample


def check(evaluation: Evaluation) -> None:
    """Refuse an evaluation that names a metric or a view that does not exist.

    Raises `DesignError`, with the place in the design, for a metric that `bottega.metrics.metric` does not know, and
    for two views of one name.

    >>> check(Evaluation(primary="ndgc@20"))
    Traceback (most recent call last):
        ...
    bottega.errors.DesignError: evaluation.primary: 'ndgc@20'
           allowed  ndcg, ndcg@k, recall@k, precision@k, hit_rate@k, map, map@k, mrr, mrr@k, coverage@k, gini@k, \
roc_auc, pr_auc, log_loss, normalized_entropy, brier, ece, ece_plain, predicted_over_observed
           fix      did you mean 'ndcg@20'?
    """
    named = [("primary", evaluation.primary)]
    named += [(f"metrics[{place}]", name) for place, name in enumerate(evaluation.metrics)]
    named += [(f"goals[{place}].metric", goal.metric) for place, goal in enumerate(evaluation.goals)]
    for field, name in named:
        try:
            metric(name)
        except DesignError as error:
            raise DesignError(f"evaluation.{field}", error.found, error.allowed, error.fix) from None
    names = [view.name for view in evaluation.views]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise DesignError(f"evaluation.views[{place}].name", repr(name), "a name of its own", "rename one of them")


def metrics(names: Iterable[str]) -> list[Metric]:
    """The metrics of these names, each once, in their order.

    >>> [each.name for each in metrics(["mrr", "ndcg@20", "mrr"])]
    ['mrr', 'ndcg@20']
    """
    return [metric(name) for name in dict.fromkeys(names)]


def value(outcome: Outcome, rung: Rung, by: Metric, view: str | None = None) -> float:
    """The metric of a rung, without an interval. Raises as `estimate`."""
    return by.value(_data(outcome, rung, by, view, None))


def estimate(
    outcome: Outcome, rung: Rung, by: Metric, view: str | None = None, requests: Mask | None = None, seed: int = 0
) -> Estimate:
    """The metric of a rung with its 95 % interval, whole persons resampled (`RESAMPLES` times).

    view: a name of `outcome.views`; nothing: all rows. requests: (r,) the slice. seed: as in `Metric.estimate`. Raises
    `DataError` where the metric is not defined, with the reason: one class, no relevants, scores that are no
    probabilities.

    >>> import numpy as np
    >>> one = Rung("Logistic", "rank", np.array([0.5, 0.25]))
    >>> outcome = Outcome(np.array([0, 0]), np.array([7]), np.array([3, 4]), np.array([0, 1]), np.array([True, True]),
    ...                   {}, {}, [one], None)
    >>> estimate(outcome, one, metric("mrr")).value
    0.5
    """
    data = _data(outcome, rung, by, view, requests)
    entity, weights = _units(outcome, by, view, requests)
    return by.estimate(data, entity=entity, weights=weights, resamples=RESAMPLES[by.kind], seed=seed)


def paired(
    outcome: Outcome,
    a: Rung,
    b: Rung,
    by: Metric,
    view: str | None = None,
    requests: Mask | None = None,
    seed: int = 0,
) -> Estimate:
    """The metric of rung a less that of rung b, with its interval on the same resamples. Parameters: as `estimate`."""
    one, other = (_data(outcome, rung, by, view, requests) for rung in (a, b))
    entity, weights = _units(outcome, by, view, requests)
    return by.paired(one, other, entity=entity, weights=weights, resamples=RESAMPLES[by.kind], seed=seed)


def distance(by: Metric) -> Metric:
    """How far a metric lies from its target, `|value − target|`: with direction `within` turned into `down`.

    Raises `DesignError` for a metric without a target.

    >>> from bottega.metrics import Predictions
    >>> found = distance(metric("predicted_over_observed"))
    >>> found.name, found.value(Predictions([1, 0], [0.5, 0.25])), found.better(0.1, 0.2)
    ('|predicted_over_observed − 1|', 0.25, True)
    """
    if by.target is None:
        raise DesignError("metric", repr(by.name), "a metric with a target")
    target = by.target

    def prepare(data: Any) -> Statistic:
        return mapped(by.statistic(data), lambda value: abs(value - target))

    farthest = max(abs(bound - target) for bound in by.bounds)
    return replace(
        by,
        name=f"|{by.name} − {target:g}|",
        direction="down",
        statistic=prepare,
        bounds=(0.0, farthest),
        target=None,
    )


def reason(error: DataError) -> str:
    """Why a metric is not defined, in a few words.

    >>> reason(DataError("scores", "values from -2 to 3", "probabilities, 0 to 1"))
    'scores: values from -2 to 3; wanted: probabilities, 0 to 1'
    """
    return f"{error.where}: {error.found}" + (f"; wanted: {error.allowed}" if error.allowed else "")


def _data(outcome: Outcome, rung: Rung, by: Metric, view: str | None, requests: Mask | None) -> Data:
    if by.kind != "binary":
        return outcome.ranking(rung, view)
    if by.reads == "probability" and not rung.gives_probabilities:
        raise DataError("scores", f"{rung.name} gives an order, no probabilities", "probabilities, 0 to 1")
    return outcome.predictions(rung, view, requests)


def _units(
    outcome: Outcome, by: Metric, view: str | None, requests: Mask | None
) -> tuple[npt.ArrayLike, npt.ArrayLike | None]:
    """The entity and the weight of each unit: rows of a binary metric are cut to the slice, requests are weighted."""
    if by.kind != "binary":
        return outcome.entity, requests
    return outcome.entity[outcome.group[outcome.rows(view, requests)]], None
