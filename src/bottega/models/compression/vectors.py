"""The table of vectors in the three forms in which a compressed network keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.networks.fields import Fields, frozen
from bottega.models.storage import read_array

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
LARGEST = 127  # of a whole number of 8 bits with a sign; −128 is left out, so that both signs reach equally far


@dataclass(frozen=True, eq=False)
class Reading:
    """What a compiled reading has to know of the fields, made ready once. places: of categories. numbers: of those."""

    places: tuple[Array, Array]
    numbers: tuple[Array, Array, Array]

    @classmethod
    def of(cls, fields: Fields) -> Self:
        """Make it ready."""
        numbers = frozen(fields.numbers), frozen(fields.shape), frozen(fields.nulls)
        return cls((frozen(fields.categories), frozen(fields.offset)), numbers)


class Vectors(Protocol):
    """A table of vectors that can be read for rows of inputs."""

    kind: ClassVar[str]
    """How `compressed.json` names the form."""

    @property
    def width(self) -> int:
        """Numbers of a vector."""

    def arrays(self) -> Mapping[str, Array]:
        """What it is kept in, by name; the first has a row for each row of the table."""

    def read(self, reading: Reading, values: Floats, dense: Floats) -> None:
        """Write what the dense part reads. values: (n, f) as in the inputs. dense: (n, c·width + numbers)."""


@dataclass(frozen=True, eq=False)
class Whole:
    """As it was learnt. embedding: (rows, width) float32."""

    embedding: Floats
    kind: ClassVar[str] = "float32"

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.embedding.shape[1])

    def arrays(self) -> Mapping[str, Array]:
        """What it is kept in, by name."""
        return {"embedding": self.embedding}

    def read(self, reading: Reading, values: Floats, dense: Floats) -> None:
        """Write what the dense part reads."""
        from bottega.models.networks.fields_kernel import read_dense

        read_dense(frozen(values), *reading.places, frozen(self.embedding), *reading.numbers, dense)


@dataclass(frozen=True, eq=False)
class Rounded:
    """Each row in whole numbers of 8 bits, times a scale of its own: scale = largest of the row ÷ 127.

    No number is off by more than half a scale. whole: (rows, width) int8. scale: (rows,) float32.

    >>> table = Rounded.of(np.array([[0.5, -1.0], [0.0, 0.0]], dtype=np.float32))
    >>> table.whole.tolist(), table.scale.round(4).tolist()
    ([[64, -127], [0, 0]], [0.007899999618530273, 0.0])
    """

    whole: npt.NDArray[np.int8]
    scale: Floats
    kind: ClassVar[str] = "int8"

    @classmethod
    def of(cls, embedding: Floats) -> Self:
        """Round a table (rows, width)."""
        scale = np.abs(embedding).max(axis=1, initial=0) / np.float32(LARGEST)
        by = np.where(scale > 0, scale, 1)
        return cls(np.rint(embedding / by[:, None]).astype(np.int8), scale)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.whole.shape[1])

    def arrays(self) -> Mapping[str, Array]:
        """What it is kept in, by name."""
        return {"whole": self.whole, "scale": self.scale}

    def read(self, reading: Reading, values: Floats, dense: Floats) -> None:
        """Write what the dense part reads."""
        from bottega.models.compression.vectors_kernel import read_rounded

        table = frozen(self.whole), frozen(self.scale)
        read_rounded(frozen(values), *reading.places, *table, *reading.numbers, dense)


@dataclass(frozen=True, eq=False)
class Sparse:
    """The numbers that are not 0, and a bit for each number that says whether it is one of them.

    A row costs ⌈width / 8⌉ + 4 bytes and 4 for each number kept. mask: (rows, ⌈width / 8⌉) uint8. first: (rows,)
    where a row begins. kept: (m + 1,) float32, with a 0 at the end, so that reading needs no branch.

    >>> Sparse.of(np.array([[0, 2], [0, 0], [3, 4]], dtype=np.float32)).kept.tolist()
    [2.0, 3.0, 4.0, 0.0]
    """

    mask: npt.NDArray[np.uint8]
    first: npt.NDArray[np.unsignedinteger[Any]]
    kept: Floats
    width: int
    kind: ClassVar[str] = "sparse"

    @classmethod
    def of(cls, embedding: Floats) -> Self:
        """Take the numbers of a table (rows, width) that are not 0."""
        there = embedding != 0
        count = there.sum(axis=1)
        first = np.cumsum(count) - count
        small = np.uint32 if count.sum() < 2**32 else np.uint64
        kept = np.append(embedding[there], np.float32(0))
        return cls(np.packbits(there, axis=1), first.astype(small), kept, embedding.shape[1])

    def arrays(self) -> Mapping[str, Array]:
        """What it is kept in, by name."""
        return {"mask": self.mask, "first": self.first, "kept": self.kept}

    def read(self, reading: Reading, values: Floats, dense: Floats) -> None:
        """Write what the dense part reads."""
        from bottega.models.compression.vectors_kernel import read_sparse

        table = frozen(self.mask), frozen(self.first), frozen(self.kept)
        read_sparse(frozen(values), *reading.places, *table, self.width, *reading.numbers, dense)


def read_vectors(folder: Path, kind: str, rows: int, width: int) -> Vectors:
    """Map the arrays of a table from a folder; `BuildError` where one is damaged or not of its shape."""
    table: Vectors
    match kind:
        case Whole.kind:
            table = Whole(read_array(folder, "embedding"))
            good = table.embedding.shape == (rows, width) and table.embedding.dtype == np.float32
        case Rounded.kind:
            table = Rounded(read_array(folder, "whole"), read_array(folder, "scale"))
            good = table.whole.shape == (rows, width) and table.scale.shape == (rows,)
            good = good and table.whole.dtype == np.int8 and table.scale.dtype == np.float32
        case Sparse.kind:
            table = Sparse(read_array(folder, "mask"), read_array(folder, "first"), read_array(folder, "kept"), width)
            good = table.mask.shape == (rows, -(-width // 8)) and table.first.shape == (rows,)
            good = good and table.mask.dtype == np.uint8 and table.kept.dtype == np.float32
            count = np.bitwise_count(table.mask).sum(axis=1, dtype=np.int64) if good else np.zeros(1, np.int64)
            good = good and table.kept.shape == (int(count.sum()) + 1,)
            good = good and bool((table.first == np.cumsum(count) - count).all())
        case _:
            good, table = False, Whole(np.zeros((0, width), np.float32))
    if not good:
        found = {name: values.shape for name, values in table.arrays().items()}
        raise BuildError(
            str(folder),
            f"a table {kind!r} with arrays {found}",
            f"{Whole.kind}, {Rounded.kind} or {Sparse.kind}, of {rows} rows and {width} numbers each",
            "compress the model again, or restore the folder from a copy",
        )
    return table
