"""Raw pixels: the encoder that learns nothing, by which it is seen what others have learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.design.encoders import RawPixels
from bottega.errors import BuildError
from bottega.files import write_json
from bottega.models.images.decoding import Pictures, check_pictures
from bottega.models.images.session import BLOCK, Vectors, unit
from bottega.models.storage import new_folder, read_facts


class RawPixelsModel:
    """Encodes a picture as `x − mean(x)` at length 1, x its pixels scaled down by means: products are correlations.

    A picture of one tone alone, which has no such vector, is the same number everywhere: far from all others, and like
    its kind. When it is wrong: it sees no shape that is shifted, turned or lit otherwise.
    """

    shape: tuple[int, int, int]
    """Height, width and channels of the pictures that it reads."""

    def __init__(self, setting: RawPixels) -> None:
        self.setting = setting

    @property
    def size(self) -> int:
        """Length of the vector."""
        height, width, channels = self.shape
        return min(height, self.setting.side) * min(width, self.setting.side) * channels

    def fit(self, pictures: Pictures, label: npt.ArrayLike | None = None) -> None:  # noqa: ARG002 (as in the others)
        """Read the size of the pictures; nothing is learnt. pictures: (n, height, width, channels) uint8."""
        given = check_pictures(pictures)
        self.shape = given.shape[1], given.shape[2], given.shape[3]

    def encode(self, pictures: Pictures) -> Vectors:
        """The vector of each picture, (n, size) float32 of length 1. pictures: of the shape of the fit."""
        given = check_pictures(pictures, self.shape)
        found = np.empty((len(given), self.size), dtype=np.float32)
        for low in range(0, len(given), BLOCK):
            found[low : low + BLOCK] = self._run(given[low : low + BLOCK])
        return found

    def save(self, folder: Path) -> None:
        """Write `encoder.json`."""
        with new_folder(folder) as part:
            write_json(part / "encoder.json", {"shape": self.shape})

    @classmethod
    def load(cls, folder: Path, setting: RawPixels) -> Self:
        """Read what `save` wrote; `BuildError` where it is damaged."""
        model, facts = cls(setting), read_facts(folder, "encoder")
        try:
            height, width, channels = facts["shape"]
        except (KeyError, TypeError, ValueError) as error:
            found = f"not its facts ({error!r})"
            raise BuildError(str(folder / "encoder.json"), found, "shape", "fit and save the model again") from error
        model.shape = height, width, channels
        return model

    def _run(self, block: Pictures) -> Vectors:
        x = block.astype(np.float32)
        for axis in (1, 2):
            x = _scaled(x, axis, self.setting.side)
        flat = x.reshape(len(x), -1)
        flat -= flat.mean(axis=1, keepdims=True)
        flat[np.abs(flat).max(axis=1) < 0.5] = 1  # half a grey value: what rounding leaves of one tone
        return unit(flat)


def _scaled(x: Vectors, axis: int, side: int) -> Vectors:
    """Means of as equal parts of an axis as can be, `side` of them; a shorter axis stays as it is."""
    length = x.shape[axis]
    if length <= side:
        return x
    borders = np.arange(side) * length // side
    sums = np.add.reduceat(x, borders, axis=axis)
    shape = [1] * x.ndim
    shape[axis] = side
    found: Vectors = sums / np.diff(borders, append=length).astype(np.float32).reshape(shape)
    return found
