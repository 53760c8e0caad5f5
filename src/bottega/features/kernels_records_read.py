"""Compiled loop that reads all cells of many records, each at its own time; see `kernels_records`."""

from __future__ import annotations

import numpy as np

from bottega.features import records_layout as layout
from bottega.features.kernels import NEVER, Array
from bottega.features.kernels_records import aged, checked, settled
from bottega.metrics.compiling import compiled


@compiled
def _tails(tracks: Array, spans: Array, now: int, out: Array) -> None:
    """Write each span's first moment inside, of tiles its first bucket."""
    for track in range(len(tracks)):
        for span in range(tracks[track, layout.SPANS], tracks[track, layout.SPANS_END]):
            out[span] = NEVER
            if spans[span, layout.LENGTH] >= 0:
                out[span] = (now - spans[span, layout.LENGTH]) // spans[span, layout.STEP]
                if tracks[track, layout.KIND] != layout.TILES:
                    out[span] *= spans[span, layout.STEP]


@compiled
def values(
    mark: int, tracks: Array, parts: Array, spans: Array, cells: Array, texts: Array,  # of the layout
    words: Array,  # the records one after the other
    starts: Array,  # (n + 1,) where each begins; an empty one is none
    at: Array,  # (n,)
    out: Array,  # (n, cells)
    named: Array,  # (n, texts) hashes
    bodies: Array,  # (n,) where in `words` the texts of each begin
) -> int:  # fmt: skip
    """Read all cells of each record at its time; give the first whose lengths do not fit, else −1."""
    size = len(tracks)
    held = np.empty(max(len(parts), 1))
    tails = np.empty(len(spans), np.int64)
    for row in range(len(at)):
        begin, there, now = starts[row], starts[row + 1] > starts[row], at[row]
        if row == 0 or now != at[row - 1]:
            _tails(tracks, spans, now, tails)
        place = begin
        if there:
            body = checked(words, begin, starts[row + 1], mark, tracks)
            if body < 0 or (body != starts[row + 1] and not texts.any()):
                return row
            bodies[row] = body
            place = begin + layout.HEAD + 2 * size + layout.PAIR * words[begin + 1]
        for track in range(size):
            entries = words[begin + layout.HEAD + 2 * track] if there else 0
            waiting = words[begin + layout.HEAD + 2 * track + 1] if there else 0
            width, wide = tracks[track, layout.WIDTH], tracks[track, layout.QUEUED]
            state, source = place, words
            place += entries * width + waiting * wide
            usable = 0
            for event in range(waiting):
                usable += words[place - (waiting - event) * wide + layout.READY] <= now
            if usable > 0:
                source = np.empty((entries + usable) * width, np.int64)
                entries = settled(
                    tracks, parts, texts, track, words, state, entries, words, place - waiting * wide, waiting, now,
                    NEVER, source, 0,
                )  # fmt: skip
                state = 0
            if tracks[track, layout.KIND] == layout.TILES:
                _tiles(tracks, parts, spans, cells, tails, track, source, state, entries, now, held, row, out)
            elif tracks[track, layout.KIND] == layout.DISTINCT:
                _distinct(tracks, spans, cells, tails, track, source, state, entries, row, out)
            else:
                _newest(tracks, spans, cells, tails, track, source, state, entries, now, row, out, named)
    return -1


@compiled
def _tiles(
    tracks: Array, parts: Array, spans: Array, cells: Array, tails: Array, track: int, words: Array, place: int,
    count: int, now: int, held: Array, row: int, out: Array,
) -> None:  # fmt: skip
    """Walk from the newest tile to the oldest one; on the way each span finds its sums as it meets its tail."""
    begin, size = tracks[track, layout.PARTS], tracks[track, layout.PARTS_END] - tracks[track, layout.PARTS]
    for part in range(size):
        what = parts[begin + part, layout.WHAT]
        held[part] = 0.0 if what in (layout.COUNT, layout.SUM, layout.DECAY) else np.nan
    keyed, width, tile = tracks[track, layout.KEYED], tracks[track, layout.WIDTH], count - 1
    for span in range(tracks[track, layout.SPANS], tracks[track, layout.SPANS_END]):
        while tile >= 0 and (not keyed or words[place + tile * width] >= tails[span]):
            spot = place + tile * width + keyed
            moment = words[spot]
            for part in range(size):
                what = parts[begin + part, layout.WHAT]
                if what == layout.COUNT:
                    held[part] += float(words[spot + part])
                elif what != layout.AS_OF:
                    value = np.int64(words[spot + part]).view(np.float64)
                    if what == layout.SUM:
                        held[part] += value
                    elif what == layout.DECAY:
                        rate = np.int64(parts[begin + part, layout.RATE]).view(np.float64)
                        held[part] += aged(value, float(now - moment) * rate)
                    elif not (value != value or (held[part] <= value if what == layout.LEAST else held[part] >= value)):
                        held[part] = value
            tile -= 1
        for cell in range(spans[span, layout.CELLS], spans[span, layout.MEANS]):
            out[row, cells[cell, layout.COLUMN]] = held[cells[cell, layout.PART]]
        for cell in range(spans[span, layout.MEANS], spans[span, layout.CELLS_END]):
            filled = held[cells[cell, layout.OTHER]]
            out[row, cells[cell, layout.COLUMN]] = held[cells[cell, layout.PART]] / filled if filled > 0 else np.nan


@compiled
def _distinct(
    tracks: Array, spans: Array, cells: Array, tails: Array, track: int, words: Array, place: int, count: int, row: int,
    out: Array,
) -> None:  # fmt: skip
    for span in range(tracks[track, layout.SPANS], tracks[track, layout.SPANS_END]):
        found = 0
        for entry in range(count):
            found += words[place + 2 * entry + 1] >= tails[span]
        for cell in range(spans[span, layout.CELLS], spans[span, layout.CELLS_END]):
            out[row, cells[cell, layout.COLUMN]] = found


@compiled
def _newest(
    tracks: Array, spans: Array, cells: Array, tails: Array, track: int, words: Array, place: int, count: int, now: int,
    row: int, out: Array, named: Array,
) -> None:  # fmt: skip
    for span in range(tracks[track, layout.SPANS], tracks[track, layout.SPANS_END]):
        found = count > 0 and tails[span] <= words[place] < now and words[place + 1] <= now
        for cell in range(spans[span, layout.CELLS], spans[span, layout.CELLS_END]):
            column, slot = cells[cell, layout.COLUMN], cells[cell, layout.SLOT]
            out[row, column] = np.nan
            if slot >= 0:
                named[row, slot] = words[place + cells[cell, layout.PART]] if found else layout.TEXT_NULL
            elif found:
                out[row, column] = np.int64(words[place + cells[cell, layout.PART]]).view(np.float64)
