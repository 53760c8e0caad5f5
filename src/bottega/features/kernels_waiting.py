"""Compiled loop that looks when records will tell more; importing it loads Numba, so import it where it is used."""

from __future__ import annotations

import numpy as np

from bottega.features.kernels import Array
from bottega.features.records_layout import HEAD, QUEUED, WIDTH
from bottega.metrics.compiling import compiled


@compiled
def next_ready(tracks: Array, words: Array, starts: Array, now: int, out: Array) -> None:
    """Write the first moment after `now` at which an event that waits in a record counts, else the largest integer.

    words: sound records one after the other. starts: (n + 1,) where each begins. out: (n,).
    """
    for row in range(len(out)):
        out[row] = np.iinfo(np.int64).max
        begin = starts[row]
        if starts[row + 1] == begin:
            continue
        place = begin + HEAD + 2 * len(tracks) + 2 * words[begin + 1]
        for track in range(len(tracks)):
            place += words[begin + HEAD + 2 * track] * tracks[track, WIDTH]
            for _ in range(words[begin + HEAD + 2 * track + 1]):
                if words[place] > now:
                    out[row] = min(out[row], words[place])
                place += tracks[track, QUEUED]
