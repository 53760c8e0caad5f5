"""Checkpoints: the whole state after a pass, as arrays and JSON, so that a killed training goes on where it was."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.files import write_json
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.networks.lesson import Lesson
from bottega.models.networks.weights import Weights
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays

_STATE = ("flat", "first", "second", "kept", "table", "moments")
_WEIGHTS = ("best", "mean")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a checkpoint holds. facts: of the course. best: the weights of the best pass. mean: of all passes.
    state: after this one."""

    facts: dict[str, Any]
    best: Weights
    mean: Weights
    state: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Writes and finds the newest state of one training in a folder; a state of another training is not used.

    folder: its own. key: of the training: setting, rows and first weights. Arrays are copied as they are read, so that
    going on changes no file.
    """

    folder: Path
    key: str
    architecture: Architecture
    fields: Fields

    def write(
        self, facts: Mapping[str, Any], weights: Mapping[str, Weights], state: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Keep the state after a pass, whole or not at all, and remove the one before."""
        older = self._found()
        with new_folder(self.folder / f"pass-{len(facts['losses']):06}-{self.key}") as part:
            write_arrays(part, state)
            for name in _WEIGHTS:
                (part / name).mkdir()
                weights[name].write(part / name)
            write_json(part / "course.json", facts)
        for folder in older:
            shutil.rmtree(folder)

    def read(self) -> Kept | None:
        """The newest state of this training that is whole, or nothing."""
        for folder in reversed(self._found()):
            try:
                state = {name: read_array(folder, name).copy() for name in _STATE}
                best, mean = (self._weights(folder / name) for name in _WEIGHTS)
                return Kept(read_facts(folder, "course"), best, mean, state)
            except BuildError:
                continue  # damaged on the disk: the training begins earlier, and comes to the same end
        return None

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob(f"pass-*-{self.key}"))

    def _weights(self, folder: Path) -> Weights:
        mapped = Weights.read(folder, self.architecture, self.fields)
        return Weights(mapped.embedding.copy(), {name: values.copy() for name, values in mapped.dense.items()})


def key_of(architecture: Architecture, begin: Weights, learn: Lesson, later: Lesson | None) -> str:
    """A name for one training, from all that it depends on beside the machine."""
    found = hashlib.blake2b(msgspec.json.encode(architecture.setting), digest_size=8)
    for part in (learn, later) if later is not None else (learn,):
        for values in (part.codes, part.numbers, part.label, part.weight):
            found.update(np.ascontiguousarray(values).data)
    for values in (begin.embedding, *begin.dense.values()):
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()
