"""Step 4, models: the ladder, rung by rung, and which one is champion."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.errors import DesignError
from bottega.evaluation.bounds import bounded
from bottega.metrics import metric
from bottega.reporting import numbers
from bottega.reporting.blocks import (
    STAR,
    Block,
    Dot,
    Dots,
    Grid,
    Heading,
    Notice,
    Paragraph,
    Section,
    Strong,
    Words,
)
from bottega.reporting.chapters.rungs import made, rungs
from bottega.reporting.chapters.tasks import tasks
from bottega.reporting.measured import Measured, Metrics
from bottega.reporting.scorecard import Ladder, Rung, Scorecard

_REFERENCES = {"predicted_over_observed": (1.0, "as observed"), "normalized_entropy": (1.0, "the base rate")}
_WAYS = {"up": "larger is better", "down": "smaller is better", "within": "nearest to 1 is best"}


def models(design: Design, card: Scorecard) -> Section:
    """Show each ladder: every rung's metrics over all candidates and under each view, the champion marked."""
    blocks: list[Block] = [*rungs(design, card)]
    if not card.models:
        blocks += [Paragraph("No model was judged.", quiet=True)] if card.ran else []
        return Section("models", "Models", [*blocks, *made(card)], 4)
    asked = asked_metrics(design, card)
    ladders = card.judged
    for place, ladder in enumerate(ladders):
        if len(ladders) > 1:
            blocks.append(Heading(f"{ladder.name}: P({ladder.label})" if ladder.label else ladder.name))
        blocks += _chosen(ladder)
        blocks += _validation(ladder)
        blocks += _best_possible(card) if place == 0 else []
        for view in card.views:
            if len(card.views) > 1:
                blocks.append(Heading("All candidates" if view is None else f"Only {view}"))
            best = ceiling(card, view) if place == 0 else {}
            blocks += [*_plot(ladder, asked, view, best), _grid(ladder, asked, view, best)]
    stages = dict.fromkeys(rung.stage for rung in card.models if rung.stage)
    told = f"All on the same candidates of the test; {STAR} is the champion. ± is half the width of the 95 % interval"
    if len(ladders) > 1:
        told = f"Each ladder on the rows of the test that have its label; {STAR} is its champion. ± is half the width"
        told += " of the 95 % interval"
    blocks.append(Paragraph(f"{told}{'; a stage is ' + ' or '.join(stages) if len(stages) > 1 else ''}.", quiet=True))
    return Section("models", "Models", [*blocks, *tasks(card), *made(card)], 4)


def _chosen(ladder: Ladder) -> list[Block]:
    if (choice := ladder.choice) is not None and choice.reason:
        good = None if not choice.decided or not choice.within_budget else True
        return [Notice(good, (Strong("Champion"), f" on validation: {choice.reason}"))]
    if ladder.champion is not None:
        return [Notice(True, (Strong("Champion"), f": {ladder.title(ladder.champion)}."))]
    return []


def _validation(ladder: Ladder) -> list[Block]:
    """Why it was chosen: each candidate of the ladder against the best one, on validation."""
    pairs = ladder.choice.comparisons if ladder.choice is not None else []
    words = {"open": "open: more data would decide"}
    rows: list[list[Words]] = [
        [each.a, words.get(each.verdict, each.verdict), numbers.difference(each.difference, each.low, each.high)]
        for each in pairs
    ]
    if not rows:
        return []
    caption = f"On validation, {numbers.title(pairs[0].metric)} less that of the best, {pairs[0].b}"
    return [Grid(caption, ["model", "verdict", "difference"], rows, left=2)]


def _best_possible(card: Scorecard) -> list[Block]:
    """How far the champion is from what the world's truth allows."""
    gaps = card.ceiling.gap if card.ceiling is not None else {}
    told = [gap for metric in gaps if (gap := best_gap(card, metric))]
    aside = "The best possible sees the same fields, and knows the world's truth."
    return [Paragraph(f"{' '.join(told)} {aside}")] if told else []


