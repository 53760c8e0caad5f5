"""Which rows are for learning, for choosing and for the test, by what a table says of time and people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottega.design.data import GivenSplit, GroupSplit, RandomSplit, TimeSplit
from bottega.design.part import microseconds
from bottega.proposals.facts import DAY, HOUR, span
from bottega.proposals.proposal import Seen

Split = TimeSplit | GroupSplit | GivenSplit | RandomSplit
_SHARE, _MOST_SHARE, _NEEDED = 0.15, 0.3, 20  # of a log for the test, and positives that should lie in it
_PEOPLE = 30  # from which they can be parted
_VALIDATE, _TEST, _TRAIN = ("validate", "validation", "valid", "val", "dev"), ("test", "testing"), ("train", "training")


def split_of(seen: Seen, values: NDArray[np.float64], by: str | None) -> tuple[Split, str]:
    """Propose a split, and say why.

    values: the label of each row of `seen.known`. by: their name of the column whose rows belong together: who asks.
    """
    if seen.log is not None:
        return _in_time(seen, seen.log.days, values)
    if seen.roles.part is not None:
        return _given(seen, seen.roles.part), "The table says itself which rows are for learning."
    if by is not None and seen.columns[by].distinct >= _PEOPLE:
        return GroupSplit(by=seen.ours[by], validate=_SHARE, test=_SHARE), (
            f"There is no time. All rows of one {seen.ours[by]} lie in one part, so that the test holds those whom "
            "nobody knows; where the same ones come again, RandomSplit() is nearer to the truth."
        )
    return RandomSplit(validate=_SHARE, test=_SHARE), (
        "There is no time, and nobody is named: rows are drawn. Where some belong together, say so by GroupSplit."
    )


def tested(seen: Seen, split: Split, values: NDArray[np.float64]) -> int:
    """Estimate how many positives the test holds."""
    if isinstance(split, TimeSplit):
        time = seen.columns[str(seen.roles.time)].time[seen.known]
        return int((values[time >= time.max() - microseconds(split.test)] > 0).sum())
    return int(_SHARE * (values > 0).sum())


def _in_time(seen: Seen, days: float, values: NDArray[np.float64]) -> tuple[TimeSplit, str]:
    time, share = seen.columns[str(seen.roles.time)].time[seen.known], _SHARE
    while share < _MOST_SHARE and (values[time >= time.max() - share * days * DAY] > 0).sum() < _NEEDED:
        share += 0.05
    daily = seen.log is not None and seen.log.daily
    length = f"{max(1, round(share * days))}d" if daily else span(max(share * days, HOUR / DAY))
    whole = f"{days:,.0f} days" if days >= 2 else f"{24 * days:,.0f} hours"
    why = f"In time, as it will be used: of {whole} the last {length} are the test, those before to choose on."
    return TimeSplit(validate=length, test=length), why


def _given(seen: Seen, part: str) -> GivenSplit:
    texts = {
        str(text).lower(): str(text) for text in seen.columns[part].values.unique().to_pylist() if text is not None
    }

    def theirs(names: tuple[str, ...]) -> str | None:
        return next((texts[name] for name in names if name in texts), None)

    validate, test = theirs(_VALIDATE), theirs(_TEST)
    held = _SHARE if validate is None or test is None else validate  # what there is one of is the test
    return GivenSplit(seen.ours[part], train=theirs(_TRAIN) or "", validate=held, test=test or validate or "")
