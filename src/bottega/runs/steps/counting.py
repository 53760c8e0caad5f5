"""What a run counts for its scorecard beside metrics: labels, categories, crosses, and the places of what was shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.design.features import Categories, Cross
from bottega.features.batch import names
from bottega.features.codebook import Codebook, unseen
from bottega.features.frame import Frame, Values, category
from bottega.features.hashing import hashes, paired
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import FINAL, Lesson, lesson_of


def labels(job: Job, rows: Examples, lessons: Result) -> list[dict[str, Any]]:
    """Count the examples of each label: rows with a value, positives, and what comes within its window.

    Where that share could not be measured, there is none, and `window_note` says why.
    """
    if rows.more is None:
        return [_label(job.design.data.labels[0].name, rows.label, rows.part, None)]
    taught = {
        ladder.label: lesson_of(lessons, ladder, ladder.rungs[0], FINAL)
        for ladder in job.ladders
        if next(label for label in job.design.data.labels if label.name == ladder.label).window is not None
    }
    used = rows.part != UNUSED
    return [
        _label(label.name, rows.more.labels.get(label.name, rows.label)[used], rows.part[used], taught.get(label.name))
        for label in job.design.data.labels
    ]


def _label(name: str, values: np.ndarray, part: np.ndarray, taught: Lesson | None) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    positives = int((known > 0).sum())
    rate = positives / len(known) if len(known) else None
    note = "" if taught is None else taught.note
    share = None if taught is None or note else taught.late
    return {
        "name": name,
        "rate": rate,
        "rows": len(known),
        "positives": positives,
        "test_positives": int((values[part == TEST] > 0).sum()),
        "window_share": share,
        "window_note": note,
    }


def categories(job: Job, rows: Examples, values: Values) -> list[dict[str, Any]]:
    """Tell for each column of `Categories` how its values are coded, and how many of the test were never learnt."""
    learnt = np.isin(rows.part, (TRAIN, VALIDATE))
    found = []
    for part in [part for part in job.design.features if isinstance(part, Categories)]:
        for name in part.columns:
            column = pa.array(values.at_rows(name, rows.group))
            spread = Codebook.learn(column.filter(pa.array(learnt)), part.own_from, part.hashed).spread
            share = unseen(column, learnt, rows.part == TEST)
            found.append(
                {
                    "column": name,
                    "values": spread.distinct,
                    "own": spread.own,
                    "hashed_values": spread.distinct - spread.own,
                    "hashed": spread.codes,
                    "collision_rate": spread.shared_values,
                    "unseen_share": None if math.isnan(share) else share,
                }
            )
    return found


def crosses(job: Job, asked: Frame, values: Values, part: np.ndarray) -> list[dict[str, Any]]:
    """Tell for each `Cross` how many pairs the rows that are learnt from have, and which share meets another one.

    asked, values: what the features were computed for, and they themselves. part: (n,) of each row.
    """
    learnt = np.isin(part, (TRAIN, VALIDATE))
    every = Values({**values.request, **asked.requests}, {**values.row, **asked.candidates})
    found = []
    for cross in [each for each in job.design.features if isinstance(each, Cross)]:
        left, right = (hashes(category(every.at_rows(each, asked.group))) for each in (cross.left, cross.right))
        pairs = np.unique(paired(left, right)[learnt])  # two pairs are one by a chance of 2⁻⁶⁴
        _, at, together = np.unique(pairs % np.uint64(cross.buckets), return_inverse=True, return_counts=True)
        rate = float((together[at] > 1).mean()) if len(pairs) else None
        found.append({"column": names(cross)[0], "pairs": len(pairs), "buckets": cross.buckets, "collision_rate": rate})
    return found


def position(job: Job, rows: Examples, lessons: Result) -> dict[str, Any] | None:
    """Tell how the place is kept apart, and the chances of each place where they were measured."""
    treatment = job.design.data.position
    if treatment is None or rows.more is None:
        return None
    ladder = job.ladders[0]
    chances = lesson_of(lessons, ladder, ladder.rungs[0], FINAL).chances
    told = {str(place): chance for place, chance in chances} or None
    return {"kind": type(treatment).__name__, "chances": told}
