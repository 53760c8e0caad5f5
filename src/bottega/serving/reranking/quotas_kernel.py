"""The compiled search for the order that meets quotas; in a module of its own, so that Numba is loaded only for it.

Each quota sees an item as one of its kinds (−1: none), and bounds how many of a kind stand in its first places. An
order costs a list of numbers, compared from the front: what each quota misses, then the pairs of items turned round.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.metrics.compiling import compiled

Array = npt.NDArray[np.int64]

LOOKS = 10_000  # at an item, before the search is content with what it found: about 0.1 ms


@compiled
def best_order(kinds: Array, most: Array, firsts: Array) -> Array:
    """Give the order (m,) of least cost.

    kinds: (q, m) in the order so far. most: (q, kinds) how many of each may stand in the first places; below 0 misses
    from the start. firsts: (q,) how many places these are, m at most.
    """
    quotas, m = kinds.shape
    bounded = kinds.copy()
    for quota in range(quotas):  # a kind of which there are not too many bounds nothing
        counts = np.zeros(most.shape[1], np.int64)
        for kind in kinds[quota]:
            if kind >= 0:
                counts[kind] += 1
        for item in range(m):
            if kinds[quota, item] >= 0 and counts[kinds[quota, item]] <= most[quota, kinds[quota, item]]:
                bounded[quota, item] = -1
    chosen = fill(bounded, most, firsts)
    if quotas > 1:
        cost, least = price(bounded, most, firsts, chosen), np.zeros(quotas + 1, np.int64)
        for quota in range(quotas):  # no order costs less than the best one for a single quota
            one = slice(quota, quota + 1)
            alone = price(bounded[one], most[one], firsts[one], fill(bounded[one], most[one], firsts[one]))
            least[quota], least[quotas] = alone[0], max(least[quotas], alone[1])
        if less(least, cost):
            chosen = search(bounded, most, firsts, chosen, cost)
    used, order, filled = np.zeros(m, np.bool_), np.empty(m, np.int64), len(chosen)
    for place, item in enumerate(chosen):
        order[place], used[item] = item, True
    for item in range(m):
        if not used[item]:
            order[filled] = item
            filled += 1
    return order


@compiled
def fill(kinds: Array, most: Array, firsts: Array) -> Array:
    """Give the items of the first places, filled place by place with the first item that misses least.

    For one quota nothing costs less: its kinds with their bounds are a partition matroid, on which greedy is exact.
    """
    quotas, m = kinds.shape
    counts, used = np.zeros(most.shape, np.int64), np.zeros(m, np.bool_)
    chosen = np.empty(firsts.max(), np.int64)
    missed, least = np.zeros(quotas, np.int64), np.zeros(quotas, np.int64)
    for place in range(len(chosen)):
        best = -1
        for item in range(m):
            if not used[item]:
                misses(kinds, most, firsts, counts, place, item, missed)
                if best < 0 or less(missed, least):
                    best = item
                    least[:] = missed
                    if not least.any():
                        break
        used[best] = True
        count(kinds, firsts, counts, place, best, 1)
        chosen[place] = best
    rest = reach(firsts)
    for place in range(1, len(chosen)):  # within the places that the same quotas see the order so far stands
        at = place
        while at > 0 and rest[at - 1] > 1 and chosen[at - 1] > chosen[at]:
            chosen[at - 1], chosen[at] = chosen[at], chosen[at - 1]
            at -= 1
    return chosen


@compiled
def reach(firsts: Array) -> Array:
    """Give for each of the first places how many from it on the same quotas see, (places + 1,), 0 for the last one."""
    places = firsts.max()
    rest = np.zeros(places + 1, np.int64)
    for place in range(places - 1, -1, -1):
        rest[place] = rest[place + 1] + 1
        for first in firsts:
            if first == place + 1:
                rest[place] = 1
    return rest


@compiled
def search(kinds: Array, most: Array, firsts: Array, chosen: Array, cost: Array) -> Array:
    """Give the items of the first places at the least cost, by branch and bound from a choice and its cost."""
    quotas, m = kinds.shape
    places, looks = len(chosen), LOOKS
    counts, used = np.zeros(most.shape, np.int64), np.zeros(m, np.bool_)
    twin, rest = twins(kinds), reach(firsts)
    costs = np.zeros((places + 1, quotas + 1), np.int64)  # of the first so many places
    best, least, missed = chosen.copy(), cost.copy(), np.zeros(quotas, np.int64)
    now, start, passed = np.zeros(places, np.int64), np.zeros(places + 1, np.int64), np.zeros(places + 1, np.int64)
    nothing, place = np.zeros(quotas, np.int64), 0
    while place >= 0 and looks > 0:
        picked, before = -1, passed[place]  # unused items before this one: those that follow will pass them too
        if place == places:  # it came here because it costs less
            best[:] = now
            least[:] = costs[place]
        else:
            for item in range(start[place], m):
                if not used[item]:
                    looks -= 1
                    if looks <= 0 or not cheaper(costs, place, nothing, before * rest[place], least):
                        break  # every later item turns more pairs round
                    if twin[item] < 0 or used[twin[item]]:
                        misses(kinds, most, firsts, counts, place, item, missed)
                        if cheaper(costs, place, missed, before * rest[place], least):
                            picked = item
                            break
                    before += 1
        if picked >= 0:
            used[picked] = True
            count(kinds, firsts, counts, place, picked, 1)
            for quota in range(quotas):
                costs[place + 1, quota] = costs[place, quota] + missed[quota]
            costs[place + 1, quotas] = costs[place, quotas] + before
            now[place], start[place], passed[place] = picked, picked + 1, before + 1
            place += 1
            start[place], passed[place] = (picked + 1, before) if rest[place - 1] > 1 else (0, 0)
        else:
            place -= 1
            if place >= 0:
                used[now[place]] = False
                count(kinds, firsts, counts, place, now[place], -1)
    return best


@compiled
def cheaper(costs: Array, place: int, missed: Array, turned: int, least: Array) -> bool:
    """Say whether the cost of the places above one, with what is missed and turned round in it, is below another."""
    quotas = len(missed)
    for quota in range(quotas):
        if costs[place, quota] + missed[quota] != least[quota]:
            return bool(costs[place, quota] + missed[quota] < least[quota])
    return bool(costs[place, quotas] + turned < least[quotas])


@compiled
def price(kinds: Array, most: Array, firsts: Array, chosen: Array) -> Array:
    """Give the cost of a choice of the first places, (q + 1,)."""
    quotas, m = kinds.shape
    counts, used = np.zeros(most.shape, np.int64), np.zeros(m, np.bool_)
    cost, missed = np.zeros(quotas + 1, np.int64), np.zeros(quotas, np.int64)
    for place, item in enumerate(chosen):
        misses(kinds, most, firsts, counts, place, item, missed)
        cost[:quotas] += missed
        for other in range(item):
            cost[quotas] += not used[other]
        used[item] = True
        count(kinds, firsts, counts, place, item, 1)
    return cost


@compiled
def misses(kinds: Array, most: Array, firsts: Array, counts: Array, place: int, item: int, missed: Array) -> None:
    """Fill `missed` (q,): 1 where an item at a place is one too many of its kind, given the counts above."""
    for quota in range(len(firsts)):
        kind = kinds[quota, item]
        missed[quota] = place < firsts[quota] and kind >= 0 and counts[quota, kind] >= most[quota, kind]


@compiled
def count(kinds: Array, firsts: Array, counts: Array, place: int, item: int, change: int) -> None:
    """Put an item at a place into the counts, or take it out."""
    for quota in range(len(firsts)):
        if place < firsts[quota] and kinds[quota, item] >= 0:
            counts[quota, kinds[quota, item]] += change


@compiled
def less(left: Array, right: Array) -> bool:
    """Say whether a cost is less than another."""
    for index in range(len(left)):
        if left[index] != right[index]:
            return bool(left[index] < right[index])
    return False


@compiled
def twins(kinds: Array) -> Array:
    """Give for each item the last one before it that all quotas see alike, (m,), −1: none; that one is never worse."""
    quotas, m = kinds.shape
    found = np.full(m, -1, np.int64)
    for item in range(m):
        for other in range(item - 1, -1, -1):
            quota = 0
            while quota < quotas and kinds[quota, other] == kinds[quota, item]:
                quota += 1
            if quota == quotas:
                found[item] = other
                break
    return found
