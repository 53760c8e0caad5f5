"""How long until a label is final: what the table tells of it, what its name says, or what is usual."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bottega.design.part import microseconds
from bottega.proposals.columns import Column
from bottega.proposals.facts import DAY, HOUR, span, span_in
from bottega.proposals.proposal import Seen

_PARTS_OF_A_LOG = 20  # of which the time until a label is final takes one at most, before validation and the test
_TOLD_ROOM = 3  # times as much, where the table or the name of the label says it
_LATE = {"fraud": "7d", "chargeback": "30d", "default": "30d", "churn": "30d", "conver": "7d", "bought": "1d"}
_NEARLY, _NEVER = 0.95, np.iinfo(np.int64).min


@dataclass(frozen=True)
class Maturing:
    """When a label is final. after: how long after the event. observed_at: theirs, the column of the label's own time.
    why: where that is from."""

    after: str
    observed_at: str | None
    why: str


def maturing_of(seen: Seen, label: Column) -> Maturing:
    """Say when a label is final: by a time that rows above 0 alone have, by its name, `readmitted_30d`, or by what is
    usual for one of that name; and no later than the log has room for."""
    if seen.log is None:
        return Maturing("0s", None, "")
    room = seen.log.days * DAY / _PARTS_OF_A_LOG
    observed, delay = _observed(seen, label)
    by_name = span_in(label.words)
    usual = next((late for word, late in _LATE.items() if word in "".join(label.words)), "1h")
    known = max(filter(None, (by_name, delay)), key=microseconds, default=None)
    told, basis = known or usual, "its name says" if known == by_name else f"{observed} says"
    if seen.ends is not None and known is None and microseconds(told) < seen.ends.late:
        known = told = _whole(seen.ends.late)
        basis = f"nearly all have {seen.ends.name} by then"
    elif seen.ends is not None and by_name is not None:
        known = told = _whole(max(microseconds(by_name) + seen.ends.late, microseconds(told)))
        basis = f"its name says, from {seen.ends.name} on"
    if known is None:
        why = f"How long until a label is final is not in the table: {usual} is a guess."
    else:
        why = f"A label is final {told} after its event, as {basis}."
    if microseconds(told) > room * (1 if known is None else _TOLD_ROOM):
        cut = span(room / DAY) if room >= HOUR else f"{max(1, round(room * 60 / HOUR))}min"
        basis = "as is usual" if known is None else f"as {basis}"
        why = f"{told} until a label is final, {basis}, is more than the log has room for: {cut} is a guess."
        return Maturing(cut, None, why)
    if observed is not None:
        why += f" {observed} is filled where it is positive alone, and says when that was known."
    return Maturing(told, observed, why)


def _observed(seen: Seen, label: Column) -> tuple[str | None, str | None]:
    """Give the column that says when a label came, and how long after the event that was: a time after the event that
    nearly all rows above 0 have, and hardly another."""
    begin, up = seen.columns[str(seen.roles.time)], label.numbers > 0
    for name in (one.name for one in seen.leaks):
        column = seen.columns[name]
        if column.kind != "time" or not column.is_read_as(begin):
            continue
        there = column.time > _NEVER
        after = (column.time - begin.time)[there & up & (begin.time > _NEVER)]
        alone = there[up].mean() >= _NEARLY and there[~up].mean() <= 1 - _NEARLY
        if alone and len(after) and (after >= 0).mean() >= _NEARLY:
            longest, most = float(after.max()), float(np.quantile(after, 0.99))
            return name, _whole(longest if longest <= 2 * most else most)
    return None, None


def _whole(late: float) -> str:
    """Write a length of time, microseconds, in whole hours or days, and no shorter.

    >>> _whole(3.2 * DAY), _whole(0.3 * HOUR)
    ('4d', '1h')
    """
    return f"{math.ceil(late / DAY)}d" if late > 2 * DAY else f"{max(1, math.ceil(late / HOUR))}h"
