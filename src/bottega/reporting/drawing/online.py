"""Of the plan, what happens for a request: the stages of the path with their budgets, the answer, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from bottega.design.design import Design
from bottega.design.reranking import Deduplicate, Diversify, Explore, Quota, Reranking, Rule
from bottega.design.serving import Auction, Candidates, Decide, Nearest, Pace, Rank, Retrieve, Score, Show
from bottega.reporting import numbers
from bottega.reporting.drawing.beforehand import kept
from bottega.reporting.drawing.chart import Edge, Lane, Node
from bottega.reporting.scorecard import Scorecard


def lane(design: Design) -> Lane:
    """Give the boxes of the right lane."""
    asked = getattr(design.data.examples, "request", ())
    nodes = [Node("request", "end", "request", [", ".join(asked)] if asked else ())]
    for place, stage in enumerate(design.serving.path, 1):
        told = about(stage)
        nodes.append(Node(f"stage_{place}", "stage", f"{place} {type(stage).__name__}", [told] if told else ()))
    limit = design.scope.limits.p99_ms
    nodes.append(Node("answer", "end", "answer", [f"p99 at most {limit:g} ms"] if limit is not None else ()))
    if design.serving.log:
        nodes.append(Node("log", "kept", "decision log", ["request, scores, propensity, versions"]))
    if design.monitoring.watches:
        watched = [f"{numbers.title(each.metric)}, every {each.every}" for each in design.monitoring.watches]
        nodes.append(Node("watches", "step", "watches", watched))
    return Lane("online", "for each request", [[node] for node in nodes])


def edges(design: Design, card: Scorecard) -> list[Edge]:
    """Give the edges of the path, with the budget of the stage that each leads to and what was measured."""
    measured = _measured(design, card)
    slowest = max(measured, key=lambda key: measured[key], default="")

    def waiting(start: str, end: str, key: str, way: Any = "flow", budget: float | None = None) -> Edge:
        words = [f"at most {budget:g} ms"] if budget is not None else []
        if key in measured:
            words.append(numbers.milliseconds(measured[key]))
        slow = bool(key) and key == slowest
        if slow:
            words[-1] = f"slowest: {words[-1]}"
        return Edge(start, end, way, words, slowest=slow)

    found, before = [], "request"
    reads, stored = False, bool(kept(design))
    for place, stage in enumerate(design.serving.path, 1):
        key = f"stage_{place}"
        found.append(waiting(before, key, key, budget=getattr(stage, "budget_ms", None)))
        if ladder_of(stage) in design.models:
            fresh = [] if stored or not isinstance(stage, (Retrieve, Nearest)) else _fresh(card)
            found.append(Edge("bundle", key, words=fresh))
        if stored and isinstance(stage, (Rank, Score)):
            found.append(waiting("store", key, "" if reads else "features", "seam"))
            reads = True
        before = key
    service = card.serving
    told = []
    if service is not None and service.p99_ms is not None:
        told = [f"p99 {numbers.milliseconds(service.p99_ms)} in all", *(["not judged"] if service.unjudged else [])]
    found.append(Edge(before, "answer", words=told))
    return [*found, *_after(design)]


def _fresh(card: Scorecard) -> list[str]:
    """How soon a new item is found, where no store stands between it and the request."""
    arrival = card.arrival.median if card.arrival is not None else None
    return [] if arrival is None else [f"new after {numbers.milliseconds(1e3 * arrival)}"]


def _after(design: Design) -> list[Edge]:
    """What comes of an answer: labels, and the watch that calls for learning again."""
    found, last = [], "answer"
    if design.serving.log:
        found.append(Edge("answer", "log"))
        last = "log"
    found.append(Edge(last, "labels", "seam"))
    if design.monitoring.watches:
        found.append(Edge(last, "watches"))
        last = "watches"
    if design.monitoring.retrain is not None:
        found.append(Edge(last, "retrain", "loop"))
    return found


def _measured(design: Design, card: Scorecard) -> dict[str, float]:
    """Milliseconds by the edge where a request waits for them, of those that the service told apart."""
    told = card.serving.stages_ms if card.serving is not None else {}
    reads = any(isinstance(stage, (Rank, Score)) for stage in design.serving.path) and bool(kept(design))
    found = {"features": told.get("features")} if reads else {}
    later: set[str] = set()
    for place, stage in enumerate(design.serving.path, 1):
        parts = [name for name in _timed(stage) if name in told and name not in later]
        if parts:
            found[f"stage_{place}"] = sum(told[name] or 0.0 for name in parts)
            later |= set(parts)
    return {key: value for key, value in found.items() if value is not None}


def _timed(stage: Any) -> Sequence[str]:
    """The names under which the service tells a stage's time; stages that change the order are told together."""
    if isinstance(stage, (Rank, Score)):
        return (stage.ladder,)
    if isinstance(stage, get_args(Reranking)):
        return ("rerank",)
    if isinstance(stage, Nearest):
        return ("encode", "nearest")
    return (
        ("retrieve",)
        if isinstance(stage, (Retrieve, Candidates))
        else ("auction",)
        if isinstance(stage, Auction)
        else ()
    )


def ladder_of(stage: Any) -> str | None:
    """Name the ladder whose champion a stage asks, if it asks one."""
    if isinstance(stage, Retrieve):
        return "retrieve"
    ladder: str | None = getattr(stage, "ladder", getattr(stage, "encoder", None))
    return ladder


def about(stage: Any) -> str:
    """Say in a few words what a stage does."""
    told: Mapping[type, Callable[[], str]] = {
        Candidates: lambda: f"the request brings at most {stage.at_most:,}",
        Retrieve: lambda: f"{stage.k:,} candidates" + (f" where {stage.where}" if stage.where else ""),
        Rank: lambda: f"by the champion of {stage.ladder}",
        Score: lambda: f"by the champion of {stage.ladder}",
        Show: lambda: f"the first {stage.k:,}",
        Nearest: lambda: f"{stage.k:,} items, by {f'codes of {stage.bits} bits' if stage.binary else stage.index.kind}",
        Auction: lambda: f"{numbers.several(stage.slots, 'slot')} by {stage.bid}",
        Decide: lambda: ", ".join(stage.actions),
        Pace: lambda: "budgets over the day",
        Diversify: lambda: f"{stage.method} by {', '.join([*stage.by, *(['vectors'] if stage.vectors else [])])}",
        Quota: lambda: stage.name or stage.where or stage.by or "",
        Deduplicate: lambda: stage.name or f"one of each {stage.by}",
        Rule: lambda: getattr(stage, "name", None) or stage.where,
        Explore: lambda: (
            stage.name or (f"{100 * stage.epsilon:g} % drawn" if stage.method == "epsilon" else "thompson")
        ),
    }
    return told[type(stage)]() if type(stage) in told else ""
