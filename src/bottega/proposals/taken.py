"""Of what kind a log of who took what is: how long things live, how often one is taken again, what describes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.proposals.columns import Column
from bottega.proposals.facts import DAY
from bottega.proposals.proposal import Seen

_SHORT, _AGAIN = 4.0, 0.1  # days that half of what is taken lives in a feed; share of takings that are not the first
_STEADY, _SAME = 1.2, 1.6  # values of a person, and texts of an item, in the mean, that still count as one


@dataclass(frozen=True)
class Taken:
    """lives: days from an item's first taking to the one half of its takings lie before. again: share of the takings
    that are of something the person had taken. text, trait: theirs, what describes an item, and what a person has."""

    lives: float
    again: float
    days: float
    text: str | None
    trait: str | None

    @property
    def feed(self) -> bool:
        """Whether things fade so quickly that each taking is a question of its own."""
        return self.lives < _SHORT and self.days > 5 * self.lives

    @property
    def repeats(self) -> bool:
        """Whether people take things again."""
        return self.again >= _AGAIN


def taken_of(seen: Seen) -> Taken:
    """Look at a log with a time, people and items."""
    person, thing = (seen.columns[str(getattr(seen.roles, role))] for role in ("person", "item"))
    pairs = _pairs(person.codes, thing.codes)
    again = 1 - len(np.unique(pairs, axis=0)) / max(1, len(pairs))
    days = 1.0 if seen.log is None else seen.log.days
    others = [seen.columns[name] for name in seen.roles.others if seen.columns[name].kind == "text"]
    texts = (one.name for one in others if _describes(one, thing))
    traits = (one.name for one in others if _belongs(one, person))
    return Taken(_lives(seen, thing), again, days, next(texts, None), next(traits, None))


def _lives(seen: Seen, thing: Column) -> float:
    time, codes = seen.columns[str(seen.roles.time)].time[seen.known], thing.codes[seen.known]
    there = codes >= 0
    first = np.full(int(codes.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, codes[there], time[there])
    return float(np.median(time[there] - first[codes[there]])) / DAY if there.any() else 0.0


def _describes(column: Column, thing: Column) -> bool:
    """Say whether most items have one text of several words."""
    if column.distinct <= max(20, 0.3 * thing.distinct):
        return False
    words = [len(text.split()) for text in column.values.slice(0, 500).to_pylist() if text]
    one = len(np.unique(_pairs(thing.codes, column.codes), axis=0)) < _SAME * thing.distinct
    return one and bool(words) and float(np.mean(words)) > 1.5


def _belongs(column: Column, person: Column) -> bool:
    """Say whether a category hardly changes for one person."""
    if not 2 <= column.distinct <= 300 or column.gaps > 0.2 * column.rows:
        return False
    return len(np.unique(_pairs(person.codes, column.codes), axis=0)) < _STEADY * person.distinct


def _pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    there = (left >= 0) & (right >= 0)
    return np.column_stack([left[there], right[there]])
