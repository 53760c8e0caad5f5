"""How a split in time divides a log, and a split that fits one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from bottega.design.data import TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Each, FromPositives, Logged
from bottega.design.part import microseconds
from bottega.reviewing.looking import DAY, examples_table, maturity, spelled
from bottega.reviewing.seen import Seen

WEEK = 7 * DAY
LEAST = 0.1
"""Share of a log that must be left to learn from."""

PARTS = ("training", "validation", "the test")
_EACH_DAY = 60  # lengths of a test that are tried one by one


@dataclass(frozen=True)
class LogParts:
    """The parts of a log under a split in time: how long they are, microseconds, and what examples lie in them.

    The gaps lie before validation and before the test.
    """

    length: int
    """From the log's first event to the midnight that ends its last day."""
    learnt: int
    """What is left to learn from; below 0: validation would begin before the log does."""
    validate: int
    gap: int
    test: int
    rows: tuple[int, ...] = ()
    """Examples in training, validation and the test; nothing: they were not counted."""
    alike: tuple[bool, ...] = ()
    """Whether a part has examples, and all of them have one value of the label; nothing: not counted, or not to be."""

    @property
    def share(self) -> float:
        """Give the share of the examples that is left to learn from; where they were not counted, of the time."""
        return self.rows[0] / max(sum(self.rows), 1) if self.rows else self.learnt / self.length

    @property
    def lacking(self) -> list[str]:
        """Name the parts without an example; where they were not counted, training alone may be one."""
        if self.learnt <= 0 or not self.rows:
            return list(PARTS[:1]) if self.learnt <= 0 else []
        return [part for part, rows in zip(PARTS, self.rows, strict=True) if not rows]

    @property
    def fits(self) -> bool:
        """Say whether enough is left to learn from, and each part has examples of more than one kind."""
        return not self.lacking and not any(self.alike) and self.share >= LEAST


def parts_of(design: Design, seen: Seen) -> LogParts | None:
    """Give the parts of the examples' log; nothing for another split, one by date, one that shrinks, or no time.

    What stays to learn from is length − test − validate − 2 · gap, and of examples at cuts validation holds a gap too.
    """
    split, examples = design.data.split, design.data.examples
    table = seen.tables.get(examples.table)
    if not isinstance(split, TimeSplit) or split.test[4:5] == "-" or table is None:
        return None
    if table.begin is None or table.end is None or (split.at_most is not None and isinstance(examples, FromPositives)):
        return None
    late = maturity(design)
    horizon = microseconds(examples.horizon) if isinstance(examples, FromPositives) else 0
    if horizon:
        late += microseconds(examples_table(design).available_after)
    gap = max(horizon, late if split.embargo is None else microseconds(split.embargo))
    test = microseconds(split.test)
    validate = microseconds(split.validate) if split.validate is not None else horizon or test
    at_cuts = isinstance(examples, FromPositives) and not isinstance(examples.requests, Each)
    validate, gap_before = (max(validate, gap), 0) if at_cuts else (validate, gap)
    length = _length(table.begin, table.end)
    begin = (table.begin + length - test) // DAY * DAY  # of the test, as `begin_of_test` has it
    fixed = split.embargo is not None and isinstance(examples, Logged)
    inside = _inside(begin - gap_before - validate, begin, gap, fixed, horizon if at_cuts else 0)
    rows, alike = _counted(seen, inside, isinstance(examples, Logged))
    return LogParts(length, length - test - gap_before - validate - gap, validate, gap, test, rows, alike)


def _inside(validate: int, test: int, gap: int, fixed: bool, horizon: int) -> list[tuple[int, int]]:
    """Give from when to when, the end excluded, the examples of each part are asked.

    validate, test: where these begin. fixed: the gap is an embargo of the design's own, so that what was asked just at
    its begin is out; else labels must be final when the next part begins. horizon: of examples at cuts; 0: no cuts.
    """
    first = int(np.iinfo(np.int64).min)
    last = int(np.iinfo(np.int64).max)
    if horizon:
        return [(first, validate - gap), (validate, validate + horizon), (test, test + horizon)]
    more = 0 if fixed or not gap else 1
    return [(first, validate - gap + more), (validate, test - gap + more), (test, last)]


