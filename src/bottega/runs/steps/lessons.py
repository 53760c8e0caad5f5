"""Step: for each ladder, what its rungs learn from, calibrate on and are judged on, for the choice and for the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bottega.data.examples import PART_NAMES, TEST, TRAIN, VALIDATE
from bottega.data.lessons import lesson, taught_parts
from bottega.data.ripeness import judged_rows, label_of
from bottega.design.models import Model
from bottega.errors import DataError
from bottega.files import read_json, write_json
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder

CHOICE, FINAL = "train", "refit"
"""The two fits of a rung: on training, judged on validation; then on both, judged on the test, and served."""
FITS = {CHOICE: ((TRAIN,), VALIDATE), FINAL: ((TRAIN, VALIDATE), TEST)}
"""For each fit the parts that it learns from, and the one that it is judged on."""


@dataclass(frozen=True)
class Lesson:
    """The rows of one fit of a rung.

    learn: (m,) rows, ascending; one that is repeated counts as often. label, weight: (m,) of them. calibrate: (c,) rows
    for the calibrator, which are never sampled. calibrate_label: (c,). judged: (j,) rows. kept: share of the negatives
    that were kept, for the closed-form correction. late: share of the positives that come within the label's window.
    note: why `late` could not be measured, and is 1. chances: of each place to be looked at, relative to the best one.
    newest: time of the newest row to learn from. until: nothing that happened from then on is known; both microseconds
    since 1970 UTC, and only where the split is in time.
    """

    learn: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    calibrate: np.ndarray
    calibrate_label: np.ndarray
    judged: np.ndarray
    kept: float = 1.0
    late: float = 1.0
    note: str = ""
    chances: tuple[tuple[int, float], ...] = ()
    newest: int | None = None
    until: int | None = None

    @property
    def rows(self) -> np.ndarray:
        """Give all rows that the fit needs, each once, ascending."""
        return np.unique(np.concatenate([self.learn, self.calibrate, self.judged]))

    def save(self, folder: Path) -> None:
        """Write the rows as .npy, the rest as JSON."""
        folder.mkdir(parents=True)
        for name in ("learn", "label", "weight", "calibrate", "calibrate_label", "judged"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        facts = {name: getattr(self, name) for name in ("kept", "late", "note", "chances", "newest", "until")}
        write_json(folder / "lesson.json", facts)

    @classmethod
    def load(cls, folder: Path) -> Lesson:
        """Read what `save` wrote."""
        facts: dict[str, Any] = read_json(folder / "lesson.json")
        rows = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        chances = tuple((int(place), float(chance)) for place, chance in facts.pop("chances"))
        return cls(**rows, **facts, chances=chances)


def make_lessons(job: Job, examples: Result) -> Result:
    """Write a lesson for each ladder and fit, with and without a calibration slice where some rung has a calibrator."""

    def work(folder: Path, made: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        told = []
        for ladder in job.ladders:
            for fit in FITS:
                for calibrated in _kinds(ladder):
                    found = _lesson(job, rows, ladder, fit, calibrated)
                    found.save(_folder(folder, ladder.name, fit, calibrated))
            line = f"{ladder.name}: {len(found.learn):,} rows to learn {ladder.label} from"
            told.append(f"{line}; {found.note}" if found.note else line)
        return "; ".join(told)

    data = job.design.data
    kinds = [(ladder.name, ladder.label, _kinds(ladder)) for ladder in job.ladders]
    return job.runner.step(
        "lessons",
        work,
        inputs={"data": data, "ladders": kinds, "seed": job.seed},
        needs=[examples],
        code=("bottega.data", "bottega.runs.steps.lessons"),
        libraries=("numpy",),
    )


def read_lesson(lessons: Result, ladder: str, fit: str, calibrated: bool) -> Lesson:
    """Read the lesson of a ladder for one fit."""
    return Lesson.load(_folder(lessons.folder, ladder, fit, calibrated))


def lesson_of(lessons: Result, ladder: Ladder, setting: Model, fit: str) -> Lesson:
    """Read the lesson of a rung for one fit: with a slice for its calibrator, if it has one."""
    return read_lesson(lessons, ladder.name, fit, getattr(setting, "calibrate", None) is not None)


def needed(lessons: Result, ladder: Ladder, fit: str) -> np.ndarray:
    """Give the rows that the rungs of a ladder need for a fit together, each once, ascending."""
    return np.unique(np.concatenate([read_lesson(lessons, ladder.name, fit, kind).rows for kind in _kinds(ladder)]))


def _kinds(ladder: Ladder) -> Sequence[bool]:
    """Say whether lessons with a slice for calibrators are needed, and whether ones without."""
    return sorted({getattr(rung, "calibrate", None) is not None for rung in ladder.rungs})


def _folder(folder: Path, ladder: str, fit: str, calibrated: bool) -> Path:
    return folder / ladder / (f"{fit}-calibrated" if calibrated else fit)


def _lesson(job: Job, rows: Examples, ladder: Ladder, fit: str, calibrated: bool) -> Lesson:
    parts, judged_on = taught_parts(job.design, FITS[fit][0], rows.given), FITS[fit][1]
    nothing = np.zeros(0, np.int64)
    if rows.more is None:
        label = rows.label_of(ladder.label)
        there = ~np.isnan(label)
        learn = np.flatnonzero(rows.learn & there & np.isin(rows.part, parts))
        judged = np.flatnonzero(there & (rows.part == judged_on))
        return Lesson(learn, label[learn], rows.weight[learn], nothing, nothing.astype(np.float32), judged)
    found = lesson(job.design, rows.more, judged_on, label=ladder.label, calibrate=calibrated, seed=job.seed)
    learn = np.repeat(np.arange(len(found.times)), found.times)
    calibrate = np.flatnonzero(found.calibrate)
    judged = np.flatnonzero(judged_rows(job.design, rows.more, judged_on, ladder.label))
    if not len(judged):
        part = PART_NAMES[judged_on]
        raise DataError(
            f"data.labels: {ladder.label}",
            f"no example of the {part} has a final value: the label is not mature, or missing, in all of it",
            f"a {part} that begins longer before its end than the label takes to mature",
            "a longer part in data.split, or a shorter matures_after",
        )
    borders = rows.more.borders
    return Lesson(
        learn,
        found.target[learn],
        found.weight[learn],
        calibrate,
        found.target[calibrate],
        judged,
        found.kept,
        found.share.value,
        "" if label_of(job.design, ladder.label).window is None else found.share.reason,
        tuple(sorted(found.chances.items())),
        None if borders is None else int(rows.requests.time[rows.group[learn]].max()),
        None if borders is None else borders.before(judged_on),
    )
