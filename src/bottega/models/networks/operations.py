"""Operations: the few steps that the networks are written in, so that one text of each is trained and is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Shape = tuple[int, ...]
Block = Any  # of rows: a tensor of PyTorch, or the name and shape of one in a graph


class Operations(Protocol):
    """Steps over blocks of rows, with the weights that they name; `TorchOperations` computes them, `OnnxOperations`
    writes them down as a graph."""

    def linear(self, x: Block, name: str) -> Block:
        """x Wᵀ + b, (n, in) → (n, out), with `name.weight` (out, in) and, where there is one, `name.bias` (out,)."""
        ...

    def blocks(self, x: Block, name: str) -> Block:
        """Each of k blocks of columns times its own matrix: (n, k·r) → (n, k·r), with `name.weight` (k, r, r)."""
        ...

    def scaled(self, x: Block, gate: Block) -> Block:
        """Each of k blocks of columns times its own number: (n, k·r), (n, k) → (n, k·r)."""
        ...

    def mixed(self, x: Block, gate: Block) -> Block:
        """The sum of k blocks of columns, each times its own number: (n, k·r), (n, k) → (n, r)."""
        ...

    def normal(self, x: Block, name: str) -> Block:
        """While it learns, normalised by the batch; when it serves, x: the weights of `name` have it folded in."""
        ...

    def relu(self, x: Block) -> Block:
        """max(x, 0), and while it learns a share of them left out."""
        ...

    def tanh(self, x: Block) -> Block:
        """The hyperbolic tangent."""
        ...

    def softmax(self, x: Block) -> Block:
        """Shares of each row that sum to 1."""
        ...

    def add(self, x: Block, y: Block) -> Block:
        """The sum, of equal shapes."""
        ...

    def cross(self, x: Block, first: Block, factor: Block) -> Block:
        """x + first ∘ factor, of equal shapes."""
        ...

    def columns(self, x: Block, low: int, high: int) -> Block:
        """Columns low to high of (n, d)."""
        ...

    def concat(self, parts: Sequence[Block]) -> Block:
        """Side by side, along the second axis."""
        ...

    def vectors(self, x: Block, width: int) -> Block:
        """(n, f·width) → (n, f, width)."""
        ...

    def flat(self, x: Block) -> Block:
        """(n, f, width) → (n, f·width)."""
        ...

    def part(self, vectors: Block, low: int, high: int) -> Block:
        """Entries low to high of each vector: (n, f, width) → (n, f, high − low)."""
        ...

    def spread(self, x: Block, name: str) -> Block:
        """Each number times its own vector: (n, m) → (n, m, e), with `name.weight` (m, e)."""
        ...

    def second_order(self, vectors: Block) -> Block:
        """Σ over pairs of ⟨vᵢ, vⱼ⟩: (n, f, e) → (n, 1)."""
        ...

    def dots(self, vectors: Block) -> Block:
        """⟨vᵢ, vⱼ⟩ of each pair i > j, by rows of the triangle: (n, f, e) → (n, f·(f − 1)/2)."""
        ...

    def total(self, x: Block) -> Block:
        """The sum of each row: (n, d) → (n, 1)."""
        ...


def hidden(do: Operations, x: Block, name: str, count: int) -> Block:
    """`count` hidden layers in turn: relu(normal(x Wᵀ + b)), with the weights `name.0` on."""
    for layer in range(count):
        own = f"{name}.{layer}"
        x = do.relu(do.normal(do.linear(x, own), own))
    return x


def hidden_shapes(name: str, width: int, layers: Sequence[int]) -> dict[str, Shape]:
    """The weights that `hidden` needs. width: of what goes in."""
    shapes: dict[str, Shape] = {}
    for layer, out in enumerate(layers):
        shapes |= linear_shapes(f"{name}.{layer}", width, out)
        width = out
    return shapes


def linear_shapes(name: str, width: int, out: int) -> dict[str, Shape]:
    """The weights of one layer with a bias."""
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def last(width: int, layers: Sequence[int]) -> int:
    """The width after the hidden layers."""
    return layers[-1] if layers else width
