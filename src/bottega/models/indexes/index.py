"""What an index of vectors is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from bottega.models.vocabulary import Codes

Vectors = npt.NDArray[np.float32]
LeaveOut = Sequence[Codes | None]


class Index(Protocol):
    """Finds the vectors with the largest products with a query, ⟨q, v⟩; each vector has a code from 0 up.

    Searching is pure, and may go on in many threads, also while one adds and removes.
    """

    facts: dict[str, Any]
    """How it was built, and what it was measured to find: kind, built, size, recall, and what the kind needs."""

    def __len__(self) -> int:
        """How many vectors it holds."""

    def add(self, codes: Codes, vectors: Vectors) -> None:
        """Add vectors, or replace those of codes that it has, without building anew.

        codes: (n,) from 0 up, each once. vectors: (n, d) float32. Raises `DataError` for others, for NaN and infinity.
        """

    def remove(self, codes: Codes) -> None:
        """Remove the vectors of these codes; a code that it does not have stays away."""

    def search(self, queries: Vectors, k: int, leave_out: LeaveOut | None = None) -> tuple[Codes, Vectors]:
        """The k best for each query, best first, ties by lower code: codes (q, k) int32, products (q, k) float32.

        Products are those of the vectors themselves in float32, to the bit as `products` gives them. A list is shorter
        than k only where nothing is left; it ends with −1 and 0.

        queries: (q, d). k: at least 1. leave_out: (q,) codes that may not come, or nothing.
        """

    def products(self, query: Vectors, codes: Codes) -> Vectors:
        """⟨query, v⟩ of each code, (n,) float32; NaN for a code that it does not have."""

    def save(self, folder: Path, version: str) -> None:
        """Write it into a new folder, whole or not at all. version: of the model whose vectors these are."""

    @classmethod
    def load(cls, folder: Path, version: str) -> Self:
        """Read what `save` wrote, the vectors mapped; `BuildError` where it is damaged or of another version."""
