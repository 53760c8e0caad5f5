"""From a design, and what a run of it measured, to the plan of its flowchart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.drawing import beforehand, between, online
from bottega.reporting.drawing.chart import Chart
from bottega.reporting.scorecard import Scorecard, of


def plan(design: Design, scorecard: Scorecard | Mapping[str, Any] | None = None) -> Chart:
    """Plan the flowchart of a design from the objects that run: its stages, ladders, checks, and the store's records.

    After a run measured rows, seconds and milliseconds stand on the edges, and the edge at which a request waits
    longest is marked. When it is wrong: the service tells the time of a stage by kind, and all stages that change the
    order together; that time stands on the edge to the first of them.

    scorecard: of a build; nothing: the design alone. Errors: `DesignError` for an expression that cannot be read.

    >>> from bottega.systems.news_feed import design
    >>> [lane.title for lane in plan(design).lanes]
    ['beforehand', 'shared by both', 'for each request']
    """
    card = of(scorecard or {})
    lanes = [beforehand.lane(design, card), between.lane(design, card), online.lane(design)]
    edges = [*beforehand.edges(design, card), *between.edges(design, card), *online.edges(design, card)]
    stages = " → ".join(type(stage).__name__ for stage in design.serving.path)
    tables = numbers.several(len(design.data.tables), "table")
    summary = f"Beforehand: {tables}, checks, examples, features, {numbers.several(len(design.models), 'ladder')}, "
    summary += f"evaluation. For each request: {stages}. Features through the store and labels from the decision log "
    summary += "join the two."
    if slow := next((edge for edge in edges if edge.slowest), None):
        names = {node.key: node.title for lane in lanes for row in lane.rows for node in row}
        what = f"the features of {names[slow.end]}" if slow.way == "seam" else names[slow.end]
        summary += f" A request waits longest for {what}: {slow.words[-1].removeprefix('slowest: ')}."
    return Chart(f"{design.name}: from ingestion to prediction", summary, lanes, edges)
