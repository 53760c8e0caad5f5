"""Step: each ladder's champion is chosen on validation; then the test is read once, and every rung judged on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bottega.data.examples import TEST
from bottega.data.keys import encode
from bottega.design.evaluation import Evaluation, Goal
from bottega.design.models import rung_name
from bottega.design.serving import Show
from bottega.evaluation.ablation import ablation
from bottega.evaluation.champion import choose
from bottega.evaluation.comparing import compare
from bottega.evaluation.funnel import funnel
from bottega.evaluation.goals import judge_goals, limit_of
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Outcome, Rung
from bottega.features.batch import given_columns
from bottega.features.frame import Values
from bottega.files import read_json, write_json
from bottega.models.probability import probable
from bottega.runs.step import Result
from bottega.runs.steps import counting
from bottega.runs.steps.blind import Blind
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import frame, load
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS, lesson_of
from bottega.runs.steps.parting import by_item, slice_of, slices_of, views_of
from bottega.runs.steps.path_parts import sources, without
from bottega.runs.steps.predictions import Judged, write_predictions
from bottega.runs.steps.reliability import calibration
from bottega.runs.steps.reranked import shown_by
from bottega.runs.steps.task_judging import chances_of, tasks_of
from bottega.runs.steps.training import TIMING, TRAINING, Trained, merged

REQUEST = "request"
"""The unit of intervals where each request stands for itself."""
_CODE = (
    "bottega.evaluation",
    "bottega.metrics",
    "bottega.features",
    "bottega.runs.steps.judging",
    "bottega.runs.steps.parting",
    "bottega.runs.steps.blind",
    "bottega.runs.steps.path_parts",
    "bottega.runs.steps.reranked",
    "bottega.serving.reranking",
    "bottega.runs.steps.reliability",
    "bottega.runs.steps.counting",
    "bottega.runs.steps.predictions",
    "bottega.runs.steps.task_judging",
)


def evaluate_ladders(
    job: Job,
    examples: Result,
    lessons: Result,
    retrievers: Mapping[str, Result],
    scores: Mapping[str, Result],
    trained: Trained,
    features: Sequence[Result],
) -> Result:
    """Judge all rungs of all ladders; write `evaluation.json` and `predictions.parquet`."""
    needs = [examples, lessons, *retrievers.values(), *scores.values(), *trained.values(), *features]

    def work(folder: Path, made: Result, *_: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        values = load(features)
        found: dict[str, Any] = {"ladders": {ladder.name: ladder.label for ladder in job.ladders}}
        found |= {name: [] for name in ("models", "comparisons", "goals", "funnel", "ablation", "tasks")}
        found |= {name: {} for name in ("champions", "choice", "calibration", "training")}
        tests: dict[str, Judged] = {}
        seconds = {name: result.work_seconds for name, result in retrievers.items()}
        for ladder in job.ladders:
            rungs = rungs_of(ladder, trained, scores, seconds)
            tests[ladder.name] = _ladder(job, ladder, rows, lessons, rungs, trained, values, found)
        first = next(iter(tests.values()))
        if rows.name is not None and any(isinstance(stage, Show) for stage in job.design.serving.path):
            show = next(stage for stage in job.design.serving.path if isinstance(stage, Show))
            masks, offered = sources(job, rows, retrievers)
            champion = next(iter(found["champions"].values()))
            found["funnel"] = funnel(first.outcome, champion, show.k, masks, offered, job.seed)
            told = Values(values.request, {**values.row, **frame(rows, list(scores.items())).candidates})
            order = partial(
                shown_by, rows=rows, chosen=first.rows, outcome=first.outcome, values=told, k=show.k, seed=job.seed
            )
            blind = Blind(job, first.ladder, champion, made, scores, trained, features, first.rows)
            served, parts = without(job, first.outcome, champion, masks, order, blind)
            found["ablation"] = ablation(first.outcome, served, parts, job.design.evaluation.primary, job.seed)
        found |= {"labels": counting.labels(job, rows, lessons), "position": counting.position(job, rows, lessons)}
        found["categories"] = counting.categories(job, rows, values)
        found["crosses"] = counting.crosses(job, frame(rows, list(scores.items())), values, rows.part)
        write_json(folder / "evaluation.json", found)
        given = given_columns(job.design.features)
        write_predictions(rows, tests, folder / "predictions.parquet", {name: values.row[name] for name in given})
        goals, champions = found["goals"], ", ".join(found["champions"].values())
        return f"champion {champions}; {sum(bool(goal['met']) for goal in goals)} of {len(goals)} goals met"

    return job.runner.step(
        "evaluate",
        work,
        inputs={
            "evaluation": job.design.evaluation,
            "ladders": [(ladder.name, ladder.label, ladder.rungs) for ladder in job.ladders],
            "path": job.design.serving.path,
            "seed": job.seed,
        },
        needs=needs,
        code=_CODE,
        libraries=("numpy", "pyarrow"),
    )


def _ladder(
    job: Job,
    ladder: Ladder,
    rows: Examples,
    lessons: Result,
    rungs: Sequence[Rung],
    trained: Trained,
    values: Values,
    found: dict[str, Any],
) -> Judged:
    """Choose a ladder's champion on validation, judge all its rungs on the test, and add what was found."""
    plan = plan_of(job, ladder)
    taught = {fit: lesson_of(lessons, ladder, ladder.rungs[0], fit) for fit in FITS}
    chosen = {fit: lesson.judged for fit, lesson in taught.items()}  # the same for all rungs
    label = label_of(rows, ladder)
    champion = choose(
        outcome(job, rows, chosen[CHOICE], label, rungs, values),
        ladder.name,
        plan.primary,
        plan.tolerance,
        within_budget(ladder, trained),
        seed=job.seed,
    )
    test = outcome(job, rows, chosen[FINAL], label, rungs, values)
    comparisons = compare(test, plan, champion.name, champion.best, job.seed)
    goals = told_goals(job, ladder, test, champion.name)
    if len(job.ladders) > 1:
        comparisons = [{**each, **{side: f"{ladder.name}.{each[side]}" for side in "ab"}} for each in comparisons]
    judged = judge(test, plan, job.seed)
    if masks := by_item(job, rows, chosen[FINAL]):
        parts = replace(test, views=masks, slices={})
        for told, entry in zip(judged, judge(parts, msgspec.structs.replace(plan, metrics=[]), job.seed), strict=True):
            told["items"] = entry["views"]
    found["models"] += judged
    found["comparisons"] += comparisons
    found["goals"] += goals
    found["champions"][ladder.name] = champion.name
    found["choice"][ladder.name] = champion.to_dict()
    found["training"] |= training_of(ladder, trained)
    setting = ladder.rung(champion.name)
    graded = bool((label > 1).any())  # a probability is one of 0 and 1
    if probable(setting) and rows.more is not None and not graded:
        lesson = lesson_of(lessons, ladder, setting, FINAL)
        found["calibration"][ladder.name] = calibration(job, ladder, champion.name, rows, lesson, trained, values, test)
    of_ladder = Judged(ladder, chosen[FINAL], label, test, chances_of(ladder, chosen[FINAL], trained))
    found["tasks"] += tasks_of(job, of_ladder, rows)
    return of_ladder


