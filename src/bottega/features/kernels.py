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
def steady(time: Array, known: Array) -> bool:
    """Tell whether all events are known equally long after their time."""
    same = True
    for place in range(len(time)):
        same = same and known[place] - time[place] == known[0] - time[0]
    return same


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
