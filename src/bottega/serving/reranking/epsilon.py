"""Epsilon-greedy over places: the draw, and the chance of what was drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.serving.reranking.slate import Floats

Places = npt.NDArray[np.int64]


def draw(m: int, pool: int, first: int, epsilon: float, rng: np.random.Generator) -> Places:
    """Draw an order of m items, (m,): each of the first places takes, with chance epsilon, any of the pool's rest.

    Else it takes the best of the rest, and so do all places after the first ones. pool: the m items' first so many.

    >>> draw(4, 4, 2, 0.0, np.random.default_rng(0)).tolist()
    [0, 1, 2, 3]
    """
    places = min(first, pool)
    coins, picks = rng.random(places).tolist(), rng.random(places).tolist()
    rest, top = list(range(m)), []
    for place in range(places):
        explores = coins[place] < epsilon
        top.append(rest.pop(int(picks[place] * (pool - place)) if explores else 0))
    return np.array(top + rest, np.int64)


def epsilon_chances(shown: Places, pool: int, first: int, epsilon: float) -> tuple[Floats, Floats]:
    """Give the chance of each shown item in its place, over all draws and given those above it, (shown,) each.

    Given those above, an item of the pool has epsilon / r + (1 − epsilon) · [it is the best of the r that are left] in
    one of the first places; after them the order is sure. Over all draws: until item i (from 0) is taken, all that
    matters of the places above is how many of them, c, took an item better than i. A place takes one of those better
    ones with the chance (1 − epsilon) [c < i] + epsilon · (i − c) / r, and i itself with epsilon / r
    + (1 − epsilon) [c = i]: a sum over c, place by place, exact up to rounding.

    shown: (shown,) the items of the first places as numbers in the order before the draw. pool, first: as of `draw`.

    >>> [chances.round(3).tolist() for chances in epsilon_chances(np.array([1, 0]), 3, 2, 0.3)]
    [[0.1, 0.17], [0.1, 0.85]]
    """
    from bottega.serving.reranking.exploring_kernel import epsilon_in_place

    propensity, given_above = epsilon_in_place(shown.astype(np.int64), pool, min(first, pool), epsilon)
    return propensity, given_above
