"""DLRM: a network over the products of all pairs of vectors, the numbers being one vector more."""

from __future__ import annotations

from bottega.design.scorers import DLRM
from bottega.models.networks.operations import Block, Operations, Shape, hidden, hidden_shapes, last, linear_shapes


def shapes(setting: DLRM, fields: int, numbers: int) -> dict[str, Shape]:
    """The weights by name. fields, numbers: how many of each."""
    size = setting.embedding_size
    width = size + fields * (fields + 1) // 2
    found = hidden_shapes("bottom", numbers, setting.bottom)
    found |= linear_shapes("numbers", last(numbers, setting.bottom), size)
    found |= hidden_shapes("top", width, setting.layers)
    return found | linear_shapes("out", last(width, setting.layers), 1)


def logits(setting: DLRM, fields: int, numbers: int, do: Operations, x: Block) -> Block:
    """The log-odds, (n, 1): top([z, ⟨vᵢ, vⱼ⟩ of all pairs]), z = bottom(numbers) being one of the vectors.

    Without numbers z is a vector that is learnt and is the same for all rows.

    x: (n, fields · embedding_size + numbers).

    Source: M. Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019.
    """
    size = setting.embedding_size
    ahead = fields * size
    bottom = hidden(do, do.columns(x, ahead, ahead + numbers), "bottom", len(setting.bottom))
    number = do.relu(do.linear(bottom, "numbers"))
    pairs = [do.dots(do.vectors(do.concat([number, do.columns(x, 0, ahead)]), size))] if fields else []
    top = hidden(do, do.concat([number, *pairs]), "top", len(setting.layers))
    return do.linear(top, "out")
