"""Of the step that judges: each label by itself, where a rung of the ladder learns several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bottega.design.models import rung_name
from bottega.design.scorers import MultiTask
from bottega.evaluation.tasks import judge_tasks
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.predictions import Judged
from bottega.runs.steps.tasks import TASKS
from bottega.runs.steps.training import Trained


def tasks_of(job: Job, judged: Judged, rows: Examples, trained: Trained) -> list[dict[str, Any]]:
    """Judge a ladder's rungs on each label that one of them learns, on the test; nothing where none learns several."""
    ladder, test = judged.ladder, judged.outcome
    settings = {rung_name(rung): rung for rung in ladder.rungs if isinstance(rung, MultiTask)}
    if not any(len(setting.objectives) > 1 for setting in settings.values()):
        return []
    chances = {}
    for name, setting in settings.items():
        said = np.load(trained[ladder.name, name, FINAL].folder / TASKS)[judged.rows]
        chances[name] = {label: said[:, place] for place, label in enumerate(setting.objectives)}
    labels = {label: rows.label_of(label)[judged.rows] for own in chances.values() for label in own}
    own = replace(test, rungs=[rung for rung in test.rungs if rung.stage == ladder.name])
    found = judge_tasks(own, labels, chances, job.design.evaluation.primary, job.seed)
    return [{"ladder": ladder.name, **each} for each in found]
