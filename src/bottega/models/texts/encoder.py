"""What an encoder of texts is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into vectors, near to those of texts that say the like. Encoding is pure, and safe for threads."""

    facts: Mapping[str, Any]
    """What it is: `kind`, `size`, `hash` of its files, and what else tells one from another; plain JSON."""
    prompts: Mapping[str, str]
    """What it wants written before a `query` and before a `text`; nothing where it wants nothing."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vector of each text, (n, size) float32: of one text alone always the same, among others to 1e-5."""

    def save(self, folder: Path) -> None:
        """Write into a folder that is there all that reading it again needs."""


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Bring each vector to length 1; one of length 0 stays.

    vectors: (n, d).

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    found = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
    return np.asarray(found, np.float32)
