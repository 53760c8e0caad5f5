"""Compiled loops over events by time, or by key and time; importing this loads Numba, so import it where it is used.

By key, the events of one stand at `offsets[key]` to `offsets[key + 1]`, in the order of (time, known, arrival);
questions likewise, by the time they ask at. An event is usable at t when `ready + shift <= t`. Spans have a length
(−1: all) and a hop.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from bottega.metrics.compiling import compiled

Array = np.ndarray[Any, np.dtype[Any]]

NEVER = np.iinfo(np.int64).min
AHEAD = 24  # events by which memory is asked for early: about what one read takes; a key's sums lie anywhere
_LINE = 64  # bytes that memory gives at once


def _prefetch(_: Any, array: Any, index: Any, byte: Any) -> Any:  # noqa: ARG001 (only their types count here)
    """Ask for the memory of `array[index]`, from its given byte on, without waiting for it; it changes no value."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.add(
            builder.mul(arguments[1], builder.extract_value(held.strides, 0)),
            builder.add(builder.ptrtoint(held.data, ir.IntType(64)), arguments[2]),
        )
        kind, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        called = builder.module.declare_intrinsic(
            "llvm.prefetch", (kind,), ir.FunctionType(ir.VoidType(), [kind, flag, flag, flag])
        )
        builder.call(called, [builder.inttoptr(place, kind), flag(1), flag(3), flag(1)])  # to write, near, data
        return context.get_dummy_value()

    return numba.void(array, numba.int64, numba.int64), make


prefetch: Any = intrinsic(_prefetch)


@compiled
def group(codes: Array, base: Array, size: int) -> tuple[Array, Array]:
    """Sort rows by key, stable in the order `base` (empty: as they stand); rows with a negative key are left out."""
    offsets = np.zeros(size + 1, np.int64)
    for code in codes:
        if code >= 0:
            offsets[code + 1] += 1
    for key in range(size):
        offsets[key + 1] += offsets[key]
    place = offsets[:-1].copy()
    rows = np.empty(offsets[size], np.int32)
    given = len(base) > 0
    for index in range(len(codes)):
        row = base[index] if given else index
        code = codes[row]
        if code >= 0:
            rows[place[code]] = row
            place[code] += 1
    return rows, offsets


@compiled
def sort_within(rows: Array, times: Array, offsets: Array) -> None:
    """Sort the rows of each key by their times, in place and stable; keys that are in order cost one look."""
    for key in range(len(offsets) - 1):
        start, stop = offsets[key], offsets[key + 1]
        for index in range(start + 1, stop):
            if times[index] < times[index - 1]:
                order = np.argsort(times[start:stop], kind="mergesort")
                rows[start:stop] = rows[start:stop][order]
                times[start:stop] = times[start:stop][order]
                break


@compiled
def rising(codes: Array, times: Array, size: int) -> bool:
    """Tell whether times never fall within a key. codes, times: (m,) in the same order."""
    latest = np.full(size, NEVER, np.int64)
    for place in range(len(codes)):
        code = codes[place]
        if code >= 0:
            if times[place] < latest[code]:
                return False
            latest[code] = times[place]
    return True


@compiled
def extent(values: Array) -> tuple[float, float, bool]:
    """Give sum of |x|, smallest |x| above 0, and whether all are whole numbers; NaN is null."""
    total, smallest, whole = 0.0, np.inf, True
    for value in values:
        size = abs(value)
        if size > 0:
            total += size
            smallest = min(smallest, size)
            whole = whole and np.floor(size) == size
    return total, smallest, whole


@compiled
def _add(state: Array, code: Any, border: int, value: float) -> None:
    """Add an event to the running sums of a key at one border: rows, values, sum, and its rest.

    Sum and rest together carry 106 bits (two-sum), so that the difference of two of them is right even after values
    that were very much larger.
    """
    state[code, border, 0] += 1.0
    if value == value:
        state[code, border, 1] += 1.0
        total = state[code, border, 2]
        wide = total + value
        part = wide - total
        rest = state[code, border, 3] + (total - (wide - part)) + (value - part)
        total = wide + rest
        state[code, border, 2] = total
        state[code, border, 3] = rest - (total - wide)


