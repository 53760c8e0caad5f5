"""Weights: all that a network has learnt, as plain named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.storage import read_array, write_arrays

Array = npt.NDArray[np.float32]
TABLE = "embedding"
_START = 0.03  # standard deviation of the first vectors: a rare category begins near the mean of all, not at random


@dataclass(frozen=True, eq=False)
class Weights:
    """The table of vectors, and the weights of the dense part by name: what is saved, pruned, distilled, quantised.

    embedding: (rows of the fields, width of the architecture) float32; row `fields.offset[j]` stands for the unknown
    codes of category j, the next for its code 0. dense: float32, the names and shapes of `architecture.shapes`.
    """

    embedding: Array
    dense: Mapping[str, Array]

    @classmethod
    def fresh(cls, architecture: Architecture, fields: Fields, rate: npt.ArrayLike, seed: int) -> Self:
        """Weights before any learning, which give every row nearly the same score: the base rate.

        rate: share of positives, above 0 and under 1; of several labels (tasks,).
        """
        rng = np.random.default_rng(seed)
        dense = {
            name: np.zeros(shape, dtype=np.float32)
            if name.endswith(".bias")
            else rng.uniform(-1, 1, shape).astype(np.float32) * np.float32(_bound(shape))
            for name, shape in architecture.shapes.items()
        }
        for name, share in zip(architecture.outs, np.atleast_1d(rate), strict=True):
            dense[f"{name}.bias"][:] = np.log(share / (1 - share))
        return cls(_vectors(rng, fields.rows, architecture.width), dense)

    def grown(self, old: Fields, new: Fields, seed: int) -> Self:
        """The same weights with fresh vectors for the codes that `new` has beyond `old`, and none left out."""
        embedding = _vectors(np.random.default_rng(seed), new.rows, self.embedding.shape[1])
        for low, high, place in zip(old.offset[:-1], old.offset[1:], new.offset[:-1], strict=True):
            embedding[place : place + high - low] = self.embedding[low:high]
        return type(self)(embedding, dict(self.dense))

    def mixed(self, other: Weights, share: float) -> Self:
        """(1 − share) of these and `share` of the other ones."""

        def mix(mine: Array, its: Array) -> Array:
            return mine + np.float32(share) * (its - mine)

        dense = {name: mix(values, other.dense[name]) for name, values in self.dense.items()}
        return type(self)(mix(self.embedding, other.embedding), dense)

    def write(self, folder: Path) -> None:
        """Write each array as a file."""
        write_arrays(folder, {TABLE: self.embedding, **self.dense})

    @classmethod
    def read(cls, folder: Path, architecture: Architecture, fields: Fields) -> Self:
        """Map what `write` wrote, read-only; `BuildError` where an array is damaged or not of its shape."""
        shapes = {TABLE: (fields.rows, architecture.width), **architecture.shapes}
        arrays = {name: read_array(folder, name) for name in shapes}
        for name, shape in shapes.items():
            found = arrays[name]
            if found.shape != shape or found.dtype != np.float32:
                raise BuildError(
                    str(folder / f"{name}.npy"),
                    f"an array {found.shape} of {found.dtype}",
                    f"{shape} of float32, as the design says",
                    "load it with the setting that it was saved with, or fit and save the model again",
                )
        return cls(arrays.pop(TABLE), arrays)


def _vectors(rng: np.random.Generator, rows: int, width: int) -> Array:
    return rng.standard_normal((rows, width), dtype=np.float32) * np.float32(_START)


def _bound(shape: tuple[int, ...]) -> float:
    """Glorot's bound of a uniform draw: the variance of what goes in is kept, forwards and backwards."""
    return float(np.sqrt(6 / max(shape[-1] + shape[-2], 1)))
