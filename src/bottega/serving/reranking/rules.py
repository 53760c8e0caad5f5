"""Business rules: lift, lower, pin or drop what meets a condition."""

from __future__ import annotations

import numpy as np

from bottega.design.reranking import Rule
from bottega.serving.reranking.conditions import holds
from bottega.serving.reranking.slate import Slate, moved


def rule(stage: Rule, slate: Slate) -> Slate:
    """Apply one rule; the items that it does not mean keep their order among themselves.

    Errors: `DesignError` for a condition that cannot be read over these features.
    """
    meant = holds(slate, stage.where, "Rule.where")
    places = np.flatnonzero(meant[slate.rows])
    name = f"rule {stage.name or stage.where}"
    if stage.multiply is not None:
        return _multiplied(stage.multiply, slate, meant, name)
    if not len(places):
        return slate
    if stage.drop:
        why = {int(row): f"{name}: dropped" for row in slate.rows[places[places < slate.k]]}
        rows = np.delete(slate.rows, places)
        return slate.then(rows, why, [] if len(rows) else [f"{name}: nothing is left"])
    place, best = min(stage.place or 1, len(slate.rows)), int(slate.rows[places[0]])
    rows = np.insert(np.delete(slate.rows, places[0]), place - 1, best)
    before = int(places[0]) + 1
    told = f"{name}: pinned to {place}" + (f", {moved(before, place)}" if before != place else "")
    return slate.then(rows, {best: told} if min(before, place) <= slate.k else {})


def _multiplied(factor: float, slate: Slate, meant: np.ndarray, name: str) -> Slate:
    from bottega.serving.reranking.rules_kernel import lift

    scores = slate.scores.copy()
    with np.errstate(over="ignore"):
        scores[meant] = np.where(scores[meant] < 0, scores[meant] / factor, scores[meant] * factor)
    rows, known = slate.rows, np.where(np.isnan(scores), -np.inf, scores)
    if factor > 1:
        rows = rows[lift(known[rows], meant[rows])]
    elif factor < 1:  # to lower some is to lift them in the list turned round, with the signs turned too
        rows = rows[::-1][lift(-known[rows][::-1], meant[rows][::-1])][::-1]
    before, after = slate.places(slate.rows), slate.places(rows)
    near = np.minimum(before, after)[slate.rows] <= slate.k
    why = {}
    for row in slate.rows[near & meant[slate.rows]].tolist():
        change = f", {moved(int(before[row]), int(after[row]))}" if before[row] != after[row] else ""
        why[row] = f"{name}: × {factor:g}{change}"
    return slate.then(np.ascontiguousarray(rows), why, scores=scores)
