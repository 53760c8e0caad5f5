"""Timelines: events in the order of time, from which all aggregates and spans of a window are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.features.aggregates import ZERO_WHEN_EMPTY
from bottega.features.kernels_calls import cut, still, together
from bottega.features.spans import Span

_EXACT = 2.0**53  # whole numbers up to here add without any error
_WIDEST = 1e300
_LOSS, _SLACK = 2.0**-104, 1e-7  # of two numbers that carry a sum; of a window's sum of |x|, well inside 1e-5
_MOST = 1 << 28  # bytes of running sums held at a time; what needs more takes several walks
_MANY = 1 << 18  # questions of a walk that are worth a thread
_NONE = np.zeros(0, np.int32)
_NOTHING = still(np.zeros(0))
_PLACES = {"count": 2, "sum": 3, "avg": 4}  # in a step of the plan of a walk, after the span and the rows


@dataclass(frozen=True)
class Cell:
    """One column to compute: a function of an argument over one span.

    what: count, sum, avg, min, max or decayed_sum. argument: place in the list of arguments, −1 for the rows.
    column: where it goes. half_life: microseconds, for decayed_sum.
    """

    what: str
    argument: int
    span: Span
    column: int
    half_life: float = 1.0


@dataclass(frozen=True)
class Sorted:
    """Rows by key and time: `rows` (m,) with `time` (m,) each, a key's at `offsets[key]` to `offsets[key + 1]`."""

    rows: NDArray[np.int32]
    time: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class Questions:
    """Keys and times that are asked for, as they come."""

    codes: NDArray[np.int32]
    """(q,) keys, −1 for none."""
    at: NDArray[np.int64]
    """(q,) microseconds since 1970 UTC."""
    size: int
    """All keys lie below it."""

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """Give the rows by time; empty where they stand so."""
        return _by_time(self.at, None)

    @cached_property
    def sorted(self) -> Sorted:
        """Give the rows by key and time."""
        return in_order(self.codes, self.at, self.size, None)


@dataclass(frozen=True)
class Timeline:
    """Events by time, and when they become usable: an event is, from `ready + shift` on."""

    codes: NDArray[np.int32]
    """(m,) keys as the rows stand, −1 for none."""
    time: NDArray[np.int64]
    """(m,) decides membership; as the rows stand."""
    known: NDArray[np.int64]
    """(m,) from when the event can be known; as the rows stand."""
    size: int
    """All keys lie below it."""

    @cached_property
    def shift(self) -> int | None:
        """Give the microseconds after its time from which each event is usable, where they are the same for all."""
        from bottega.features import kernels

        if not len(self.time):
            return 1
        late = int(self.known[0] - self.time[0])
        return max(late, 1) if kernels.steady(still(self.time), still(self.known)) else None

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """Give the rows by (time, known, row); empty where they stand so."""
        return _by_time(self.time, None if self.shift is not None else self.known)

    @cached_property
    def rising(self) -> bool:
        """Tell whether the events of each key become usable in their order: then the usable ones are a range."""
        from bottega.features import kernels

        return self.shift is not None or kernels.rising(
            _at(self.codes, self.order), _at(self._ready, self.order), self.size
        )

    @cached_property
    def events(self) -> Sorted:
        """Give the rows by key and (time, known, row)."""
        return in_order(self.codes, self.time, self.size, None if self.shift is not None else self.known)

    @cached_property
    def ready(self) -> NDArray[np.int64]:
        """Give from when the events are usable but for the shift, (m,) in the order of `events`."""
        return self.events.time if self.shift is not None else self._ready[self.events.rows]

    @cached_property
    def arrivals(self) -> NDArray[np.int32]:
        """Give the places in `events` of the events as they become usable, by key; empty where they stand so."""
        from bottega.features import kernels

        if self.rising:
            return _NONE
        places = np.arange(len(self.ready), dtype=np.int32)
        kernels.sort_within(places, self.ready.copy(), self.events.offsets)
        return places

    @property
    def _ready(self) -> NDArray[np.int64]:
        ready: NDArray[np.int64] = np.maximum(self.time + 1, self.known)
        return ready


def in_order(codes: NDArray[np.int32], time: NDArray[np.int64], size: int, ties: NDArray[np.int64] | None) -> Sorted:
    """Sort rows by (key, time, ties, row); rows with a negative key are left out. codes, time, ties: (n,) each."""
    from bottega.features import kernels

    base = _NONE if ties is None else np.argsort(ties, kind="stable").astype(np.int32)
    rows, offsets = kernels.group(still(codes), base, size)
    times = time[rows]
    kernels.sort_within(rows, times, offsets)
    return Sorted(rows, times, offsets)


def fill(
    line: Timeline,
    asked: Questions,
    arguments: Sequence[NDArray[np.float64]],
    cells: Sequence[Cell],
    out: NDArray[np.float64],
) -> None:
    """Compute columns of numbers into `out` (n, columns).

    arguments: (rows,) values each, NaN for null, by the rows that the timeline was made from.
    """
    quick: dict[int, list[Cell]] = {}
    for cell in cells:
        if line.rising and cell.what in _PLACES:
            quick.setdefault(cell.argument, []).append(cell)
        else:
            _by_tree(line, asked, arguments, cell, out)
    rows = quick.pop(-1, [])
    for argument, group in quick.items():
        if _subtracts(group, arguments[argument]):
            _by_walk(line, asked, arguments[argument], [*group, *rows], out)
            rows = []  # counted on the way
        else:
            for cell in group:
                _by_tree(line, asked, arguments, cell, out)
    if rows:
        _by_walk(line, asked, _NOTHING, rows, out)


