"""The verdict: in one line, whether the build keeps its promises, and whether it is released."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import Status, Tile
from bottega.reporting.parts import Promise
from bottega.reporting.scorecard import Scorecard


def verdict(card: Scorecard) -> Status:
    """Judge a build: good where all goals are met and it is released; bad where a goal, a gate or the p99 limit fails.

    >>> from bottega.reporting.scorecard import of
    >>> verdict(of({"goals": [{"metric": "mrr", "limit": "at least 0.4", "met": True}], "release": {"released": True}}))
    Status(good=True, text='The one goal is met; released.')
    """
    if not card.ran:
        return Status(None, "A design that was not run: what it says is not measured yet.")
    missed = [goal for goal in card.goals if goal.met is False]
    release = card.release
    failed = [gate.name for gate in release.gates if not gate.passed] if release else []
    over = late(card)
    unjudged = card.serving.unjudged if card.serving is not None else ""
    latency = over or (f"p99 {unjudged}" if unjudged else "")
    told = f"{goals(card)}; {f'{latency}; ' if latency else ''}{released(card)}."
    if missed or failed or over:
        return Status(False, told)
    whole = bool(card.goals) and all(goal.met for goal in card.goals) and not unjudged
    return Status(True if whole and release and release.released else None, told)


def goals(card: Scorecard) -> str:
    """Say how many goals are met, and which are not."""
    if not card.goals:
        return "No goal was judged"
    missed = [f"{promise(goal)}" for goal in card.goals if goal.met is False]
    unjudged = sum(goal.met is None for goal in card.goals)
    met, total = len(card.goals) - len(missed) - unjudged, len(card.goals)
    if met == total:
        return {1: "The one goal is met", 2: "Both goals are met"}.get(total, f"All {total} goals are met")
    told = f"{met} of {numbers.several(total, 'goal')} met"
    told += f", {unjudged} not judged" if unjudged else ""
    return told + (f", missed: {'; '.join(missed[:3])}{' …' if len(missed) > 3 else ''}" if missed else "")


def late(card: Scorecard) -> str:
    """Say that the p99 is over its limit, or nothing.

    >>> from bottega.reporting.scorecard import of
    >>> late(of({"serving": {"p99_ms": 74.04, "limit": {"p99_ms": 20, "met": False}}}))
    'p99 74.0 ms is over the limit of 20 ms'
    """
    service = card.serving
    if service is None or service.limit is None or service.limit.met is not False:
        return ""
    value = numbers.milliseconds(service.p99_ms, service.intervals.get("p99_ms"))
    return f"p99 {value} is over the limit of {numbers.setting(service.limit.p99_ms)} ms"


def released(card: Scorecard) -> str:
    """Say whether the build is released, and if not, why."""
    release = card.release
    if release is None:
        return "whether it is released is not known"
    if release.released:
        return "released"
    failed = [f"{gate.name} ({gate.detail})" if gate.detail else gate.name for gate in release.gates if not gate.passed]
    if failed:
        return f"not released: failed {'gate' if len(failed) == 1 else 'gates'} {', '.join(failed)}"
    if not release.gates:
        return "not released: no gate was judged"
    return "every gate passed, and it is not released yet"


def promise(goal: Promise) -> str:
    """Write a goal in words.

    >>> promise(Promise("ndcg@20", view="new items", limit="above Popularity"))
    'NDCG@20 above Popularity, new items'
    """
    where = ", ".join(part for part in (goal.ladder, goal.view, goal.slice) if part)
    return f"{numbers.title(goal.metric)} {goal.limit}" + (f", {where}" if where else "")


def decided(goal: Promise) -> str:
    """Say how a goal was decided where its interval does not say the same, or nothing.

    >>> decided(Promise("ece", met=True, clear=False)), decided(Promise("ece", met=True, clear=True))
    ('by the value; its interval reaches beyond the limit', '')
    """
    if goal.met is None or goal.clear is not False:
        return ""
    return f"by the value; its interval reaches {'beyond' if goal.met else 'within'} the limit"


def reached(goal: Promise) -> str:
    """Write what a goal's metric came to, with its interval; above and below another rung it is the difference."""
    if goal.limit.startswith(("above ", "below ")):
        return numbers.difference(goal.value, goal.low, goal.high)
    return numbers.estimate(goal.value, goal.low, goal.high, numbers.places(goal.metric))


def tiles(design: Design, card: Scorecard) -> list[Tile]:
    """Give the few figures at the head of the page."""
    found = []
    champion, primary = card.champion, design.evaluation.primary
    if champion is not None and (at := champion.metrics.get(primary)) is not None:
        value = numbers.plus_minus(at.value, at.low, at.high, numbers.places(primary))
        found.append(Tile(numbers.title(primary), value, f"of {card.judged[0].title(champion)}, the champion"))
    honest = next(iter(card.calibration.values()), None)
    ratio = honest.overall.predicted_over_observed if honest is not None else None
    if ratio is not None and primary != "predicted_over_observed":
        told = numbers.plus_minus(ratio.value, ratio.low, ratio.high, numbers.places("predicted_over_observed"))
        found.append(Tile(numbers.title("predicted_over_observed"), told, "1 is honest"))
    if card.goals:
        met = sum(goal.met is True for goal in card.goals)
        whole = False if any(goal.met is False for goal in card.goals) else (met == len(card.goals) or None)
        found.append(Tile("goals", f"{met} of {len(card.goals)}", "met", whole))
    service = card.serving
    if service is not None and service.p99_ms is not None:
        limit = service.limit
        within = "" if limit is None or limit.p99_ms is None else f"the limit is {numbers.setting(limit.p99_ms)} ms"
        within = "; ".join(filter(None, (service.unjudged, within, service.fewer)))
        value = numbers.milliseconds(service.p99_ms, service.intervals.get("p99_ms"))
        good = limit.met if limit is not None and not (limit.met and service.fewer) else None
        found.append(Tile("p99 latency", value, within, good))
    if card.parity is not None and card.parity.compared:
        differ = card.parity.mismatches or 0
        detail = f"of {numbers.count(card.parity.compared)} values differ, training to serving"
        found.append(Tile("parity", numbers.count(differ), detail, differ == 0))
    return found
