"""Of the chapter on data: the labels, what sampling leaves out, and the place in which a candidate was shown."""

from __future__ import annotations

from bottega.design.data import Downsample, InversePropensity, PositionFeature, Upsample
from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import Bar, Bars, Block, Grid, Heading, Paragraph, Words
from bottega.reporting.click_parts import LabelCount
from bottega.reporting.scorecard import Scorecard


def sampling(part: Downsample | Upsample) -> str:
    """Say in words what sampling does to training, and what undoes it.

    >>> sampling(Upsample(5))
    'each positive stands 5 times in training; the probability is corrected'
    """
    if isinstance(part, Upsample):
        return f"each positive stands {part.times} times in training; the probability is corrected"
    undone = "the probability is corrected" if part.correct else f"each counts {1 / part.keep_negatives:.3g} times"
    return f"{numbers.setting(100 * part.keep_negatives)} % of the negatives stay in training; {undone}"


def position(part: PositionFeature | InversePropensity) -> str:
    """Say in words how the place in which a candidate was shown is kept apart from how good it is."""
    if isinstance(part, PositionFeature):
        return f"models see the place while they learn; serving takes place {part.served_as} for all"
    return f"a click counts by one over the chance that its place is looked at, {part.most:g} at most"


def labels(design: Design, card: Scorecard) -> list[Block]:
    """Show each label: what it is given, when it is known, and how often it is positive."""
    counted = {each.name: each for each in card.labels}
    if not counted:
        return []
    parts = {label.name: label for label in design.data.labels}
    rows: list[list[Words]] = []
    for name in dict.fromkeys([*parts, *counted]):
        part, found = parts.get(name), counted.get(name)
        given = f"{name}, given {part.given}" if part is not None and part.given is not None else name
        known = "at once" if part is None or part.matures_after == "0s" else f"after {part.matures_after}"
        if part is not None and part.window is not None:
            known = f"within {part.window}{_share(found)}, all {known}"
        cells = (numbers.NONE,) * 4
        if found is not None:
            cells = (
                numbers.count(found.rows),
                numbers.count(found.positives),
                numbers.count(found.test_positives),
                numbers.rate(found.rate),
            )
        rows.append([given, known, *cells])
    head = ["label", "known", "rows", "positives", "in the test", "rate"]
    notes = [f"{each.name}: {each.window_note}." for each in counted.values() if each.window_note]
    if unlearnt := [name for name in parts if name not in counted]:
        notes.append(f"No model of this run learnt {numbers.enumerated(unlearnt)}.")
    return [Grid("Labels", head, rows, left=2), *(Paragraph(note, quiet=True) for note in notes)]


def _share(found: LabelCount | None) -> str:
    """Say how many of a label's positives come within its window."""
    if found is None or (found.window_share is None and not found.window_note):
        return ""
    return f" ({'share not measured' if found.window_share is None else numbers.rate(found.window_share)})"


def chances(card: Scorecard) -> list[Block]:
    """Show the chance that each place is looked at, as the log itself told it."""
    found = card.position
    if found is None or not found.chances:
        return []
    bars = [Bar(f"place {place}", at, numbers.rate(at)) for place, at in found.chances.items() if at is not None]
    rows: list[list[Words]] = [[place, numbers.rate(at)] for place, at in found.chances.items()]
    caption = "The chance that a place is looked at, beside the best place"
    plot = [Bars(caption, bars, "looked at")] if bars else []
    return [Heading("Position"), *plot, Grid(f"{caption}, measured from the log", ["place", "chance"], rows)]
