"""The funnel: what each stage of the path keeps of what people then took, and what it loses."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.blocks import Bar, Bars, Block, Grid, Heading, Paragraph, Words
from bottega.reporting.measured import Measured
from bottega.reporting.parts import Stage
from bottega.reporting.scorecard import Scorecard

SOURCE = "source"
_NAMES = {"retrieve": "all sources together", "cut": "kept for ranking", "show": "shown"}


def funnel(card: Scorecard) -> list[Block]:
    """Show kept and lost after each stage, and what only one source finds, over all and under each view."""
    if not card.funnel or all((row.candidates or 0) <= 1 for row in card.funnel):  # nothing to keep or lose
        return []
    blocks: list[Block] = [Heading("What the path keeps and loses")]
    for view in dict.fromkeys(row.view for row in card.funnel):
        rows = [row for row in card.funnel if row.view == view]
        under = "" if view is None else f", only {view}"
        bars = _bars(rows)
        if bars:
            blocks.append(Bars(f"Share of what people then took that is still there{under}", bars))
        blocks.append(
            Grid(
                f"The path, stage by stage{under}",
                ["stage", "candidates", "kept", "lost here", "only this source", "no order could show"],
                [_cells(row) for row in rows],
                strong=frozenset(place for place, row in enumerate(rows) if row.stage != SOURCE),
            )
        )
    told = "Lost here is the share of all that the stage lets go. It knows only what people took: what they were never"
    return [*blocks, Paragraph(f"{told} shown cannot be found missing.", quiet=True)]


def name(row: Stage) -> str:
    """Call a stage as a reader would."""
    if row.stage == SOURCE:
        return row.name
    told = _NAMES.get(row.stage, row.stage)
    return f"{told} ({row.name})" if row.stage == "show" and row.name else told


def _bars(rows: list[Stage]) -> list[Bar]:
    bars: list[Bar] = []
    before: float | None = None
    for row in rows:
        if row.kept is None or row.kept.value is None:
            continue
        kept = row.kept.value
        if row.stage == SOURCE:
            alone = row.alone.value if row.alone is not None else None
            told = f"{numbers.share(kept)}" + (f", {numbers.share(alone)} only here" if alone is not None else "")
            bars.append(Bar(name(row), kept, told, inner=alone))
        else:
            lost = row.lost.value if row.lost is not None else None
            told = f"{numbers.share(kept)}" + (f", {numbers.share(lost)} lost" if lost else "")
            bars.append(Bar(name(row), kept, told, until=before if before is not None else 1.0))
            before = kept
    return bars


def _cells(row: Stage) -> list[Words]:
    shares = (row.kept, row.lost, row.alone, row.unavoidable)
    return [name(row), numbers.average(row.candidates), *(_share(part) for part in shares)]


def _share(part: Measured | None) -> str:
    return numbers.NONE if part is None else numbers.share_interval(part.value, part.low, part.high)
