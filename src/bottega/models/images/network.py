"""The network of a picture, written once: PyTorch learns it, and a graph of ONNX serves it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

Shape = tuple[int, ...]
Block = Any  # of pictures: a tensor of PyTorch, or the name of one in a graph
_SMALLEST = 4  # sides over this are halved once more
_WIDEST = 8  # times the width of the first layer, which no layer exceeds


class Steps(Protocol):
    """Steps over blocks of pictures, (n, channels, height, width), with the weights that they name."""

    def seen(self, x: Block, name: str) -> Block:
        """relu(normal(x ∗ W + b)) over windows of 3 × 3, (n, in, h, w) → (n, out, h, w), with `name.weight` (out, in,
        3, 3); when it serves, `name.bias` (out,) and the weights have the normalisation by batch folded in."""
        ...

    def halved(self, x: Block) -> Block:
        """The largest of each 2 × 2, (n, c, h, w) → (n, c, ⌈h/2⌉, ⌈w/2⌉)."""
        ...

    def add(self, x: Block, y: Block) -> Block:
        """The sum, of equal shapes."""
        ...

    def largest(self, x: Block) -> Block:
        """The largest over all places, (n, c, h, w) → (n, c)."""
        ...

    def drawn(self, x: Block, name: str) -> Block:
        """normal(x Wᵀ + b), (n, in) → (n, out), with `name.weight` (out, in); of length 1 each row."""
        ...


@dataclass(frozen=True)
class Network:
    """A small residual network. height, width, channels: of a picture. first: width of the first layer. out: length of
    the vector.

    A layer at full size; then stages, each of which halves the sides by the largest of 2 × 2, doubles the width (from
    the second stage on, up to 8 times the first), and adds two layers to what goes past them; the largest of each
    channel over all places; a line; length 1. Sides are halved while the shorter is over 4.

    >>> network = Network(28, 28, 1, first=32, out=64)
    >>> network.widths, round(network.products / 1e6)
    ((32, 64, 128), 14)
    """

    height: int
    width: int
    channels: int
    first: int
    out: int

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each stage."""
        stages = max(0, math.ceil(math.log2(min(self.height, self.width) / _SMALLEST)))
        return tuple(self.first * min(2**stage, _WIDEST) for stage in range(stages))

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each weight by name, in a fixed order."""
        found: dict[str, Shape] = {"begin.weight": (self.first, self.channels, 3, 3)}
        before = self.first
        for stage, width in enumerate(self.widths):
            if stage:
                found[f"{stage}.wide.weight"] = (width, before, 3, 3)
            found |= {f"{stage}.{name}.weight": (width, width, 3, 3) for name in ("one", "two")}
            before = width
        return found | {"out.weight": (self.out, before)}

    @property
    def products(self) -> int:
        """Multiplications for one picture."""
        count = 0
        for name, shape in self.shapes.items():
            stage = name.partition(".")[0]
            times = 2 ** (int(stage) + 1) if stage.isdigit() else 1
            places = -(-self.height // times) * -(-self.width // times)
            count += math.prod(shape) * (places if len(shape) == 4 else 1)
        return count

    def vectors(self, do: Steps, x: Block) -> Block:
        """The vector of each picture, (n, out). x: (n, channels, height, width)."""
        x = do.seen(x, "begin")
        for stage in range(len(self.widths)):
            x = do.halved(x)
            x = do.seen(x, f"{stage}.wide") if stage else x
            x = do.add(x, do.seen(do.seen(x, f"{stage}.one"), f"{stage}.two"))
        return do.drawn(do.largest(x), "out")