def rungs_of(
    ladder: Ladder, trained: Trained, scores: Mapping[str, Result], seconds: Mapping[str, float]
) -> list[Rung]:
    """Give the rungs that are judged on a ladder's label: the retrievers, and its own, each with its seconds.

    seconds: in which retrievers were fitted; 0 for those that are not named.
    """
    rungs = [
        Rung(name, "retrieve", np.load(result.folder / "scores.npy"), seconds.get(name, 0.0))
        for name, result in scores.items()
    ]
    for name in map(rung_name, ladder.rungs):
        took = sum(trained[ladder.name, name, fit].work_seconds for fit in FITS)
        rungs.append(Rung(name, ladder.name, merged(trained, ladder.name, name), took))
    return rungs


def label_of(rows: Examples, ladder: Ladder) -> np.ndarray:
    """Give the final value of a ladder's label, (n,)."""
    return rows.label_of(ladder.label)


def told_goals(job: Job, ladder: Ladder, test: Outcome, champion: str) -> list[dict[str, Any]]:
    """Judge the goals of a ladder, each with the ladder's name where there are several."""
    plan = plan_of(job, ladder)
    goals = judge_goals(test, plan, champion, job.seed)
    for goal in _of_ladder(job, ladder):
        if goal not in plan.goals:
            nothing = dict.fromkeys(("value", "low", "high", "met"))
            reason = f"{goal.above or goal.below} is not trained in this run"
            said = {"metric": goal.metric, "slice": None, "view": goal.view, "limit": limit_of(goal), "reason": reason}
            goals.append({**nothing, **said, "n": 0})
    return [{**each, "ladder": ladder.name} for each in goals] if len(job.ladders) > 1 else goals


