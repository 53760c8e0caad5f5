"""What a list is worth that nothing was learnt for: from there on a watch over its quality rings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottega.proposals.facts import DAY

_PARTS = 4  # of the log's end, of which each is foretold by the one before
_JUDGED, _MEMORY = 5_000, 40  # requests of a feed at most; half-lives from which on nothing is left of a taking


def by_chance(queries: NDArray[np.int64], grades: NDArray[np.float64], k: int) -> float:
    """Give the expected NDCG@k of lists in random order, in the mean of the queries that have something right.

    queries: (n,) codes. grades: (n,), from 0; NaN is 0.
    """
    gains = np.exp2(np.nan_to_num(grades)) - 1
    order = np.lexsort((-gains, queries))
    gains, (_, begin, sizes) = gains[order], np.unique(queries[order], return_index=True, return_counts=True)
    place = np.arange(len(gains)) - np.repeat(begin, sizes)
    discounts = np.where(place < k, 1 / np.log2(place + 2), 0.0)
    best, every = (np.add.reduceat(values, begin) for values in (gains * discounts, gains))
    there = best > 0
    chance = every / sizes * np.add.reduceat(discounts, begin)
    return float(np.mean(chance[there] / best[there])) if there.any() else 0.0


def by_popularity(
    people: NDArray[np.int64], items: NDArray[np.int64], time: NDArray[np.int64], days: float, k: int
) -> float:
    """Give the NDCG@k of one list for all: what was taken most often in the days before those that it is judged by.

    people, items: (n,) codes, −1 where there is none. time: (n,) microseconds. days: how long a part is.
    """
    there = (people >= 0) & (items >= 0)
    people, items, time = people[there], items[there], time[there]
    if not len(time):
        return 0.0
    length, last, found = max(1, int(days * DAY)), time.max(), list[NDArray[np.float64]]()
    ago = (last - time) // length
    discounts = 1 / np.log2(np.arange(k) + 2)
    for part in range(_PARTS):
        before, now = items[ago == part + 1], ago == part
        if not len(before) or not now.any():
            continue
        top = np.argsort(-np.bincount(before, minlength=int(items.max()) + 1), kind="stable")[:k]
        worth = np.zeros(int(items.max()) + 1)
        worth[top] = discounts[: len(top)]
        pairs = np.unique(np.column_stack([people[now], items[now]]), axis=0)
        _, begin, sizes = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        found.append(np.add.reduceat(worth[pairs[:, 1]], begin) / np.cumsum(discounts)[np.minimum(sizes, k) - 1])
    return float(np.concatenate(found).mean()) if found else 0.0


def by_trend(
    people: NDArray[np.int64], items: NDArray[np.int64], time: NDArray[np.int64], half_life: int, k: int, since: int
) -> float:
    """Give the NDCG@k of what is taken most often at the moment, a taking fading with its half-life: each first taking
    of something by somebody is a request at its own time, as a feed is read, and what they took before
    is not in their list.

    people, items: (n,) codes, −1 where there is none. time: (n,) microseconds. half_life: microseconds. since: from
    when on it is judged, microseconds; of many requests the last ones.
    """
    order = np.argsort(time, kind="stable")
    order = order[(people[order] >= 0) & (items[order] >= 0)]
    people, items, time = people[order], items[order], time[order]
    _, firsts = np.unique(people * (int(items.max(initial=0)) + 1) + items, return_index=True)
    first = np.zeros(len(time), np.bool_)
    first[firsts] = True
    judged = np.flatnonzero(first & (time >= since))[-_JUDGED:]
    if not len(judged):
        return 0.0
    begin = int(np.searchsorted(time, time[judged[0]] - _MEMORY * half_life))
    wanted, weight = set(judged.tolist()), np.full(int(items.max()) + 1, -np.inf)  # log₂, at the time of the first row
    age, found, taken = (time - time[begin]) / half_life, list[float](), dict[int, set[int]]()
    for who, what in zip(people[:begin].tolist(), items[:begin].tolist(), strict=True):
        taken.setdefault(who, set()).add(what)
    for row in range(begin, len(time)):
        item, own = int(items[row]), taken.setdefault(int(people[row]), set())
        if row in wanted:
            above = weight > weight[item]
            place = int(np.count_nonzero(above)) - int(np.count_nonzero(above[list(own)]))
            found.append(1 / np.log2(place + 2) if place < k and np.isfinite(weight[item]) else 0.0)
        own.add(item)
        weight[item] = np.logaddexp2(weight[item], age[row])
    return float(np.mean(found))
