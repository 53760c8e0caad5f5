"""Table: the vectors of items, people and words while two towers learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.models.networks.vectors import KEEP_FIRST, KEEP_SECOND, SMALL
from bottega.models.two_tower.towers import Places

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]


class Read(NamedTuple):
    """From where a tower's inputs are read; as `rows_kernel.read` takes it."""

    flat: Places
    low: Places
    high: Places
    nothing: int
    own: Places


class Table:
    """Rows that are read for a batch, and stepped by Adam where the batch touched them.

    rows: (rows, size), taken over. room: rows that a batch can touch. parts: of the table that are stepped side by
    side.
    """

    def __init__(self, rows: Array, room: int, parts: int) -> None:
        self.rows, self._parts = rows, parts
        self._moments = np.zeros((len(rows), 2 * rows.shape[1]), dtype=np.float32)
        self._slot = np.full(len(rows), -1, dtype=np.int64)
        many = min(len(rows), room)
        self._rooms = [(np.empty(many, np.int64), np.empty((many, rows.shape[1]), np.float32)) for _ in range(parts)]

    def read(self, read: Read, here: slice) -> Tensor:
        """What goes into a tower for some of the things, (n, 2·size)."""
        import torch

        from bottega.models.two_tower.rows_kernel import read as fill

        own = read.own[here]
        inputs = torch.empty((len(own), 2 * self.rows.shape[1]))
        fill(self.rows, read.flat, read.low[here], read.high[here], read.nothing, own, inputs.numpy())
        return inputs

    def step(self, part: int, reads: Iterable[Read], slopes: Iterable[Tensor], rate: float) -> None:
        """Step one part of the rows that were read. slopes: by what each read gave. rate: with Adam's correction."""
        from bottega.models.two_tower.rows_kernel import collect, step

        count, work = 0, (self._slot, *self._rooms[part])
        for read, slope in zip(reads, slopes, strict=True):
            count = collect(*read, slope.numpy(), *work, count, part, self._parts)
        keep = np.float32(KEEP_FIRST), np.float32(KEEP_SECOND), np.float32(SMALL)
        step(self.rows, self._moments, *work, count, np.float32(rate), *keep)
