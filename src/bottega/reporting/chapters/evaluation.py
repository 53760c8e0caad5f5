"""Step 5, evaluation: the goals, the champion against each rung, what the path loses, and the slices."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.errors import DesignError
from bottega.metrics import metric
from bottega.reporting import numbers, wording
from bottega.reporting.blocks import Block, Bullets, Dot, Dots, Grid, Heading, Paragraph, Section, Status, Words
from bottega.reporting.chapters.ablation import ablation
from bottega.reporting.chapters.calibration import calibration
from bottega.reporting.chapters.funnel import funnel
from bottega.reporting.chapters.models import asked_metrics
from bottega.reporting.chapters.search import search
from bottega.reporting.measured import Measured
from bottega.reporting.parts import Promise
from bottega.reporting.scorecard import Comparison, Ladder, Rung, Scorecard
from bottega.reporting.verdict import decided, reached

_ALL = "all candidates"
_EVERYBODY = "everybody"
_ITEMS = "events of the item before"
_SLICES = {"interactions": "events of the person before"}
_BY_EYE = 30  # slices in one picture


def evaluation(design: Design, card: Scorecard) -> Section:
    """Show goals, comparisons, funnel and slices, and the experiment that the design asks for."""
    told = f"Champions are chosen on validation by {numbers.title(design.evaluation.primary)}: the simplest rung that "
    told += f"loses no more than {numbers.setting(design.evaluation.tolerance)} of it. The test is read once, after."
    blocks: list[Block] = [Paragraph(told), Heading("Goals"), *_goals(design, card)]
    for ladder in card.judged:
        blocks += _comparisons(card, ladder)
    blocks += calibration(card)
    blocks += funnel(card)
    blocks += ablation(card)
    blocks += search(card)
    blocks += _slices(design, card)
    blocks += _undefined(card)
    if (test := design.evaluation.experiment) is not None:
        told = (
            f"On real traffic: {test.metric} by {test.unit}, to find a change of {_percent(test.minimum_effect)} "
            f"with power {_percent(test.power)} at level {_percent(test.level)}."
        )
        if design.scope.guardrails:
            told += f" In each arm is read as well, and must not get worse: {'; '.join(design.scope.guardrails)}."
        blocks += [Heading("The experiment to run"), Paragraph(told)]
    return Section("evaluation", "Evaluation", blocks, 5)


def met(goal: Promise) -> Status:
    """Say whether a goal is met."""
    return Status(goal.met, "not judged" if goal.met is None else "met" if goal.met else "missed")


def _goals(design: Design, card: Scorecard) -> list[Block]:
    if not card.goals and design.evaluation.goals:
        promised = [wording.goal(each) for each in design.evaluation.goals]
        return [Bullets(promised), *([Paragraph("None of them was judged.", quiet=True)] if card.ran else [])]
    if not card.goals:
        return [Paragraph("The design sets no goals.", quiet=True)]
    rows: list[list[Words]] = []
    for goal in card.goals:
        where = ", ".join(part for part in (goal.ladder, goal.view, goal.slice) if part) or _EVERYBODY
        aside = f" {told}" if (told := decided(goal)) else ""
        result: tuple[Status, str] = (met(goal), f"{aside}{f': {goal.reason}' if goal.reason else ''}")
        rows.append([f"{numbers.title(goal.metric)} {goal.limit}", where, result, reached(goal)])
    caption = "Promises, on the test: the value decides; above and below another rung, the interval of the paired "
    caption += "difference to it"
    return [Grid(caption, ["goal", "of", "result", "value"], rows, left=3)]


def _comparisons(card: Scorecard, ladder: Ladder) -> list[Block]:
    """The champion against every other rung of its ladder; where there is no champion, all pairs."""
    champion = ladder.champion
    name = ladder.title(champion) if champion else None
    known = card.compared(ladder)
    pairs = [each for each in known if name is None or each.a == name] or known
    if not pairs:
        return []
    of_ladder = f", {ladder.name}" if ladder.name else ""
    heading = "The champion against each rung" if name else "Rungs against each other"
    blocks: list[Block] = [Heading(heading + of_ladder)]
    shown = pairs[0].metric
    for view in dict.fromkeys(each.view for each in pairs):
        dots = [
            Dot(f"vs {each.b}", each.difference, each.low, each.high, _told(each), "dot")
            for each in pairs
            if each.view == view and each.metric == shown and each.difference is not None and each.a == pairs[0].a
        ]
        if dots:
            caption = f"{numbers.title(shown)} of {pairs[0].a} less that of each rung, {view or _ALL}"
            blocks.append(Dots(caption, dots, (0.0, "no difference"), "difference"))
    rows: list[list[Words]] = [
        [
            f"{each.a} against {each.b}" if each.a != name else each.b,
            numbers.title(each.metric),
            each.view or _ALL,
            _judged(each),
            _told(each),
        ]
        for each in pairs
    ]
    caption = f"Paired differences on the test: {name} less the other" if name else "Paired differences on the test"
    return [*blocks, Grid(caption, ["against", "metric", "of", "result", "difference"], rows, left=4)]


def _percent(share: float) -> str:
    return f"{numbers.setting(100 * share)} %"


def _told(each: Comparison) -> str:
    return numbers.difference(each.difference, each.low, each.high)


def _judged(each: Comparison) -> Status:
    """Whether the first of the pair is better, by the interval and the metric's direction."""
    try:
        direction = metric(each.metric).direction
    except DesignError:
        direction = "within"
    if each.low is None or each.high is None or each.low <= 0 <= each.high:
        return Status(None, "not told apart")
    if direction == "within":
        return Status(None, "larger" if each.low > 0 else "smaller")
    better = (each.low > 0) == (direction == "up")
    return Status(better, "better" if better else "worse")


