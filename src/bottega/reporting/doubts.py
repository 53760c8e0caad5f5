"""Doubts: how little the intervals of a build can tell, in plain words, for the first screen."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.measured import Metrics
from bottega.reporting.scorecard import Ladder, Scorecard

FEW = 100  # positives of the test, under which every interval is wide
FEW_UNITS = 30  # people, requests or rows, under which a bootstrap holds the truth less often than it says
_BASE_RATE = {"normalized_entropy": 1.0, "roc_auc": 0.5}  # what the same guess for every row reaches


def doubts(card: Scorecard) -> str:
    """Say how wide the intervals are where the test holds few positives, or where they blur the rungs; else nothing.

    Few is under 100 positives, or under 30 independent units behind the champion's primary metric. An interval blurs
    where it is wider than half of what lies between the best and the worst rung. When it is wrong: the positives of the
    test are those of the calibration's deciles where the scorecard does not count them, and without both, all that the
    data have.

    >>> from bottega.reporting.scorecard import of
    >>> doubts(of({"labels": [{"name": "clicked", "positives": 287, "test_positives": 62}]}))
    '62 of the 287 positives of clicked lie in the test'
    """
    return ". ".join(told for ladder in card.judged if (told := _of_ladder(card, ladder)))


def _of_ladder(card: Scorecard, ladder: Ladder) -> str:
    if thin := _thin(ladder):
        return f"{ladder.name}: {thin}" if ladder.name else thin
    number, told = _positives(card, ladder)
    few = number is not None and number < FEW
    blurred = _blurred(ladder)
    if not few and not blurred:
        return ""
    told = told if few else f"the interval of {numbers.title(ladder.primary or '')} is {blurred}"
    told = "; ".join(part for part in (told, _consequence(card, ladder)) if part)
    return f"{ladder.name}: {told}" if ladder.name else told


def _thin(ladder: Ladder) -> str:
    """Say that hardly anything is behind the primary metric, and what that leaves of intervals and comparisons."""
    champion = ladder.champion or next(iter(ladder.rungs[-1:]), None)
    at = None if champion is None or ladder.primary is None else champion.metrics.get(ladder.primary)
    if at is None or at.n is None or at.n >= FEW_UNITS:
        return ""
    units = numbers.several(at.n, "independent unit")
    return f"{numbers.title(ladder.primary or '')} rests on {units} of the test, too few for any interval or comparison"


def _positives(card: Scorecard, ladder: Ladder) -> tuple[float | None, str]:
    """The positives of the test, and how to say it."""
    first = None if ladder.name else next(iter(card.labels), None)
    named = next((label for label in card.labels if label.name == ladder.label), first)
    calibration = card.calibration.get(ladder.name)
    if calibration is None and not ladder.name:
        calibration = next(iter(card.calibration.values()), None)
    of_label = f" of {named.name}" if named is not None and named.name else ""
    number: float | None = named.test_positives if named is not None else None
    if number is None and calibration is not None and calibration.deciles:
        number = float(round(sum((each.observed or 0) * (each.n or 0) for each in calibration.deciles)))
    total = named.positives if named is not None else None
    if number is not None:
        out_of = f"of the {numbers.count(total)} " if total is not None else ""
        noun = "positives" if out_of or number != 1 else "positive"
        verb = "lies" if number == 1 else "lie"
        return number, f"{numbers.count(number)} {out_of}{noun}{of_label} {verb} in the test"
    return total, "" if total is None else f"the data have {numbers.several(total, 'positive')}{of_label}"


def _blurred(ladder: Ladder) -> str:
    """How wide the champion's interval is beside what lies between the rungs, where that is too wide."""
    primary = ladder.primary
    if primary is None or len(ladder.rungs) < 2:
        return ""
    values = [at.value for rung in ladder.rungs if (at := rung.metrics.get(primary)) and at.value is not None]
    champion = ladder.champion or ladder.rungs[-1]
    at = champion.metrics.get(primary)
    if at is None or at.low is None or at.high is None or len(values) < 2:
        return ""
    width, apart = at.high - at.low, max(values) - min(values)
    if width <= apart / 2:
        return ""
    least = numbers.places(primary)
    return f"{numbers.amount(width, least)} wide, and the rungs lie within {numbers.amount(apart, least)}"


def _consequence(card: Scorecard, ladder: Ladder) -> str:
    """What cannot be told for it."""
    base = _base_rate([rung.metrics for rung in ladder.rungs])
    if base:
        return base
    champion = ladder.champion
    if champion is None:
        return ""
    name = ladder.title(champion)
    found = [each for each in card.compared(ladder) if each.metric == ladder.primary and each.view is None]
    pairs = [each for each in found if each.a == name]
    tied = [each.b for each in pairs if each.low is None or each.high is None or each.low <= 0 <= each.high]
    undecided = "; the champion is not decided" if ladder.choice is not None and not ladder.choice.decided else ""
    if tied and len(tied) == len(pairs):
        others = "any other rung" if len(tied) > 1 else tied[0]
        return f"{name} cannot be told from {others}{undecided}"
    if tied:
        return f"{name} cannot be told from {numbers.enumerated(tied)}{undecided}"
    told = "paired on the same rows, the rungs can be told apart all the same" if pairs else ""
    return told + undecided if told else undecided.removeprefix("; ")


def _base_rate(rungs: list[Metrics]) -> str:
    """Whether no rung is seen to be better than the same guess for every row."""
    for metric, guess in _BASE_RATE.items():
        found = [metrics[metric] for metrics in rungs if metric in metrics]
        ends = [(at.low, at.high) for at in found if at.low is not None and at.high is not None]
        if not ends or len(ends) < len(rungs):
            continue
        if all(low <= guess <= high for low, high in ends):
            return "no rung can be told from the base rate" if len(ends) > 1 else "it cannot be told from the base rate"
        if all((high >= guess) if guess == 1.0 else (low <= guess) for low, high in ends):
            return "no rung can be shown to be better than the base rate"
    return ""
