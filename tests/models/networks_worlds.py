"""Small worlds whose truth is known, for the tests of the networks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.models.inputs import Inputs

Floats = npt.NDArray[np.float64]


def pairs(count: int, seed: int, turn: int = 0, ids: int = 12) -> tuple[Inputs, npt.NDArray[np.float32], Floats]:
    """Rows of two ids and a number, whose log-odds are ±1.5 by the pair of ids alone: neither id says anything itself.

    turn: how many of the first ids have changed sides, so that the world can drift. Gives inputs, labels, log-odds.
    """
    rng = np.random.default_rng(seed)
    user, ad = rng.integers(0, ids, count), rng.integers(0, ids, count)
    side = np.where((user < turn), -1, 1) * np.where(user % 2 == ad % 2, 1, -1)
    margin = 1.5 * side
    label = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    values = np.column_stack([user, ad, rng.normal(size=count)]).astype(np.float32)
    return Inputs(["user", "ad", "noise"], ["category", "category", "number"], values), label, margin


def auc(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """The share of pairs in the right order, counted one by one."""
    labels, scores = np.asarray(label), np.asarray(score)
    high, low = scores[labels > 0], scores[labels == 0]
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)
