"""Warm starts: where the champion of a ladder goes on from a release, and learns only the rows that came since."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bottega.data.times import iso
from bottega.design.data import Label
from bottega.design.examples import FromPositives
from bottega.design.models import Model, rung_name
from bottega.design.scorers import BoostedTrees
from bottega.errors import ServeError
from bottega.features.vocabulary import Coding
from bottega.files import read_json
from bottega.models.protocols import Scorer
from bottega.runs.builds import Build, find_build
from bottega.runs.releases import released
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.learnt import Champion, Learnt, Start, known_to, learnt_from, meaning, read_champion
from bottega.runs.steps.lessons import FINAL, FITS, Lesson, lesson_of
from bottega.runs.steps.tabling import Table
from bottega.serving.manifest import verify

WARM = "warm.json"
"""Beside a model that was to go on from another one: whether it did, and how many rows were new."""

Starts = Mapping[str, Mapping[str, Start | str]]
"""By ladder and fit: where its champion begins, or why it learns from scratch."""


@dataclass(frozen=True)
class Further:
    """A fit that goes on: the lesson and the table of the new rows alone, with the words of the model before.

    setting: of the rung, for what is to be learnt now. learnt: what the model will have learnt from.
    """

    setting: Model
    model: Scorer
    lesson: Lesson
    table: Table
    learnt: Learnt


def find_starts(job: Job, lessons: Result) -> dict[str, dict[str, Start | str]]:
    """Find for each ladder and fit the newest release that may be gone on from.

    The rung is the champion of the current release. A fit may know nothing of what happened since that begins which it
    is judged on, so the choice begins from an older release than the last fit does, where there is one. Releases of
    the same data are passed over: the same run again begins where it began before. When it is wrong: rows that come
    into the log later than newer ones were learnt, and rows that are changed, are never learnt; values that are new
    since the first release of the chain never get codes of their own. A run from scratch mends both.
    """
    if isinstance(job.design.data.examples, FromPositives):
        reason = "the examples are made from a log of positives, in which the negatives of a day are not logged"
        return {ladder.name: dict.fromkeys(FITS, reason) for ladder in job.ladders}
    builds, reason = _builds(job)
    found: dict[str, dict[str, Start | str]] = {}
    for ladder in job.ladders:
        known = {build.id: read_champion(build, ladder) for build in builds}
        rung = next((each.rung for each in known.values() if isinstance(each, Champion)), "")
        found[ladder.name] = {
            fit: _first([_start(job, ladder, build, known[build.id], rung, lessons, fit) for build in builds], reason)
            for fit in FITS
        }
    return found


def data_of(job: Job) -> str:
    """Give the fingerprint of the data of a run."""
    return "+".join(result.key[:16] for result in job.ingested.values())


def _builds(job: Job) -> tuple[list[Build], str]:
    """Give the releases that stand on each other, newest first, of other data than these, or why there are none."""
    space, reason, found = job.runner.workspace, "nothing was released yet", []
    for name in dict.fromkeys(reversed(released(space))):
        if not (space.builds / name).is_dir():
            continue
        try:
            build = find_build(space, name)
        except ServeError as error:
            reason = f"release {name} cannot be read: {error.where} is {error.found}"
            continue
        if build.manifest["data"] != data_of(job):
            found.append(build)
        elif not found:
            reason = f"release {name} has learnt from these same data"
    return found, reason


def _first(found: Sequence[Start | str], reason: str) -> Start | str:
    """Give the first start, else the reason that speaks against the newest release."""
    starts = [each for each in found if isinstance(each, Start)]
    return starts[0] if starts else next(iter(found), reason)


def _start(
    job: Job, ladder: Ladder, build: Build, champion: Champion | str, rung: str, lessons: Result, fit: str
) -> Start | str:
    if isinstance(champion, str):
        return champion
    setting = next((each for each in ladder.rungs if rung_name(each) == champion.rung), None)
    if setting is None or champion.rung != rung:
        return f"release {build.id} ranks by {champion.rung}, " + (
            "which this run does not train" if setting is None else f"the current one by {rung}"
        )
    now = meaning(job, ladder, setting)
    if changed := [name for name in now if champion.meaning.get(name) != now[name]]:
        return f"{', '.join(changed)} changed since release {build.id}"
    until = lesson_of(lessons, ladder, setting, fit).until
    if until is None or champion.learnt is None:
        return "the split is not in time, so that no row is new"
    if champion.learnt.until > until:
        learnt, judged = iso(champion.learnt.until), iso(until)
        return f"release {build.id} has learnt until {learnt}, and what it would be judged on begins at {judged}"
    try:
        verify(build.folder)
    except ServeError as error:
        return f"release {build.id} is damaged: {error.where}: {error.found}"
    return Start(build, ladder.name, champion, champion.learnt)


def further(
    start: Start,
    setting: Model,
    label: Label,
    rows: Examples,
    lesson: Lesson,
    make_table: Callable[[np.ndarray, Mapping[str, Coding]], Table],
) -> Further | str:
    """Put together what a fit that goes on learns, or say why it cannot.

    The calibrator learns from new rows alone too, since the model knows the others. Trees are as many fewer as the rows
    are, so that the forest grows as the log does, and their steps as much smaller: full ones fit the noise of the day.

    label: that the rung learns. make_table: of these rows of the examples, with these words.
    """
    new, done = ~known_to(start.learnt, rows, label), learnt_from(rows, lesson)
    learn, calibrate = new[lesson.learn], new[lesson.calibrate]
    part = replace(
        lesson,
        learn=lesson.learn[learn],
        label=lesson.label[learn],
        weight=lesson.weight[learn],
        calibrate=lesson.calibrate[calibrate],
        calibrate_label=lesson.calibrate_label[calibrate],
    )
    if getattr(setting, "calibrate", None) is not None and not _both(part.calibrate_label):
        return "the new rows for its calibrator are of one class"
    words = start.words
    table = make_table(part.rows, words)
    names, kinds = start.champion.names, start.champion.kinds
    if (table.inputs.names, table.inputs.kinds) != (names, kinds) or table.words.keys() != words.keys():
        return f"the columns are not those of release {start.build.id}"
    if isinstance(setting, BoostedTrees):
        share = max(len(part.learn), 1) / len(lesson.learn)
        trees, rate = max(1, round(setting.trees * share)), setting.learning_rate * share
        setting = msgspec.structs.replace(setting, trees=trees, learning_rate=rate)
    if done is None:
        raise TypeError("a lesson that goes on has a split in time")
    if not teaches(part):
        done = Learnt(start.learnt.newest, done.until, start.learnt.borders)
    return Further(setting, start.model(setting), part, table, done)


def teaches(lesson: Lesson) -> bool:
    """Say whether a model can learn from a lesson: rows of both classes, of each label."""
    return _both(lesson.label[lesson.weight > 0])


def _both(label: np.ndarray) -> bool:
    return bool(np.all((label > 0).any(axis=0) & (label == 0).any(axis=0)))


def beginnings(starts: Starts) -> list[str]:
    """Say for each ladder where its fits begin, for the progress."""
    lines = []
    for ladder, fits in starts.items():
        last = fits[FINAL]
        if isinstance(last, str):
            lines.append(f"{ladder}: from scratch, {last}")
        else:
            build, until = last.build.id, iso(last.learnt.until)
            lines.append(f"{ladder}: {last.champion.rung} goes on from release {build}, which has learnt until {until}")
    return lines


def warm_of(starts: Starts, folders: Mapping[tuple[str, str, str], Path]) -> dict[str, Any]:
    """Give for each ladder where its fits began and how many rows were new, for the scorecard.

    folders: of the trained rungs, by ladder, rung and fit.
    """
    card = {}
    for ladder, fits in starts.items():
        each = [{"fit": fit, **_warm(ladder, fit, start, folders)} for fit, start in fits.items()]
        last = each[-1]
        card[ladder] = {**{name: last[name] for name in ("rung", "from", "until", "new_rows")}, "fits": each}
    return card


def _warm(ladder: str, fit: str, start: Start | str, folders: Mapping[tuple[str, str, str], Path]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"rung": None, "from": None, "until": None, "new_rows": None, "rows": None}
    if isinstance(start, str):
        return {**nothing, "reason": start}
    found = read_json(folders[ladder, start.champion.rung, fit] / WARM)
    if found["reason"]:
        return {**nothing, "rung": start.champion.rung, "reason": found["reason"]}
    return {
        "rung": start.champion.rung,
        "from": start.build.id,
        "until": iso(start.learnt.until),
        "new_rows": found["new_rows"],
        "rows": found["rows"],
        "reason": "",
    }
