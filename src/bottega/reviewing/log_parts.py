"""How a split in time divides a log, and a split that fits one."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from bottega.design.data import TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Each, FromPositives
from bottega.design.part import microseconds
from bottega.reviewing.looking import DAY, examples_table, maturity, spelled
from bottega.reviewing.seen import Seen

WEEK = 7 * DAY
LEAST = 0.1
"""Share of a log that must be left to learn from."""


@dataclass(frozen=True)
class LogParts:
    """The spans of a log under a split in time, microseconds; the gaps lie before validation and before the test."""

    length: int
    """From the log's first event to the midnight that ends its last day."""
    learnt: int
    """What is left to learn from; below 0: validation would begin before the log does."""
    validate: int
    gap: int
    test: int


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
    if horizon and not isinstance(getattr(examples, "requests", None), Each):
        validate, gap_before = max(validate, gap), 0
    else:
        gap_before = gap
    length = _length(table.begin, table.end)
    return LogParts(length, length - test - gap_before - validate - gap, validate, gap, test)


def fitting_split(design: Design, seen: Seen | None = None) -> str:
    """Write a split in time that suits the design's labels, and its log where that was looked at.

    A quarter of the log is the test and a quarter validation, a week each at most, and the test is longer by the time
    that labels need; of a log that was not looked at it says how long it has to be.
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
    judged = min(max(WEEK, served), judged)
    validate = max(judged, late) if from_positives else judged
    test = validate if from_positives else judged + -(-late // DAY) * DAY if late >= DAY else judged
    more = f', validate="{spelled(validate)}"' if validate != test else ""
    return f'split=bt.TimeSplit(test="{spelled(test)}"{more})'


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
    return wanted if found is None or found.learnt >= LEAST * found.length else ""


def _long(test: int, late: int) -> str:
    """Write how long a log must be that bears a test, a validation as long, and the gaps before them."""
    whole = -(-test // DAY) * DAY
    least = -(-round(2 * (whole + late) / (1 - LEAST)) // DAY) * DAY
    return spelled(max(4 * whole, least))


def _length(begin: int, end: int) -> int:
    return -(-(end + 1) // DAY) * DAY - begin