def plan_of(job: Job, ladder: Ladder) -> Evaluation:
    """Give the evaluation of one ladder: its own goals, without those about rungs that are not trained here."""
    trained = {rung_name(rung) for rung in (*ladder.rungs, *job.design.models.get("retrieve", ()))}
    goals = [goal for goal in _of_ladder(job, ladder) if {goal.above, goal.below} - {None} <= trained]
    return msgspec.structs.replace(job.design.evaluation, goals=goals)


def _of_ladder(job: Job, ladder: Ladder) -> list[Goal]:
    first = job.ladders[0].name
    return [goal for goal in job.design.evaluation.goals if (goal.ladder or first) == ladder.name]


def within_budget(ladder: Ladder, trained: Trained) -> dict[str, bool]:
    """Say of each rung whether it scores a request within the budget of its stage, as measured when it was trained."""
    if ladder.budget_ms is None:
        return {}
    names = [rung_name(rung) for rung in ladder.rungs]
    took = {name: read_json(trained[ladder.name, name, FINAL].folder / TIMING)["scoring_ms"] for name in names}
    return {name: milliseconds <= ladder.budget_ms for name, milliseconds in took.items()}


def training_of(ladder: Ladder, trained: Trained) -> dict[str, Any]:
    """Tell how each network learnt, by its name."""
    told = {}
    for name in map(rung_name, ladder.rungs):
        result = trained[ladder.name, name, FINAL]
        if (path := result.folder / TRAINING).exists():
            told[name] = {**read_json(path), "seconds": result.work_seconds}
    return told


def outcome(
    job: Job, rows: Examples, chosen: np.ndarray, label: np.ndarray, rungs: Sequence[Rung], values: Values
) -> Outcome:
    """Give rows of one part as what the evaluation judges.

    chosen: (m,) the rows, ascending. label: (n,) of all rows.
    """
    part = rows.part[chosen[0]] if len(chosen) else TEST
    asked = np.flatnonzero(rows.requests.part == part) if rows.more is None else np.unique(rows.group[chosen])
    number = np.full(len(rows.requests), -1)
    number[asked] = np.arange(len(asked))
    order = np.argsort(rows.candidate.dictionary.to_numpy(zero_copy_only=False).astype(str), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    unit = job.design.evaluation.unit
    return Outcome(
        group=number[rows.group[chosen]],
        entity=asked if unit == REQUEST else _persons(rows, unit)[asked],
        candidate=None if rows.name is None else rank[rows.codes[chosen]],
        label=label[chosen],
        path=rows.retrieved[chosen],
        views={view.name: mask[chosen] for view, mask in views_of(job, rows, values)},
        slices={name: slice_of(job, rows, values, name, asked) for name in slices_of(job)},
        rungs=[Rung(rung.name, rung.stage, rung.scores[chosen], rung.seconds, _gives(job, rung)) for rung in rungs],
        catalogue=None if rows.name is None else len(order),
    )


def _persons(rows: Examples, unit: str | None) -> np.ndarray:
    """Give the code of each request's person, or whatever its intervals go by, (r,)."""
    column = rows.requests.columns.column(0 if unit is None else unit)
    return encode(column)[0]


def _gives(job: Job, rung: Rung) -> bool:
    settings = {rung_name(item): item for ladder in job.design.models.values() for item in ladder}
    return rung.name not in settings or probable(settings[rung.name])
