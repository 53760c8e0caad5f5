"""Searching: what each way of search finds among the items, best first, and the lists as what evaluation judges."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.evaluation.outcome import Mask, Outcome, Rung
from bottega.metrics import Ranking

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
_NUMBERS = 2**24  # products held by a thread at once


class Lists(NamedTuple):
    """What was found: places among the items searched (q, k), best first, −1 where there are fewer; scores (q, k)."""

    places: Places
    scores: Vectors


Ways = Mapping[str, tuple[str, float, Lists]]
"""By name the stage of a way of search, the seconds of its training, and what it found."""


def search_all(queries: Vectors, items: Vectors, k: int, own: Places | None = None) -> Lists:
    """Compare every query with every item: the k largest products, ties by lower place.

    queries: (q, d). items: (n, d). k: at least 1. own: (q,) the place of the item that each query is, −1 for none: it
    is left out.
    """
    found = np.full((len(queries), k), -1, np.int64), np.zeros((len(queries), k), np.float32)
    wide = min(k, len(items))
    size = max(1, _NUMBERS // max(len(items), 1))

    def block(low: int) -> None:
        rows = slice(low, low + size)
        products = queries[rows] @ items.T
        if own is not None:
            there = np.flatnonzero(own[rows] >= 0)
            products[there, own[rows][there]] = -np.inf
        border = np.partition(products, -wide, axis=1)[:, -wide]  # equal ones may be many: the lower places count
        for row, (line, least) in enumerate(zip(products, border, strict=True), low):
            some = np.flatnonzero(line >= least)
            best = some[np.argsort(-line[some], kind="stable")][:wide]
            best = best[line[best] > -np.inf]
            found[0][row, : len(best)], found[1][row, : len(best)] = best, line[best]

    if wide:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(block, range(0, len(queries), size)))
    return Lists(*found)


def outcome_of(
    ways: Ways,
    queries: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    relevant: Places,
    entity: npt.NDArray[np.generic],
    slices: Mapping[str, Mapping[str, Mask]],
) -> Outcome:
    """Give the lists of several ways of search as one outcome: its rows are whatever any of them found.

    ways: by name the stage of each, the seconds of its training, and what it found. queries: (q,) and items: (n,) the
    value of each, −1 for none. relevant: (q,) how many of the items searched are relevant, found or not. entity: (q,)
    what is resampled as one.
    """
    size = len(items)
    request = np.arange(len(relevant))[:, None]
    keys = {name: np.where(found.places < 0, -1, request * size + found.places) for name, (_, _, found) in ways.items()}
    every = np.unique(np.concatenate([key.ravel() for key in keys.values()]))
    every = every[every >= 0]
    group, candidate = np.divmod(every, size)
    rungs = []
    for name, (stage, seconds, found) in ways.items():
        there = keys[name] >= 0
        scores = np.full(len(every), np.nan, np.float32)
        scores[np.searchsorted(every, keys[name][there])] = found.scores[there]
        rungs.append(Rung(name, stage, scores, seconds, probability=False))
    value = queries[group]
    label = ((value == items[candidate]) & (value >= 0)).astype(np.float32)
    return Outcome(group, entity, candidate, label, np.ones(len(every), bool), {}, slices, rungs, size, relevant)


def perfect(relevant: Places, depth: int) -> Ranking:
    """Give the lists in which everything relevant comes first: what no search can do better.

    relevant: (q,) how many items are. depth: places that a metric may look at.
    """
    shown = np.minimum(relevant, depth)
    request = np.repeat(np.arange(len(relevant)), shown)
    place = np.arange(len(request)) - np.repeat(np.cumsum(shown) - shown, shown)
    return Ranking(request, -place.astype(np.float64), np.ones(len(request)), items=place, relevant=relevant)


def depth_of(metrics: Sequence[str], least: int) -> int:
    """Give how many places the metrics look at: the largest cut among them, and 100 for one without.

    >>> depth_of(["precision@1", "map@100", "ndcg"], 10), depth_of(["precision@5"], 10)
    (100, 10)
    """
    return max([least, *(int(name.partition("@")[2] or 100) for name in metrics)])
