"""Which labels are known when models learn and when they are judged, and how many come within a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.data.examples import TEST, TRAIN, VALIDATE, Examples
from bottega.data.times import iso
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.errors import DataError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """How many of the labels above 0 come within the window."""

    value: float
    """The share, above 0 to 1: a probability learnt from early values is divided by it."""
    count: int
    """Labels above 0 that it was measured on."""
    reason: str = ""
    """Why it is 1 where it could not be measured."""


def label_of(design: Design, name: str | None) -> Label:
    """Give a label by its name, or the main one; `DataError` where there is none of that name."""
    labels = design.data.labels
    found = [label for label in labels if name in (None, label.name)]
    if not found:
        raise DataError("data.labels", f"no label {name!r}", f"one of {', '.join(label.name for label in labels)}")
    return found[0]


def values_of(examples: Examples, label: Label) -> NDArray[np.float32]:
    """Give the final values of a label (n,), NaN where there is none; without further labels, the main ones."""
    return examples.labels.get(label.name, examples.label)


def learnable(examples: Examples, judged: int, label: Label) -> Mask:
    """Mark the rows (n,) that models may learn a label from before a part is judged.

    Without a window, rows of the parts before it with a final label: with a split in time and no embargo of its own,
    final when the judged part begins. With a window and a split in time, all rows before whose early value was known
    then, also those that lie in the embargo; with an embargo of its own, only those that lie before it.

    examples: as `logged` gives them; judged: `VALIDATE`, from training, or `TEST`, from training and validation.
    """
    parts = (TRAIN,) if judged == VALIDATE else (TRAIN, VALIDATE)
    inside = np.isin(examples.part(), parts)
    at = examples.borders
    if label.window is not None and label.name in examples.early:
        there = ~np.isnan(examples.early[label.name])
        if at is None:
            return inside & there
        time, begin = examples.requests.time[examples.group], at.before(judged)
        return there & (time < begin - at.gap * at.fixed) & (examples.ripe[label.name] <= begin)
    return inside & _known(examples, label, judged)


def judged_rows(design: Design, examples: Examples, part: int, name: str | None = None) -> Mask:
    """Mark the rows (n,) of a part on which a label may be judged: its final value is there.

    Validation takes no label that was final only after the test began, unless the split has an embargo of its own.

    part: `VALIDATE` or `TEST`; name: of the label, nothing: the main one.
    """
    label = label_of(design, name)
    there = _known(examples, label, TEST) if part == VALIDATE else ~np.isnan(values_of(examples, label))
    inside: Mask = examples.part() == part
    return inside & there


def _known(examples: Examples, label: Label, before: int) -> Mask:
    there = ~np.isnan(values_of(examples, label))
    at = examples.borders
    if at is not None and not at.fixed and label.name in examples.final:
        there &= examples.final[label.name] <= at.before(before)
    return there


def share_within(examples: Examples, label: Label, until: int | None) -> Share:
    """Measure the share of labels above 0 that came within the label's window, on rows that were final by a moment.

    P(label) = P(label within the window) ÷ share. It is wrong where the delay depends on what the probability depends
    on (then each kind of example has a share of its own), and where it changes faster than labels mature.

    until: microseconds since 1970 UTC, of which on nothing may be known; nothing: all rows count. Larger measures on
    more. Where no label above 0 was final by then, or none of them came within the window, the share is 1, and
    `reason` says so.
    """
    if label.window is None or label.name not in examples.early:
        return Share(1.0, 0, f"{label.name} has no window")
    came = values_of(examples, label) > 0
    if until is not None:
        came &= examples.final[label.name] <= until
    count = int(np.count_nonzero(came))
    within = int(np.count_nonzero(came & (examples.early[label.name] > 0)))
    when = "" if until is None else f" before {iso(until)}"
    if not count:
        return Share(1.0, 0, f"no {label.name} above 0 was final{when}: what comes after the window is not corrected")
    if not within:
        return Share(1.0, count, f"none of {count:,} came within the window of {label.window}: not corrected")
    return Share(within / count, count)
