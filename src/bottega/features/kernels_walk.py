"""Compiled walk through time over the events of all keys; like `kernels`, import it where it is used.

Events are told by four arrays: keys (m,), −1 for none; times (m,), rising in the given order; values (m,), NaN for
null, or empty where only rows are counted; and that order (m,), empty: as they stand.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bottega.features.kernels import NEVER, Array, prefetch
from bottega.metrics.compiling import compiled

_SUM = np.dtype([("total", "f8"), ("rest", "f8"), ("rows", "i4"), ("filled", "i4"), ("last", "i8")])
SUM: Any = numba.from_dtype(_SUM)
"""What has passed a border of one key: a sum in two floats, rows, those with a value, and the time of the last one."""
BYTES = _SUM.itemsize
BLOCK = 1024  # questions whose sums are held at a time: they stay in the second cache
GROUP = 16  # questions that share one run of events
ROOM = 64  # events in the run of a group
AHEAD = 48  # events and questions by which the sums of a key are asked for early: they lie anywhere in memory


@compiled
def _slot(code: Any, first: int, size: int) -> Any:
    """Give the place of a key, `size` for one that is not among those of this walk; unsigned, so it needs no look."""
    return min(np.uint64(np.int64(code) - first), np.uint64(size))


@compiled
def _place(order: Array, index: int) -> Any:
    """Give where an event of an order stands; unsigned, too."""
    return np.uint64(order[index] if len(order) > 0 else index)


@compiled
def _add(sums: Array, slot: Any, time: int, value: float) -> None:
    """Add an event to the sums of its key at one border.

    Total and rest together carry 106 bits (two-sum), so that the difference of two of them is right even after values
    that were very much larger.
    """
    held = sums[slot]
    some = value == value
    number = value if some else 0.0
    total = held.total
    wide = total + number
    part = wide - total
    rest = held.rest + (total - (wide - part)) + (number - part)
    total = wide + rest
    held.total = total
    held.rest = rest - (total - wide)
    held.rows += np.int32(1)
    held.filled += np.int32(some)
    held.last = time


@compiled
def _before(times: Array, order: Array, limit: int) -> int:
    """Count the events before a time."""
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[_place(order, middle)] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _passed(sums: Array, events: Any, first: int, low: int, end: int) -> None:
    """Let the events from `low` to `end` pass a border."""
    codes, times, values, order = events
    last, size = len(codes) - 1, len(sums) - 2
    for index in range(low, end):
        prefetch(sums, np.int64(_slot(codes[_place(order, min(index + AHEAD, last))], first, size)), 0)
        event = _place(order, index)
        _add(sums, _slot(codes[event], first, size), times[event], values[event] if len(values) > 0 else np.nan)


@compiled
def _read(
    sums: Array, events: Any, first: int, low: int, group: int, slots: Array, limits: Array, old: Array, held: Array
) -> tuple[int, int]:
    """Read the sums of a border for questions (c,), each of a slot, over the events before its limit, which rise.

    The events of a whole group of questions pass at once, as a loop that stops at each question mispredicts its end.
    A question that should not have seen the newest event of its key reads what there was before: `old` (ROOM,) keeps
    it. Groups get small where that is frequent. Gives how many events have passed, and the size of the next group.
    """
    codes, times, values, order = events
    many, size = len(codes), len(sums) - 2
    start = 0
    while start < len(slots):
        stop = min(start + group, len(slots))
        while stop - start > 1 and low + ROOM < many:
            if times[_place(order, low + ROOM)] >= limits[stop - 1]:
                break
            stop = (start + stop) // 2
        begin, limit = low, limits[stop - 1]
        while low < many:
            event = _place(order, low)
            if times[event] >= limit:
                break
            prefetch(sums, np.int64(_slot(codes[_place(order, min(low + AHEAD, many - 1))], first, size)), 0)
            slot = _slot(codes[event], first, size)
            old[(low - begin) % ROOM] = sums[slot]  # a single question reads none of it, however many pass
            _add(sums, slot, times[event], values[event] if len(values) > 0 else np.nan)
            low += 1
        missed = 0
        for question in range(start, stop):
            prefetch(sums, slots[min(question + AHEAD, len(slots) - 1)], 0)
            slot = np.uint64(slots[question])
            held[question] = sums[slot]
            if sums[slot].last >= limits[question]:
                missed += 1
                index = begin
                event = _place(order, index)
                while times[event] < limits[question] or _slot(codes[event], first, size) != slot:
                    index += 1
                    event = _place(order, index)
                held[question] = old[index - begin]
        group = max(group // 2, 1) if 4 * missed > stop - start else min(2 * group, GROUP)
        start = stop
    return low, group


@compiled
def _tails(at: Array, rows: Array, length: int, hop: int, limits: Array) -> None:
    """Write where the windows of questions begin; their times rise."""
    tail, until = NEVER + 1, NEVER  # an endless window begins before any time
    if length < 0:
        limits[:] = tail
        return
    for place in range(len(limits)):
        now = at[rows[place]]
        if hop == 1:
            tail = now - length
        elif now >= until:
            tail = (now - length) // hop * hop
            until = tail + hop + length
        limits[place] = tail


@compiled
def _subtract(head: Array, tail: Array, made: Array) -> None:
    """Write rows, count, sum and mean (4, c) of what lies between two borders."""
    for place in range(made.shape[1]):
        newer, older = head[place], tail[place]
        rows = np.int64(newer.rows) - older.rows
        some = rows > 0  # else the newest usable event is too old
        total = (newer.total - older.total) + (newer.rest - older.rest)
        made[0, place] = rows if some else 0.0
        made[1, place] = np.int64(newer.filled) - older.filled if some else 0.0
        made[2, place] = total if some else 0.0
        made[3, place] = np.divide(made[2, place], made[1, place])


@compiled
def _write(values: Array, questions: Array, rows: Array, out: Array) -> None:
    """Write the values of questions to their rows of a column."""
    count, first = len(questions), questions[0]
    if len(rows) > 0:
        for place in range(count):
            out[rows[questions[place]]] = values[place]
    elif questions[count - 1] - first == count - 1:
        out[first : first + count] = values[:count]
    else:
        for place in range(count):
            out[questions[place]] = values[place]


@compiled
def walk(
    codes: Array,  # (m,) keys of the events by time, −1 for none
    time: Array,  # (m,) rising
    ready: Array,  # (m,) rising within a key; where there is a shift, the time
    shift: int,  # 0 for none
    entering: Array,  # (m,) places of the events by `ready`; empty: as they stand
    values: Array,  # (m,) NaN for null; empty: only rows are counted
    asked: Array,  # (q,) keys of the questions by time, −1 for none
    at: Array,  # (q,) rising
    rows: Array,  # (q,) their columns of `out`; empty: as they stand
    start: int,  # questions from here on ...
    stop: int,  # ... to here are answered
    first: int,  # keys from here on ...
    size: int,  # ... so many; others are left out, and questions of no key are told with the key 0
    lengths: Array,  # (s,)
    hops: Array,  # (s,)
    plan: Array,  # (p, 5): a span, and rows of `out` for rows, count, sum and mean, or −1
    out: Array,  # (columns, n)
) -> None:
    """Count, sum and average in one walk through time: each span's head and tail move over the events of all keys.

    A key's window is the difference of its running sums at the two borders, which meet its events in the same order.
    """
    spans = len(lengths)
    sums = np.zeros((1 + spans, size + 2), SUM)  # of each border; the last slots are for other keys and for no key
    for border in range(1 + spans):
        for slot in range(size + 2):
            sums[border, slot].last = NEVER
    entered = codes, ready, values, entering
    left = codes, time, values, entering[:0]
    low = _begun(sums, entered, left, shift, at, start, first, lengths, hops)
    groups = np.full(1 + spans, GROUP)
    old, head, tail = np.empty(ROOM, SUM), np.empty(BLOCK, SUM), np.empty(BLOCK, SUM)
    questions, slots, limits = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    made = np.empty((4, BLOCK))  # rows, count, sum and mean
    question = start
    while question < stop:
        count = 0
        while question < stop and count < BLOCK:
            code = np.int64(asked[question]) - first
            if 0 <= code < size or (first == 0 and asked[question] < 0):
                slots[count], questions[count] = code if code >= 0 else size + 1, question
                count += 1
            question += 1
        if count == 0:
            break
        for place in range(count):
            limits[place] = at[questions[place]] - shift + 1
        low[0], groups[0] = _read(sums[0], entered, first, low[0], groups[0], slots[:count], limits[:count], old, head)
        for span in range(spans):
            border = 1 + span
            _tails(at, questions, lengths[span], hops[span], limits[:count])
            low[border], groups[border] = _read(
                sums[border], left, first, low[border], groups[border], slots[:count], limits[:count], old, tail
            )
            _subtract(head, tail, made[:, :count])
            for step in range(len(plan)):
                for kind in range(4):
                    if plan[step, 0] == span and plan[step, 1 + kind] >= 0:
                        _write(made[kind], questions[:count], rows, out[plan[step, 1 + kind]])


@compiled
def _begun(
    sums: Array, entered: Any, left: Any, shift: int, at: Array, start: int, first: int, lengths: Array, hops: Array
) -> Array:
    """Let all events pass that questions before `start` have met, (1 + s,) of each border.

    Borders meet the same events in the same order, so that one goes on from where the one before it stands.
    """
    low = np.zeros(1 + len(lengths), np.int64)
    if start == 0 or start >= len(at):
        return low
    limit = np.empty(1, np.int64)
    low[0] = _before(entered[1], entered[3], at[start] - shift + 1)
    for span in range(len(lengths)):
        _tails(at[start : start + 1], np.zeros(1, np.int64), lengths[span], hops[span], limit)
        low[1 + span] = _before(left[1], left[3], limit[0])
    nearest = -1
    for border in np.argsort(low):
        if border == 0 and shift == 0:  # in another order
            _passed(sums[0], entered, first, 0, low[0])
            continue
        if nearest >= 0:
            sums[border] = sums[nearest]
        _passed(sums[border], left, first, low[nearest] if nearest >= 0 else 0, low[border])
        nearest = border
    return low
