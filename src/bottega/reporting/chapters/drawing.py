"""The flowchart: what becomes what, from the tables to the answer, before the seven steps."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.reporting.blocks import Flow, Section
from bottega.reporting.drawing.plan import plan
from bottega.reporting.scorecard import Scorecard


def drawing(design: Design, card: Scorecard) -> Section:
    """Show the design as a flowchart, with what a run measured on its edges."""
    measured = "with what the run measured on its edges" if card.build else "as the design has it"
    return Section(
        "drawing", "From ingestion to prediction", [Flow(f"The whole system, {measured}", plan(design, card))]
    )