def best_gap(card: Scorecard, name: str) -> str:
    """Say what the best possible value of a metric is, and how far the champion is from it; nothing where unknown."""
    gap = card.ceiling.gap.get(name) if card.ceiling is not None and bounded(name) else None
    best = card.ceiling.metrics.get(name) if card.ceiling is not None else None
    if gap is None:
        return ""
    value = "" if best is None else numbers.plus_minus(best.value, best.low, best.high, numbers.places(name))
    side = "above" if gap >= 0 else "below"
    champion = card.judged[0].title(card.champion) if card.champion is not None else "the champion"
    told = f"The best possible {numbers.title(name)} is {value}; " if value else f"{numbers.title(name)}: "
    return f"{told}{champion} is {numbers.rate(abs(gap))} {side} it."


def asked_metrics(design: Design, card: Scorecard) -> list[str]:
    """Give the metrics that the scorecard holds, the design's primary one first."""
    held = dict.fromkeys(name for rung in card.models for name in rung.metrics)
    wanted = [design.evaluation.primary, *design.evaluation.metrics]
    return [*dict.fromkeys(name for name in wanted if name in held), *(name for name in held if name not in wanted)]


def way(name: str) -> str:
    """Say which way a metric is better, or nothing for one that is not known."""
    try:
        return _WAYS[metric(name).direction]
    except DesignError:
        return ""


def metrics_of(rung: Rung, view: str | None) -> Metrics:
    """Give a rung's metrics over all candidates or under a view."""
    return rung.metrics if view is None else rung.views.get(view, {})


def _plot(ladder: Ladder, asked: list[str], view: str | None, bound: Metrics) -> list[Block]:
    name = next((each for each in asked if any(each in metrics_of(rung, view) for rung in ladder.rungs)), None)
    if name is None:
        return []
    dots = []
    for rung in ladder.rungs:
        at = metrics_of(rung, view).get(name)
        if at is not None and at.value is not None:
            champion = rung is ladder.champion
            label = f"{STAR} {ladder.title(rung)}" if champion else ladder.title(rung)
            dots.append(Dot(label, at.value, at.low, at.high, _told(name, at), "champion" if champion else "dot"))
    best = bound.get(name)
    if best is not None and best.value is not None and dots:
        dots.append(Dot("best possible", best.value, best.low, best.high, _told(name, best), "best"))
    if not dots:
        return []
    under = "" if view is None else f", only {view}"
    said = f"{numbers.title(name)}{under}, with 95 % intervals" + (f"; {way(name)}" if way(name) else "")
    return [Dots(said, dots, _REFERENCES.get(name))]


def _grid(ladder: Ladder, asked: list[str], view: str | None, best: Metrics) -> Grid:
    rows: list[list[Words]] = []
    strong = set()
    shown = [name for name in asked if any(name in metrics_of(rung, view) for rung in ladder.rungs)]
    for rung in ladder.rungs:
        champion = rung is ladder.champion
        if champion:
            strong.add(len(rows))
        name = f"{STAR} {ladder.title(rung)}" if champion else ladder.title(rung)
        cells = _cells(metrics_of(rung, view), shown)
        rows.append([name, rung.stage, *cells, numbers.seconds(rung.seconds)])
    if best:
        rows.append(["best possible", "", *_cells(best, shown), numbers.NONE])
    people = max((at.n or 0 for rung in ladder.rungs for at in _first(metrics_of(rung, view), shown)), default=0)
    caption = "The ladder" + (f", only {view}" if view is not None else "")
    caption += f" (n = {numbers.count(people)})" if people else ""
    return Grid(caption, ["model", "stage", *map(numbers.title, shown), "training"], rows, 2, frozenset(strong))


def _told(name: str, at: Measured) -> str:
    return numbers.estimate(at.value, at.low, at.high, numbers.places(name))


def _cells(metrics: Metrics, asked: list[str]) -> list[str]:
    return [_told(name, at) if (at := metrics.get(name)) is not None else numbers.NONE for name in asked]


def _first(metrics: Metrics, asked: list[str]) -> list[Measured]:
    return [metrics[name] for name in asked[:1] if name in metrics]


def ceiling(card: Scorecard, view: str | None) -> Metrics:
    """Give what the best possible order or prediction reaches, of the metrics that it bounds: not coverage, say."""
    if card.ceiling is None:
        return {}
    found = card.ceiling.metrics if view is None else card.ceiling.views.get(view, {})
    return {name: at for name, at in found.items() if bounded(name)}
