"""A world for compressed networks, whose truth is known, the networks that learnt it, and their steps in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bottega.design.scorers import DCN, DLRM, DeepFM
from bottega.models.compression.flows import FEWEST
from bottega.models.inputs import Inputs
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.network import NetworkModel

Array = npt.NDArray[Any]
SMALL = {"embedding_size": 5, "layers": (16, 8), "epochs": 2, "batch": 256, "seed": 3}
SETTINGS = [DCN(cross_layers=2, rank=4, **SMALL), DeepFM(**SMALL), DLRM(bottom=(8,), **SMALL)]
MIXED = [[("cross.0.down", "deep.0")], [("deep.0",)], [("bottom.0",), ("top.0",)]]  # by setting: what reads one flow
SIZES = (40, 7)


@cache
def world(rows: int = 4000, seed: int = 0) -> tuple[Inputs, Array, Array]:
    """Two categories that interact, and two numbers: inputs, labels and the true probabilities."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(size, size=rows) for size in SIZES], axis=1)
    numbers = rng.standard_normal((rows, 2))
    effect = np.random.default_rng(9).normal(0, 1.2, SIZES)[codes[:, 0], codes[:, 1]]
    chance = 1 / (1 + np.exp(-(effect + 0.6 * numbers[:, 0] - 1)))
    values = np.concatenate([codes, numbers], axis=1).astype(np.float32)
    values[:5] = [-1, 99, np.nan, 1e6]  # unknown, new, null, wild
    kinds = ["category", "category", "number", "number"]
    return Inputs(["ad", "query", "bid", "age"], kinds, values), (rng.random(rows) < chance).astype(np.float32), chance


@cache
def fitted(place: int) -> NetworkModel:
    model = NetworkModel(SETTINGS[place])
    model.fit(*world()[:2])
    return model


def each_network() -> Any:
    return pytest.mark.parametrize("place", range(3), ids=[type(setting).__name__ for setting in SETTINGS])


class NumpyOperations:
    """The operations of the networks in float64, layers of `FEWEST` columns or more in whole numbers if asked.

    even: by what the columns that a layer reads are multiplied, and its weights divided.
    """

    def __init__(self, weights: Any, ranges: Any = None, rounded: bool = True, even: Any = None) -> None:
        self.weights = {name: values.astype(np.float64) for name, values in weights.items()}
        self.ranges, self.rounded, self.even = ranges, rounded, even or {}
        self.seen: dict[str, tuple[float, float]] = {}
        self.reach: dict[str, Array] = {}

    def linear(self, x: Array, name: str) -> Array:
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias", 0.0)
        x, weight = x * self.even.get(name, 1.0), weight / self.even.get(name, 1.0)
        self.seen[name], self.reach[name] = (x.min(), x.max()), np.abs(x).max(axis=0)
        if self.rounded and len(weight) >= FEWEST:
            step = np.abs(weight).max() / 127
            weight = np.rint(weight / step) * step
            low, high = (x.min(), x.max()) if self.ranges is None else self.ranges[name]
            low, high = min(low, 0), max(high, 0)
            scale = (high - low) / 255
            zero = np.rint(-low / scale)
            x = (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale
        return x @ weight.T + bias

    def blocks(self, x: Array, name: str) -> Array:
        weight = self.weights[f"{name}.weight"]
        rank = weight.shape[1]
        whole = np.zeros((weight.shape[0] * rank,) * 2)
        for i, matrix in enumerate(weight):
            whole[i * rank : (i + 1) * rank, i * rank : (i + 1) * rank] = matrix
        self.weights[f"{name}.whole.weight"] = whole
        return self.linear(x, f"{name}.whole")

    def scaled(self, x: Array, gate: Array) -> Array:
        return x * np.repeat(gate, x.shape[1] // gate.shape[1], axis=1)

    def normal(self, x: Array, name: str) -> Array:  # noqa: ARG002 (folded into the layer's weights)
        return x

    def relu(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def tanh(self, x: Array) -> Array:
        return np.tanh(x)

    def softmax(self, x: Array) -> Array:
        grown = np.exp(x - x.max(axis=1, keepdims=True))
        return grown / grown.sum(axis=1, keepdims=True)

    def add(self, x: Array, y: Array) -> Array:
        return x + y

    def cross(self, x: Array, first: Array, factor: Array) -> Array:
        return x + first * factor

    def columns(self, x: Array, low: int, high: int) -> Array:
        return x[:, low:high]

    def concat(self, parts: Sequence[Array]) -> Array:
        return np.concatenate(parts, axis=1)

    def vectors(self, x: Array, width: int) -> Array:
        return x.reshape(len(x), -1, width)

    def flat(self, x: Array) -> Array:
        return x.reshape(len(x), -1)

    def part(self, vectors: Array, low: int, high: int) -> Array:
        return vectors[:, :, low:high]

    def spread(self, x: Array, name: str) -> Array:
        return x[:, :, None] * self.weights[f"{name}.weight"]

    def second_order(self, vectors: Array) -> Array:
        pairs = np.einsum("nik,njk->nij", vectors, vectors)
        return ((pairs.sum((1, 2)) - np.trace(pairs, axis1=1, axis2=2)) / 2)[:, None]

    def dots(self, vectors: Array) -> Array:
        i, j = np.tril_indices(vectors.shape[1], -1)
        return np.einsum("nik,njk->nij", vectors, vectors)[:, i, j]

    def total(self, x: Array) -> Array:
        return x.sum(axis=1, keepdims=True)


def even_factors(place: int, x: Array) -> dict[str, Array]:
    """By layer, √(largest weight ÷ largest input) of each column; x: (n, inputs) of the dense part."""
    model, found = fitted(place), {}
    plain: Any = NumpyOperations(model.weights.dense, rounded=False)
    Architecture.of(model.setting, model.fields).logits(plain, x)
    for layers in MIXED[place]:
        reach = plain.reach[layers[0]]
        reach = np.where(reach > 0, reach, reach.max())
        weights = np.concatenate([plain.weights[f"{name}.weight"] for name in layers])
        found |= dict.fromkeys(layers, np.sqrt(np.abs(weights).max(axis=0) / reach))
    return found


def inputs_of(model: NetworkModel, rows: Inputs, embedding: Array) -> Array:
    """What the dense part reads, by plain indexing."""
    codes, numbers = model.fields.read(rows.values)
    return np.concatenate([embedding[codes].reshape(len(rows), -1), numbers], axis=1)


def log_odds(scores: Array) -> Array:
    return np.log(scores / (1 - scores.astype(np.float64)))
