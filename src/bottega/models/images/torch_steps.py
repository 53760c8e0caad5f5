"""The steps of the network in PyTorch, with gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bottega.models.images.network import Steps

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 1e-5  # added to a variance, so that a constant can be divided by its spread


class TorchSteps(Steps):
    """Computes the steps at once; what each does stands in `Steps`.

    weights: by name. With `name.scale` and `name.shift` beside a weight, what comes out of it is normalised by the
    batch, and `met` gives its mean and variance; without, it is as it serves, with `name.bias`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = weights
        self.met: dict[str, Tensor] = {}

    def seen(self, x: Tensor, name: str) -> Tensor:
        from torch.nn.functional import conv2d

        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        return self._normal(conv2d(x, weight.to(x.dtype), bias, padding=1), name).relu()

    def halved(self, x: Tensor) -> Tensor:
        from torch.nn.functional import max_pool2d

        return max_pool2d(x, 2, ceil_mode=True)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def largest(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))

    def drawn(self, x: Tensor, name: str) -> Tensor:
        from torch.nn.functional import linear, normalize

        found = linear(x.float(), self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))
        return normalize(self._normal(found, name))

    def _normal(self, x: Tensor, name: str) -> Tensor:
        import torch

        scale = self.weights.get(f"{name}.scale")
        if scale is None:
            return x
        made, mean, spread = torch.native_batch_norm(
            x, scale, self.weights[f"{name}.shift"], None, None, True, 0.0, SMALL
        )
        self.met[name] = torch.stack([mean.detach(), spread.detach() ** -2 - SMALL])
        return made
