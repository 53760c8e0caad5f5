"""Which metrics are bounded by the truth: nothing that sees the same can be better at them, on average."""

from __future__ import annotations

from bottega.errors import DesignError
from bottega.metrics import metric

_PROBABILITIES = ("brier", "log_loss", "normalized_entropy", "pr_auc", "roc_auc")


def bounded(name: str) -> bool:
    """Whether the true probabilities, or the true order, are the best possible at a metric.

    Proper scores and metrics of order are. Those of a set of lists are not: who shows other items covers more. Nor are
    those of calibration alone, at which a guess of one rate for all is as good as the truth.

    >>> bounded("normalized_entropy"), bounded("ndcg@20"), bounded("ece"), bounded("coverage@20")
    (True, True, False, False)
    """
    try:
        kind = metric(name).kind
    except DesignError:
        return False
    return kind == "ranking" or name in _PROBABILITIES