def _counted(seen: Seen, inside: list[tuple[int, int]], by_label: bool) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Count the examples of each part, and say of which all have one value of the label."""
    if not seen.moments:
        return (), ()
    told = [(one.begin, one.rows, one.least, one.most) for one in seen.moments]
    begin, rows, least, most = (np.array(column) for column in zip(*told, strict=True))
    counts, alike = [], []
    for start, end in inside:
        there = (begin >= start) & (begin < end)
        counts.append(int(rows[there].sum()))
        alike.append(bool(by_label and there.any() and least[there].min() == most[there].max()))
    return tuple(counts), tuple(alike)


def fitting_split(design: Design, seen: Seen | None = None) -> str:
    """Write a split in time that suits the design's labels, and its log where that was looked at.

    A quarter of the log is the test and a quarter validation, a week each at most, and the test is longer by the time
    that labels need; where a part would then have no example, or one value of the label alone, both are longer. Of a
    log that was not looked at it says how long it has to be.
    """
    late, table = maturity(design), seen.tables.get(design.data.examples.table) if seen is not None else None
    from_positives = isinstance(design.data.examples, FromPositives)
    retrain = design.monitoring.retrain
    served = microseconds(retrain.every) if retrain is not None else 0
    if table is None or table.begin is None or table.end is None:
        test = max(WEEK, served, late) if from_positives else max(WEEK, served) + (late if late >= DAY else 0)
        whole = spelled(-(-test // DAY) * DAY)
        return f'split=bt.TimeSplit(test="{whole}") on a log of {_long(test, late)} or more; less on a shorter one'
    length = _length(table.begin, table.end)
    judged = round((length - 3 * late) / (4 * DAY)) * DAY
    if judged < DAY:
        return f"a log of {spelled(-(-(3 * late + 4 * DAY) // DAY) * DAY)} or more, or a label that is sooner final"
    wanted = min(max(WEEK, served), judged)
    for days in _lengths(wanted // DAY, length // (3 * DAY)):
        split = _split_of(days * DAY, late, from_positives)
        found = parts_of(replace(design, data=replace(design.data, split=split)), seen) if seen is not None else None
        if found is None or not found.rows or found.fits:
            more = f', validate="{split.validate}"' if split.validate != split.test else ""
            return f'split=bt.TimeSplit(test="{split.test}"{more})'
    return "a longer log: whatever one length test and validation have, some part has too few examples, or of one kind"


def _lengths(wanted: int, most: int) -> Iterator[int]:
    """Give the days that a part may be judged on: as wanted, then longer ones, then shorter ones."""
    days = wanted
    while days <= max(most, wanted):
        yield days
        days += 1 if days < wanted + _EACH_DAY else days // 10
    yield from range(wanted - 1, 0, -1)


def _split_of(judged: int, late: int, from_positives: bool) -> TimeSplit:
    """Give a split that judges on so much, microseconds, where labels are final that late."""
    validate = max(judged, late) if from_positives else judged
    test = validate if from_positives else judged + -(-late // DAY) * DAY if late >= DAY else judged
    return TimeSplit(test=spelled(test), validate=spelled(validate))


def fitting_test(design: Design, seen: Seen | None, length: int) -> str:
    """Write a test of that length, microseconds; nothing where it leaves too little of the log to learn from.

    Of a log that was not looked at it says how long it has to be.
    """
    split, table = design.data.split, seen.tables.get(design.data.examples.table) if seen is not None else None
    if not isinstance(split, TimeSplit):
        return ""
    wanted = f'test="{spelled(length)}"'
    if table is None or table.begin is None or table.end is None:
        return f"{wanted} on a log of {_long(length, maturity(design))} or more"
    data = replace(design.data, split=replace(split, test=spelled(length)))
    found = parts_of(replace(design, data=data), seen) if seen is not None else None
    return wanted if found is None or found.fits else ""


def _long(test: int, late: int) -> str:
    """Write how long a log must be that bears a test, a validation as long, and the gaps before them."""
    whole = -(-test // DAY) * DAY
    least = -(-round(2 * (whole + late) / (1 - LEAST)) // DAY) * DAY
    return spelled(max(4 * whole, least))


def _length(begin: int, end: int) -> int:
    return -(-(end + 1) // DAY) * DAY - begin
