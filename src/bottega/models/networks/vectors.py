"""The table of vectors while it learns: read for a batch, and stepped in the rows that the batch touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bottega.models.networks.fields import frozen

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]
KEEP_FIRST, KEEP_SECOND, SMALL = 0.9, 0.999, 1e-8  # Adam's own


class Vectors(Protocol):
    """The vectors and their moments, on the device where the network learns."""

    def read(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """What the dense part reads, (n, c·width + m) float32. codes: (n, c). numbers: (n, m)."""

    def step(self, codes: Tensor, slope: Tensor) -> None:
        """Step by the slope of the loss by what was read; the same codes as then."""

    def arrays(self) -> tuple[Array, Array]:
        """The table (rows, width), and its moments (rows, 2·width); not to be written into."""


class HostVectors:
    """The table in the memory of the processor, read and stepped by compiled loops.

    Only the rows of a batch are visited, so that a step costs the same for a table of a thousand rows and of a hundred
    million. table: (rows, width), taken over. moments: (rows, 2·width), taken over. steps: made before.
    """

    def __init__(self, table: Array, moments: Array, steps: int, rate: float, reg: float) -> None:
        self._table, self._moments = table, moments
        self._steps, self._rate, self._reg = steps, rate, reg
        self._slot = np.full(len(table), -1, dtype=np.int32)
        self._room: tuple[Any, ...] = ()

    def read(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """What the dense part reads."""
        import torch

        from bottega.models.networks.fields_kernel import gather

        dense = torch.empty((len(codes), codes.shape[1] * self._table.shape[1] + numbers.shape[1]))
        gather(frozen(codes.numpy()), frozen(self._table), frozen(numbers.numpy()), dense.numpy())
        return dense

    def step(self, codes: Tensor, slope: Tensor) -> None:
        """Step the rows that the batch touched."""
        from bottega.models.networks.vectors_kernel import step_vectors

        self._steps += 1
        width = self._table.shape[1]
        if not self._room or len(self._room[0]) < len(codes):
            self._room = np.empty(len(codes), np.int64), np.empty((len(codes), width), np.float32)
        settings = (corrected(self._rate, self._steps), KEEP_FIRST, KEEP_SECOND, SMALL, 2 * self._reg)
        step_vectors(
            self._table,
            self._moments,
            frozen(codes.numpy()),
            frozen(slope.numpy()),
            self._slot,
            *self._room,
            *map(np.float32, settings),
        )

    def arrays(self) -> tuple[Array, Array]:
        """The table and its moments."""
        return self._table, self._moments


class DeviceVectors:
    """The table in the memory of an accelerator: the same steps, over the whole table and masked to the touched rows.

    Passing over the table costs less there than finding its touched rows, and has one shape for every batch, so that
    the step can be recorded once. It needs five times the memory of the table.
    """

    def __init__(self, table: Array, moments: Array, steps: int, rate: float, reg: float, device: Any) -> None:
        import torch

        self._table = torch.tensor(table, device=device)
        self._first, self._second = (
            torch.tensor(moments[:, low : low + table.shape[1]], device=device) for low in (0, table.shape[1])
        )
        self._sums = torch.zeros_like(self._table)
        self._steps = torch.tensor(float(steps), device=device)
        self._rate, self._reg = rate, reg

    def read(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """What the dense part reads."""
        import torch

        return torch.cat([self._table[codes].flatten(1), numbers], dim=1)

    def step(self, codes: Tensor, slope: Tensor) -> None:
        """Step the rows that the batch touched."""
        import torch

        width, flat = self._table.shape[1], codes.flatten().long()
        self._sums.zero_().index_add_(0, flat, slope[:, : codes.shape[1] * width].reshape(-1, width).float())
        touched = torch.zeros((len(self._table), 1), dtype=torch.bool, device=flat.device)
        touched.index_fill_(0, flat, True)
        self._steps += 1
        rate = self._rate * (1 - KEEP_SECOND**self._steps).sqrt() / (1 - KEEP_FIRST**self._steps)
        pull = self._sums + 2 * self._reg * self._table
        first = self._first.lerp(pull, 1 - KEEP_FIRST)
        second = self._second.lerp(pull.square(), 1 - KEEP_SECOND)
        by = rate * first / (second.sqrt() + SMALL)
        for old, new in ((self._first, first), (self._second, second), (self._table, self._table - by)):
            old.copy_(torch.where(touched, new, old))

    def arrays(self) -> tuple[Array, Array]:
        """The table and its moments."""
        import torch

        return self._table.cpu().numpy(), torch.cat([self._first, self._second], dim=1).cpu().numpy()


def corrected(rate: float, steps: int) -> float:
    """Adam's rate with the correction for moments that began at 0. steps: from 1.

    >>> round(corrected(0.001, 1), 6), round(corrected(0.001, 10**5), 6)
    (0.000316, 0.001)
    """
    return rate * float(np.sqrt(1 - KEEP_SECOND**steps)) / (1 - KEEP_FIRST**steps)
