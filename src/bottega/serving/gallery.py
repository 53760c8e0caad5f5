"""The gallery: the items that are searched by their vectors, which come and go while it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import BuildError
from bottega.files import sha256
from bottega.models.code_index import CodeIndex
from bottega.models.indexes.index import Index
from bottega.models.indexes.vector_index import VectorIndex
from bottega.models.storage import read_array, read_texts, write_arrays, write_texts
from bottega.models.vocabulary import code_of

Vectors = npt.NDArray[np.float32]
IDS, VALUES, CODES, INDEX, VECTORS = "ids", "values", "codes", "index", "vectors"


def version_of(encoder: Path) -> str:
    """Give the version of an encoder: the SHA-256 of its files. What was made with another one fits no vector of it."""
    digest = hashlib.sha256()
    for path in sorted(item for item in encoder.rglob("*") if item.is_file()):
        digest.update(f"{path.relative_to(encoder).as_posix()}\0{sha256(path)}\0".encode())
    return digest.hexdigest()


class Gallery:
    """Items by id, their vectors, and the index that finds the nearest.

    A number stands for an item: its place among the sorted ids of the build; whatever comes later has the next number.
    Searching may go on in many threads while one adds and removes.

    ids: (n,) sorted and distinct. values: (n,) what makes items alike, or null. vectors: (n, d), of length 1. index:
    over them, by number.
    """

    def __init__(self, ids: pa.StringArray, values: pa.StringArray, vectors: Vectors, index: Index) -> None:
        self.index = index
        self._ids, self._values, self._vectors = ids, values, vectors
        self._names: list[str] = []  # of what came later
        self._more: list[tuple[Vectors, str | None]] = []
        self._changed: dict[str, int] = {}  # id to its number now, −1 where it is gone

    def __len__(self) -> int:
        return len(self.index)

    def number(self, name: str) -> int:
        """Give the number of an item, −1 where there is none such."""
        found = self._changed.get(name)
        return code_of(self._ids, name) if found is None else found

    def name(self, number: int) -> str:
        """Give the id of an item."""
        first = len(self._ids)
        return str(self._ids[number].as_py()) if number < first else self._names[number - first]

    def value(self, number: int) -> str | None:
        """Give what makes an item like others, where it is known."""
        first = len(self._ids)
        found: str | None = self._values[number].as_py() if number < first else self._more[number - first][1]
        return found

    def vector(self, number: int) -> Vectors:
        """Give the vector of an item, (d,)."""
        first = len(self._ids)
        return np.asarray(self._vectors[number]) if number < first else self._more[number - first][0]

    def add(self, names: Sequence[str], vectors: Vectors, values: Sequence[str | None]) -> None:
        """Add items, or replace those of these ids; an id that comes twice counts as it comes last.

        vectors: (m, d). values: (m,).
        """
        last = {name: row for row, name in enumerate(names)}
        rows, kept = list(last.values()), list(last)
        self.remove(kept)
        first = len(self._ids) + len(self._names)
        self._more += [(vectors[row], values[row]) for row in rows]
        self._names += kept
        numbers = np.arange(first, first + len(kept), dtype=np.int32)
        self.index.add(numbers, vectors[rows])
        self._changed.update(zip(kept, numbers.tolist(), strict=True))

    def remove(self, names: Sequence[str]) -> None:
        """Take items out; an id that it does not have stays away."""
        there = {name: number for name in names if (number := self.number(name)) >= 0}
        if there:
            self._changed.update(dict.fromkeys(there, -1))
            self.index.remove(np.array(list(there.values()), dtype=np.int32))

    def find(self, vector: Vectors, k: int, but: int = -1) -> tuple[list[int], list[float]]:
        """Give the numbers of the k nearest items to a vector (d,), nearest first, and their scores; fewer where there
        are fewer.

        but: the number of the item that asks, which is left out.
        """
        left = None if but < 0 else [np.array([but], dtype=np.int32)]
        codes, scores = self.index.search(vector[None], k, left)
        there = codes[0] >= 0
        return codes[0][there].tolist(), scores[0][there].tolist()


def save_gallery(
    folder: Path, ids: pa.StringArray, values: pa.StringArray, vectors: Vectors, index: Index, version: str
) -> None:
    """Write a gallery into a folder that is there: ids, values, vectors and the index, all of one version."""
    write_texts(folder, IDS, ids)
    write_texts(folder, VALUES, values)
    if isinstance(index, CodeIndex):
        write_arrays(folder, {VECTORS: vectors})  # to explain; a search reads codes alone
        index.save(folder / CODES, version)
    else:
        index.save(folder / INDEX, version)


def load_gallery(folder: Path, version: str) -> Gallery:
    """Map what `save_gallery` wrote.

    version: of the encoder. Raises `BuildError` where files are damaged, or the index was made with another encoder.
    """
    ids, values = read_texts(folder, IDS), read_texts(folder, VALUES)
    binary = (folder / CODES).is_dir()
    index: Index = CodeIndex.load(folder / CODES, version) if binary else VectorIndex.load(folder / INDEX, version)
    vectors = read_array(folder if binary else folder / INDEX, VECTORS)
    if not len(ids) == len(values) == len(vectors) == len(index):
        found = f"{len(ids)} ids, {len(values)} values, {len(vectors)} vectors, and {len(index)} in the index"
        raise BuildError(str(folder), found, "as many of each", "run the design again")
    return Gallery(ids, values, vectors, index)
