"""The log as a stream: its rows as events, in an order in which they could have arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.data.streams.writing import events_of
from bottega.design.design import Design
from bottega.features.filling import come_of

LATE, DELAY = 0.05, 600_000_000
"""The share of events that arrive late, and by how many microseconds on average (at most six times that)."""
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Arriving:
    """Events in the order of their arrival."""

    table: NDArray[np.int64]
    """(m,) place of each one's table in the design."""
    row: NDArray[np.int64]
    """(m,) its row in the table's log."""
    come: NDArray[np.int64]
    """(m,) when it came to the log, microseconds since 1970 UTC."""
    arrival: NDArray[np.int64]
    """(m,) when it arrives here: later than that for the late ones; ascending."""

    def until(self, moment: int) -> int:
        """Give how many events must have arrived until all are there that had come to the log by a moment."""
        known = np.flatnonzero(self.come <= moment)
        return int(known[-1]) + 1 if len(known) else 0


def arriving(design: Design, logs: Mapping[str, Log], begin: int, end: int, seed: int) -> Arriving:
    """Give the events that came from a moment on and before another, a share of them late.

    begin, end: microseconds since 1970 UTC. seed: of who is late.
    """
    tables, rows, come = [_NONE], [_NONE], [_NONE]
    for place, table in enumerate(design.data.tables):
        log = logs[table.name]
        if log.time is not None:
            when = come_of(log, table.available_after)
            inside = np.flatnonzero((when >= begin) & (when < end))
            tables.append(np.full(len(inside), place))
            rows.append(inside)
            come.append(when[inside])
    return _late(np.concatenate(tables), np.concatenate(rows), np.concatenate(come), seed)


def _late(table: NDArray[np.int64], row: NDArray[np.int64], come: NDArray[np.int64], seed: int) -> Arriving:
    rng = np.random.default_rng(seed)
    late = rng.random(len(come)) < LATE
    delay = np.where(late, np.minimum(rng.exponential(DELAY, len(come)), 6 * DELAY), 0).astype(np.int64)
    order = np.lexsort((row, come + delay))
    return Arriving(table[order], row[order], come[order], (come + delay)[order])


def write_stream(found: Arriving, design: Design, logs: Mapping[str, Log], folder: Path) -> None:
    """Write events as the log of a service that took them, in the order of their arrival.

    folder: new, or empty.
    """
    bodies = {}
    for place, table in enumerate(design.data.tables):
        rows = found.row[found.table == place]
        if len(rows):
            bodies[place] = events_of(logs[table.name].rows.take(rows), table)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events-0-1.jsonl").open("wb") as file:
        for place, arrival in zip(found.table.tolist(), found.arrival.tolist(), strict=True):
            line = {"time": arrival, "request_id": "", "event": msgspec.Raw(next(bodies[place]))}
            file.write(msgspec.json.encode(line) + b"\n")
