"""The names of metrics, as a design writes them, and what each means."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bottega.errors import DesignError
from bottega.metrics import binary, calibration, exposure, relevance
from bottega.metrics.metric import Direction, Kind, Metric
from bottega.metrics.ranking import Ranking
from bottega.metrics.statistic import Statistic, mean

ROW = ("labels", "scores")
LIST = ("requests", "scores", "labels")
SET = ("requests", "scores", "items", "catalogue")


@dataclass(frozen=True)
class Family:
    """All metrics of one name: what `Metric` says of them, and whether the name takes a cut, as in `ndcg@20`.

    direction, kind, needs, reads, top, target: as in `Metric`, `top` being its upper bound. cut: `never`, `may` or
    `must` have a k. make: prepares data, given k, into a statistic.

    >>> FAMILIES["ndcg"].direction
    'up'
    """

    direction: Direction
    kind: Kind
    needs: tuple[str, ...]
    reads: Literal["order", "probability"]
    cut: Literal["never", "may", "must"]
    make: Callable[[Any, Any], Statistic]
    top: float = 1.0
    target: float | None = None


def _rows(
    direction: Direction,
    reads: Literal["order", "probability"],
    make: Callable[[Any], Statistic],
    top: float = 1.0,
    target: float | None = None,
) -> Family:
    return Family(direction, "binary", ROW, reads, "never", lambda data, _k: make(data), top, target)


def _lists(cut: Literal["may", "must"], values: Callable[[Ranking, Any], Any]) -> Family:
    return Family("up", "ranking", LIST, "order", cut, lambda data, k: mean(values(data, k)))


def _sets(direction: Direction, make: Callable[[Ranking, Any], Statistic]) -> Family:
    return Family(direction, "list", SET, "order", "must", make)


FAMILIES: dict[str, Family] = {
    "ndcg": _lists("may", relevance.ndcg),
    "recall": _lists("must", relevance.recall),
    "precision": _lists("must", relevance.precision),
    "hit_rate": _lists("must", relevance.hit_rate),
    "map": _lists("may", relevance.average_precision),
    "mrr": _lists("may", relevance.mrr),
    "coverage": _sets("up", exposure.coverage_of),
    "gini": _sets("down", exposure.gini_of),
    "roc_auc": _rows("up", "order", binary.roc_auc_of),
    "pr_auc": _rows("up", "order", binary.pr_auc_of),
    "log_loss": _rows("down", "probability", binary.log_loss_of, top=math.inf),
    "normalized_entropy": _rows("down", "probability", binary.normalized_entropy_of, top=math.inf),
    "brier": _rows("down", "probability", binary.brier_of),
    "ece": _rows("down", "probability", calibration.ece_of),
    "ece_plain": _rows("down", "probability", calibration.ece_plain_of),
    "predicted_over_observed": _rows(
        "within", "probability", binary.predicted_over_observed_of, top=math.inf, target=1.0
    ),
}

# what other libraries and papers call them, for the guess in the error
ELSEWHERE = {
    "accuracy": "pr_auc",  # where positives are rare, saying no to everything is right nearly always
    "f1": "pr_auc",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "ap": "pr_auc",
    "average_precision": "pr_auc",
    "auprc": "pr_auc",
    "ne": "normalized_entropy",
    "nll": "log_loss",
    "cross_entropy": "log_loss",
    "hit": "hit_rate",
    "hr": "hit_rate",
    "success": "hit_rate",
    "calibration": "ece",
    "reciprocal_rank": "mrr",
    "rr": "mrr",
    "p": "precision",
    "r": "recall",
}


def metric(name: str) -> Metric:
    """The metric that a name means.

    `family` or `family@k`: `@k` must be there for recall, precision, hit_rate, coverage and gini; it may be there for
    ndcg, map and mrr, which else read the whole list; it cannot be there for the others. `ndcg` uses the exponential
    gain, `ece` is the debiased one with 15 bins, `map@k` divides by min(k, relevant). The metric's own name is the one
    given, so names serve as keys.

    name: `ndcg@20`, `roc_auc`…, with k from 1. Raises `DesignError` for an unknown name, with the nearest known one,
    and for a k that is missing, under 1 or not wanted.

    >>> metric("ndcg@20").kind, metric("ndcg@20").k, metric("log_loss").direction
    ('ranking', 20, 'down')
    >>> metric("log-los")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    bottega.errors.DesignError: metric: 'log-los'
           allowed  ndcg, ndcg@k, recall@k, ..., predicted_over_observed
           fix      did you mean 'log_loss'?
    """
    base, at, cut = name.partition("@")
    family = FAMILIES.get(base)
    if family is None:
        raise DesignError("metric", repr(name), ", ".join(allowed_names()), _guess(name))
    if at and family.cut == "never":
        raise DesignError("metric", repr(name), f"{base}, which reads all rows and takes no @k", base)
    if not re.fullmatch(r"[1-9][0-9]*", cut) and (at or family.cut == "must"):
        raise DesignError("metric", repr(name), f"{base}@k with a whole number k from 1", f"{base}@20")
    k = int(cut) if at else None
    return Metric(
        name,
        family.direction,
        family.kind,
        family.needs,
        family.reads,
        lambda data: family.make(data, k),
        (0.0, family.top),
        k,
        family.target,
    )


def allowed_names() -> tuple[str, ...]:
    """Every name that `metric` takes, with `k` for a number.

    >>> allowed_names()[:3]
    ('ndcg', 'ndcg@k', 'recall@k')
    """
    forms = {"never": ("",), "may": ("", "@k"), "must": ("@k",)}
    return tuple(base + form for base, family in FAMILIES.items() for form in forms[family.cut])


def _guess(name: str) -> str:
    """The known name nearest to a slip such as `NDCG20`, `auc` or `recal@5`, as a question."""
    plain = re.fullmatch(r"(.*?)_?@?([0-9]*)", name.strip().lower().replace("-", "_"))
    base, digits = (plain[1], plain[2]) if plain else (name, "")
    near = difflib.get_close_matches(base, [*FAMILIES, *ELSEWHERE], n=1, cutoff=0.6)
    if not near:
        return ""
    known = ELSEWHERE.get(near[0], near[0])
    family = FAMILIES[known]
    cut = f"@{digits or 20}" if family.cut == "must" or (digits and family.cut == "may") else ""
    return f"did you mean '{known}{cut}'?"
