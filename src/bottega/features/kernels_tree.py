"""Compiled loops over events that may become usable in any order; like `kernels`, import it where it is used.

The parameters are those of `kernels.ranges`; `arrivals` (m,) are the places of the events in the order in which they
become usable, empty where that is their own order, and `rows` (m,) the row of the values for each event.
"""

from __future__ import annotations

import numpy as np

from bottega.features.kernels import NEVER, Array
from bottega.metrics.compiling import compiled

ADD, MIN, MAX, DECAY = 0, 1, 2, 3


@compiled
def _aged(value: float, age: float) -> float:
    """Halve a value `age` times; in two steps, as 2^−age alone would be 0 from 1,075 on."""
    whole = min(np.floor(age), 4000.0)
    return float(np.ldexp(value * 2.0 ** (whole - age), -int(whole))) if age > 0 else value


@compiled
def _joined(
    what: int, left: float, left_last: int, right: float, right_last: int, time: Array, half_life: float
) -> float:
    """Join the values of two neighbouring nodes; a decayed sum is as of the node's last event."""
    if left_last < 0:
        return right
    if right_last < 0:
        return left
    if what == ADD:
        return left + right
    if what == MIN:
        return min(left, right)
    if what == MAX:
        return max(left, right)
    return _aged(left, float(time[right_last] - time[left_last]) / half_life) + right


@compiled
def tree(
    asked: Array,  # (q,) rows of the questions, by key and time
    asked_offsets: Array,  # (keys + 1,)
    at: Array,  # (q,)
    offsets: Array,  # (keys + 1,)
    time: Array,  # (m,)
    ready: Array,  # (m,)
    shift: int,
    arrivals: Array,  # (m,) places in the order in which they become usable; empty: as they stand
    rows: Array,  # (m,) row of `values` for each event
    values: Array,  # NaN for null
    what: int,
    half_life: float,
    length: int,
    hop: int,
    column: int,
    out: Array,  # (n, columns)
) -> None:
    """Add, least, greatest or decayed sum over the usable events of one span, in a tree of each key's events.

    It subtracts nothing, so no earlier value can spoil a later window, and events may become usable in any order, each
    for log₂ of the key's events. A cell of `out` stays as it is where no value is in the window.
    """
    most = 1
    for key in range(len(offsets) - 1):
        most = max(most, offsets[key + 1] - offsets[key])
    size = 1
    while size < most:
        size *= 2
    node = np.zeros(2 * size, np.float64)
    last = np.empty(2 * size, np.int64)  # place of the newest event below a node, −1 for none
    for key in range(len(offsets) - 1):
        start, stop = offsets[key], offsets[key + 1]
        if start == stop or asked_offsets[key] == asked_offsets[key + 1]:
            continue
        size = 1
        while size < stop - start:
            size *= 2
        last[: 2 * size] = -1
        head, low, tail, until = start, start, 0, NEVER
        for question in range(asked_offsets[key], asked_offsets[key + 1]):
            now = at[question]
            if length >= 0:
                if now >= until:
                    tail = (now - length) // hop * hop
                    until = tail + hop + length
                while low < stop and time[low] < tail:
                    low += 1
            while head < stop:
                place = arrivals[head] if len(arrivals) > 0 else head
                if ready[place] + shift > now:
                    break
                head += 1
                value = values[rows[place]]
                if value != value or place < low:
                    continue
                spot = size + place - start
                node[spot], last[spot] = value, place
                spot //= 2
                while spot > 0:
                    left, right = 2 * spot, 2 * spot + 1
                    node[spot] = _joined(what, node[left], last[left], node[right], last[right], time, half_life)
                    last[spot] = max(last[left], last[right])
                    spot //= 2
            if low >= stop:
                continue
            spot = size + low - start
            total, newest = node[spot], last[spot]
            while spot > 1:
                if spot % 2 == 0:
                    total = _joined(what, total, newest, node[spot + 1], last[spot + 1], time, half_life)
                    newest = max(newest, last[spot + 1])
                spot //= 2
            if newest >= 0:
                if what == DECAY:
                    total = _aged(total, float(now - time[newest]) / half_life)
                out[asked[question], column] = total


@compiled
def distinct(
    asked: Array,
    asked_offsets: Array,
    at: Array,
    offsets: Array,
    time: Array,
    ready: Array,
    shift: int,
    arrivals: Array,
    rows: Array,
    codes: Array,  # number of each value, −1 for null
    size: int,
    length: int,
    hop: int,
    column: int,
    out: Array,
) -> None:
    """Count distinct values over the usable events of one span, with a moving multiset; parameters as in `tree`."""
    held = np.zeros(size, np.int64)
    for key in range(len(offsets) - 1):
        start, stop = offsets[key], offsets[key + 1]
        if start == stop or asked_offsets[key] == asked_offsets[key + 1]:
            continue
        head, low, tail, until, before, kinds = start, start, 0, NEVER, NEVER, 0
        for question in range(asked_offsets[key], asked_offsets[key + 1]):
            now = at[question]
            if length >= 0:
                if now >= until:
                    tail = (now - length) // hop * hop
                    until = tail + hop + length
                while low < stop and time[low] < tail:
                    code = codes[rows[low]]
                    if code >= 0 and before > NEVER and ready[low] + shift <= before:  # it had been added
                        held[code] -= 1
                        kinds -= held[code] == 0
                    low += 1
            while head < stop:
                place = arrivals[head] if len(arrivals) > 0 else head
                if ready[place] + shift > now:
                    break
                head += 1
                code = codes[rows[place]]
                if code >= 0 and place >= low:
                    kinds += held[code] == 0
                    held[code] += 1
            before = now
            out[asked[question], column] = kinds
        for place in range(low, stop):
            if codes[rows[place]] >= 0:
                held[codes[rows[place]]] = 0


@compiled
def last(
    asked: Array,
    asked_offsets: Array,
    at: Array,
    offsets: Array,
    time: Array,
    ready: Array,
    shift: int,
    arrivals: Array,
    rows: Array,
    filled: Array,  # whether a row has a value
    lengths: Array,  # (s,)
    hops: Array,  # (s,)
    column: int,
    out: Array,
) -> None:
    """Find the row of the newest usable event with a value, for all spans; other parameters as in `tree`.

    Of the usable events the newest one falls out of a window last, so one walk serves every span.
    """
    for key in range(len(offsets) - 1):
        head, stop, place = offsets[key], offsets[key + 1], -1
        for question in range(asked_offsets[key], asked_offsets[key + 1]):
            now = at[question]
            while head < stop:
                next_place = arrivals[head] if len(arrivals) > 0 else head
                if ready[next_place] + shift > now:
                    break
                head += 1
                if filled[rows[next_place]]:
                    place = max(place, next_place)
            if place < 0:
                continue
            for span in range(len(lengths)):
                tail = (now - lengths[span]) // hops[span] * hops[span]
                if lengths[span] < 0 or time[place] >= tail:
                    out[asked[question], column + span] = rows[place]
