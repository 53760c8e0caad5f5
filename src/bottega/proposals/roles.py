"""Roles: which column of a table is the time, who asks, what is taken, and what is to be predicted.

A name is a hint, and what stands in the column decides: names may be in any language or none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bottega.errors import DataError, nearest
from bottega.proposals.columns import Column
from bottega.proposals.entities import entity, hints, in_turn, unnamed
from bottega.proposals.marks import says_yes

PARTS = {"train", "training", "test", "testing", "valid", "validation", "validate", "dev", "val"}
_STATES = {
    "weekend",
    "isweekend",
    "holiday",
    "premium",
    "active",
    "male",
    "female",
    "gender",
    "new",
    "mobile",
    "logged",
    "signed",
    "member",
    "test",
    "deleted",
    "paid",
}  # what a flag may say that nobody predicts
_NEARLY, _SHORTLY, _NEVER = 0.95, 0.1, np.iinfo(np.int64).min  # of the rows, and of all the time
_CLOCK = 20  # values of a column that tells the time


@dataclass(frozen=True)
class Roles:
    """Names of columns by what they are; nothing where there is none."""

    time: str | None = None
    person: str | None = None
    item: str | None = None
    label: str | None = None
    positive: str | None = None
    """The label's value that counts as 1, as a person has said it."""
    rating: str | None = None
    position: str | None = None
    propensity: str | None = None
    kind: str | None = None
    part: str | None = None
    query: str | None = None
    event_id: str | None = None
    turn: str | None = None
    """The column that counts the rows of one person or thing, by which that one was found."""
    clocks: tuple[str, ...] = ()
    """Columns that tell the time once more: they tell a model which day it is, and no other day comes again."""
    others: tuple[str, ...] = field(default=())
    """What is left."""


def roles_of(columns: Sequence[Column], said: Roles | None = None) -> Roles:
    """Find the roles of a table's columns.

    said: roles that a person has named; they stand. Errors: `DataError` for a name that is not there.
    """
    by_name = {column.name: column for column in columns}
    said = _parted(said or Roles(), by_name)
    for role in ("time", "person", "item", "label"):
        if (name := getattr(said, role)) is not None and name not in by_name:
            raise DataError(f"--{role}", f"no column {name!r}", f"one of {', '.join(by_name)}", nearest(name, by_name))
    if said.item is not None and (said.item == said.person or by_name[said.item].kind == "number"):
        wrong = "the person as well" if said.item == said.person else "numbers with fractions"
        raise DataError(f"--item {said.item}", wrong, "a column that names what is shown, taken or judged", "")
    taken: list[str] = [name for name in (said.time, said.person, said.item, said.label) if name is not None]

    def take(name: str | None) -> str | None:
        if name is not None:
            taken.append(name)
        return name

    def free() -> list[Column]:
        return [column for column in columns if column.name not in taken]

    time = said.time or take(_time(free()))
    found = Roles(time=time, label=said.label or take(_label(free())), positive=said.positive)
    found = replace(found, part=take(_part(free())), propensity=take(_propensity(free())))
    found = replace(found, position=take(_position(free())) if found.label is not None else None)
    found = replace(found, kind=take(_kind(free())) if found.label is None else None)
    found = replace(found, event_id=take(_event_id(free())))  # before the clocks: ids are often given in order of time
    clocks = tuple(column.name for column in free() if time is not None and _is_clock(column, by_name[time]))
    taken += clocks
    found = replace(found, clocks=clocks)
    found = replace(found, query=take(_query(free())) if found.label is not None else None)
    person = said.person or take(entity(free(), "person", "item"))
    if person is None and found.label is not None:  # a card or a session stands for who asks where nothing else does
        person = take(entity(free(), "somebody", "item"))
    if person is None and time is None and found.label is not None and (series := in_turn(free())) is not None:
        person, turn = take(series[0]), series[1]
        found = replace(found, turn=turn)
    item = said.item or take(entity(free(), "item", "person"))
    takings = time is not None and found.label is None  # who took what is looked for where it is said when
    if person is None and item is not None and takings:
        person = take(unnamed(free()))
    elif item is None and takings:
        item = take(unnamed(free()))
        if person is None and item is not None:
            person, item = item, take(unnamed(free()))
    rating = take(_rating(free())) if found.label is None and person is not None and item is not None else None
    return replace(found, person=person, item=item, rating=rating, others=tuple(column.name for column in free()))


def _parted(said: Roles, names: Collection[str]) -> Roles:
    """Part `--label churn=Yes` into the column and the value that counts as 1."""
    name, sign, value = (said.label or "").rpartition("=")
    return replace(said, label=name, positive=value) if sign and said.label not in names and name in names else said


