"""DeepFM: a factorisation machine beside a plain network, over the same vectors."""

from __future__ import annotations

from functools import reduce

from bottega.design.scorers import DeepFM
from bottega.models.networks.operations import Block, Operations, Shape, hidden, hidden_shapes, last, linear_shapes


def shapes(setting: DeepFM, fields: int, numbers: int) -> dict[str, Shape]:
    """The weights by name. fields, numbers: how many of each."""
    size = setting.embedding_size
    width = (fields + numbers) * size
    found: dict[str, Shape] = {"numbers.weight": (numbers, size), "first.weight": (1, numbers)} if numbers else {}
    found |= hidden_shapes("deep", width, setting.layers)
    return found | linear_shapes("out", last(width, setting.layers), 1)


def logits(setting: DeepFM, fields: int, numbers: int, do: Operations, x: Block) -> Block:
    """The log-odds, (n, 1): first order, second order and a plain network, summed.

    Σᵢ wᵢxᵢ + Σ over pairs ⟨vᵢ, vⱼ⟩xᵢxⱼ + network(all vᵢxᵢ side by side), x being 1 for a category and its value for a
    number. A category's row of the table is its vector and, as the last entry, its w.

    x: (n, fields · (embedding_size + 1) + numbers).

    Source: H. Guo et al., DeepFM, IJCAI 2017.
    """
    size = setting.embedding_size
    ahead = fields * (size + 1)
    vectors, first = [], []
    if fields:
        categories = do.vectors(do.columns(x, 0, ahead), size + 1)
        vectors.append(do.part(categories, 0, size))
        first.append(do.total(do.flat(do.part(categories, size, size + 1))))
    if numbers:
        values = do.columns(x, ahead, ahead + numbers)
        vectors.append(do.spread(values, "numbers"))
        first.append(do.linear(values, "first"))
    every = do.concat(vectors)
    deep = hidden(do, do.flat(every), "deep", len(setting.layers))
    return reduce(do.add, [*first, do.second_order(every), do.linear(deep, "out")])