def _slices(design: Design, card: Scorecard) -> list[Block]:
    blocks: list[Block] = []
    for ladder in card.judged:
        rung = ladder.champion or (ladder.rungs[-1] if ladder.rungs else None)
        if rung is not None and (rung.slices or rung.left_out or rung.items):
            blocks += _of_slices(design, card, ladder, rung)
    return [Heading("Slices"), *blocks] if blocks else []


def _of_slices(design: Design, card: Scorecard, ladder: Ladder, rung: Rung) -> list[Block]:
    blocks: list[Block] = []
    asked = [name for name in asked_metrics(design, card) if name in rung.metrics][:4]
    rows: list[list[Words]] = []
    items = {_ITEMS: rung.items} if rung.items else {}
    for name, values in {**rung.slices, **items}.items():
        for value, metrics in values.items():
            found = [metrics.get(each) for each in asked]
            behind = next((at.n for at in metrics.values() if at.n is not None), None)
            cells = [numbers.NONE if at is None else _estimate(each, at) for each, at in zip(asked, found, strict=True)]
            rows.append([_SLICES.get(name, name), value, *cells, numbers.count(behind)])
    if dots := _slice_dots(rung, asked[:1]):
        blocks.append(Dots(f"{numbers.title(asked[0])} of {_named(ladder, rung)} by slice, with 95 % intervals", dots))
    if rows:
        head = ["slice", "value", *map(numbers.title, asked), "n"]
        blocks.append(Grid(f"{_named(ladder, rung)} by slice", head, rows, left=2))
    if items:
        told_of = (
            "A slice of items asks after them alone: only such candidates are shown, and only such count as relevant"
        )
        blocks.append(Paragraph(f"{told_of}.", quiet=True))
    told = [f"{numbers.several(len(values), 'value')} of {name}" for name, values in rung.left_out.items() if values]
    if told:
        blocks.append(Paragraph(f"Too few requests to tell: {', '.join(told)}.", quiet=True))
    return blocks


def _slice_dots(rung: Rung, asked: list[str]) -> list[Dot]:
    """The first metric of each slice; none where there are too many to tell apart by eye, or only one."""
    found = [
        Dot(f"{_SLICES.get(name, name)}: {value}", at.value, at.low, at.high, _estimate(metric, at), "dot")
        for metric in asked
        for name, values in rung.slices.items()
        for value, metrics in values.items()
        if (at := metrics.get(metric)) is not None and at.value is not None
    ]
    return found if 1 < len(found) <= _BY_EYE else []


def _estimate(name: str, at: Measured) -> str:
    return numbers.estimate(at.value, at.low, at.high, numbers.places(name))


def _named(ladder: Ladder, rung: Rung) -> str:
    return f"{ladder.name}: {ladder.title(rung)}" if ladder.name else ladder.title(rung)


def _undefined(card: Scorecard) -> list[Block]:
    rows: list[list[Words]] = [
        [_named(ladder, rung), place, reason]
        for ladder in card.judged
        for rung in ladder.rungs
        for place, reason in rung.undefined.items()
    ]
    if not rows:
        return []
    return [Heading("Without a value"), Grid("Metrics that are not defined", ["model", "metric", "why"], rows, left=3)]
