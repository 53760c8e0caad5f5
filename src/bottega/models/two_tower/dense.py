"""Dense: the weights of two towers while they learn, in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.models.networks.needed import needed
from bottega.models.networks.vectors import KEEP_FIRST, KEEP_SECOND, SMALL

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]


class Passed(NamedTuple):
    """What has passed a tower, to take slopes by. inputs: (n, 2·size). vectors: (n, size)."""

    inputs: Tensor
    vectors: Tensor


class Slopes(NamedTuple):
    """The slopes by what went into a tower, and by its weights."""

    inputs: Tensor
    weights: dict[str, Tensor]


class Dense:
    """The weights of both towers by name, as those of `Towers`, and Adam. rate: how far a step goes."""

    def __init__(self, weights: Mapping[str, Array], rate: float) -> None:
        torch = needed("torch")
        self._weights: dict[str, Tensor] = {
            name: torch.tensor(values, requires_grad=True) for name, values in weights.items()
        }
        self._adam = torch.optim.Adam([*self._weights.values()], rate, (KEEP_FIRST, KEEP_SECOND), SMALL, fused=True)

    def passed(self, side: str, inputs: Tensor) -> Passed:
        """The vectors that follow from inputs, as `Towers.vectors`."""
        size, weights = inputs.shape[1] // 2, self._weights
        inputs.requires_grad_()
        found = inputs[:, :size] @ weights[f"{side}.mean"].T + inputs[:, size:]
        layer, inner = 0, inputs
        while (weight := weights.get(f"{side}.{layer}.weight")) is not None:
            inner = (inner if layer == 0 else inner.relu()) @ weight.T + weights[f"{side}.{layer}.bias"]
            layer += 1
        found = found + inner if layer else found
        return Passed(inputs, found / found.square().sum(1, keepdim=True).clamp_min(1e-30).sqrt())

    def slopes(self, side: str, passed: Passed, by_vectors: Tensor) -> Slopes:
        """The slopes by inputs and weights, from those by the vectors."""
        import torch

        names = [name for name in self._weights if name.startswith(side)]
        by = [passed.inputs, *(self._weights[name] for name in names)]
        inputs, *weights = torch.autograd.grad([passed.vectors], by, [by_vectors])
        return Slopes(inputs, dict(zip(names, weights, strict=True)))

    def step(self, slopes: Mapping[str, Tensor]) -> None:
        """Step by the slope of each weight."""
        for name, weight in self._weights.items():
            weight.grad = slopes[name]
        self._adam.step()

    def arrays(self) -> dict[str, Array]:
        """The weights, copied."""
        return {name: values.detach().numpy().copy() for name, values in self._weights.items()}
