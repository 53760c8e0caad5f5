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
_PEOPLE, _SERIES = 30, 10  # from which people can be parted, and things of which each has a series of rows
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
    if by is not None and seen.columns[by].distinct >= (_PEOPLE if seen.roles.turn is None else _SERIES):
        return GroupSplit(by=seen.ours[by], validate=_SHARE, test=_SHARE), (
            f"There is no time. All rows of one {seen.ours[by]} lie in one part, so that the test holds those whom "
            "nobody knows; where the same ones come again, RandomSplit() is nearer to the truth."
        )
    named = (
        "nobody is named" if by is None else f"only {seen.columns[by].distinct} {seen.ours[by]} are there to part by"
    )
    return RandomSplit(validate=_SHARE, test=_SHARE), (
        f"There is no time, and {named}: rows are drawn. Where some belong together, say so by GroupSplit."
    )


def tested(seen: Seen, split: Split, values: NDArray[np.float64], matures: str) -> int:
    """Count the positives of the test, as a run does: those whose label is final; of a split that is drawn, estimate
    them."""
    if isinstance(split, TimeSplit):
        return _final(seen, values, microseconds(split.test), microseconds(matures))
    if isinstance(split, GivenSplit) and seen.roles.part is not None:
        return int((values[_texts(seen, seen.roles.part) == split.test] > 0).sum())
    return int(_SHARE * (values > 0).sum())


def final_of(seen: Seen, matures: float) -> NDArray[np.bool_]:
    """Say of each row of `seen.known` whether its label is final when the log ends."""
    if seen.roles.time is None:
        return np.ones(len(seen.known), np.bool_)
    time = seen.columns[seen.roles.time].time[seen.known]
    return np.asarray(time + int(matures) <= time.max(), np.bool_)


def _final(seen: Seen, values: NDArray[np.float64], test: float, matures: float) -> int:
    time = seen.columns[str(seen.roles.time)].time[seen.known]
    return int((values[(time >= time.max() - test) & final_of(seen, matures)] > 0).sum())


def _texts(seen: Seen, part: str) -> NDArray[np.object_]:
    return np.array([str(one) for one in seen.columns[part].values.take(seen.known).to_pylist()], object)


def _in_time(seen: Seen, days: float, values: NDArray[np.float64], matures: int) -> tuple[TimeSplit, str]:
    late = matures / DAY
    share = _SHARE + late / days
    while share < _MOST_SHARE and _final(seen, values, share * days * DAY, matures) < _NEEDED:
        share += 0.05
    log, span_of_test = seen.log, max(share * days, HOUR / DAY)
    if log is not None and log.daily:
        length = f"{max(1, round(share * days / log.step)) * log.step}d"
    else:
        length = span(span_of_test)
    whole = f"{days:,.0f} days" if days >= 2 else f"{24 * days:,.0f} hours"
    why = f"In time, as it will be used: of {whole} the last {length} are the test, those before to choose on."
    if log is not None and log.snapshots:
        why += f" All parts are whole steps of {log.step} days."
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
