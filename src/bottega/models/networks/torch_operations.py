"""The operations in PyTorch, with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bottega.models.networks.normal import SMALL
from bottega.models.networks.operations import Operations

if TYPE_CHECKING:
    from torch import Generator, Tensor


class TorchOperations(Operations):
    """Computes the operations at once; what each does stands in `Operations`.

    weights: by name, all of one type. dropout: share of hidden values left out while it learns; 0 to judge. chance:
    where it draws them from; nothing: PyTorch's own. seen: the mean and variance of each hidden layer's sums; where the
    weights hold its scale and shift, it is normalised by them.
    """

    def __init__(self, weights: Mapping[str, Tensor], dropout: float = 0.0, chance: Generator | None = None) -> None:
        self.weights, self.dropout, self.chance = weights, dropout, chance
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}

    def seen_together(self, layers: Iterable[str]) -> Tensor:
        """The means and variances that the hidden layers met, side by side, (2, widths); empty for no layers."""
        import torch

        seen = [torch.stack(self.seen[name]).float() for name in layers]
        return torch.cat(seen, dim=1) if seen else torch.empty((2, 0))

    def linear(self, x: Tensor, name: str) -> Tensor:
        from torch.nn.functional import linear

        return linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def blocks(self, x: Tensor, name: str) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        parts = x.view(len(x), len(weight), -1).transpose(0, 1)  # (k, n, r)
        return parts.bmm(weight.transpose(1, 2)).transpose(0, 1).reshape(x.shape)

    def scaled(self, x: Tensor, gate: Tensor) -> Tensor:
        return (x.view(*gate.shape, -1) * gate.unsqueeze(2)).view(x.shape)

    def mixed(self, x: Tensor, gate: Tensor) -> Tensor:
        return gate.unsqueeze(1).bmm(x.view(*gate.shape, -1)).squeeze(1)

    def normal(self, x: Tensor, name: str) -> Tensor:
        import torch

        scale = self.weights.get(f"{name}.scale")
        if scale is None:
            self.seen[name] = x.mean(0), x.var(0, unbiased=False)
            return x
        shift = self.weights[f"{name}.shift"]
        made, mean, spread = torch.native_batch_norm(x, scale.float(), shift.float(), None, None, True, 0.0, SMALL)
        self.seen[name] = mean.detach(), spread.detach() ** -2 - SMALL
        return made

    def relu(self, x: Tensor) -> Tensor:
        x = x.relu()
        if not self.dropout:
            return x
        return x * x.new_empty(x.shape).bernoulli_(1 - self.dropout, generator=self.chance).div_(1 - self.dropout)

    def tanh(self, x: Tensor) -> Tensor:
        return x.tanh()

    def softmax(self, x: Tensor) -> Tensor:
        return x.float().softmax(1).to(x.dtype)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def cross(self, x: Tensor, first: Tensor, factor: Tensor) -> Tensor:
        return x.addcmul(first, factor)

    def columns(self, x: Tensor, low: int, high: int) -> Tensor:
        return x[:, low:high]

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        import torch

        return torch.cat(list(parts), dim=1)

    def vectors(self, x: Tensor, width: int) -> Tensor:
        return x.reshape(len(x), x.shape[1] // width, width)

    def flat(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), x.shape[1] * x.shape[2])

    def part(self, vectors: Tensor, low: int, high: int) -> Tensor:
        return vectors[:, :, low:high]

    def spread(self, x: Tensor, name: str) -> Tensor:
        return x.unsqueeze(2) * self.weights[f"{name}.weight"]

    def second_order(self, vectors: Tensor) -> Tensor:
        return (vectors.sum(1).square() - vectors.square().sum(1)).sum(1, keepdim=True) / 2

    def dots(self, vectors: Tensor) -> Tensor:
        import torch

        count = vectors.shape[1]
        i, j = torch.tril_indices(count, count, -1, device=vectors.device)
        return vectors.bmm(vectors.transpose(1, 2)).flatten(1)[:, i * count + j]

    def total(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)
