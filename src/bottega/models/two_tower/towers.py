"""Towers: all that two towers have learnt, and the vectors that follow from it, in NumPy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import BuildError
from bottega.features.hashing import hashes
from bottega.models.networks.fields import frozen
from bottega.models.storage import read_array, write_arrays
from bottega.models.vocabulary import Codes
from bottega.models.words import words

Array = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
TABLE, SIDES = "table", ("person", "item")
_START = 0.05  # standard deviation of the first vectors


@dataclass(frozen=True)
class Layout:
    """Which row of the table is whose: unknown item, items, no history, unknown person, people, words.

    Where there are more people than rows for them, they share rows by the hash of their ids; so do words.
    """

    items: int
    people: int
    words: int
    shared: bool

    @classmethod
    def of(cls, items: int, people: int, person_rows: int, word_rows: int) -> Self:
        """Lay it out for so many items and people, with so many rows at most for people, and so many for words."""
        return cls(items, min(people, person_rows), word_rows, people > person_rows)

    @property
    def nothing(self) -> int:
        """The row that stands for an empty history."""
        return 1 + self.items

    @property
    def nobody(self) -> int:
        """The row that stands for a person it does not know."""
        return 2 + self.items

    @property
    def rows(self) -> int:
        """How many there are."""
        return 3 + self.items + self.people + self.words

    def person_rows(self, names: pa.StringArray, codes: Codes) -> Places:
        """The row of each person, (n,). names: their ids. codes: among those it learnt from, −1 for none."""
        if not self.people:
            return np.full(len(codes), -1, dtype=np.int64)
        place = (hashes(names) % np.uint64(self.people)).astype(np.int64) if self.shared else codes.astype(np.int64)
        return np.where(codes < 0, self.nobody, self.nobody + 1 + place)

    def word_rows(self, given: Sequence[str | None]) -> tuple[Places, Places]:
        """The rows of the words of texts: where each text's begin (n + 1,), and they."""
        found = [words(text or "") for text in given]
        start = np.zeros(len(found) + 1, dtype=np.int64)
        np.cumsum([len(each) for each in found], out=start[1:])
        flat = pa.array([word for each in found for word in each], pa.string())
        place = hashes(flat) % np.uint64(self.words) if len(flat) else np.zeros(0, np.uint64)
        return start, place.astype(np.int64) + self.rows - self.words


@dataclass(frozen=True, eq=False)
class Towers:
    """The table of vectors (rows, size), and the dense weights by name.

    With a the mean of a list of rows and b the row of its own, a tower gives v = x / ‖x‖, x = W a + b + f(a, b), f a
    network of hidden layers with ReLU. dense: `{side}.mean` (size, size); `{side}.{layer}.weight` and `.bias`, the last
    one without ReLU; none of them where there are no layers.
    """

    layout: Layout
    table: Array
    dense: Mapping[str, Array]

    @classmethod
    def fresh(cls, layout: Layout, size: int, layers: Sequence[int], seed: int) -> Self:
        """Before any learning: W is the identity, f is 0, the rows of words are 0, the others near it."""
        rng = np.random.default_rng(seed)
        table = rng.standard_normal((layout.rows, size), dtype=np.float32) * np.float32(_START)
        table[layout.rows - layout.words :] = 0
        dense: dict[str, Array] = {}
        for side in SIDES:
            dense[f"{side}.mean"] = np.eye(size, dtype=np.float32)
            width = 2 * size
            for layer, out in enumerate([*layers, size] if layers else []):
                last = layer == len(layers)
                bound = 0.0 if last else np.sqrt(6 / (width + out))
                dense[f"{side}.{layer}.weight"] = rng.uniform(-bound, bound, (out, width)).astype(np.float32)
                dense[f"{side}.{layer}.bias"] = np.zeros(out, dtype=np.float32)
                width = out
        return cls(layout, table, dense)

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return int(self.table.shape[1])

    def vectors(self, side: str, flat: Places, low: Places, high: Places, own: Places) -> Array:
        """The vectors of people or items, (n, size), of length 1 or, where nothing is known of one, 0.

        flat, low, high: the rows whose mean goes in. own: (n,) rows.
        """
        from bottega.models.two_tower.rows_kernel import read

        inputs = np.empty((len(low), 2 * self.size), dtype=np.float32)
        nothing = self.layout.nothing if side == "person" else -1
        read(frozen(self.table), frozen(flat), low, high, nothing, own, inputs)
        found = inputs[:, : self.size] @ self.dense[f"{side}.mean"].T + inputs[:, self.size :]
        layer, inner = 0, inputs
        while (weight := self.dense.get(f"{side}.{layer}.weight")) is not None:
            inner = (inner if layer == 0 else np.maximum(inner, 0)) @ weight.T + self.dense[f"{side}.{layer}.bias"]
            layer += 1
        if layer:
            found = found + inner
        length: Array = np.sqrt(np.einsum("ij,ij->i", found, found))[:, None]
        length[length == 0] = 1
        vectors: Array = found / length
        return vectors

    def items(self, rows: Places, given: Sequence[str | None] | None) -> Array:
        """The vectors of items, (n, size). rows: of their own, 0 for new ones. given: their texts, or nothing."""
        if given is None:
            none = np.zeros(len(rows), dtype=np.int64)
            return self.vectors("item", none[:0], none, none, rows)
        start, flat = self.layout.word_rows(given)
        return self.vectors("item", flat, start[:-1], start[1:], rows)

    def version(self) -> str:
        """A name for exactly these weights."""
        found = hashlib.blake2b(digest_size=16)
        for values in (self.table, *(self.dense[name] for name in sorted(self.dense))):
            found.update(np.ascontiguousarray(values).data)
        return found.hexdigest()

    def save(self, folder: Path) -> None:
        """Write each array as a file."""
        write_arrays(folder, {TABLE: self.table, **self.dense})

    @classmethod
    def load(cls, folder: Path, layout: Layout, size: int, layers: Sequence[int]) -> Self:
        """Map what `save` wrote; `BuildError` where an array is damaged or not of its shape."""
        wanted: dict[str, Any] = {TABLE: (layout.rows, size)}
        wanted |= {
            name: values.shape for name, values in cls.fresh(Layout(0, 0, 0, False), size, layers, 0).dense.items()
        }
        arrays = {name: read_array(folder, name) for name in wanted}
        for name, shape in wanted.items():
            if arrays[name].shape != shape or arrays[name].dtype != np.float32:
                raise BuildError(
                    str(folder / f"{name}.npy"),
                    f"an array {arrays[name].shape} of {arrays[name].dtype}",
                    f"{shape} of float32, as the design says",
                    "load it with the setting that it was saved with, or fit and save the model again",
                )
        return cls(layout, arrays.pop(TABLE), arrays)
