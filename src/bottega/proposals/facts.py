"""Facts of a log that a design needs: how long it is, how many ask, how often, and how that goes over the day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_UNITS = {
    "min": (1, "min"), "minute": (1, "min"), "h": (1, "h"), "hr": (1, "h"), "hour": (1, "h"), "d": (1, "d"),
    "day": (1, "d"), "w": (7, "d"), "wk": (7, "d"), "week": (7, "d"), "mo": (30, "d"), "month": (30, "d"),
    "quarter": (91, "d"), "y": (365, "d"), "yr": (365, "d"), "year": (365, "d"),
}  # fmt: skip
_SAME, _REGULAR = 0.25, 0.8  # of the median: what spans may differ, as of 28 and 31 days; and how many of them do not
_APART = 7  # days between two times of a log of snapshots
DAY, HOUR = 86_400_000_000, 3_600_000_000  # microseconds


@dataclass(frozen=True)
class Log:
    """What a log tells of its traffic. days: between its first and last event. people: of a day, in the mean of all
    days. requests: a person and day. peak: events of the busiest hour of the day over those of a mean hour, or, where
    `daily`, of the busiest day over those of a mean day. daily: whether its times are days without hours. gap: days
    between two days of one person, in the median; nothing: nobody came twice. step: days from one time to the next:
    31 of the first of each month, 7 of weeks, else 1."""

    days: float
    people: int
    requests: float
    peak: float
    gap: float | None
    daily: bool = False
    span: float = 0.0
    """Days between the first and the last event, unrounded."""
    step: int = 1

    @property
    def snapshots(self) -> bool:
        """Whether its times are days that lie a week apart or more: rows are states of that day, and no events."""
        return self.step >= _APART


def facts_of(time: NDArray[np.int64], person: NDArray[np.int64] | None) -> Log:
    """Count the traffic of a log.

    time: (n,) microseconds since 1970 UTC, at least one. person: (n,) codes, −1 for nobody; nothing: nobody is named.
    """
    day, hour = time // DAY, (time // HOUR) % 24
    daily = not (time % DAY).any()
    there_are, of_day = np.unique(day, return_counts=True)
    step = _step(there_are) if daily else 1
    days = int(np.ptp(day)) + step  # from the first to the last, and what the last stands for
    counts, mean = (of_day, len(day) / days) if daily else (np.bincount(hour, minlength=24), len(hour) / 24)
    whose = np.arange(len(time)) if person is None else person
    there = whose >= 0
    pairs = (
        np.unique(np.column_stack([day[there], whose[there]]), axis=0) if there.any() else np.zeros((0, 2), np.int64)
    )
    moments = np.unique(np.column_stack([time[there], whose[there]]), axis=0) if there.any() else pairs
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    same = pairs[order][1:, 1] == pairs[order][:-1, 1]
    gaps = np.diff(pairs[order][:, 0])[same]
    return Log(
        days=max(float(np.ptp(time)) / DAY, 1 / 24),
        people=max(1, round(len(pairs) / days)),
        requests=round(max(1.0, len(moments) / max(len(pairs), 1)), 1),
        peak=round(max(1.0, float(counts.max() / mean)), 1),
        daily=daily,
        span=float(np.ptp(time)) / DAY,
        step=step,
        gap=float(np.median(gaps)) if len(gaps) and person is not None else None,
    )


def _step(days: NDArray[np.int64]) -> int:
    """Give the days from one of them to the next, the longest of those that are about as long, as months are; 1 where
    they come as it happens.

    >>> _step(np.array([0, 31, 60, 91])), _step(np.array([0, 1, 4, 5, 6])), _step(np.array([0, 9, 11, 40]))
    (31, 1, 1)
    """
    apart = np.diff(days)
    usual = np.median(apart) if len(apart) else 1
    alike = np.abs(apart - usual) <= _SAME * usual
    return int(apart[alike].max()) if len(apart) >= 2 and alike.mean() >= _REGULAR else 1


def span_in(words: Sequence[str]) -> str | None:
    """Give the length of time that the words of a name tell; nothing where they tell none.

    >>> span_in(["readmitted", "30d"]), span_in(["churn", "next", "month"]), span_in(["clicked"])
    ('30d', '30d', None)
    """
    found = re.search(rf"(?<!\d)(\d{{1,3}}|next|within) ?({'|'.join(_UNITS)})s?(?![a-z])", " ".join(words))
    if found is None:
        return None
    count, unit = _UNITS[found[2]]
    return f"{count * (int(found[1]) if found[1].isdigit() else 1)}{unit}"


def span(days: float) -> str:
    """Write a length of time as a design does: whole days from one and a half up, else whole hours.

    >>> span(14.2), span(0.6), span(0.01)
    ('14d', '14h', '1h')
    """
    return f"{round(days)}d" if days >= 1.5 else f"{max(1, round(24 * days))}h"
