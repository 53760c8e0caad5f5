"""Parts of logged examples: by time with an embargo, by group, as given, or at random."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.cuts import begin_of_test
from bottega.data.examples import PART_NAMES, TEST, TRAIN, UNUSED, VALIDATE, Borders
from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.design.data import GivenSplit, GroupSplit, RandomSplit, TimeSplit
from bottega.design.part import microseconds
from bottega.errors import DataError, several

Part = NDArray[np.int8]


def borders(split: TimeSplit, log: Log, maturity: int) -> Borders:
    """Place the parts: with the test's begin T and the gap g, validation begins at V = T − g − validate.

    maturity: µs, the longest of the labels: the gap where the split names no embargo.
    """
    test = begin_of_test(split, log)
    gap = maturity if split.embargo is None else microseconds(split.embargo)
    if split.validate is not None:
        length = microseconds(split.validate)
    else:
        length = log.end() - test if split.test[4:5] == "-" else microseconds(split.test)
    return Borders(test - gap - length, test, gap, split.embargo is not None)


def by_time(at: Borders, time: NDArray[np.int64], final: NDArray[np.int64]) -> Part:
    """Part by time: training, then validation, then test, with a gap before each of the last two.

    Without an embargo of the design, an example of training counts if its label was final when validation begins, one
    of validation if it was when the test begins; with one, if it lies before that by the embargo. What lies in the
    gaps is unused.

    at: as `borders` places them; time: (r,) of the requests; final: (r,) when all of their labels are.
    Gives (r,) parts.
    """
    part = np.full(len(time), UNUSED, np.int8)
    for begin, end, number in ((None, at.validate, TRAIN), (at.validate, at.test, VALIDATE)):
        inside = time < end - at.gap if at.fixed else (final <= end) & (time < end)
        part[inside & (time >= begin) if begin is not None else inside] = number
    part[time >= at.test] = TEST
    return part


def by_group(split: GroupSplit, groups: pa.Array | pa.ChunkedArray) -> Part:
    """Part whole groups: those with the smallest SHA-256 of seed and name are the test, the next ones validation.

    The shares are of groups, each part has at least one, and requests without a group are one group together.

    groups: (r,). Gives (r,) parts. Raises `DataError` below three groups.
    """
    codes, names = encode(groups)
    keys = [*names.to_pylist(), None] if (codes < 0).any() else names.to_pylist()
    codes = np.where(codes < 0, len(keys) - 1, codes)
    if len(keys) < 3:
        raise DataError("data.split.by", f"{several(len(keys), 'group')} in {split.by!r}", "at least three groups")
    hashes = [hashlib.sha256(f"{split.seed}\0{'' if key is None else '=' + key}".encode()).digest() for key in keys]
    part = np.full(len(keys), TRAIN, np.int8)
    part[_first(np.array(sorted(range(len(keys)), key=hashes.__getitem__)), split)] = _marks(len(keys), split)
    return part[codes]


def at_random(split: RandomSplit, n: int) -> Part:
    """Part n requests at random, all rows of one together; the shares are of requests, each part has at least one."""
    if n < 3:
        raise DataError("data.split", several(n, "request"), "at least three requests")
    part = np.full(n, TRAIN, np.int8)
    part[_first(np.random.default_rng(split.seed).permutation(n), split)] = _marks(n, split)
    return part


def given(split: GivenSplit, column: pa.Array | pa.ChunkedArray) -> Part:
    """Take the parts from a column (r,): the three values of the split; any other value, or none, is unused."""
    values = as_text(column)
    part = np.full(len(values), UNUSED, np.int8)
    for number, value in ((TRAIN, split.train), (VALIDATE, split.validate), (TEST, split.test)):
        if isinstance(value, str):
            part[pc.equal(values, value).fill_null(False).to_numpy(zero_copy_only=False)] = number
    return part


def held_out(split: GivenSplit, part: Part, names: pa.StringArray) -> Part:
    """Take validation out of training where the split says which share of it that is, or no row is meant for it.

    part: (r,) as `given` has it. names: (r,) of the requests; equal ones stay together.
    """
    share = split.validate
    if isinstance(share, str):
        if split.otherwise is None or (part == VALIDATE).any():
            return part
        share = split.otherwise
    chosen = (part == TRAIN) & (chances(names) < share)
    return np.where(chosen, VALIDATE, part).astype(np.int8)


def by_chance(share: float, names: pa.StringArray) -> Part:
    """Hold out a share for the test, and one for validation, by the hash of each name; (r,) parts."""
    chance = chances(names)
    return np.select([chance < share, chance < 2 * share], [TEST, VALIDATE], TRAIN).astype(np.int8)


def check_parts(part: Part, where: str = "data.split") -> None:
    """Refuse parts of which one is empty."""
    for number in (TRAIN, VALIDATE, TEST):
        if not (part == number).any():
            counts = ", ".join(f"{PART_NAMES[item]} {np.count_nonzero(part == item):,}" for item in range(4))
            raise DataError(
                where,
                f"no example in the {PART_NAMES[number]} part ({counts})",
                "at least one example in training, validation and test",
                "other shares, spans or values in the split, or more data",
            )


def chances(names: pa.StringArray) -> NDArray[np.float64]:
    """Give each name a number in [0, 1) that hangs on the name alone, (n,): what is held out stays held out.

    >>> chances(pa.array(["a"])).round(3).tolist()
    [0.791]
    """
    hashes = [hashlib.sha256((name or "").encode()).digest()[:7] for name in names.to_pylist()]
    return np.array([int.from_bytes(one, "big") / 2**56 for one in hashes])


def _sizes(n: int, split: GroupSplit | RandomSplit) -> tuple[int, int]:
    test = min(max(round(n * split.test), 1), n - 2)
    return test, min(max(round(n * split.validate), 1), n - 1 - test)


def _first(order: NDArray[np.int64], split: GroupSplit | RandomSplit) -> NDArray[np.int64]:
    return order[: sum(_sizes(len(order), split))]


def _marks(n: int, split: GroupSplit | RandomSplit) -> Part:
    test, validate = _sizes(n, split)
    return np.repeat(np.array([TEST, VALIDATE], np.int8), [test, validate])
