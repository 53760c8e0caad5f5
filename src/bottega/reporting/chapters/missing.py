"""What the build does not say: parts that are missing, and questions that its data leave open."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.serving import Auction
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Bullets, Heading, Paragraph, Section
from bottega.reporting.chapters.serving import SATURATED
from bottega.reporting.scorecard import Scorecard
from bottega.reporting.verdict import promise


def missing(design: Design, card: Scorecard) -> Section:
    """List what is not decided and what was not measured."""
    blocks: list[Block] = []
    for heading, items in (("Not decided", undecided(card)), ("Not in this build", absent(design, card))):
        if items:
            blocks += [Heading(heading), Bullets(items)]
    return Section("missing", "Open", blocks or [Paragraph("Nothing is undecided, and no part is missing.")])


def undecided(card: Scorecard) -> list[str]:
    """Say what the data could not decide."""
    found = []
    for ladder in card.judged:
        choice = ladder.choice
        if choice is not None and not choice.decided:
            found.append(f"The champion of {choice.stage or 'the ladder'}: {choice.reason or choice.name}")
        if choice is not None and not choice.within_budget:
            found.append(f"No rung of {choice.stage or 'the ladder'} meets the stage's budget.")
    if card.serving is not None and card.serving.saturated:
        found.append(f"The latencies: {SATURATED}")
    unjudged = [goal for goal in card.goals if goal.met is None]
    return [*found, *(f"Goal {promise(goal)}: {goal.reason or 'nothing to judge'}." for goal in unjudged)]


def absent(design: Design, card: Scorecard) -> list[str]:
    """Say which parts the scorecard does not hold."""
    service = card.serving
    clicks = isinstance(design.data.examples, Logged)
    sold = any(isinstance(stage, Auction) and stage.replay is not None for stage in design.serving.path)
    parts = {
        "counts of the data": card.data is None,
        "models": not card.models,
        "a champion": bool(card.models) and card.champion is None,
        "paired comparisons": not card.comparisons,
        "the funnel (the request brings its candidates, or it was not followed)": not card.funnel
        and not clicks
        and card.search is None,
        "goals": not card.goals,
        "a replay of the auctions": sold and card.auction is None,
        "what compression does": bool(design.serving.compress) and not card.compression,
        "parity of training and serving": card.parity is None or not card.parity.compared,
        "latencies under load": service is None or service.p99_ms is None,
        "the time of each stage of the path": service is None or not service.stages_ms,
        "release gates": card.release is None or not card.release.gates,
        "times of the steps": not card.steps,
        "the peak of memory": card.peak_rss_mb is None,
        "the machine": not card.machine,
    }
    primary = design.evaluation.primary
    if card.models and not any(primary in rung.metrics for rung in card.models):
        parts[f"the primary metric, {numbers.title(primary)}"] = True
    return [f"{numbers.begun(name)}." for name, gone in parts.items() if gone]
