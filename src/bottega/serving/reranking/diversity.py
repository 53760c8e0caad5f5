"""Diversity: the first places go to items that are good and unlike each other."""

from __future__ import annotations

import numpy as np

from bottega.design.reranking import Diversify
from bottega.serving.reranking.conditions import codes
from bottega.serving.reranking.slate import Array, Floats, Slate, moved


def diversify(stage: Diversify, slate: Slate) -> Slate:
    """Fill the first places one after another by relevance and unlikeness to those above; the rest keep their order.

    Of equal values the better placed wins. Without vectors, where they are asked for, the features alone count, and
    without either nothing changes; both are told. Errors: `DesignError` for a feature that is not there.
    """
    from bottega.serving.reranking.diversity_kernel import greedy

    name, told = stage.name or stage.method, []
    vectors = np.zeros((0, len(slate.rows)), np.float32)
    if stage.vectors and slate.vectors is None:
        told.append(f"{name}: no vectors")
        if not stage.by:
            return slate.then(slate.rows, {}, told)
    elif stage.vectors and slate.vectors is not None:
        vectors = _directions(slate.vectors[slate.rows])
    same = np.zeros((len(stage.by), len(slate.rows)), np.int64)
    for index, feature in enumerate(stage.by):
        same[index] = codes(slate, feature, "Diversify.by")[slate.rows]
    places = min(stage.first or slate.k, len(slate.rows))
    relevance = _relevance(slate.scores[slate.rows])
    order, above, alike = greedy(relevance, same, vectors, stage.weight, places, stage.method == "dpp")
    rows = slate.rows[order]
    why = {}
    for row, before, after in slate.moves(rows):
        near, likest = float(alike[before - 1]), slate.ids[slate.rows[above[before - 1]]]
        why[row] = f"{name}: {moved(before, after)}"
        if after > before and near > 0:
            why[row] += f", like {likest!r} ({near:.2f})"
    return slate.then(rows, why, told)


def _relevance(scores: Floats) -> Floats:
    """Scale scores to 0..1 by the lowest and the highest that are finite; one that is no number has 0."""
    finite = scores[np.isfinite(scores)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.clip(scores / 2 - low / 2, 0, high / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)  # no overflow
    return np.asarray(np.nan_to_num(scaled), np.float64)


def _directions(vectors: Array) -> Array:
    """Give vectors of length 1 as columns, (d, m) float32; what has no finite length above 0 is 0."""
    with np.errstate(all="ignore"):
        length = np.sqrt(np.einsum("md,md->m", vectors, vectors))
        usable = np.isfinite(length) & (length > 0)
        directions = np.empty(vectors.shape[::-1], np.float32)
        np.multiply(vectors.T, np.where(usable, 1 / length, 0.0), out=directions, casting="same_kind")
    directions[:, ~usable] = 0.0
    return directions
