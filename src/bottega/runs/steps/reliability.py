"""Whether a champion's probability is honest: by decile, by slice, and before and after it was corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.keys import as_text
from bottega.evaluation.calibration import by_slice, calibration_of
from bottega.evaluation.outcome import Outcome
from bottega.features.frame import Values
from bottega.files import read_json
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL, Lesson
from bottega.runs.steps.training import Trained

SMALLEST = 10_000  # rows of a slice: with a rate of 5 % its observed rate is known within 10 %


def calibration(
    job: Job,
    ladder: Ladder,
    champion: str,
    rows: Examples,
    lesson: Lesson,
    trained: Trained,
    values: Values,
    test: Outcome,
) -> dict[str, Any]:
    """Judge a champion's probabilities on the test, for `calibration` of the scorecard.

    lesson: of the last fit. test: the outcome of its judged rows.
    """
    result = trained[ladder.name, champion, FINAL]
    entity = test.entity[test.group]
    label, chosen = test.label, lesson.judged
    scores = np.load(result.folder / "scores.npy")[chosen]
    found = calibration_of(label, scores, entity, job.seed)
    raw = np.load(result.folder / "raw.npy")[chosen]
    undone = read_json(result.folder / "model" / "probability.json")
    touched = undone["kept"] < 1 or undone["late"] < 1 or undone["calibrator"] is not None
    inside = raw.min(initial=1) >= 0 and raw.max(initial=0) <= 1
    slices = {name: slice_values(rows, values, name, chosen) for name in slice_names(job, rows, values)}
    return {
        "rung": champion,
        "deciles": found.pop("deciles"),
        "overall": found,
        "raw": calibration_of(label, raw, entity, job.seed)["deciles"] if touched and inside else None,
        "kept": undone["kept"] if undone["kept"] < 1 else None,
        "late": undone["late"] if undone["late"] < 1 else None,
        "calibrator": undone["calibrator"]["kind"] if undone["calibrator"] else None,
        "calibrated_on": len(lesson.calibrate) if undone["calibrator"] else None,
        "slices": by_slice(label, scores, slices, entity, smallest=SMALLEST),
    }


def slice_names(job: Job, rows: Examples, values: Values) -> list[str]:
    """Name what a probability is judged by: the design's slices, the position, and features that are small categories.

    A slice here is of rows, so that columns of the candidate are slices too.
    """
    plan = job.design.evaluation
    named = [*plan.slices, *(name for goal in plan.goals for name in goal.slices)]
    known = [name for name in named if name in values.request or name in rows.requests.columns.column_names]
    texts = [
        name
        for name, column in {**values.request, **values.row}.items()
        if isinstance(column, pa.DictionaryArray) and len(column.dictionary) <= SMALLEST
    ]
    treatment = job.design.data.position
    return list(dict.fromkeys([*known, *([treatment.column] if treatment is not None else []), *texts]))


def slice_values(rows: Examples, values: Values, name: str, chosen: np.ndarray) -> pa.Array:
    """Give the value of a slice for each chosen row, (m,) texts."""
    treatment = None if rows.more is None else rows.more.position
    group = rows.group[chosen]
    if name in values.row:
        column = values.row[name]
        column = column.take(pa.array(chosen)) if isinstance(column, pa.DictionaryArray) else column[chosen]
    elif name in values.request:
        column = values.request[name]
        column = column.take(pa.array(group)) if isinstance(column, pa.DictionaryArray) else column[group]
    elif name in rows.requests.columns.column_names:
        column = rows.requests.columns.column(name).combine_chunks().take(pa.array(group))
    elif treatment is not None:
        column = treatment[chosen]
    else:
        raise KeyError(name)
    if isinstance(column, np.ndarray):
        column = pa.array(column, from_pandas=True)
    return as_text(column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column)
