"""Metrics, their intervals and calibration: pure functions of arrays, which every other room may use."""

from bottega.metrics.binary import brier, log_loss, normalized_entropy, pr_auc, predicted_over_observed, roc_auc
from bottega.metrics.calibration import Reliability, ece, ece_plain, reliability
from bottega.metrics.estimate import Estimate, bootstrap, bootstrap_of, paired, paired_of
from bottega.metrics.exposure import coverage, gini
from bottega.metrics.jackknife import jackknife_of, jackknife_paired_of
from bottega.metrics.metric import Metric
from bottega.metrics.names import allowed_names, metric
from bottega.metrics.ordered import Ordered
from bottega.metrics.predictions import Predictions
from bottega.metrics.ranking import Ranking
from bottega.metrics.relevance import average_precision, hit_rate, mrr, ndcg, precision, recall
from bottega.metrics.statistic import Statistic, Sums, difference, mapped, mean

__all__ = [
    "Estimate",
    "Metric",
    "Ordered",
    "Predictions",
    "Ranking",
    "Reliability",
    "Statistic",
    "Sums",
    "allowed_names",
    "average_precision",
    "bootstrap",
    "bootstrap_of",
    "brier",
    "coverage",
    "difference",
    "ece",
    "ece_plain",
    "gini",
    "hit_rate",
    "jackknife_of",
    "jackknife_paired_of",
    "log_loss",
    "mapped",
    "mean",
    "metric",
    "mrr",
    "ndcg",
    "normalized_entropy",
    "paired",
    "paired_of",
    "pr_auc",
    "precision",
    "predicted_over_observed",
    "recall",
    "reliability",
    "roc_auc",
]
