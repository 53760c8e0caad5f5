"""Features of a log with labels: its categories and numbers, and what happened before here and to this one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bottega.design.features import Categories, Expression, TargetRate, Window
from bottega.design.part import microseconds
from bottega.features.windows import window_names
from bottega.proposals.columns import Column
from bottega.proposals.facts import DAY, HOUR, span
from bottega.proposals.proposal import Seen

_AMOUNTS, _FEW = 3, 50  # columns whose mean is kept for each person, and values from which a number is an amount
_MOST_CODES = 2**24
_SOME = 0.001  # of the rows that must know something of a label before them
_HEAVY = 50.0  # times the median: from there on the logarithm is read


def features_of(seen: Seen, request: Sequence[str], candidate: str, matures: str, notes: dict[str, str]) -> list[Any]:
    """Propose features, and note the reason of each.

    request: theirs, the columns of the request, the first of which names who asks. candidate: theirs. matures: how long
    until a label is final.
    """
    found: list[Any] = []

    def add(part: Any, why: str = "") -> None:
        if why:
            notes[f"features[{len(found)}]"] = why
        found.append(part)

    columns = [seen.columns[each] for each in request]
    named = _categories(seen, columns, candidate)
    if named:
        most = max(seen.columns[name].distinct for name, ours in seen.ours.items() if ours in named)
        codes = min(_MOST_CODES, max(256, 1 << (4 * most - 1).bit_length()))
        add(Categories(named, own_from=max(5, seen.rows // 5_000), hashed=codes), _why(columns))
    amounts = [one for one in columns[1:] if _is_amount(one)][:_AMOUNTS]  # the first is an id
    if seen.roles.time is not None:
        for place, window in enumerate(_windows(seen, candidate, amounts, microseconds(matures))):
            known = any("avg" in value for name, value in window.values.items() if name == "rate")
            said = "How often it happened here before; a label counts once it is final."
            add(window, "" if place else said if known else "Nobody comes again after it happened: no rate of it.")
    elif _shared(seen, candidate):
        add(TargetRate([seen.ours[candidate]]), "Rates of other examples with the same value: none sees its own label.")
    usual = {name for part in found if isinstance(part, Window) for name in window_names(part)}
    if made := _expressions(seen, columns[1:], usual):
        add(Expression(made), "Numbers as they are; the logarithm where a few are very large.")
    return found


def _categories(seen: Seen, columns: Sequence[Column], candidate: str) -> list[str]:
    person = seen.roles.person
    known = [person] if person is not None and seen.roles.time is not None else []  # without a time nobody comes again
    once = (person, seen.roles.event_id, seen.row)
    named = [one.name for one in columns if one.is_category and one.name not in once]
    judged = [] if seen.names_once(candidate) else [candidate]
    return list(dict.fromkeys(seen.ours[each] for each in [*named, *known, *judged]))


def _why(columns: Sequence[Column]) -> str:
    """Say why these are categories, those that are whole numbers above all."""
    said = "Texts and ids as categories; a value seen in few rows shares a code with others."
    ids = [one.name for one in columns if one.is_id]
    return f"{said} {', '.join(ids[:6])}: whole numbers that name something, and measure nothing." if ids else said


def _windows(seen: Seen, candidate: str, amounts: Sequence[Column], matures: float) -> list[Window]:
    ours, person, over = seen.ours, seen.roles.person, [_lately(seen, matures), "all"]

    def before(by: str) -> Window:
        rate = {"rate": f"avg({ours[str(seen.roles.label)]})"} if _known_of(seen, by, matures) else {}
        return Window(seen.name, by=ours[by], over=over, values={"rows": "count(*)", **rate})

    found = [] if seen.names_once(candidate) else [before(candidate)]
    if person is None or person == candidate:
        return found
    values = {f"mean_{ours[one.name]}": f"avg({ours[one.name]})" for one in amounts}
    if seen.log is not None and not seen.log.snapshots:  # whose rows come at the same step for everybody
        values["last"] = f"last({ours[str(seen.roles.time)]})"
    return [
        *found,
        before(person),
        *([Window(seen.name, by=ours[person], values=values)] if values else []),
        *([Window(seen.name, by=[ours[person], ours[candidate]], values={"rows": "count(*)"})] if found else []),
    ]


def _known_of(seen: Seen, by: str, matures: float) -> bool:
    """Say whether some come again after a label of theirs above 0 was final: else its rate is 0 for everybody."""
    codes, time = seen.columns[by].codes[seen.known], seen.columns[str(seen.roles.time)].time[seen.known]
    up = (seen.columns[str(seen.roles.label)].numbers[seen.known] > 0) & (codes >= 0)
    first = np.full(int(codes.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, codes[up], time[up] + int(matures))
    return int((time[codes >= 0] >= first[codes[codes >= 0]]).sum()) > _SOME * len(codes)


def _expressions(seen: Seen, columns: Sequence[Column], usual: set[str]) -> dict[str, str]:
    ours, person, made = seen.ours, seen.roles.person, dict[str, str]()
    for one in columns:
        if one.is_category or one.kind not in ("number", "whole", "flag"):
            continue
        name, filled = ours[one.name], one.numbers[np.isfinite(one.numbers)]
        heavy = filled.min() >= 0 and filled.max() > _HEAVY * max(float(np.median(filled)), 1e-9)
        made |= {f"{name}_log": f"ln({name} + 1)"} if heavy else {f"{name}_number": f"1 * {name}"}
        if person is not None and (mean := f"{ours[person]}_mean_{name}_all") in usual:
            made[f"{name}_to_usual"] = f"{name} / nullif({mean}, 0)"
    if seen.roles.time is not None:
        time = seen.columns[seen.roles.time].time[seen.known]
        apart = seen.log is not None and seen.log.snapshots
        there = {"hour": np.ptp(time // HOUR % 24) > 0, "weekday": np.ptp(time // DAY % 7) > 0 and not apart}
        varies = {part: short for part, short in _PARTS.items() if there[part]}
        made |= {part: f"cast(extract({short} from request_time) as text)" for part, short in varies.items()}
        if person is not None and (last := f"{ours[person]}_last_all") in usual:
            made["hours_since"] = f"(epoch(request_time) - epoch({last})) / 3600"
    return made


_PARTS = {"hour": "hour", "weekday": "dow"}


def _is_amount(column: Column) -> bool:
    return column.kind in ("number", "whole") and column.distinct > _FEW and not column.is_category


def _lately(seen: Seen, matures: float) -> str:
    """Give the span of what happened lately: it holds rows, and labels that are final."""
    log = seen.log
    if log is None:
        return "1d"
    if log.snapshots:
        return f"{log.step * (1 + math.ceil(matures / (log.step * DAY)))}d"
    usual = 7.0 if log.days >= 21 else 1.0 if log.daily or log.days >= 3 else log.days / 6
    late = matures / DAY
    return span(usual if late < usual / 2 else usual + late)


def _shared(seen: Seen, candidate: str) -> bool:
    """Say whether values of the candidate come in several people's rows, so that each is rated by others."""
    person = seen.roles.person
    if person is None or person == candidate or seen.names_once(candidate):
        return False
    pairs = np.unique(np.column_stack([seen.columns[each].codes for each in (candidate, person)]), axis=0)
    return bool(np.bincount(pairs[:, 0] + 1).mean() >= 5)
