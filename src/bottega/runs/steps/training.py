"""Steps: each rung learns from the earlier examples, is judged on validation, and learns once more for the test."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bottega.data.lessons import taught_parts
from bottega.data.positions import served_code
from bottega.data.ripeness import label_of
from bottega.design.data import PositionFeature
from bottega.design.models import Model, rung_name
from bottega.errors import DataError
from bottega.files import read_json, write_json
from bottega.models.calibrators import fit_calibrator
from bottega.models.contributions import drawn, save_background
from bottega.models.inputs import Inputs
from bottega.models.making import make_scorer, scorer_class
from bottega.models.networks.multi_task_network import MultiTaskModel
from bottega.models.probability import Corrected, Probability, gives_chances
from bottega.models.protocols import Scorer
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.job import Job, slug
from bottega.runs.steps.ladders import NETWORKS, Ladder
from bottega.runs.steps.learnt import LEARNT, Learnt, Start, learnt_from
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS, Lesson, lesson_of, needed
from bottega.runs.steps.tabling import WORDS, Table, model_table, save_words
from bottega.runs.steps.tasks import TASKS, with_tasks
from bottega.runs.steps.warming import WARM, Further, Starts, further, teaches

TIMING, TRAINING = "timing.json", "training.json"
_TIMED = 50  # requests
_CODE = (
    "bottega.models",
    "bottega.features.matrix",
    "bottega.features.vocabulary",
    "bottega.features.codebook",
    "bottega.features.hashing",
    "bottega.runs.steps.training",
    "bottega.runs.steps.tabling",
    "bottega.runs.steps.tasks",
    "bottega.runs.steps.warming",
)
_LIBRARIES = ("numpy", "lightgbm", "scikit-learn", "scipy")
_DEEP = ("torch", "onnx", "onnxruntime")

Trained = Mapping[tuple[str, str, str], Result]
"""By ladder, rung and fit."""


def train(
    job: Job,
    examples: Result,
    lessons: Result,
    scores: Mapping[str, Result],
    features: Mapping[str, Sequence[Result]],
    starts: Starts | None = None,
) -> dict[tuple[str, str, str], Result]:
    """Train each rung twice: on training alone, for the choice; with validation as well, for test and serving.

    features: for each fit, since some features are made anew from what it learns from. starts: models of a release to
    go on from; every other rung learns from scratch. An optional rung that these rows teach nothing, as where one of
    its labels is of one class, is left out of the ladder, and its reason is told.
    """
    done = {}
    for fit in FITS:
        for place in range(len(job.ladders)):
            ladder = job.ladders[place]
            start = (starts or {}).get(ladder.name, {}).get(fit)
            for setting in ladder.rungs:
                name = rung_name(setting)
                begun = start if isinstance(start, Start) and start.champion.rung == name else None
                try:
                    done[ladder.name, name, fit] = _train(
                        job, ladder, setting, fit, examples, lessons, scores, features[fit], begun
                    )
                except DataError as error:
                    if not getattr(setting, "optional", False) or len(job.ladders[place].rungs) == 1:
                        raise
                    job.ladders[place] = job.ladders[place].without(name, f"{error.where}: {error.found}")
                    job.runner.progress.say(f"{name}: left out, {error.where}: {error.found}")
            job.forget("table")
    return done


def _train(
    job: Job,
    ladder: Ladder,
    setting: Model,
    fit: str,
    examples: Result,
    lessons: Result,
    scores: Mapping[str, Result],
    features: Sequence[Result],
    start: Start | None,
) -> Result:
    name = rung_name(setting)

    def work(folder: Path, made: Result, taught: Result, *_: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        past = np.isin(rows.part, taught_parts(job.design, FITS[fit][0], rows.given))
        whole = lesson = with_tasks(job.design, rows, lesson_of(taught, ladder, setting, fit), setting, fit)
        timed = job.tables[job.design.data.examples.table].time is not None
        checkpoints = job.runner.workspace.folder / "checkpoints" / step_of(folder)
        stand_for = drawn(whole.learn, job.seed)  # the others, where a score is explained
        more: Further | str = ""
        if start is not None:
            more = further(
                start, setting, label_of(job.design, ladder.label), rows, whole,
                lambda need, words: model_table(
                    job, made, scores, features, np.union1d(need, stand_for), past, words
                ).without(unread(setting)),
            )  # fmt: skip
        if isinstance(more, Further):
            table, lesson = more.table, more.lesson
            model = learn(more.setting, table, lesson, timed, checkpoints, more.model)
            learnt: Learnt | None = more.learnt
        else:
            table = job.once(
                ("table", made.key, ladder.name, fit),
                lambda: model_table(job, made, scores, features, needed(taught, ladder, fit), past),
            ).without(unread(setting))
            model = learn(setting, table, lesson, timed, checkpoints)
            learnt = learnt_from(rows, whole)
        judged = table.take(lesson.judged)
        raw = model.scorer.score(judged)
        shown = as_shown(model.probability.of(raw), lesson, rows)
        np.save(folder / "scores.npy", among_all(shown, lesson.judged, rows))
        np.save(folder / "raw.npy", among_all(raw, lesson.judged, rows))
        if isinstance(model.scorer, MultiTaskModel):
            np.save(folder / TASKS, among_all(model.scorer.probabilities(judged), lesson.judged, rows))
        save(model, folder)
        write_json(folder / "columns.json", {"names": table.inputs.names, "kinds": table.inputs.kinds})
        save_words(table.words, folder / WORDS)
        stays = isinstance(more, Further) and model.scorer is more.model
        told = None if stays else getattr(model.scorer, "training", None)
        if told is not None:
            write_json(folder / TRAINING, told)
        if fit == FINAL:
            if learnt is not None:
                write_json(folder / LEARNT, msgspec.to_builtins(learnt))
            save_background(as_served(table.take(stand_for), setting, job.design.data.position), folder / "background")
            traffic = job.design.scope.traffic
            size = 1 if traffic is None else traffic.candidates
            took = scoring_ms(model, judged, size if rows.more is not None else None)
            write_json(folder / TIMING, {"scoring_ms": took})
        if start is None:
            return _told(table, lesson, told)
        reason = more if isinstance(more, str) else ""
        write_json(folder / WARM, {"reason": reason, "new_rows": len(lesson.learn), "rows": len(whole.learn)})
        begin = f"from scratch, {reason}" if reason else f"new since release {start.build.id}"
        return f"{_told(table, lesson, told)}, {begin}"

    deep = isinstance(setting, NETWORKS)
    return job.runner.step(
        f"{fit}-{slug(name)}" if len(job.ladders) == 1 else f"{fit}-{slug(ladder.name)}-{slug(name)}",
        work,
        inputs={"setting": setting, "ladder": ladder.name, "label": ladder.label}
        | ({} if start is None else {"start": start.files}),
        needs=[examples, lessons, *scores.values(), *features],
        code=_CODE,
        libraries=(*_LIBRARIES, *_DEEP) if deep else _LIBRARIES,
        note=name,
    )


def learn(
    setting: Model, table: Table, lesson: Lesson, timed: bool, checkpoints: Path, start: Scorer | None = None
) -> Corrected:
    """Fit a rung on its lesson; then correct the sampling, calibrate, and make up for the labels that come late.

    timed: whether rows come in the order of time. checkpoints: where a network keeps what it has learnt so far. start:
    a model to go on from, which stays as it is where the lesson teaches nothing.
    """
    model: Any = make_scorer(setting)
    weight = None if (lesson.weight == 1).all() else lesson.weight
    if start is not None and not teaches(lesson):
        model = start
    elif isinstance(setting, NETWORKS):
        inputs, order = for_network(table, lesson, timed, setting.seed)
        weights = None if weight is None else weight[order]
        model.fit(inputs, lesson.label[order], weights, start=start, checkpoints=checkpoints)
    else:
        model.fit(table.take(lesson.learn), lesson.label, weight, start=start)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return calibrated(model, setting, table, lesson, gives_chances(setting))


def for_network(table: Table, lesson: Lesson, timed: bool, seed: int) -> tuple[Inputs, np.ndarray]:
    """Give what a network learns from, and which rows of the lesson that is, (m,): in the order of time, or mixed.

    It stops by the last rows, which must not be those of one group.
    """
    order = np.arange(len(lesson.learn))
    if timed:
        return table.take(lesson.learn), order
    order = np.random.default_rng(seed).permutation(order)
    return table.mixed(lesson.learn[order]), order


def calibrated(model: Scorer, setting: Model, table: Table, lesson: Lesson, chances: bool) -> Corrected:
    """Correct the sampling of a fitted model, calibrate it as a rung says, and make up for labels that come late.

    setting: of the rung. chances: whether the model's scores are probabilities.
    """
    probability = Probability(lesson.kept if chances else 1.0, lesson.late)
    if (kind := getattr(setting, "calibrate", None)) is not None:
        said = probability.corrected(model.score(table.take(lesson.calibrate)))
        calibrator = fit_calibrator(kind, said, lesson.calibrate_label, probabilities=chances)
        probability = replace(probability, calibrator=calibrator)
    return Corrected(model, probability)


def unread(setting: Model) -> Sequence[str]:
    """Name the features that a rung does not read."""
    return getattr(setting, "without", ())


def as_shown(probability: np.ndarray, lesson: Lesson, rows: Examples) -> np.ndarray:
    """Give the probability of a click in the place where each judged row stood.

    A model that learnt by inverse propensities speaks of the best place; in another one fewer people look. Its
    calibrator, where it has one, has brought it back to the places of the log.
    """
    if not lesson.chances or len(lesson.calibrate) or rows.more is None or rows.more.position is None:
        return probability
    place = rows.more.position[lesson.judged]
    chance = np.ones(len(place), np.float32)
    for position, value in lesson.chances:
        chance[place == position] = value
    return probability * chance


def among_all(scores: np.ndarray, judged: np.ndarray, rows: Examples) -> np.ndarray:
    """Give the scores of the judged rows, (j, …), as those of all rows, (n, …) float32, NaN elsewhere."""
    found = np.full((len(rows.group), *scores.shape[1:]), np.nan, np.float32)
    found[judged] = scores
    return found


def as_served(rows: Inputs, setting: Model, position: Any) -> Inputs:
    """Give rows of training as a service sees them: all in one place, with the ids alone that the model looks up."""
    values = rows.values
    if isinstance(position, PositionFeature) and position.column in rows.names:
        values[:, list(rows.names).index(position.column)] = served_code(position)
    looked_up = getattr(setting, "by", None)
    return Inputs(rows.names, rows.kinds, values, {name: ids for name, ids in rows.ids.items() if name == looked_up})


def save(model: Corrected, folder: Path) -> None:
    """Write a model, and beside its files how its score becomes a probability."""
    model.scorer.save(folder / "model")
    model.probability.save(folder / "model")


def learnt_model(setting: Model, folder: Path) -> Corrected:
    """Read the model of a rung from the folder of its step."""
    return Corrected(scorer_class(setting).load(folder / "model", setting), Probability.load(folder / "model"))


def scoring_ms(model: Scorer, judged: Inputs, candidates: int | None) -> float:
    """Give the median milliseconds in which the model scores the candidates of one request.

    candidates: of a request, as the scope says, where the examples hold only those that were shown; nothing: those of
    the examples' requests.
    """
    if judged.group is None or not len(judged):
        return 0.0
    if candidates is not None:
        size = min(candidates, len(judged))
        blocks = [np.arange(low, low + size) for low in range(0, len(judged) - size + 1, size)][:_TIMED]
    else:
        blocks = [np.flatnonzero(judged.group == request) for request in np.unique(judged.group)[:_TIMED]]
    took = []
    for block in blocks:
        one = judged.take(block)
        begin = time.perf_counter()
        model.score(one)
        took.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(took))


def step_of(folder: Path) -> str:
    """Give the name of the step that fills a temporary folder, the same in a run that takes it up again.

    >>> step_of(Path(".train-dcn-2f3a.4711.partial"))
    'train-dcn-2f3a'
    """
    return folder.name.strip(".").split(".")[0]


def _told(table: Table, lesson: Lesson, training: Mapping[str, Any] | None) -> str:
    told = f"{len(table.inputs.names)} columns, {len(lesson.learn):,} rows"
    if training is None:
        return told
    return f"{told}, {training['epochs']} epochs, {training['examples_per_s']:,.0f} examples/s"


def read_columns(folder: Path) -> tuple[list[str], list[str]]:
    """Read the names and kinds of the columns that a model was trained on."""
    said = read_json(folder / "columns.json")
    return said["names"], said["kinds"]


def merged(trained: Trained, ladder: str, rung: str) -> np.ndarray:
    """Give the scores of both fits, (n,): of validation from the first, of the test from the second, else NaN."""
    first, second = (np.load(trained[ladder, rung, fit].folder / "scores.npy") for fit in (CHOICE, FINAL))
    found: np.ndarray = np.where(np.isnan(second), first, second)
    return found
