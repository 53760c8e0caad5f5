"""The union of several retrievers' lists, merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bottega.models.vocabulary import Codes

CONSTANT = 60.0  # of reciprocal rank fusion, as its authors chose it


def union(
    lists: Sequence[Codes], k: int, merge: Literal["turns", "rrf"] = "turns", sure: Sequence[int] | None = None
) -> Codes:
    """Merge lists of items, each item once, k at most.

    `turns`: the first of each list, then the second of each, and so on. `rrf`: by Σ 1 ÷ (60 + place) over the lists
    that have the item, equals as in turns. When it is wrong: every list counts alike, however good it is; a weak
    retriever takes places from a strong one as soon as the union is longer than k.

    lists: one array a retriever, (n, k_i) int32 item codes, best first, -1 where a list has ended; at least one.
    k: items kept for a request, at least 1; larger loses less and costs more in ranking. sure: for each list how many
    of its first items stay, whatever the others have; together at most k.
    Returns (n, k) int32, -1 where fewer were found. Taking turns for one request costs a few microseconds.

    >>> lists = [np.array([[1, 2, -1]]), np.array([[2, 3, 4]])]
    >>> union(lists, 3), union(lists, 3, "rrf"), union(lists, 2, sure=[0, 2])
    (array([[1, 2, 3]], dtype=int32), array([[2, 1, 3]], dtype=int32), array([[2, 3]], dtype=int32))

    Source: G. Cormack, C. Clarke, S. Büttcher, Reciprocal rank fusion, SIGIR 2009.
    """
    from bottega.models.union_kernel import take_turns

    flat = np.concatenate(lists, axis=1, dtype=np.int32)  # (n, Σ k_i)
    ends = np.cumsum([part.shape[1] for part in lists])
    plain = merge == "turns" and not any(sure or ())
    result = np.full((len(flat), k if plain else flat.shape[1]), -1, np.int32)
    take_turns(flat, ends, result)
    return result if plain else _chosen(result, lists, k, merge, sure or [0] * len(lists))


def _chosen(every: Codes, lists: Sequence[Codes], k: int, merge: str, sure: Sequence[int]) -> Codes:
    """Order the items of each row, and keep the sure ones and then the first.

    every: (n, m) the items of all lists, each once, in turns.
    """
    row, place = np.nonzero(every >= 0)
    size = int(every.max(initial=0)) + 1
    keys = row * size + every[row, place]
    by_key = np.argsort(keys)
    value, kept = np.zeros(len(keys)), np.zeros(len(keys), np.bool_)
    for part, first in zip(lists, sure, strict=True):
        owner, rank = np.nonzero(part >= 0)
        at = by_key[np.searchsorted(keys[by_key], owner * size + part[owner, rank])]
        value[at] += 1 / (CONSTANT + 1 + rank)
        kept[at] |= rank < first
    merged = _within(row, -value if merge == "rrf" else place, place)
    chosen = _within(row, ~kept, merged) < k
    result = np.full((len(every), k), -1, np.int32)
    row, place, merged = row[chosen], place[chosen], merged[chosen]
    result[row, _within(row, merged, merged)] = every[row, place]
    return result


def _within(row: npt.NDArray[np.int64], first: npt.NDArray[np.generic], then: npt.NDArray[np.integer]) -> Codes:
    """Give each entry its place within its row, from 0, by one key and then another; rows are ascending."""
    order = np.lexsort((then, first, row))
    begin = np.searchsorted(row, row, side="left")
    places = np.empty(len(row), np.int32)
    places[order] = np.arange(len(row)) - begin[order]
    return places
