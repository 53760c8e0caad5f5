"""What a value of a window or a look-up rests on, said by each side: by the rows of the log, and by the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.data.times import iso
from bottega.design.design import Design
from bottega.features.keyed import with_keys
from bottega.features.records import Codec
from bottega.features.tracked import tracked
from bottega.features.tracks import Cell, Group, Track

SLACK = 1e-5
"""Of the sum of absolute values, by which a sum may be off."""


def place_of(groups: Sequence[Group], column: str) -> tuple[Group, int, Cell] | None:
    """Find the group, the place of the track and the cell that a column is read from."""
    for group in groups:
        for place, track in enumerate(group.tracks):
            for cell in track.cells:
                if cell.column == column:
                    return group, place, cell
    return None


def log_says(
    groups: Sequence[Group], column: str, design: Design, logs: Mapping[str, Log], keys: Mapping[str, str], at: int
) -> tuple[str, float]:
    """Say which rows of the log count for a value at a moment, and how far a sum over them may be off.

    Gives nothing and 0 for a column that is no window or look-up, and 0 for what is no sum.

    keys: the text of each column of the key. at: microseconds since 1970 UTC.
    """
    found = place_of(groups, column)
    if found is None:
        return "", 0.0
    group, place, cell = found
    log = with_keys(design, logs, group.tracks[place].table)
    mine = np.ones(log.rows.num_rows, np.bool_)
    for name in group.by:
        mine &= np.asarray(pc.fill_null(pc.equal(as_text(log.column(name)), keys[name]), False))
    rows = tracked(group, log.take(mine), design).events.tracks[place]
    if not len(rows.rows):
        return f"no row of {log.name}", 0.0
    ready = np.maximum(rows.time + 1, rows.known)
    tail = _tail(cell, at)
    inside = (ready <= at) & (rows.time >= tail)
    told = f"{inside.sum():,} of {len(inside):,} rows of {log.name} count"
    if inside.any():
        told += f", from {iso(int(rows.time[inside].min()))} to {iso(int(rows.time[inside].max()))}"
    if later := int((ready > at).sum()):
        told += f"; {later:,} may not be used yet"
    if old := int(((ready <= at) & (rows.time < tail)).sum()):
        told += f"; {old:,} lie before {iso(tail)}"
    slack = 0.0
    if cell.function in ("sum", "avg", "decayed_sum"):
        values = np.abs(rows.values[inside, cell.argument])
        slack = SLACK * float(np.nansum(values)) / (int(np.isfinite(values).sum()) if cell.function == "avg" else 1)
    return told, slack


def record_says(groups: Sequence[Group], column: str, row: bytes | None, at: int) -> str:
    """Say what of a record a value is read from; empty for a column that is no window or look-up.

    row: the record of the value's key. at: microseconds since 1970 UTC.
    """
    found = place_of(groups, column)
    if found is None:
        return ""
    group, place, cell = found
    if row is None:
        return "no record"
    codec = Codec(group)
    entries, waiting = codec.counts(row)[place]
    told = f"{entries:,} {_entries(group.tracks[place])}, {waiting:,} waiting"
    if cell.length is not None:
        told += f", read from {iso(_tail(cell, at))} on"
    offsets = ", ".join(f"{partition}: {offset}" for partition, offset in codec.offsets(row).items())
    return f"{told}; events up to {offsets}" if offsets else f"{told}; no event of the stream"


def _tail(cell: Cell, at: int) -> int:
    return int(np.iinfo(np.int64).min) if cell.length is None else (at - cell.length) // cell.hop * cell.hop


def _entries(track: Track) -> str:
    return {"tiles": "tiles", "distinct": "values"}.get(track.kind, "rows")
