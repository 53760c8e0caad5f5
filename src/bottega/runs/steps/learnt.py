"""What a release says of its champions for the runs that go on from them: what they learnt from, and what it meant."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bottega.data.examples import TEST, Borders
from bottega.data.ripeness import learnable
from bottega.data.splits import by_time
from bottega.design.data import Label
from bottega.design.models import Model, rung_name
from bottega.features.vocabulary import Coding
from bottega.files import read_json, write_json
from bottega.models.making import scorer_class
from bottega.models.protocols import Scorer
from bottega.runs.builds import Build
from bottega.runs.keys import fingerprints, key_of
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import Lesson
from bottega.serving.bundle import FORMAT, model_folder, read_words, words_folder

LEARNT = "learnt.json"
"""Beside a trained model: `Learnt`; in a bundle: `Champion`."""
CODES = ("bottega.features.hashing", "bottega.features.codebook", "bottega.features.vocabulary")


class Learnt(msgspec.Struct, frozen=True):
    """What a model has learnt from; moments are microseconds since 1970 UTC."""

    newest: int
    """The time of the newest row that the model learnt from; its calibrator learnt from newer ones."""
    until: int
    """Nothing that happened from then on is known, to the model or its calibrator."""
    borders: Borders
    """Of the split when the model learnt."""


class Champion(msgspec.Struct, frozen=True):
    """What a release says of a ladder's champion, for the runs that go on from it."""

    rung: str
    names: tuple[str, ...]
    """The columns that it reads, in their order."""
    kinds: tuple[str, ...]
    meaning: dict[str, str]
    """What must be the same when it goes on: what it is called, and the SHA-256 of it."""
    learnt: Learnt | None
    """Nothing: the split is not in time."""


@dataclass(frozen=True)
class Start:
    """A release's champion, from which a fit goes on."""

    build: Build
    ladder: str
    champion: Champion
    learnt: Learnt

    @property
    def files(self) -> dict[str, str]:
        """Give the SHA-256 of each file of the champion: what a step that goes on from it depends on."""
        parts = tuple(f"{part}/{self.ladder}/" for part in ("models", "words", "learnt"))
        files: Mapping[str, Any] = self.build.manifest["files"]
        return {name: known["sha256"] for name, known in files.items() if name.startswith(parts)}

    @property
    def words(self) -> dict[str, Coding]:
        """Read what the champion knows of each text column."""
        return read_words(words_folder(self.build.folder, self.ladder))

    def model(self, setting: Model) -> Scorer:
        """Read the model as it was trained, also where a compressed one serves."""
        whole = _folder(self.build.folder, self.ladder) / "model"
        served = model_folder(self.build.folder, self.ladder, setting)
        return scorer_class(setting).load(whole if whole.exists() else served, setting)


def learnt_from(rows: Examples, lesson: Lesson) -> Learnt | None:
    """Give what a model has learnt from that learnt a whole lesson; nothing where the split is not in time."""
    if rows.more is None or rows.more.borders is None or lesson.newest is None or lesson.until is None:
        return None
    return Learnt(lesson.newest, lesson.until, rows.more.borders)


def known_to(learnt: Learnt, rows: Examples, label: Label) -> np.ndarray:
    """Mark the rows (n,) that a model has learnt from, by the rules and borders of the split that held then.

    What it left to its calibrator is newer than all that it learnt itself. A draw of negatives left some of them out.
    """
    if rows.more is None:
        raise TypeError("examples that are no rows of a log")
    time, main = rows.requests.time, next(iter(rows.more.final.values()))
    last = np.full(len(time), np.iinfo(np.int64).min)
    np.maximum.at(last, rows.group, main)
    then = replace(rows.requests, part=by_time(learnt.borders, time, last))
    taught = learnable(replace(rows.more, requests=then, borders=learnt.borders), TEST, label)
    taught &= time[rows.group] <= learnt.newest
    return taught


def meaning(job: Job, ladder: Ladder, setting: Model) -> dict[str, str]:
    """Give the SHA-256 of everything that a column, a code, a label or a weight gets its meaning from."""
    data = job.design.data
    names = {ladder.label, *getattr(setting, "objectives", ())}
    label = [each for each in data.labels if each.name in names]
    tables = [msgspec.structs.replace(table, source="", licence="") for table in data.tables]
    parts = {
        f"the setting of {rung_name(setting)}": setting,
        "the label": label,
        "the features": list(job.design.features),
        "the examples": data.examples,
        "the sampling": data.sampling,
        "the treatment of positions": data.position,
        "the tables": tables,
        "how bottega gives codes": [FORMAT, fingerprints(CODES)],
    }
    return {name: key_of(part) for name, part in parts.items()}


def keep_champion(bundle: Path, job: Job, ladder: Ladder, rung: str, trained: Path, compressed: bool) -> None:
    """Write into a bundle what a later run needs to go on from a champion.

    trained: the folder of its last fit. compressed: another model serves in its place, so that it is kept as well.
    """
    folder = _folder(bundle, ladder.name)
    folder.mkdir(parents=True)
    columns = read_json(trained / "columns.json")
    learnt = read_json(trained / LEARNT) if (trained / LEARNT).exists() else None
    told = {"rung": rung, **columns, "meaning": meaning(job, ladder, ladder.rung(rung)), "learnt": learnt}
    write_json(folder / LEARNT, told)
    if compressed:
        shutil.copytree(trained / "model", folder / "model")


def read_champion(build: Build, ladder: Ladder) -> Champion | str:
    """Read what a release says of its champion, or say why it cannot be gone on from."""
    path = _folder(build.folder, ladder.name) / LEARNT
    if not path.exists():
        return f"release {build.id} does not say what its {ladder.name} has learnt"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Champion)
    except (msgspec.DecodeError, OSError) as error:
        return f"release {build.id} cannot be read: {error}"


def _folder(bundle: Path, ladder: str) -> Path:
    return bundle / "learnt" / ladder
