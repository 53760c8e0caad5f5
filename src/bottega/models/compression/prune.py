"""Pruning: the smallest numbers of a network become 0, and are no longer stored."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bottega.design.serving import Prune
from bottega.models.compression.compressed import CompressedModel
from bottega.models.compression.vectors import Sparse, Vectors, Whole
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.graph import graph
from bottega.models.networks.network import NetworkModel

Array = TypeVar("Array", bound=npt.NDArray[np.floating])


def prune(model: NetworkModel, setting: Prune) -> CompressedModel:
    """Set a share of the vectors' numbers, over all fields, and of each layer's weights to 0, the smallest first.

    The vectors are kept as what is not 0, with a bit for each number: smaller on the disk and in memory. The layers
    are computed whole, as before: zeros shrink their file, which is packed, and neither their memory nor their time.
    Biases stay. When it is wrong: a number that is small is not one that matters little; ids that are rare have small
    vectors and lose theirs first.

    Source: S. Han et al., Learning both weights and connections for efficient neural networks, NeurIPS 2015.
    """
    table, dense = model.weights.embedding, model.dense()
    vectors: Vectors = Whole(table)
    if setting.embeddings:
        vectors = Sparse.of(without_smallest(table, setting.embeddings))
    if setting.layers:
        layers = {
            name: without_smallest(values, setting.layers) if name.endswith(".weight") else values
            for name, values in model.weights.dense.items()
        }
        dense = graph(Architecture.of(model.setting, model.fields), layers)
    facts = {"kind": "Prune", "vectors": f"{setting.embeddings:g} are 0", "layers": f"{setting.layers:g} are 0"}
    return CompressedModel(model.setting, model.fields, vectors, dense, facts, packed=setting.layers > 0)


def without_smallest(values: Array, share: float) -> Array:
    """A copy with the smallest `share` of the numbers, by magnitude, set to 0: round(share · size) of them exactly.

    Equal ones go in the order of their places.

    >>> without_smallest(np.array([3.0, -1.0, 1.0, -2.0]), 0.5).tolist()
    [3.0, 0.0, 0.0, -2.0]
    """
    flat = np.array(values).reshape(-1)
    count = round(share * flat.size)
    if not count:
        return flat.reshape(values.shape)  # type: ignore[return-value]
    size = np.abs(flat)
    border = np.partition(size, count - 1)[count - 1]
    under = size < border
    equal = np.flatnonzero(size == border)[: count - int(under.sum())]
    flat[under] = 0
    flat[equal] = 0
    return flat.reshape(values.shape)  # type: ignore[return-value]
