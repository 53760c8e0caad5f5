"""DCN: explicit crosses of the inputs beside a plain network."""

from __future__ import annotations

from bottega.design.scorers import DCN
from bottega.models.networks.operations import Block, Operations, Shape, hidden, hidden_shapes, last, linear_shapes


def shapes(setting: DCN, fields: int, numbers: int) -> dict[str, Shape]:
    """The weights by name. fields, numbers: how many of each."""
    width, low = fields * setting.embedding_size + numbers, setting.experts * setting.rank
    found: dict[str, Shape] = {}
    for layer in range(setting.cross_layers):
        name = f"cross.{layer}"
        found[f"{name}.down.weight"] = (low, width)
        found[f"{name}.core.weight"] = (setting.experts, setting.rank, setting.rank)
        found |= linear_shapes(f"{name}.up", low, width)
        if setting.experts > 1:
            found[f"{name}.gate.weight"] = (setting.experts, width)
    found |= hidden_shapes("deep", width, setting.layers)
    found["crossed.weight"] = (1, width)
    return found | linear_shapes("out", last(width, setting.layers), 1)


def logits(setting: DCN, fields: int, numbers: int, do: Operations, x: Block) -> Block:  # noqa: ARG001 (as in the others)
    """The log-odds, (n, 1): a line over the last cross layer and the last hidden layer, both from the same inputs.

    Cross layer: x' = x + x₀ ∘ Σₑ gₑ(x) · (Uₑ tanh(Cₑ tanh(Vₑᵀ x)) + b), with Σ g = 1; the experts' products are
    weighed in their low rank, before U, which gives the same sum for fewer steps.

    x: (n, fields · embedding_size + numbers).

    Source: R. Wang et al., DCN V2, WWW 2021, the parallel structure with a mixture of low-rank experts.
    """
    crossed = x
    for layer in range(setting.cross_layers):
        name = f"cross.{layer}"
        low = do.tanh(do.blocks(do.tanh(do.linear(crossed, f"{name}.down")), f"{name}.core"))
        if setting.experts > 1:
            low = do.scaled(low, do.softmax(do.linear(crossed, f"{name}.gate")))
        crossed = do.cross(crossed, x, do.linear(low, f"{name}.up"))
    deep = hidden(do, x, "deep", len(setting.layers))
    return do.add(do.linear(crossed, "crossed"), do.linear(deep, "out"))
