"""Step: each compression of the design is tried on each champion, held to its contract, and the best one serves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bottega.data.lessons import taught_parts
from bottega.design.models import Model
from bottega.design.serving import Compression, Distill, Prune, Quantize
from bottega.errors import DataError
from bottega.evaluation.estimating import distance, estimate, metrics, paired, reason, value
from bottega.evaluation.outcome import Outcome, Rung
from bottega.features.frame import Values
from bottega.files import read_json, write_json
from bottega.metrics import Estimate, metric
from bottega.models.compression.applying import compression_name, refusal
from bottega.models.compression.contract import Cost, Verdict, decide, fastest, milliseconds, serving_bytes
from bottega.models.compression.distill import distill
from bottega.models.compression.prune import prune
from bottega.models.compression.quantize import EXAMPLES, quantize
from bottega.models.inputs import Inputs
from bottega.models.probability import Corrected, gives_chances
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import load
from bottega.runs.steps.job import Job, slug
from bottega.runs.steps.judging import label_of, outcome, rungs_of, told_goals
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS, Lesson, lesson_of
from bottega.runs.steps.tabling import WORDS, Table, model_table
from bottega.runs.steps.training import (
    Trained,
    among_all,
    as_shown,
    calibrated,
    for_network,
    learnt_model,
    save,
    step_of,
    unread,
)
from bottega.serving.bundle import read_words

COMPRESSION = "compression.json"
SERVED = "served"
ROWS = (1, 200)
"""Rows scored at once, for which the latency is told."""
_CALIBRATION = ("predicted_over_observed", "ece")
_CODE = ("bottega.models", "bottega.evaluation", "bottega.metrics", "bottega.runs.steps.compressing")
_LIBRARIES = ("numpy", "lightgbm", "scikit-learn", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True, eq=False)
class Side:
    """One fit of a champion: what it learnt from, and the rows that it is judged on.

    setting, model: of the champion. folder: of the model. lesson, table: of the fit. judged: inputs of the judged rows.
    scores: what the champion says, (n,).
    """

    fit: str
    setting: Model
    model: Corrected
    folder: Path
    lesson: Lesson
    table: Table
    judged: Inputs
    scores: np.ndarray


def compress(
    job: Job,
    examples: Result,
    lessons: Result,
    scores: Mapping[str, Result],
    features: Mapping[str, Sequence[Result]],
    trained: Trained,
    judged: Result,
) -> Result | None:
    """Try each compression of the design on each champion; write `compression.json`, and what is served instead.

    The choice is made as that of the champion: the champion of the first fit is compressed and judged on validation.
    What keeps its contract there is done to the champion of the second fit, which serves, and told on the test. Served
    is the fastest for the candidates of a request, if it gains (see `fastest`): `served/<ladder>/model` for
    `load_any`, its probability beside it, and `served/<ladder>/scores.npy`, (n,), the judged rows of the test, else
    NaN. Nothing is done where the design compresses nothing.
    """
    asked = job.design.serving.compress
    if not asked:
        return None

    def work(folder: Path, made: Result, *_: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        values = load(features[FINAL])
        champions = read_json(judged.folder / "evaluation.json")["champions"]
        found, told = {}, []
        for ladder in job.ladders:
            trial = _Trial(
                job, ladder, champions[ladder.name], folder, made, rows, lessons, scores, features, trained, values
            )
            found[ladder.name] = trial.run(asked)
            told.append(_told(ladder, found[ladder.name]))
        write_json(folder / COMPRESSION, found)
        return "; ".join(told)

    plan = job.design.evaluation
    return job.runner.step(
        "compress",
        work,
        inputs={
            "compress": asked,
            "metrics": [plan.primary, *plan.metrics],
            "ladders": [(ladder.name, ladder.label, ladder.rungs) for ladder in job.ladders],
            "candidates": _candidates(job),
            "seed": job.seed,
        },
        needs=[
            *(examples, lessons, judged),
            *scores.values(),
            *trained.values(),
            *(each for fit in FITS for each in features[fit]),
        ],
        code=_CODE,
        libraries=[name for name in _LIBRARIES if name == "scikit-learn" or find_spec(name)],
        note=", ".join(map(compression_name, asked)),
    )


def judge_compression(
    outcome: Outcome, before: Rung, after: Rung, setting: Compression, primary: str, seed: int = 0
) -> tuple[Verdict, Estimate | None]:
    """Hold a compressed rung to the contract of its setting, on the same rows as the rung it was made from.

    Gives the verdict, and the difference of the primary metric, after less before, with its interval over whole
    persons; of a metric with a target, of the distance from it. See `decide`.

    outcome: holds both rungs. primary: the metric. seed: of the resamples.

    >>> rungs = [Rung("DCN", "rank", np.full(4, 0.5)), Rung("Prune", "rank", np.array([0.9, 0.5, 0.5, 0.5]))]
    >>> four = Outcome(np.arange(4), np.arange(4), None, np.array([0, 1, 0, 1]), np.ones(4, bool), {}, {}, rungs, None)
    >>> judge_compression(four, *rungs, Prune(), "log_loss")[0].accepted
    False
    """
    by = metric(primary)
    if by.direction == "within":
        by = distance(by)
    try:
        gap = paired(outcome, after, before, by, seed=seed)
    except DataError as error:
        return Verdict(False, f"{by.name} has no value on validation: {reason(error)}"), None
    was, became = (_value(outcome, rung, "predicted_over_observed") for rung in (before, after))
    return decide(setting, by, gap, was, became), gap


@dataclass(frozen=True, eq=False)
class _Trial:
    """The champion of a ladder, and what becomes of it when it is compressed."""

    job: Job
    ladder: Ladder
    champion: str
    folder: Path
    made: Result
    rows: Examples
    lessons: Result
    scores: Mapping[str, Result]
    features: Mapping[str, Sequence[Result]]
    trained: Trained
    values: Values

    @property
    def setting(self) -> Model:
        """Give the champion's part of the design."""
        return self.ladder.rung(self.champion)

    def run(self, asked: Sequence[Compression]) -> dict[str, Any]:
        """Try all, and write what is served below the folder."""
        named = dict(zip(_names(asked), asked, strict=True))
        entries: dict[str, dict[str, Any]] = {}
        for name, setting in named.items():
            why = refusal(setting, self.setting)
            entries[name] = {"name": name, "kind": type(setting).__name__, "accepted": False, "reason": why}
        fitting = {name: setting for name, setting in named.items() if not entries[name]["reason"]}
        found: dict[str, Any] = {"champion": self.champion, "served": None, "before": None, "test": None}
        found["tried"] = list(entries.values())
        if not fitting:
            return found
        told, whole = self._measured(CHOICE, fitting)
        found["before"] = told[self.champion]
        primary, seed = self.job.design.evaluation.primary, self.job.seed
        for name, setting in fitting.items():
            verdict, gap = judge_compression(whole, whole.rung(self.champion), whole.rung(name), setting, primary, seed)
            entries[name] |= {"accepted": verdict.accepted, "reason": verdict.reason}
            entries[name] |= {"difference": None if gap is None else gap.to_dict(), **told[name]}
        accepted = {name: setting for name, setting in fitting.items() if entries[name]["accepted"]}
        if accepted:
            told, whole = self._measured(FINAL, accepted)
            found["test"] = told[self.champion]
            for name in accepted:
                entries[name]["test"] = told[name]
            costs = {name: Cost(each["ms_request"], each["bytes"]) for name, each in told.items()}
            place = fastest(costs[self.champion], [costs[name] for name in accepted])
            if place is not None:
                found["served"] = list(accepted)[place]
                self._keep(found["served"])
                found["goals"] = self._goals()
        shutil.rmtree(self.folder / "tried")
        return found

    def _measured(self, fit: str, settings: Mapping[str, Compression]) -> tuple[dict[str, dict[str, Any]], Outcome]:
        """Compress the champion of a fit, and measure all beside it: the figures by name, and the outcome."""
        side = self._side(fit, settings)
        models = {self.champion: side.model}
        scores, sizes = {self.champion: side.scores}, {self.champion: serving_bytes(side.folder)}
        timed = self.job.tables[self.job.design.data.examples.table].time is not None
        begun = self.job.runner.workspace.folder / "checkpoints"
        for name, setting in settings.items():
            self.job.runner.progress.say(f"    {self.ladder.name}: {name} of {self.champion}, {fit}")
            place = self._place(fit, name)
            models[name] = compressed(setting, side, timed, begun / f"{step_of(self.folder)}-{fit}-{slug(name)}")
            place.mkdir(parents=True)
            save(models[name], place)
            sizes[name] = serving_bytes(place / "model")
            shown = as_shown(models[name].score(side.judged), side.lesson, self.rows)
            scores[name] = among_all(shown, side.lesson.judged, self.rows)
            np.save(place / "scores.npy", scores[name])
        label = label_of(self.rows, self.ladder)
        rungs = [Rung(name, self.ladder.name, each) for name, each in scores.items()]
        whole = outcome(self.job, self.rows, side.lesson.judged, label, rungs, self.values)
        candidates = _candidates(self.job)
        took = {size: milliseconds(list(models.values()), side.judged, size) for size in {*ROWS, candidates}}
        told = {}
        for number, name in enumerate(models):
            told[name] = self._figures(whole, whole.rung(name)) | {"bytes": sizes[name]}
            told[name] |= {f"ms_{size}": took[size][number] for size in ROWS}
            told[name] |= {"ms_request": took[candidates][number], "candidates": candidates}
        return told, whole

    def _goals(self) -> list[dict[str, Any]]:
        """Judge the goals once more on what is served in the champion's place."""
        kept = np.load(self.folder / SERVED / self.ladder.name / "scores.npy")
        lesson = lesson_of(self.lessons, self.ladder, self.setting, FINAL)
        rungs = rungs_of(self.ladder, self.trained, self.scores, {})  # goals ask for no seconds
        served = [
            replace(rung, scores=kept) if (rung.name, rung.stage) == (self.champion, self.ladder.name) else rung
            for rung in rungs
        ]
        label = label_of(self.rows, self.ladder)
        test = outcome(self.job, self.rows, lesson.judged, label, served, self.values)
        return told_goals(self.job, self.ladder, test, self.champion)

    def _side(self, fit: str, settings: Mapping[str, Compression]) -> Side:
        lesson = lesson_of(self.lessons, self.ladder, self.setting, fit)
        need = [lesson.judged, _some(lesson.learn)]
        if any(isinstance(setting, Distill) for setting in settings.values()):
            need += [lesson.learn, lesson.calibrate]
        rows = np.unique(np.concatenate(need))
        learnt = np.isin(self.rows.part, taught_parts(self.job.design, FITS[fit][0], self.rows.given))
        folder = self.trained[self.ladder.name, self.champion, fit].folder
        known = read_words(folder / WORDS)  # a warm champion has those of the release it began from
        whole = model_table(self.job, self.made, self.scores, self.features[fit], rows, learnt, known)
        table = whole.without(unread(self.setting))
        model = learnt_model(self.setting, folder)
        judged, scores = table.take(lesson.judged), np.load(folder / "scores.npy")
        return Side(fit, self.setting, model, folder / "model", lesson, table, judged, scores)

    def _figures(self, whole: Outcome, rung: Rung) -> dict[str, Any]:
        plan, seed = self.job.design.evaluation, self.job.seed
        found: dict[str, Any] = {"metrics": {}}
        for by in metrics([plan.primary, *plan.metrics]):
            try:
                found["metrics"][by.name] = estimate(whole, rung, by, seed=seed).to_dict()
            except DataError:
                continue  # the evaluation says why
        return found | {name: _value(whole, rung, name) for name in _CALIBRATION}

    def _place(self, fit: str, name: str) -> Path:
        return self.folder / "tried" / fit / self.ladder.name / slug(name)

    def _keep(self, name: str) -> None:
        place = self.folder / SERVED / self.ladder.name
        place.parent.mkdir(exist_ok=True)
        self._place(FINAL, name).rename(place)