def _time(columns: Sequence[Column]) -> str | None:
    """Take the time with the fewest gaps; of equals the one whose name says so, then the one that comes first in nearly
    every row, shortly before the other, since what is asked is asked when it begins; then the one with most values."""
    times = [column for column in columns if column.kind == "time"]
    best = sorted(times, key=lambda one: (one.gaps, -hints(one, "time"), -one.distinct))
    if not best or best[0].gaps >= best[0].rows / 2:
        return None
    first = best[0]
    for other in best[1:]:
        if (other.gaps, hints(other, "time")) == (best[0].gaps, hints(best[0], "time")) and _begins(other, first):
            first = other
    return first.name


def _begins(column: Column, other: Column) -> bool:
    """Say whether a time lies before another in nearly every row, by a small part of all the time that they span."""
    there = (column.time > _NEVER) & (other.time > _NEVER)
    after = (other.time - column.time)[there]
    if not len(after) or (after >= 0).mean() < _NEARLY or not (after > 0).any():
        return False
    return bool(np.median(after) < _SHORTLY * np.ptp(column.time[there]))


def _label(columns: Sequence[Column]) -> str | None:
    """Take what is named as a label and holds 0 and 1, two words, or few grades, else the only flag.

    A flag that is never up counts, for whoever reads it to refuse it; one that is always up tells of positives.
    """
    fit = [one for one in columns if hints(one, "label") and (_is_flag(one) or _is_grade(one) or _is_pair(one))]
    if fit:
        return min(fit, key=lambda one: (_is_pair(one), not _is_flag(one), -hints(one, "label"), one.gaps)).name
    flags = [
        one for one in columns
        if one.distinct == 2 and (_is_flag(one) or (_is_pair(one) and says_yes(one))) and not _STATES & set(one.words)
    ]  # fmt: skip
    return flags[0].name if len(flags) == 1 else None


def _is_flag(column: Column) -> bool:
    return column.kind == "flag" and (column.distinct == 2 or np.nanmax(column.numbers) == 0)


def _is_grade(column: Column) -> bool:
    return column.kind == "whole" and 2 < column.distinct <= 6 and np.nanmin(column.numbers) == 0


def _is_pair(column: Column) -> bool:
    return column.kind in ("text", "whole") and column.distinct == 2


def _part(columns: Sequence[Column]) -> str | None:
    for column in columns:
        if column.kind == "text" and 2 <= column.distinct <= 4 and hints(column, "part"):
            values = {str(value).lower() for value in column.values.unique().to_pylist() if value is not None}
            if len(values & PARTS) >= 2:
                return column.name
    return None


def _propensity(columns: Sequence[Column]) -> str | None:
    for column in columns:
        named = column.kind in ("number", "flag") and hints(column, "propensity") and not column.gaps
        if named and np.nanmin(column.numbers) > 0 and np.nanmax(column.numbers) <= 1:
            return column.name
    return None


def _position(columns: Sequence[Column]) -> str | None:
    for column in columns:
        whole = column.kind == "whole" and not column.gaps and column.distinct <= 200
        if whole and hints(column, "position") and np.nanmin(column.numbers) >= 1:
            return column.name
    return None


def _query(columns: Sequence[Column]) -> str | None:
    fit = [
        one for one in columns if one.kind in ("text", "whole") and hints(one, "query") == 1 and one.distinct < one.rows
    ]
    return fit[0].name if fit else None


def _kind(columns: Sequence[Column]) -> str | None:
    fit = [
        column for column in columns if column.kind == "text" and 2 <= column.distinct <= 20 and hints(column, "kind")
    ]
    return fit[0].name if fit else None


def _rating(columns: Sequence[Column]) -> str | None:
    fit = [
        column for column in columns
        if column.kind in ("whole", "number") and hints(column, "rating") and 3 <= column.distinct <= 101
    ]  # fmt: skip
    return fit[0].name if fit else None


def _event_id(columns: Sequence[Column]) -> str | None:
    """Take what names each row once: it is called so, or holds short words with digits that never come again."""
    fit = [one for one in columns if one.kind in ("text", "whole") and one.distinct == one.rows > 1]
    called = (one for one in fit if "id" in (*one.words, one.name[-2:].lower()))
    texts = (one for one in fit if one.kind == "text" and not hints(one, "somebody") and _numbers_rows(one))
    found = next(called, None) or next(texts, None)
    return None if found is None else found.name


def _numbers_rows(column: Column) -> bool:
    some = [str(text) for text in column.values.slice(0, 500).to_pylist()]
    return all(re.fullmatch(r"(?=.*\d)(?=.*[^\W\d])[\w#/-]{2,40}", text) for text in some)


def _is_clock(column: Column, time: Column) -> bool:
    """Say whether a number only ever grows with the time."""
    if column.kind not in ("whole", "number") or column.distinct < _CLOCK or column.gaps:
        return False
    order = np.argsort(time.time, kind="stable")
    values = column.numbers[order]
    return bool((np.diff(values) >= 0).mean() > 0.999) and bool(values[-1] > values[0])
