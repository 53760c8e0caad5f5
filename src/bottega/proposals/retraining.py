"""How often a design should learn again: as often as its log's length, its test and the drift of its rate ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottega.design.data import TimeSplit
from bottega.design.part import microseconds
from bottega.proposals.proposal import Seen
from bottega.proposals.splitting import Split, final_of
from bottega.reviewing.rules_monitoring import MOVED
from bottega.reviewing.seeing_labels import movement

_OFTEN = ("7d", "2d", "1d")


def again(seen: Seen, values: NDArray[np.float64], split: Split, matures: str) -> tuple[str, dict[str, str]]:
    """Give how often to learn anew, and the finding of review that is silenced, with the reason: each week from a long
    log, each day from a short one, as often as the test has shown a model to last, and more often where the rate moves.

    values: the label of each row of `seen.known`. matures: how long until it is final.
    """
    log = seen.log
    usual = "7d" if log is None or log.days > 60 else "1d"
    if log is None or not isinstance(split, TimeSplit):
        return usual, {}
    if log.snapshots:
        return min(f"{log.step}d", split.test, key=microseconds), {}
    usual = min(usual, split.test, key=microseconds)
    time = seen.columns[str(seen.roles.time)].time[seen.known]
    there = np.isfinite(values) & final_of(seen, microseconds(matures))
    if not there.any():
        return usual, {}
    spans = [usual, *(one for one in _OFTEN if microseconds(one) < microseconds(usual))]
    drift = [movement(time[there], values[there] > 0, microseconds(one)) or 0.0 for one in spans]
    steady = next((one for one, by in zip(spans, drift, strict=False) if by <= MOVED), None)
    if steady is not None:
        return steady, {}
    least = f"by {min(drift):.0%} at least however often it learns"
    return usual, {"R704": f"From one {usual} to the next the rate moves by {drift[0]:.0%}, and {least}."}
