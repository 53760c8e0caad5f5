"""The parts of a path on the test: what each source finds, and what would be shown without it or without a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import get_args

import numpy as np

from bottega.data.examples import TEST
from bottega.design.reranking import Reranking
from bottega.evaluation.ablation import Without, as_retrieved
from bottega.evaluation.outcome import Outcome, Rung
from bottega.features.frame import Column
from bottega.models.vocabulary import codes_of
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.retrieving import LISTS


def without(
    job: Job,
    outcome: Outcome,
    champion: str,
    masks: Mapping[str, np.ndarray],
    order: Callable[..., Rung],
    blind: Callable[[str], tuple[Rung | None, Mapping[str, Column]]] = lambda _: (None, {}),
) -> tuple[Rung, list[Without]]:
    """Give the order in which the path shows candidates, and what it would be without each source and stage.

    masks: source to (m,) rows of the outcome that it finds. order: from stages of re-ranking and a rung to what is
    shown, of this outcome or another one. blind: gives the champion's scores where a source gives none, as when it is
    left out of a request, and the columns that are others then; no scores: the champion reads none of them.
    """
    stages = [stage for stage in job.design.serving.path if isinstance(stage, get_args(Reranking))]
    ranked = outcome.rung(champion)
    served = order(stages, rung=ranked) if stages else ranked
    parts = []
    for name in masks if len(masks) > 1 else ():
        others = np.any([mask for other, mask in masks.items() if other != name], axis=0)
        scored, changed = blind(name)
        left, rung = replace(outcome, path=outcome.path & others), scored or ranked
        served_then = order(stages, rung=rung, outcome=left, changed=changed) if stages else rung
        parts.append(Without("source", name, served_then, others))
    if masks:
        plain = as_retrieved(outcome)
        parts.append(Without("stage", f"rank ({champion})", order(stages, rung=plain) if stages else plain))
    for place, stage in enumerate(stages):
        rest = [other for other in stages if other is not stage]
        title = getattr(stage, "name", None) or type(stage).__name__
        parts.append(Without("stage", f"{place + 1}. {title}", order(rest, rung=ranked) if rest else ranked))
    return served, parts


def sources(
    job: Job, rows: Examples, retrievers: Mapping[str, Result]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Mark the test's rows that each retriever has in its own lists, and count what it offered each request."""
    if not retrievers:
        return {}, {}
    test = rows.requests.part == TEST
    chosen = np.flatnonzero(rows.part == TEST)
    asked = np.flatnonzero(test)
    size = len(job.vocabulary)
    number = np.cumsum(test) - 1
    known = codes_of(job.vocabulary, rows.candidate.dictionary)[rows.codes[chosen]].astype(np.int64)
    pairs = np.where(known < 0, -1, number[rows.group[chosen]] * size + known)
    masks, offered = {}, {}
    for name, result in retrievers.items():
        lists = np.load(result.folder / LISTS)[asked]
        row, column = np.nonzero(lists >= 0)
        listed = np.unique(row.astype(np.int64) * size + lists[row, column])
        masks[name] = np.isin(pairs, listed)
        offered[name] = np.bincount(listed // size, minlength=len(asked)).astype(np.float64)
    return masks, offered
