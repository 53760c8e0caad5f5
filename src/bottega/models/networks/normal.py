"""Normal: the hidden layers' normalisation by batch, which is there while a network learns and gone when it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 1e-5  # added to a variance, so that a constant can be divided by its spread
_FOLLOWS = 0.1  # how far the kept mean and variance move to those of a batch


class Normal:
    """The mean and variance of what comes into each hidden layer, followed over the batches.

    While it learns, a layer's sums s = x Wᵀ + b become scale · (s − mean) / √(variance + ε) + shift, by the mean and
    variance of the batch (of each part of it that is learnt side by side). Afterwards those kept here are folded into
    W and b, so that what is served has nothing of it.

    layers: the name and width of each hidden layer. kept: (2, sum of the widths) means and variances.

    Source: S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015.
    """

    def __init__(self, layers: Mapping[str, int], kept: Tensor) -> None:
        self.layers, self.kept = layers, kept

    def follow(self, parts: Sequence[Tensor]) -> None:
        """Move to the means and variances of a batch's parts, each (2, widths)."""
        import torch

        if self.layers:
            self.kept.lerp_(torch.stack(list(parts)).mean(0), _FOLLOWS)

    def begin_unchanged(self, weights: Mapping[str, Tensor], found: Tensor) -> None:
        """Set scales and shifts so that folding changes no weight: for a network that has learnt already.

        found: (2, widths) the means and variances of its sums on some of the rows.
        """
        self.kept.copy_(found)
        for name, mean, variance in self._each():
            weights[f"{name}.scale"].copy_((variance + SMALL).sqrt())
            weights[f"{name}.shift"].copy_(mean)

    def folded(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights without scales and shifts, which do the same by themselves."""
        left = {name: values for name, values in weights.items() if not name.endswith((".scale", ".shift"))}
        for name, mean, variance in self._each():
            factor = weights[f"{name}.scale"] / (variance + SMALL).sqrt()
            left[f"{name}.weight"] = weights[f"{name}.weight"] * factor[:, None]
            left[f"{name}.bias"] = (weights[f"{name}.bias"] - mean) * factor + weights[f"{name}.shift"]
        return left

    def _each(self) -> list[tuple[str, Tensor, Tensor]]:
        import torch

        parts = torch.split(self.kept, list(self.layers.values()), dim=1) if self.layers else []
        return [(name, *part) for name, part in zip(self.layers, parts, strict=True)]


def normal_shapes(layers: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The weights that it learns beside those of the network.

    >>> normal_shapes({"deep.0": 8})
    {'deep.0.scale': (8,), 'deep.0.shift': (8,)}
    """
    return {f"{name}.{kind}": (width,) for name, width in layers.items() for kind in ("scale", "shift")}