@compiled
def walk(
    codes: Array,  # (m,) keys of the events by time, −1 for none
    time: Array,  # (m,) rising
    ready: Array,  # (m,) rising within a key
    shift: int,
    entering: Array,  # (m,) places of the events by `ready`; empty: as they stand
    values: Array,  # (m,) NaN for null; empty: only rows are counted
    asked: Array,  # (q,) keys of the questions by time, −1 for none
    at: Array,  # (q,) rising
    rows: Array,  # (q,) their rows in `out`; empty: as they stand
    first: int,  # keys from here on ...
    size: int,  # ... so many; others are left out, and questions of no key are told with the key 0
    lengths: Array,  # (s,)
    hops: Array,  # (s,)
    plan: Array,  # (p, 5): a span, and columns of `out` for rows, count, sum and mean, or −1
    out: Array,  # (n, columns)
) -> None:
    """Count, sum and average in one walk through time: each span's head and tail move over the events of all keys.

    A key's window is the difference of its running sums at the two borders, which meet its events in the same order.
    """
    spans = len(lengths)
    state = np.zeros((size, 1 + spans, 4))
    low, tail = np.zeros(spans, np.int64), np.full(spans, NEVER, np.int64)
    until = np.full(spans, NEVER, np.int64)
    head, valued = 0, len(values) > 0
    for question in range(len(asked)):
        now = at[question]
        soon = np.int64(asked[min(question + AHEAD, len(asked) - 1)]) - first
        if 0 <= soon < size:
            for byte in range(0, (1 + spans) * 32, _LINE):
                prefetch(state, soon, byte)
        while head < len(codes):
            event = entering[head] if len(entering) > 0 else head
            if ready[event] + shift > now:
                break
            soon = np.int64(codes[min(event + AHEAD, len(codes) - 1)]) - first
            if 0 <= soon < size:
                prefetch(state, soon, 0)
            code = np.int64(codes[event]) - first
            if 0 <= code < size:
                _add(state, code, 0, values[event] if valued else np.nan)
            head += 1
        for span in range(spans):
            if lengths[span] >= 0:
                if now >= until[span]:
                    tail[span] = (now - lengths[span]) // hops[span] * hops[span]
                    until[span] = tail[span] + hops[span] + lengths[span]
                while low[span] < len(codes) and time[low[span]] < tail[span]:
                    event = low[span]
                    soon = np.int64(codes[min(event + AHEAD, len(codes) - 1)]) - first
                    if 0 <= soon < size:
                        prefetch(state, soon, (1 + span) * 32)
                    code = np.int64(codes[event]) - first
                    if 0 <= code < size:
                        _add(state, code, 1 + span, values[event] if valued else np.nan)
                    low[span] += 1
        code = np.int64(asked[question]) - first
        if not (0 <= code < size or (first == 0 and asked[question] < 0)):
            continue
        row = rows[question] if len(rows) > 0 else question
        for step in range(len(plan)):
            border = 1 + plan[step, 0]
            counted, filled, total = 0.0, 0.0, 0.0
            if code >= 0 and state[code, 0, 0] > state[code, border, 0]:  # else the newest usable event is too old
                counted = state[code, 0, 0] - state[code, border, 0]
                filled = state[code, 0, 1] - state[code, border, 1]
                total = (state[code, 0, 2] - state[code, border, 2]) + (state[code, 0, 3] - state[code, border, 3])
            if plan[step, 1] >= 0:
                out[row, plan[step, 1]] = counted
            if plan[step, 2] >= 0:
                out[row, plan[step, 2]] = filled
            if plan[step, 3] >= 0:
                out[row, plan[step, 3]] = total
            if plan[step, 4] >= 0:
                out[row, plan[step, 4]] = total / filled if filled > 0 else np.nan


@compiled
def newest(
    codes: Array,  # (m,) keys of the events in the order in which they become usable
    ready: Array,  # (m,) rising
    shift: int,
    ranks: Array,  # (m,) place in the order of (time, known, arrival); empty: as they stand
    asked: Array,  # (n,) keys of the questions, −1 for none
    at: Array,  # (n,) their times
    order: Array,  # (n,) the questions by time; empty: as they stand
    size: int,
    out: Array,  # (n,) rank of the newest usable event, −1 for none
) -> None:
    """Find each question's newest usable event, in one walk through both in the order of time."""
    latest = np.full(size, -1, np.int64)
    head = 0
    for place in range(len(asked)):
        question = order[place] if len(order) > 0 else place
        now = at[question]
        while head < len(codes) and ready[head] + shift <= now:
            code = codes[head]
            if code >= 0:
                rank = ranks[head] if len(ranks) > 0 else head
                latest[code] = max(latest[code], rank)
            head += 1
        out[question] = latest[asked[question]] if asked[question] >= 0 else -1
