"""Compiled loops over the keys of target rates; importing this loads Numba, so import it where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from bottega.features.kernels import prefetch
from bottega.features.kernels_hashing import LEFT, mix
from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]

_HALF, _ONE = np.uint64(32), np.uint64(1)


@compiled
def before(
    keys: Array,  # (n,) number of each row's key
    size: int,
    label: Array,  # (n,)
    usable: Array,  # (n,) from when each row counts
    arriving: Array,  # (n,) the rows in the order of `usable`; empty: as they stand
    time: Array,  # (n,) when each row asks
    asking: Array,  # (n,) the rows in the order of `time`; empty: as they stand
    seen: Array,  # (n,) out: rows of the same key that count at its time
    total: Array,  # (n,) out: the sum of their labels
) -> None:
    """Count the rows of each row's own key that are usable at its time, in one walk through time."""
    state = np.zeros((size, 2))
    head = 0
    for place in range(len(keys)):
        row = asking[place] if len(asking) > 0 else place
        while head < len(keys):
            source = arriving[head] if len(arriving) > 0 else head
            if usable[source] > time[row]:
                break
            state[keys[source], 0] += 1
            state[keys[source], 1] += label[source]
            head += 1
        seen[row], total[row] = state[keys[row], 0], state[keys[row], 1]


@compiled
def look_up(
    slots: Array,  # (s,) key, 0 for none; sorted but for the empty ones
    counts: Array,  # (s, 2) rows and sum of labels
    room: Any,  # slots that hashes are spread over, the rest takes what overflows
    single: Array,  # (n, c) hashes of the values
    salts: Array,  # (c + p,) hash of each feature's name
    pairs: Array,  # (p, 2) columns
    prior: float,
    overall: float,
    rate: Array,  # (n, c + p) out
    seen: Array,  # (n, c + p) out
) -> None:
    """Read the counts of each row's keys and smooth them: a value by the overall rate, a pair by its two values'."""
    columns = single.shape[1]
    value, slot = np.zeros(len(salts), np.uint64), np.zeros(len(salts), np.uint64)
    key, changed = np.zeros(len(salts), np.uint64), np.ones(len(salts), np.bool_)
    found = np.full(len(salts), -1)
    for row in range(len(single)):
        for place in range(len(salts)):  # ask for the memory of all keys before any is waited for
            if place < columns:
                now = single[row, place]
            else:
                now = mix(single[row, pairs[place - columns, 0]] * LEFT + single[row, pairs[place - columns, 1]])
            changed[place] = row == 0 or now != value[place]  # the request's own values come again in every row
            if changed[place]:
                value[place] = now
                key[place] = max(mix(salts[place] * LEFT + now), _ONE)  # 0 stands for an empty slot
                slot[place] = ((key[place] >> _HALF) * room) >> _HALF
                prefetch(slots, np.int64(slot[place]), 0)
                prefetch(counts, np.int64(slot[place]), 0)
        for place in range(len(salts)):
            if changed[place]:
                while slots[slot[place]] != 0 and slots[slot[place]] < key[place]:
                    slot[place] += _ONE
                found[place] = np.int64(slot[place]) if slots[slot[place]] == key[place] else -1
            mean = overall
            if place >= columns:
                mean = (rate[row, pairs[place - columns, 0]] + rate[row, pairs[place - columns, 1]]) / 2
            count, total = 0.0, 0.0
            if found[place] >= 0:
                count, total = counts[found[place], 0], counts[found[place], 1]
            weight = count + prior
            seen[row, place] = count
            rate[row, place] = (total + prior * mean) / weight if weight > 0 else mean
