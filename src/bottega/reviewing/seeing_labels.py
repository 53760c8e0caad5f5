"""Looking at labels: how often they are positive, when they come, and how their rate hangs on the time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bottega.data.labels import asked, column_of, matured, numbers_of
from bottega.data.log import Log
from bottega.data.times import parse
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.part import microseconds
from bottega.reviewing.looking import DAY, examples_table
from bottega.reviewing.seen import LabelSeen

Values = NDArray[np.float32]

_TIMES_CHANCE = 3.0
_F = 5.0  # variance between weekdays over that within them


def values(design: Design, log: Log) -> dict[str, Values]:
    """Give each label's values (n,), NaN where it is not there, not final, or not asked; `DataError` as a run does."""
    table = examples_table(design)
    read = [matured(label, table, log, f"data.labels[{n}]") for n, label in enumerate(design.data.labels)]
    known = asked(design.data.labels, read, None if log.time is None else log.end())
    return {label.name: one.value for label, one in zip(design.data.labels, known, strict=True)}


def labels(design: Design, log: Log, known: Mapping[str, Values]) -> dict[str, LabelSeen]:
    """Look at each label of a log."""
    return {label.name: _label(design, label, log, known[label.name]) for label in design.data.labels}


def _label(design: Design, label: Label, log: Log, value: Values) -> LabelSeen:
    there = ~np.isnan(value)
    positive = value[there] > 0
    late, slow = _late(design, label, log)
    found = LabelSeen(len(positive), int(positive.sum()), late, slow)
    if log.time is None or not 0 < found.positives < found.rows:
        return found
    day = log.time[there] // DAY
    retrain = design.monitoring.retrain
    moved = None if retrain is None else movement(log.time[there], positive, microseconds(retrain.every))
    return LabelSeen(found.rows, found.positives, late, slow, _weekdays(day, positive), moved)


def _late(design: Design, label: Label, log: Log) -> tuple[float, int]:
    """Give the share of positives that came after the maturity, and the delay that nine of ten do not exceed."""
    if label.observed_at is None or log.time is None:
        return 0.0, 0
    table = examples_table(design)
    value = numbers_of(log, label.name, "data.labels", "numbers")
    at = parse(column_of(log, label.observed_at, "data.labels"), "data.labels", table.timezone, table.time_format)
    came = at.valid & (value > 0)
    if not came.any():
        return 0.0, 0
    delay = (at.values - log.time)[came]
    return float((delay > microseconds(label.matures_after)).mean()), int(np.quantile(delay, 0.9))


def _weekdays(day: NDArray[np.int64], positive: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Give the smallest and the largest rate of a weekday, where two weeks at least show that they differ."""
    days, which = np.unique(day, return_inverse=True)
    if len(days) < 14:
        return None
    rows = np.bincount(which).astype(float)
    rates = np.bincount(which, positive) / rows
    weekday = days % 7
    groups = [rates[weekday == one] for one in range(7)]
    if min(map(len, groups)) < 2:
        return None
    mean = rates.mean()
    between = sum(len(one) * (one.mean() - mean) ** 2 for one in groups) / 6
    within = sum(((one - one.mean()) ** 2).sum() for one in groups) / (len(days) - 7)
    if between <= _F * within:
        return None
    means = [float(np.average(rates[weekday == one], weights=rows[weekday == one])) for one in range(7)]
    return min(means), max(means)


def movement(time: NDArray[np.int64], positive: NDArray[np.bool_], span: int) -> float | None:
    """Give the median change of the rate from one span to the next, where it is more than counting can explain."""
    which = (time - time.min()) // span
    rows, hits = np.bincount(which), np.bincount(which, positive)
    full = (rows[:-1] > 0) & (hits[:-1] > 0)  # the last span is seldom whole
    rows, hits = rows[:-1][full], hits[:-1][full]
    if len(rows) < 3:
        return None
    rate = hits / rows
    change = np.abs(rate[1:] / rate[:-1] - 1)
    chance = np.sqrt(1 / hits[1:] + 1 / hits[:-1])
    median = float(np.median(change))
    return median if median > _TIMES_CHANCE * float(np.median(chance)) * 0.67 else None
