"""The moments at which requests are made, from the test backwards, so that no label reaches into the next part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bottega.data.examples import TEST, TRAIN, VALIDATE
from bottega.data.log import Log
from bottega.data.times import iso, moment
from bottega.design.data import Label, TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Cuts, Each, FromPositives
from bottega.design.part import microseconds
from bottega.errors import DataError

DAY = 86_400_000_000
FOREVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Cut:
    """A moment at which everybody asks once."""

    at: int
    """The time of the requests, microseconds since 1970 UTC: only what was known by then may be used."""
    until: int
    """The end of the labels' horizon, itself excluded."""
    part: int
    """0 training, 1 validation, 2 test."""
    known_by: int = FOREVER
    """Positives that became known only after this make no label: the cut of the part that follows."""


def begin_of_test(split: TimeSplit, log: Log) -> int:
    """Give the first moment of the test: an ISO date, or the log's last midnight less the span, at midnight UTC.

    The last midnight is the one that ends the day of the log's last event.
    """
    if split.test[4:5] == "-":
        return moment(split.test, "data.split.test")
    return (last_midnight(log) - microseconds(split.test)) // DAY * DAY


def last_midnight(log: Log) -> int:
    """Give the midnight (UTC) that ends the log's last day, microseconds since 1970: a log's last day counts whole."""
    return -(-log.end() // DAY) * DAY


def shortened(design: Design, log: Log) -> tuple[Design, list[str]]:
    """Shorten the spans of a split that would take more of a log than it may; gives the design, and what is to be told.

    With L the days of the log, its first and last one counted whole, and s = at_most · L ÷ (test + validate): where
    s < 1, the test, in whole days and at least one, validation, what calibrators learn on, and the warm-up of `Each`
    become s times as long; so does the horizon of examples at `Cuts`, with the labels that are final when it ends. All
    but the test are halved on until events stand before the end of what is learnt from and in validation, as the
    test's whole day may be half of a log; at last the test is one day. An embargo stays, since labels mature no faster.
    It is wrong where few days are of one kind: validation may be a weekend; a shorter horizon finds fewer positives.

    log: of the examples' table. Raises `DataError` where no length fits, and says how long the log must be.
    """
    split = design.data.split
    if not isinstance(split, TimeSplit) or split.at_most is None or split.validate is None or log.time is None:
        return design, []
    length = last_midnight(log) - int(log.time.min()) // DAY * DAY
    share = split.at_most * length / (microseconds(split.test) + microseconds(split.validate))
    if share >= 1:
        return design, []
    test = max(int(share * microseconds(split.test) // DAY), 1) * DAY
    days = f"{log.name}: {length // DAY} {'days are' if length > DAY else 'day is'} few for the split, it is shortened"
    least = 0
    for span in dict.fromkeys((test, DAY)):
        for halved in range(_HALVED):
            shorter, told = _scaled(design, split, share / 2**halved, _days(span))
            if (needed := _needed(shorter, log)) is None:
                return shorter, [f"{days}: {told}"]
            least, begin, end = needed
            if log.usable(least).any() and ((log.time >= begin) & (log.time < end)).any():
                return shorter, [f"{days}: {told}"]
    whole = _days(-((least - 1 - last_midnight(log)) // DAY) * DAY)
    raise DataError(
        "data.split",
        f"{log.name} has events from {iso(int(log.time.min()))} to {iso(log.end() - 1)}: the test takes the part from "
        f"{iso(last_midnight(log) - DAY)}, and too little is left before it, however short the split is made",
        f"events before {iso(least)} and from then to the test: a log of {whole} or more, its first day counted whole",
        "a longer log",
    )


_HALVED = 8  # times, the shortest spans being some minutes


def _scaled(design: Design, split: TimeSplit, share: float, test: str) -> tuple[Design, str]:
    """Give the design with the spans of its split `share` times as long, but for the test; and say what they are."""

    def less(span: str) -> str:
        scaled = round(share * microseconds(span) / DAY, 3)
        return _days((scaled or (0.001 if microseconds(span) else 0)) * DAY)

    examples, replace = design.data.examples, msgspec.structs.replace
    calibrate = None if split.calibrate is None else less(split.calibrate)
    shorter = replace(split, test=test, validate=less(str(split.validate)), calibrate=calibrate)
    told = f"test {shorter.test}, validate {shorter.validate}"
    if isinstance(examples, FromPositives) and isinstance(examples.requests, Each):
        requests = replace(examples.requests, warm_up=less(examples.requests.warm_up))
        examples = replace(examples, requests=requests)
        told += f", warm-up {requests.warm_up}"
    labels = list(design.data.labels)
    if isinstance(examples, FromPositives) and isinstance(examples.requests, Cuts):
        horizon = min(less(examples.horizon), test, key=microseconds)  # the test is in whole days
        every = None if examples.requests.every is None else less(examples.requests.every)
        labels = [
            replace(one, matures_after=horizon) if one.matures_after == examples.horizon else one for one in labels
        ]
        examples = replace(examples, horizon=horizon, requests=replace(examples.requests, every=every))
        shorter = replace(shorter, validate=max(shorter.validate or horizon, horizon, key=microseconds))
        told = f"test {shorter.test}, validate {shorter.validate}, horizon {horizon}"
    return replace(design, data=replace(design.data, split=shorter, examples=examples, labels=labels)), told


def _needed(design: Design, log: Log) -> tuple[int, int, int] | None:
    """Give the moment before which there must be events, of the newest training slice or of the end of training without
    its warm-up, and between which two there must be some for validation; nothing where examples are made otherwise."""
    split, examples = design.data.split, design.data.examples
    if not isinstance(split, TimeSplit) or not isinstance(examples, FromPositives):
        return None
    test, length = begin_of_test(split, log), microseconds(split.validate or examples.horizon)
    if isinstance(examples.requests, Each):
        _, gap = waits(design, split, examples, design.data.labels[:1])
        validate = test - gap - length
        return validate - gap - microseconds(examples.requests.warm_up), validate, test - gap
    _, gap = waits(design, split, examples, design.data.labels)
    validate = test - max(length, gap)
    return validate - gap, validate, validate + microseconds(examples.horizon)


def waits(design: Design, split: TimeSplit, examples: FromPositives, labels: Sequence[Label]) -> tuple[int, int]:
    """Give how long after a request its labels are final, and the gap between two parts, in microseconds."""
    horizon = microseconds(examples.horizon)
    maturity = max(horizon, *(microseconds(label.matures_after) for label in labels))
    table = next(table for table in design.data.tables if table.name == examples.table)
    late = maturity + microseconds(table.available_after)
    return maturity, max(horizon, late if split.embargo is None else microseconds(split.embargo))


def cuts(design: Design, log: Log) -> list[Cut]:
    """Place the cuts of examples that are made from positives: training from the oldest, then validation, then test.

    With the horizon h, the label's maturity m (at least h, plus the table's `available_after`) and the gap
    g = max(h, embargo or m): the test cut T as the split says; the validation cut V = T − max(validate or h, g); the
    training cuts V − g, V − g − every, … as many of `slices` as the log has events before.
    The log ends with its last accepted event, and the day of that counts as a whole one: T + max(h, m) may reach the
    next midnight.

    design: with FromPositives and TimeSplit; log: of its table.
    Raises `DataError`: the test's labels are not final when the log ends; not even one training slice fits.
    """
    examples, split = design.data.examples, design.data.split
    if (
        not isinstance(examples, FromPositives)
        or not isinstance(split, TimeSplit)
        or not isinstance(examples.requests, Cuts)
    ):
        raise DataError(
            "data.examples",
            f"{type(examples).__name__}, {type(split).__name__}",
            "FromPositives at Cuts, and TimeSplit",
        )
    horizon = microseconds(examples.horizon)
    maturity, gap = waits(design, split, examples, design.data.labels)
    test = begin_of_test(split, log)
    whole = last_midnight(log)
    if test + maturity > whole:
        raise DataError(
            "data.split.test",
            f"the test begins {iso(test)}, and the log ends {iso(log.end() - 1)}: its labels, final after "
            f"{_days(maturity)}, are not there",
            f"a test of at least {_days(maturity)}",
            f'test="{_days(maturity)}", or a shorter horizon',
        )
    validate = test - max(horizon if split.validate is None else microseconds(split.validate), gap)
    every = microseconds(examples.requests.every) if examples.requests.every else horizon
    places = [validate - gap - step * every for step in range(examples.requests.slices)]
    usable = [place for place in places if log.usable(place).any()]
    if not usable:
        first = 0 if log.time is None else int(log.time.min())
        raise DataError(
            "data.split",
            f"the log begins {iso(first)} and ends {iso(log.end() - 1)}: the test takes the part from {iso(test)}, "
            f"validation that from {iso(validate)}, and 0 of {len(places)} training slices fit, the first at "
            f"{iso(places[0])}",
            "a log with events before at least one training slice",
            "a longer log, or a shorter horizon, validation or test",
        )
    return [
        *(Cut(place, place + horizon, TRAIN, validate) for place in reversed(usable)),
        Cut(validate, validate + horizon, VALIDATE, test),
        Cut(test, test + horizon, TEST),
    ]


def _days(span: float) -> str:
    return f"{span / DAY:g}d"