def compressed(setting: Compression, side: Side, timed: bool, checkpoints: Path) -> Corrected:
    """Compress a champion; what undoes the sampling and calibrates stays, but for a student, which is calibrated anew.

    timed: whether rows come in the order of time. checkpoints: where a student keeps what it has learnt so far.
    """
    model, lesson, table = side.model, side.lesson, side.table
    match setting:
        case Quantize():
            rows = table.take(_some(lesson.learn))
            return Corrected(quantize(model.scorer, setting, rows), model.probability)  # type: ignore[arg-type]
        case Prune():
            return Corrected(prune(model.scorer, setting), model.probability)  # type: ignore[arg-type]
        case Distill():
            return _student(setting, side, timed, checkpoints)


def _student(setting: Distill, side: Side, timed: bool, checkpoints: Path) -> Corrected:
    """Teach a student among the rows that the champion learnt from, and correct it as the champion was."""
    lesson, table = side.lesson, side.table
    inputs, order = for_network(table, lesson, timed, setting.student.seed)
    student = distill(
        setting,
        inputs,
        lesson.label[order],
        _said(side.model, inputs, lesson),
        lesson.weight[order],
        champion=side.setting,
        checkpoints=checkpoints,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    return calibrated(student, side.setting, table, lesson, chances=True)


def _said(teacher: Corrected, inputs: Inputs, lesson: Lesson) -> np.ndarray:
    """Give the teacher's probability among the rows of the lesson, as they were sampled and weighted.

    That is what it learnt to say; of one that learnt an order it is what its calibrator says, with the corrections
    undone: late · p, then p ÷ (p + (1 − p) · kept).
    """
    if gives_chances(teacher.setting):
        return teacher.scorer.score(inputs)
    chance = teacher.score(inputs) * np.float32(lesson.late)
    return chance / (chance + (1 - chance) * np.float32(lesson.kept))


def _some(rows: np.ndarray) -> np.ndarray:
    """Give the rows on which rounding measures, ascending."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), EXAMPLES)).astype(np.int64)]


def _candidates(job: Job) -> int:
    """Give the number of rows that a request scores."""
    traffic = job.design.scope.traffic
    return 1 if traffic is None else traffic.candidates


def _value(whole: Outcome, rung: Rung, name: str) -> float | None:
    try:
        return value(whole, rung, metric(name))
    except DataError:
        return None


def _names(asked: Sequence[Compression]) -> list[str]:
    """Name each compression, the second of one name with its number."""
    found: list[str] = []
    for setting in asked:
        name = compression_name(setting)
        again = sum(each == name or each.startswith(f"{name} #") for each in found)
        found.append(f"{name} #{again + 1}" if again else name)
    return found


def _told(ladder: Ladder, found: Mapping[str, Any]) -> str:
    tried = found["tried"]
    told = f"{ladder.name}: {sum(entry['accepted'] for entry in tried)} of {len(tried)} accepted"
    if found["served"] is None:
        return f"{told}, {found['champion']} is served as it is"
    entry = next(entry for entry in tried if entry["name"] == found["served"])
    faster, smaller = (found["test"][figure] / entry["test"][figure] for figure in ("ms_request", "bytes"))
    return f"{told}, {found['served']} is served: {faster:.1f} × as fast, {smaller:.1f} × smaller"
