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


def split_of(seen: Seen, values: NDArray[np.float64], by: str | None, matures: str = "0s") -> tuple[Split, str]:
    """Propose a split, and say why.

    values: the label of each row of `seen.known`. by: their name of the column whose rows belong together: who asks.
    matures: how long until a label is final; the last rows of a log are judged by nobody before that.
    """
    if seen.log is not None:
        return _in_time(seen, seen.log.days, values, microseconds(matures))
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


def tested(seen: Seen, split: Split, values: NDArray[np.float64], matures: str) -> int:
    """Count the positives of the test, as a run does: those whose label is final; of a split that is drawn, estimate
    them."""
    if isinstance(split, TimeSplit):
        return _final(seen, values, microseconds(split.test), microseconds(matures))
    if isinstance(split, GivenSplit) and seen.roles.part is not None:
        return int((values[_texts(seen, seen.roles.part) == split.test] > 0).sum())
    return int(_SHARE * (values > 0).sum())


def _final(seen: Seen, values: NDArray[np.float64], test: float, matures: int) -> int:
    time = seen.columns[str(seen.roles.time)].time[seen.known]
    last = time.max()
    return int((values[(time >= last - test) & (time + matures <= last)] > 0).sum())


def _texts(seen: Seen, part: str) -> NDArray[np.object_]:
    return np.array([str(one) for one in seen.columns[part].values.take(seen.known).to_pylist()], object)


def _in_time(seen: Seen, days: float, values: NDArray[np.float64], matures: int) -> tuple[TimeSplit, str]:
    late = matures / DAY
    share = _SHARE + late / days
    while share < _MOST_SHARE and _final(seen, values, share * days * DAY, matures) < _NEEDED:
        share += 0.05
    daily = seen.log is not None and seen.log.daily
    length = f"{max(1, round(share * days))}d" if daily else span(max(share * days, HOUR / DAY))
    whole = f"{days:,.0f} days" if days >= 2 else f"{24 * days:,.0f} hours"
    why = f"In time, as it will be used: of {whole} the last {length} are the test, those before to choose on."
    if matures:
        why += " Labels of its end are not final yet, and judge nothing."
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
