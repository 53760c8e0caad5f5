"""What the build does not say: parts that are missing, and questions that its data leave open."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.design.serving import Auction, Decide, Nearest, Rank, Retrieve, Score
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Bullets, Code, Heading, Paragraph, Section, Words
from bottega.reporting.chapters.serving import SATURATED
from bottega.reporting.scorecard import Scorecard
from bottega.reporting.verdict import promise


def missing(design: Design, card: Scorecard) -> Section:
    """List what is not decided and what was not measured."""
    blocks: list[Block] = []
    gone = "Not in this build" if card.build else "Not measured: the design was not run"
    told = {"Not decided by the design": open_questions(design), "Not decided by the data": undecided(card)}
    for heading, items in (told | {gone: absent(design, card)}).items():
        if items:
            blocks += [Heading(heading), Bullets(items)]
    if design.silenced:
        meant: list[Words] = [(Code(code), f": {reason}") for code, reason in design.silenced.items()]
        blocks += [Heading("Findings of review that are silenced"), Bullets(meant)]
    return Section("missing", "Open", blocks or [Paragraph("Nothing is undecided, and no part is missing.")])


def open_questions(design: Design) -> list[str]:
    """Say what a design of its kind decides, and this one does not."""
    scope, data, path = design.scope, design.data, design.serving.path
    rankings = [stage for stage in path if isinstance(stage, (Retrieve, Rank, Score, Nearest))]
    questions = {
        "What is done with the prediction": not scope.decision,
        "What should move, and which way": scope.objective is None,
        "What must not get worse": not scope.guardrails,
        "How much is asked": scope.traffic is None,
        "How soon an answer must come": scope.limits.p99_ms is None,
        "How much memory it may take": scope.limits.memory_gb is None,
        "How often it must answer at all": scope.limits.availability is None,
        "What is taken for granted": not scope.assumptions,
        "What each kind of error costs": any(isinstance(each, Decide) for each in path) and not scope.error_costs,
        "What the models must reach: there is no goal": not design.evaluation.goals,
        "For whom it must hold besides: no slice is asked for": not design.evaluation.slices,
        "What is tried on real traffic: there is no experiment": design.evaluation.experiment is None,
        "How long a stage may take: no stage has a budget": bool(rankings)
        and all(stage.budget_ms is None for stage in rankings),
        "What is watched": not design.monitoring.watches,
        "When it learns again": design.monitoring.retrain is None,
        "How a new version comes into use": design.monitoring.retrain is not None
        and not design.monitoring.retrain.rollout,
        "Whether answers are logged: they are not, and no label comes back": not design.serving.log,
    }
    free = [table.name for table in data.tables if not table.licence]
    questions[f"Under which terms the data are used: {', '.join(free)}"] = bool(free)
    return [f"{question}." for question, is_open in questions.items() if is_open]


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
    sold = any(isinstance(stage, Auction) and stage.replay is not None for stage in design.serving.path)
    parts = {
        "counts of the data": card.data is None,
        "models": not card.models,
        "a champion": bool(card.models) and card.champion is None,
        "paired comparisons": not card.comparisons,
        "the funnel": not card.funnel and any(isinstance(stage, Retrieve) for stage in design.serving.path),
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
