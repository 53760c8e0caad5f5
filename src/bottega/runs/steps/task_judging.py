"""Of the step that judges: each label by itself, where a rung of the ladder learns several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bottega.design.models import rung_name
from bottega.design.scorers import MultiTask
from bottega.evaluation.tasks import judge_tasks
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.predictions import Judged
from bottega.runs.steps.tasks import TASKS
from bottega.runs.steps.training import Trained


def chances_of(ladder: Ladder, chosen: np.ndarray, trained: Trained) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Give what networks for several labels say of each on the test, rung → label → (m,); nothing without one.

    chosen: (m,) the rows of the test. A network for one label stands with them where there is one for several.
    """
    settings = {rung_name(rung): rung for rung in ladder.rungs if isinstance(rung, MultiTask)}
    if not any(len(setting.objectives) > 1 for setting in settings.values()):
        return {}
    found = {}
    for name, setting in settings.items():
        said = np.load(trained[ladder.name, name, FINAL].folder / TASKS)[chosen]
        found[name] = {label: said[:, place] for place, label in enumerate(setting.objectives)}
    return found


def tasks_of(job: Job, judged: Judged, rows: Examples) -> list[dict[str, Any]]:
    """Judge a ladder's rungs on each label that one of them learns, on the test; nothing where none learns several."""
    if not judged.chances:
        return []
    labels = {name: rows.label_of(name)[judged.rows] for own in judged.chances.values() for name in own}
    found = judge_tasks(judged.outcome, labels, judged.chances, job.design.evaluation.primary, job.seed)
    return [{"ladder": judged.ladder.name, **each} for each in found]
