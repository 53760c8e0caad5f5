"""How the build was made: steps, time, memory, machine, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Facts, Grid, Paragraph, Section, Words
from bottega.reporting.scorecard import Scorecard


def making(design: Design, card: Scorecard) -> Section:  # noqa: ARG001
    """Show each step with its seconds, and what is needed to make the build again."""
    blocks: list[Block] = []
    if card.steps:
        ran = [step for step in card.steps if not step.cached]
        total = sum(step.seconds or 0 for step in ran)
        told = f"{numbers.several(len(card.steps), 'step')}, {len(card.steps) - len(ran)} of them cached; "
        rows: list[list[Words]] = [[step.name, numbers.seconds(step.seconds, step.cached)] for step in card.steps]
        caption = f"{told}{numbers.seconds(total)} of work in this run"
        blocks.append(Grid(caption, ["step", "time"], rows))
    else:
        blocks.append(Paragraph("The steps were not recorded.", quiet=True))
    facts: list[tuple[str, Words]] = [
        (label, value)
        for label, value in (
            ("Build", card.build),
            ("Made", card.created or ""),
            ("Seed", "" if card.seed is None else str(card.seed)),
            ("Memory at the peak", "" if card.peak_rss_mb is None else numbers.megabytes(card.peak_rss_mb)),
            *_flat(card.machine),
        )
        if value
    ]
    return Section("making", "How it was made", [*blocks, Facts(facts)] if facts else blocks)


def _flat(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for key, value in machine.items():
        if isinstance(value, Mapping):
            told = ", ".join(f"{name} {item}" for name, item in value.items())
        elif key.endswith("_mb") and isinstance(value, (int, float)):
            told = numbers.megabytes(value)
        else:
            told = str(value)
        label = key.removesuffix("_mb").replace("_", " ")
        found.append(("CPU" if label == "cpu" else numbers.begun(label), told))
    return found
