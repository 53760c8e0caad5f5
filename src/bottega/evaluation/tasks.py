"""Judging each label by itself, where one network learns several: beside models of that label alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.design.evaluation import Evaluation
from bottega.evaluation.comparing import compare
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Outcome, Rung

Chances = Mapping[str, Mapping[str, npt.NDArray[np.floating]]]
ORDER = "roc_auc"


def judge_tasks(
    outcome: Outcome, labels: Mapping[str, npt.NDArray[np.floating]], chances: Chances, primary: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Judge rungs on each of several labels, for `tasks` of the scorecard.

    A network for several labels is judged by its probability of this one, and not on a label that it does not learn;
    every other rung by its score, which it has learnt from the ladder's label. An entry a label: `label`, `positives`,
    `models` [{name, metrics, undefined}], and `comparisons`, the paired differences of each network for several labels
    less every other rung. Retrievers are left out.

    outcome: of the test. labels: name → (n,) of its rows; NaN: not known, and not judged.
    chances: rung → label → (n,). primary: metric that is shown beside the area under the ROC curve. seed: of the
    resamples.
    """
    several = [name for name, own in chances.items() if len(own) > 1]
    found = []
    for label, values in labels.items():
        there = ~np.isnan(values)
        rungs = _rungs(outcome.rungs, label, chances)
        part = replace(
            outcome,
            group=outcome.group[there],
            candidate=None if outcome.candidate is None else outcome.candidate[there],
            label=values[there],
            path=outcome.path[there],
            views={},
            slices={},
            rungs=[replace(rung, scores=rung.scores[there]) for rung in rungs],
        )
        metrics = list(dict.fromkeys([primary, ORDER]))
        models = judge(part, Evaluation(primary, metrics=metrics[1:]), seed)
        pairs = [pair for metric in metrics for pair in _pairs(part, several, metric, seed)]
        kept = [{name: each[name] for name in ("name", "metrics", "undefined")} for each in models]
        positives = int(np.count_nonzero(values[there] > 0))
        found.append({"label": label, "positives": positives, "models": kept, "comparisons": pairs})
    return found


def _rungs(rungs: Sequence[Rung], label: str, chances: Chances) -> list[Rung]:
    found = []
    for rung in rungs:
        own = chances.get(rung.name)
        if rung.stage == "retrieve":
            continue
        if own is None:
            found.append(replace(rung, probability=False))
        elif label in own:
            found.append(replace(rung, scores=own[label], probability=True))
    return found


def _pairs(outcome: Outcome, several: Sequence[str], metric: str, seed: int) -> list[dict[str, Any]]:
    firsts = [name for name in several if any(rung.name == name for rung in outcome.rungs)]
    return [
        pair
        for place, name in enumerate(firsts)
        for pair in compare(outcome, Evaluation(metric), name, seed=seed)
        if pair["b"] not in firsts[:place]
    ]
