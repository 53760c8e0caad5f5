"""Indexing: the index or the codes that a design asks for, and whether they keep what comparing all vectors finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bottega.design.evaluation import Evaluation
from bottega.design.indexes import Index as Setting
from bottega.design.serving import Nearest
from bottega.evaluation.estimating import paired, value
from bottega.evaluation.outcome import Outcome
from bottega.metrics import metric
from bottega.models.code_index import CodeIndex
from bottega.models.indexes.building import build_index
from bottega.models.indexes.index import Index
from bottega.runs.steps.pictures.searching import Lists, Places, Vectors

EXACT = "exact"
"""How an index is called that compares all vectors."""
SEARCH = "nearest"
"""The stage of the ways of search that are held against it."""
_AT_ONCE = 256  # queries


@dataclass(frozen=True)
class Verdict:
    """Whether a way of search keeps its contract. difference: of the primary metric to comparing all, paired."""

    accepted: bool
    reason: str
    difference: dict[str, Any] | None = None


def make_index(stage: Nearest, vectors: Vectors, queries: Vectors, seed: int) -> Index:
    """Build what the stage asks for over vectors (n, d), by number. queries: (q, d) such as will come."""
    numbers = np.arange(len(vectors), dtype=np.int32)
    if stage.binary:
        return CodeIndex.of(numbers, vectors, stage.bits, seed)
    return build_index(stage.index, numbers, vectors, queries if len(queries) > 1 else None, stage.k)


def exact_index(vectors: Vectors) -> Index:
    """Build an index that compares all vectors (n, d)."""
    return build_index(Setting(kind="exact"), np.arange(len(vectors), dtype=np.int32), vectors)


def index_like(judged: Index, stage: Nearest, vectors: Vectors, queries: Vectors, seed: int) -> Index:
    """Build an index of the kind of one that was judged, over more vectors (n, d): no other kind was held against
    comparing all."""
    if (kind := called(judged)) == EXACT:
        return exact_index(vectors)
    return make_index(stage if stage.binary else _of_kind(stage, kind), vectors, queries, seed)


def _of_kind(stage: Nearest, kind: str) -> Nearest:
    index = msgspec.structs.replace(stage.index, kind=kind)
    return msgspec.structs.replace(stage, index=index)


def called(index: Index) -> str:
    """Give the name of a way of search: `exact`, `ivf`, `64 bits`."""
    return str(index.facts["built"])


def search(index: Index, queries: Vectors, k: int, own: Places) -> Lists:
    """Ask an index for the k nearest of each query, each without itself."""
    left = [None if place < 0 else np.array([place], dtype=np.int32) for place in own.tolist()]
    found = [
        index.search(queries[low : low + _AT_ONCE], k, left[low : low + _AT_ONCE])
        for low in range(0, len(queries), _AT_ONCE)
    ]
    places, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    return Lists(places.astype(np.int64), scores)


def contract(outcome: Outcome, plan: Evaluation, champion: str, way: str, tolerance: float, seed: int) -> Verdict:
    """Judge a way of search against comparing all vectors, on validation, by the primary metric.

    tolerance: the share of the metric that may be lost, at the worse end of the interval.
    """
    if way == EXACT:
        return Verdict(True, "all vectors are compared")
    by = metric(plan.primary)
    rungs = outcome.rung(way, SEARCH), outcome.rung(champion)
    gap, whole = paired(outcome, *rungs, by, seed=seed), value(outcome, rungs[1], by)
    worst = -gap.low if by.direction == "up" else gap.high
    allowed = tolerance * abs(whole)
    accepted = bool(worst <= allowed)
    told = f"loses {worst:.4f} at most" if worst > 0 else "loses nothing"
    side = "within" if accepted else "over"
    return Verdict(accepted, f"{told}, {side} the {allowed:.4f} that it may", gap.to_dict())