def _subtracts(cells: Sequence[Cell], values: NDArray[np.float64]) -> bool:
    """Tell whether windows can be differences of running sums, without losing too much of a small one."""
    from bottega.features import kernels

    if all(cell.what == "count" for cell in cells):
        return True
    total, smallest, whole = kernels.extent(still(values))
    if whole and total <= _EXACT:
        return True
    return total <= _WIDEST and total * len(values) * _LOSS <= _SLACK * smallest


def _by_walk(
    line: Timeline, asked: Questions, values: NDArray[np.float64], cells: Sequence[Cell], out: NDArray[np.float64]
) -> None:
    from bottega.features import kernels_walk

    used = list(dict.fromkeys(cell.span for cell in cells))
    plan: list[list[int]] = []
    for cell in cells:
        _planned(plan, used.index(cell.span), 1 if cell.argument < 0 else _PLACES[cell.what], cell.column)
    time, entering = _at(line.time, line.order), _NONE
    ready = time
    if line.shift is None:
        ready = still(np.maximum(time + 1, _at(line.known, line.order)))
        entering = _by_time(ready, None)
    events = _at(line.codes, line.order), time, ready, line.shift or 0, still(entering)
    inputs = _at(values, line.order) if len(values) else _NOTHING
    questions = _at(asked.codes, asked.order), _at(asked.at, asked.order), still(asked.order)
    parts = cut(len(asked.at), _MANY)
    step = max(_MOST // (kernels_walk.BYTES * (1 + len(used)) * len(parts)), 1)
    for first in range(0, line.size, step):
        keys = first, min(step, line.size - first)

        def run(part: slice, keys: tuple[int, int] = keys) -> None:
            kernels_walk.walk(
                *events, inputs, *questions, part.start, part.stop, *keys, *_lengths(used),
                still(np.array(plan, np.int64)), out.T,
            )  # fmt: skip

        together(run, parts)


def _planned(plan: list[list[int]], span: int, place: int, column: int) -> None:
    """Add a cell to a step of the plan where its place is free, or to a new one."""
    step = next((step for step in plan if step[0] == span and step[place] < 0), None)
    if step is None:
        step = [span, -1, -1, -1, -1]
        plan.append(step)
    step[place] = column


def _by_time(time: NDArray[np.int64], ties: NDArray[np.int64] | None) -> NDArray[np.int32]:
    if ties is None:
        return _NONE if bool((time[1:] >= time[:-1]).all()) else np.argsort(time, kind="stable").astype(np.int32)
    return np.lexsort((ties, time)).astype(np.int32)


def _at(values: NDArray[Any], order: NDArray[np.int32]) -> NDArray[Any]:
    return still(values[order] if len(order) else values)


def _by_tree(
    line: Timeline, asked: Questions, arguments: Sequence[NDArray[np.float64]], cell: Cell, out: NDArray[np.float64]
) -> None:
    from bottega.features import kernels_tree

    out[:, cell.column] = 0.0 if cell.what in ZERO_WHEN_EMPTY else np.nan

    def run(values: NDArray[np.float64], what: int, column: int, into: NDArray[np.float64]) -> None:
        kernels_tree.tree(
            wanted.rows, wanted.offsets, wanted.time, events.offsets, events.time, line.ready, line.shift or 0,
            line.arrivals, events.rows, still(values), what, cell.half_life,
            -1 if cell.span.length is None else cell.span.length, cell.span.hop, column, into,
        )  # fmt: skip

    events, wanted = line.events, asked.sorted
    rows = len(events.rows) if cell.argument < 0 else len(arguments[cell.argument])
    ones = np.ones(max(rows, int(events.rows.max(initial=-1)) + 1))
    if cell.argument >= 0:
        ones[np.isnan(arguments[cell.argument])] = np.nan
    if cell.what == "count":
        run(ones, kernels_tree.ADD, cell.column, out)
    elif cell.what == "avg":
        both = np.zeros((2, len(out))).T
        run(arguments[cell.argument], kernels_tree.ADD, 0, both)
        run(ones, kernels_tree.ADD, 1, both)
        some = both[:, 1] > 0
        out[some, cell.column] = both[some, 0] / both[some, 1]
    else:
        what = {
            "sum": kernels_tree.ADD,
            "min": kernels_tree.MIN,
            "max": kernels_tree.MAX,
            "decayed_sum": kernels_tree.DECAY,
        }[cell.what]
        run(arguments[cell.argument], what, cell.column, out)


def fill_distinct(
    line: Timeline, asked: Questions, codes: NDArray[np.int32], span: Span, column: int, out: NDArray[np.float64]
) -> None:
    """Count distinct values into a column of `out`. codes: (rows,) a number for each value, −1 for null."""
    from bottega.features import kernels_tree

    events, wanted = line.events, asked.sorted
    kernels_tree.distinct(
        wanted.rows, wanted.offsets, wanted.time, events.offsets, events.time, line.ready, line.shift or 0,
        line.arrivals, events.rows, still(codes), int(codes.max(initial=-1)) + 1,
        -1 if span.length is None else span.length, span.hop, column, out,
    )  # fmt: skip


def fill_last(
    line: Timeline,
    asked: Questions,
    filled: NDArray[np.bool_],
    spans: Sequence[Span],
    column: int,
    out: NDArray[np.float64],
) -> None:
    """Write the row of the newest usable event that is `filled` to columns of `out`, one a span, from `column` on."""
    from bottega.features import kernels_tree

    events, wanted = line.events, asked.sorted
    kernels_tree.last(
        wanted.rows, wanted.offsets, wanted.time, events.offsets, events.time, line.ready, line.shift or 0,
        line.arrivals, events.rows, filled, *_lengths(spans), column, out,
    )  # fmt: skip


def _lengths(spans: Sequence[Span]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([-1 if span.length is None else span.length for span in spans])
    return lengths, np.array([span.hop for span in spans])
