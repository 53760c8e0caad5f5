"""What a network for several labels learns from: the rows of its ladder's label, with a column for each of its own."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from bottega.data.ripeness import label_of, learnable
from bottega.design.design import Design
from bottega.design.models import Model
from bottega.design.scorers import MultiTask
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.lessons import FITS, Lesson

TASKS = "tasks.npy"
"""Beside a trained network for several labels: the probability of each, (n, tasks), NaN where it is not judged."""


def with_tasks(design: Design, rows: Examples, lesson: Lesson, setting: Model, fit: str) -> Lesson:
    """Give a rung's lesson, of a network for several labels with a column for each of its objectives, (m, tasks).

    A value is missing (NaN) where it was not final before the judged part began. Sampling is undone by weights here,
    since the correction in closed form is right for one label alone; and final values are learnt, never early ones.
    """
    if not isinstance(setting, MultiTask):
        return lesson
    columns = [_known(design, rows, name, fit)[lesson.learn] for name in setting.objectives]
    negative = np.where(lesson.label > 0, 1, 1 / lesson.kept).astype(np.float32)
    return replace(lesson, label=np.column_stack(columns), weight=lesson.weight * negative, kept=1.0, late=1.0)


def _known(design: Design, rows: Examples, name: str, fit: str) -> np.ndarray:
    value = rows.label_of(name)
    if rows.more is None:
        return value
    final = msgspec.structs.replace(label_of(design, name), window=None)
    return np.where(learnable(rows.more, FITS[fit][1], final), value, np.float32(np.nan))
