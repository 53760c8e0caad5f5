"""The slice of what is learnt from that calibrators learn on, and models do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottega.data.examples import Examples
from bottega.design.data import GivenSplit, GroupSplit, RandomSplit, TimeSplit
from bottega.design.part import microseconds
from bottega.errors import DataError

Mask = NDArray[np.bool_]

_SHARE = 0.1  # of the rows, where a split in time names no span
_STREAM = 2  # a stream of random numbers of its own: no other draw of the same seed is like it


def calibration_slice(
    split: TimeSplit | GroupSplit | GivenSplit | RandomSplit,
    examples: Examples,
    learnt: Mask,
    target: NDArray[np.float32],
    seed: int,
) -> Mask:
    """Mark the rows (n,) of whole requests that are kept from the models for the calibrators.

    A split in time gives the last span before the newest row that is learnt from, else the newest requests with a
    tenth of the rows, those of an equal time drawn at random. Other splits give a share of the requests, or of their
    groups, drawn at random, at least one. What is drawn depends on the seeds and the place of a request alone, so the
    two fits of a run hold out the same ones where both learn from them.

    learnt: (n,) the rows that are learnt from, before any sampling; target: (n,) what is learnt there.
    Raises `DataError`: no row, or one value of the label alone, in the slice or in what it leaves.
    """
    size = np.bincount(examples.group[learnt], minlength=len(examples.requests))  # (r,) rows learnt from
    if not size.any():
        raise DataError("data.split", "no row to learn from", "rows whose label is known in time", "a longer log")
    chosen = (
        _newest(split, examples, size, seed) if isinstance(split, TimeSplit) else _drawn(split, examples, size, seed)
    )
    rows = learnt & chosen[examples.group]
    for found, words, fix in (
        (rows, "the calibration slice holds", _longer(split)),
        (learnt & ~rows, "the calibration slice leaves to the models", "a shorter slice, or a longer log"),
    ):
        values = np.unique(target[found])
        if len(values) < 2:
            what = (
                "no row" if not len(values) else f"{np.count_nonzero(found):,} rows with the label {values[0]:g} alone"
            )
            raise DataError("data.split.calibrate", f"{words} {what}", "rows of at least two values of the label", fix)
    return rows


def _newest(split: TimeSplit, examples: Examples, size: NDArray[np.int64], seed: int) -> Mask:
    time = examples.requests.time
    if split.calibrate is not None:
        newest = int(time[size > 0].max())
        chosen: Mask = time > newest - microseconds(split.calibrate)
        return chosen
    order = np.lexsort((np.random.default_rng([seed, _STREAM]).random(len(time)), time))[::-1]  # (r,) from the newest
    count = np.searchsorted(np.cumsum(size[order]), _SHARE * size.sum()) + 1
    chosen = np.zeros(len(time), np.bool_)
    chosen[order[:count]] = True
    return chosen


def _drawn(
    split: GroupSplit | GivenSplit | RandomSplit, examples: Examples, size: NDArray[np.int64], seed: int
) -> Mask:
    """Draw the units with the smallest random numbers: groups, or requests."""
    unit = np.arange(len(size)) if examples.unit is None else examples.unit + 1  # those without a group are one
    asking = np.bincount(unit, size) > 0
    chance = np.random.default_rng([seed, _STREAM, getattr(split, "seed", 0)]).random(len(asking))
    order = np.argsort(np.where(asking, chance, 2))
    count = max(round(np.count_nonzero(asking) * split.calibrate), 1)
    chosen = np.zeros(len(asking), np.bool_)
    chosen[order[:count]] = True
    return chosen[unit]


def _longer(split: TimeSplit | GroupSplit | GivenSplit | RandomSplit) -> str:
    if isinstance(split, TimeSplit):
        return "a longer one: TimeSplit(…, calibrate='2d'), or models without calibrate"
    return f"a larger one: {type(split).__name__}(…, calibrate=0.2), or models without calibrate"
