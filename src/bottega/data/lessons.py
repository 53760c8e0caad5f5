"""What models and calibrators learn from before a part is judged: rows, values, weights, and what undoes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.data.calibrating import calibration_slice
from bottega.data.examples import PART_NAMES, TEST, TRAIN, UNUSED, VALIDATE, Examples
from bottega.data.keys import combined, encode
from bottega.data.positions import propensities, propensity_weights
from bottega.data.ripeness import Share, label_of, learnable, share_within, values_of
from bottega.data.sampling import kept, sampling_weight, standing
from bottega.design.data import InversePropensity, Label
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.errors import DataError

_ENOUGH = 1000  # clicks of cells that stood in several places, with which no coarser cells are asked


@dataclass(frozen=True)
class Lesson:
    """What one fit learns, for one label.

    A model learns `target` from the rows that stand here, each `times` times with `weight`. Its score is turned into
    a probability by the closed form with `kept`, then by the calibrator, which learns it on the rows of `calibrate`,
    then by the division by `share.value`, at most 1.
    """

    target: NDArray[np.float32]
    """(n,) what is learnt: whether the label came within its window, where it has one, else its final value; NaN in
    rows that are not learnt from."""
    times: NDArray[np.int32]
    """(n,) how often the row stands among those that models learn from; 0: not at all."""
    weight: NDArray[np.float32]
    """(n,) what each of them counts for the model; the calibrator counts `Examples.weight`."""
    calibrate: NDArray[np.bool_]
    """(n,) the rows for the calibrator, none of them sampled."""
    kept: float
    """w of p = q / (q + (1 − q)/w); 1: nothing to correct."""
    share: Share
    """The share of labels that come within the window; 1 without one."""
    chances: Mapping[int, float]
    """Place → chance that it is looked at, relative to the best; empty where clicks are not weighted."""


def lesson(
    design: Design, examples: Examples, judged: int, *, label: str | None = None, calibrate: bool = True, seed: int = 0
) -> Lesson:
    """Put together what may be learnt of a label before a part is judged.

    Weights for the place go to labels that are not given another (a conversion after a click was looked at); the
    chances are those of clicks, the main label, on the rows that are learnt from. A calibrator learns without these
    weights: it brings the probabilities of the best place back to those of the logged places, and keeps the order.

    design: with its split, sampling and position; examples: as `logged` gives them; judged: `VALIDATE` or `TEST`;
    label: its name, nothing: the main one; calibrate: keep a slice for calibrators, else models learn from all;
    seed: of sampling and slice. The draws are the same for both parts that are judged.
    Raises `DataError`: one value of the label alone in what is learnt from, or in the slice; places that cannot be
    compared.
    """
    asked = label_of(design, label)
    learnt = learnable(examples, judged, asked) & _taught(design, examples)
    target = examples.early.get(asked.name, values_of(examples, asked))
    target = np.where(learnt, target, np.float32(np.nan))
    _check_classes(target, learnt, asked, judged)
    slice_ = np.zeros(len(examples), np.bool_)
    if calibrate:
        slice_ = calibration_slice(design.data.split, examples, learnt, target, seed)
    training = learnt & ~slice_
    sampling = design.data.sampling
    weight = examples.weight * sampling_weight(target, sampling)
    chances: Mapping[int, float] = {}
    if isinstance(design.data.position, InversePropensity) and asked.given is None:
        main = label_of(design, None)
        known = training & learnable(examples, judged, main) & _taught(design, examples)
        clicks = examples.early.get(main.name, values_of(examples, main))
        chances = _chances(design, examples, known, clicks, design.data.position.most)
        weight *= propensity_weights(_place(examples), target, chances, design.data.position.most)
    until = None if examples.borders is None else examples.borders.before(judged)
    return Lesson(
        target,
        np.where(training, standing(target, sampling, seed), 0),
        weight,
        slice_,
        kept(sampling),
        share_within(examples, asked, until),
        chances,
    )


def taught_parts(design: Design, parts: tuple[int, ...], given: bool) -> tuple[int, ...]:
    """Give those of the parts that models may learn from, by the split.

    given: whether the table itself says which rows are validation.
    """
    refit = getattr(design.data.split, "refit", "always")
    return (TRAIN,) if refit == "never" or (refit == "held out" and given) else parts


def _taught(design: Design, examples: Examples) -> NDArray[np.bool_]:
    return np.isin(examples.part(), taught_parts(design, (TRAIN, VALIDATE, TEST, UNUSED), examples.given))


def _place(examples: Examples) -> NDArray[np.float32]:
    if examples.position is None:
        raise DataError("data.position", "examples without places", "examples that `logged` made of this design")
    return examples.position


def _chances(
    design: Design, examples: Examples, rows: NDArray[np.bool_], clicks: NDArray[np.float32], most: float
) -> dict[int, float]:
    """Compare clicks within cells of request and candidate, the finest that have enough clicks to compare.

    The columns of the request are given up one after another, the person first, then from the last one on.
    """
    made = design.data.examples
    if not isinstance(made, Logged) or examples.candidate is None:
        raise TypeError("weights for places are of logged candidates")
    place, click = _place(examples)[rows], clicks[rows]
    candidate, group = encode(examples.candidate)[0][rows], examples.group[rows]
    coded = {name: encode(examples.requests.columns[name])[0][group] for name in made.request}
    person, *others = made.request
    levels = [[person, *others], *(others[:count] for count in range(len(others), -1, -1))]
    for level in levels[:-1]:
        columns = [candidate, *(coded[name] for name in level)]
        keys = combined((codes + 1, int(codes.max(initial=0)) + 2) for codes in columns)  # null is a value: 0
        _, cell = np.unique(keys, return_inverse=True)
        if _comparable(place, click, cell) >= _ENOUGH:
            return propensities(place, click, cell, most)
    return propensities(place, click, candidate.astype(np.int64), most)


def _comparable(place: NDArray[np.float32], click: NDArray[np.float32], cell: NDArray[np.int64]) -> float:
    """Count the clicks of cells that stood in several places."""
    known = ~np.isnan(place)
    size = int(cell.max()) + 1
    high, low = np.zeros(size, np.float32), np.full(size, np.inf, np.float32)
    np.maximum.at(high, cell[known], place[known])
    np.minimum.at(low, cell[known], place[known])
    return float(np.count_nonzero((click > 0) & known & (high > low)[cell]))


def _check_classes(target: NDArray[np.float32], learnt: NDArray[np.bool_], label: Label, judged: int) -> None:
    values = np.unique(target[learnt])
    if len(values) < 2:
        found = (
            f"{label.name!r} is {values[0]:g} in every row" if len(values) else f"no row with a final {label.name!r}"
        )
        raise DataError(
            "data.labels",
            f"{found} that may be learnt from before the {PART_NAMES[judged]} part",
            "at least two values of the label",
            "a longer log, or another split",
        )
