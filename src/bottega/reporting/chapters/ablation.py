"""Of the chapter on evaluation: what the path would show without one of its sources or stages."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Dot, Dots, Grid, Heading, Paragraph, Status, Words
from bottega.reporting.parts import Removed
from bottega.reporting.scorecard import Scorecard

PATH = "path"


def ablation(card: Scorecard) -> list[Block]:
    """Show what each source and stage earns: the whole path less the path without it, on the same requests."""
    whole = next((row for row in card.ablation if row.kind == PATH), None)
    parts = [row for row in card.ablation if row.kind != PATH]
    if not parts:
        return []
    name = parts[0].metric
    dots = [
        Dot(row.name, row.difference.value, row.difference.low, row.difference.high, _difference(row), "dot")
        for row in parts
        if row.difference is not None and row.difference.value is not None
    ]
    blocks: list[Block] = [Heading("What each part earns")]
    if dots:
        caption = f"{numbers.title(name)} of the whole path less that of the path without the part"
        blocks.append(Dots(caption, dots, (0.0, "no difference"), "difference"))
    rows: list[list[Words]] = []
    if whole is not None:
        rows.append(["the whole path", "", "", _value(whole), numbers.NONE])
    rows += [[f"without {row.name}", row.kind, _earns(row), _value(row), _difference(row)] for row in parts]
    caption = "Each source and stage taken out once, on the test"
    head = ["path", "part", "result", numbers.title(name), "difference"]
    blocks.append(Grid(caption, head, rows, 3, frozenset({0} if whole is not None else ())))
    told = (
        "A source that is taken out brings no candidates and scores none, as one that gives no answer in serving. The "
        "models were trained with the part, and nothing fills the places that it leaves free: a part of little "
        "difference may still stand in for another."
    )
    return [*blocks, Paragraph(told, quiet=True)]


def _earns(row: Removed) -> Words:
    """Say whether the path is better with a part, by the interval of the difference."""
    at = row.difference
    if at is None or at.low is None or at.high is None:
        return Status(None, row.undefined or "not judged")
    if at.low <= 0 <= at.high:
        return Status(None, "not told apart")
    return Status(at.low > 0, "earns its place" if at.low > 0 else "costs")


def _value(row: Removed) -> str:
    at = row.value
    return numbers.NONE if at is None else numbers.estimate(at.value, at.low, at.high, numbers.places(row.metric))


def _difference(row: Removed) -> str:
    at = row.difference
    return numbers.NONE if at is None else numbers.difference(at.value, at.low, at.high)
