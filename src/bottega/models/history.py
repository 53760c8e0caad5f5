"""History: the items of each person, with weights, in flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.models.storage import read_array, read_texts, write_arrays, write_texts
from bottega.models.vocabulary import Codes, code_of

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class History:
    """What each person took: `item[start[p]:start[p + 1]]`, ascending, with a weight each.

    people: sorted ids. start: (people + 1,) places. item: (m,) codes. weight: (m,) from 0 up.

    >>> import scipy.sparse as sp
    >>> history = History.of(pa.array(["ann", "bob"]), sp.csr_matrix([[0, 2.0], [1.0, 0]]))
    >>> [values.tolist() for values in history.of_person("ann")]
    [[1], [2.0]]
    """

    people: pa.StringArray
    start: npt.NDArray[np.int64]
    item: Codes
    weight: npt.NDArray[np.float32]

    @classmethod
    def of(cls, people: pa.StringArray, matrix: sp.csr_matrix) -> Self:
        """Make it from a sparse matrix (people, items)."""
        start, item = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
        return cls(people, start, item, matrix.data.astype(np.float32))

    def of_person(self, person: str) -> tuple[Codes, npt.NDArray[np.float32]]:
        """The items of one person and their weights, (m,) each; none for an unknown person."""
        return self.of_row(code_of(self.people, person))

    def of_row(self, row: int) -> tuple[Codes, npt.NDArray[np.float32]]:
        """The same for a person's code; none for −1."""
        if row < 0:
            return self.item[:0], self.weight[:0]
        low, high = self.start[row], self.start[row + 1]
        return self.item[low:high], self.weight[low:high]

    def save(self, folder: Path) -> None:
        """Write it into a folder, as `people.arrow` and `history_*.npy`."""
        write_texts(folder, "people", self.people)
        write_arrays(folder, {"history_start": self.start, "history_item": self.item, "history_weight": self.weight})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(
            read_texts(folder, "people"),
            read_array(folder, "history_start"),
            read_array(folder, "history_item"),
            read_array(folder, "history_weight"),
        )


EMPTY = History(pa.nulls(0, pa.string()), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
