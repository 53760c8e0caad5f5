"""The goals: whether the champion keeps the design's promises on the test, over all and on each slice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bottega.design.evaluation import Evaluation, Goal
from bottega.errors import DataError, DesignError, nearest
from bottega.evaluation.estimating import check, estimate, paired, reason
from bottega.evaluation.outcome import Mask, Outcome, Rung
from bottega.metrics import Estimate, metric


def judge_goals(outcome: Outcome, evaluation: Evaluation, champion: Rung | str, seed: int = 0) -> list[dict[str, Any]]:
    """Judge each goal on the champion of the last ladder, for `goals` of the scorecard.

    A row a goal, and one more for each value, with enough requests, of each of its slices; of the slice `cold`
    the value `cold`, whatever its size; one row for a slice of which no value is large enough. A row has `metric`,
    `slice` (`country=France`, or None for all), `view`, `value`, `low`, `high`, `n`, `limit` in words, `met`, and
    `reason` where there is one. `at_least`, `at_most` and `within` are judged by the value, the limits included;
    `above` and `below` by the interval of the paired difference to the other rung, which is the value then. `clear`
    says whether the whole interval says the same as the value, and is None where the interval decides. `met` is
    false where the metric has no value, as the promise is not shown to hold, and None where a slice or view has no
    request or no row at all, or too few, so that there is nothing to judge. A goal against the champion itself is
    missed where that is the first rung of its ladder, as nothing has gained on the baseline, and is not judged where
    it is a later one: what is served has nobody to be held against.

    outcome: of the test, with a slice for each that a goal names. champion: the rung that is served. seed: of the
    resamples. Raises `DesignError` for an unknown metric, rung, view or slice, with its place in the design.

    >>> one = Rung("Logistic", "rank", np.array([0.5, 0.25]))
    >>> outcome = Outcome(np.array([0, 0]), np.array([7]), np.array([3, 4]), np.array([0, 1]), np.array([True, True]),
    ...                   {}, {}, [one], None)
    >>> row = judge_goals(outcome, Evaluation("mrr", goals=[Goal("mrr", at_least=0.4)]), one)[0]
    >>> row["value"], row["limit"], row["met"]
    (0.5, 'at least 0.4', True)
    """
    check(evaluation)
    rung = outcome.rung(champion) if isinstance(champion, str) else champion
    rows = []
    for place, goal in enumerate(evaluation.goals):
        where = f"evaluation.goals[{place}]"
        if goal.view is not None:
            _known(f"{where}.view", goal.view, list(outcome.views))
        other = _other(outcome, goal, where)
        for name, mask in _parts(outcome, goal, where):
            rows.append(_row(outcome, rung, other, goal, name, mask, seed))
        rows += [_unjudged(goal, name, reason) for name, reason in _too_small(outcome, goal)]
    return rows


def _row(
    outcome: Outcome, rung: Rung, other: Rung | None, goal: Goal, name: str | None, mask: Mask | None, seed: int
) -> dict[str, Any]:
    by, itself = metric(goal.metric), f"{rung.name} is the champion itself"
    if other is rung and next(one for one in outcome.rungs if one.stage == rung.stage) is not rung:
        return _unjudged(goal, name, itself)
    try:
        if other is None:
            found = estimate(outcome, rung, by, goal.view, mask, seed)
        else:
            found = paired(outcome, rung, other, by, goal.view, mask, seed)
    except DataError as error:
        empty = _empty(outcome, goal.view, mask)
        return {**_unjudged(goal, name, empty or reason(error)), "met": None if empty else False}
    said = {"metric": goal.metric, "slice": name, "view": goal.view}
    row = {**said, **found.to_dict(), "limit": limit_of(goal), "met": met(goal, found), "clear": clear(goal, found)}
    return row if other is not rung else {**row, "reason": itself}


def _unjudged(goal: Goal, name: str | None, why: str) -> dict[str, Any]:
    nothing = {"value": None, "low": None, "high": None, "n": 0, "limit": limit_of(goal), "met": None, "clear": None}
    return {"metric": goal.metric, "slice": name, "view": goal.view, **nothing, "reason": why}


def met(goal: Goal, found: Estimate) -> bool:
    """Whether an estimate meets a goal: of the metric, or of the difference for `above` and `below`.

    >>> met(Goal("mrr", within=(0.4, 0.5)), Estimate(0.5, 0.3, 0.7, 9))
    True
    >>> met(Goal("mrr", above="Popularity"), Estimate(0.1, -0.01, 0.2, 9))
    False
    """
    if goal.at_least is not None:
        return found.value >= goal.at_least
    if goal.at_most is not None:
        return found.value <= goal.at_most
    if goal.within is not None:
        return goal.within[0] <= found.value <= goal.within[1]
    return found.low > 0 if goal.above is not None else found.high < 0


def clear(goal: Goal, found: Estimate) -> bool | None:
    """Whether the whole interval lies on the side of the limit on which the value does.

    None where the interval decides itself, or is not known.

    >>> goal = Goal("mrr", within=(0.4, 0.5))
    >>> clear(goal, Estimate(0.45, 0.42, 0.48, 9)), clear(goal, Estimate(0.45, 0.38, 0.52, 9))
    (True, False)
    >>> clear(goal, Estimate(0.55, 0.49, 0.61, 9)), clear(goal, Estimate(0.55, 0.51, 0.59, 9))
    (False, True)
    """
    if goal.above is not None or goal.below is not None or math.isnan(found.low) or math.isnan(found.high):
        return None
    low, high = goal.within or (goal.at_least, goal.at_most)
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    if met(goal, found):
        return least <= found.low and found.high <= most
    return found.high < least or found.low > most


def limit_of(goal: Goal) -> str:
    """Say a goal's limit in words.

    >>> limit_of(Goal("mrr", at_least=0.4))
    'at least 0.4'
    """
    if goal.within is not None:
        return f"within {goal.within[0]:g} to {goal.within[1]:g}"
    for word in ("at_least", "at_most"):
        if (bound := getattr(goal, word)) is not None:
            return f"{word.replace('_', ' ')} {bound:g}"
    return f"above {goal.above}" if goal.above is not None else f"below {goal.below}"


def _other(outcome: Outcome, goal: Goal, where: str) -> Rung | None:
    for field in ("above", "below"):
        if (name := getattr(goal, field)) is not None:
            _known(f"{where}.{field}", name, [rung.name for rung in outcome.rungs])
            return outcome.rung(name)
    return None


def _parts(outcome: Outcome, goal: Goal, where: str) -> Iterator[tuple[str | None, Mask | None]]:
    """All requests, then those of each slice that carries the promise."""
    yield None, None
    for name in goal.slices:
        _known(f"{where}.slices", name, list(outcome.slices))
        for value, mask in outcome.slices[name].items():
            if value == "cold" if name == "cold" else np.count_nonzero(mask) >= goal.smallest:
                yield (name if name == "cold" else f"{name}={value}"), np.asarray(mask, dtype=np.bool_)


def _too_small(outcome: Outcome, goal: Goal) -> Iterator[tuple[str, str]]:
    """Name the slices of which no value has enough requests, so that the promise of it is not judged."""
    for name in goal.slices:
        sizes = [int(np.count_nonzero(mask)) for mask in outcome.slices[name].values()]
        if name != "cold" and max(sizes, default=0) < goal.smallest:
            yield name, f"the largest has {max(sizes, default=0):,} requests, fewer than {goal.smallest:,}"


def _empty(outcome: Outcome, view: str | None, mask: Mask | None) -> str:
    """Say that there is nothing to judge, or nothing if there is something."""
    if mask is not None and not mask.any():
        return "no request in this slice"
    inside = outcome.view(view)
    rows = np.ones(len(outcome.group), dtype=np.bool_) if inside is None else inside
    if not (rows if mask is None else rows & mask[outcome.group]).any():
        return "no candidate under this view"
    return ""


def _known(where: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise DesignError(where, repr(name), f"one of {', '.join(known) or 'none'}", nearest(name, known))
