"""The networks again, row by row in float64, by the formulas of their papers and in no hurry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[np.float32]]


def plain(weights: Weights, name: str, x: Array, count: int) -> Array:
    """The hidden layers of a plain network."""
    for layer in range(count):
        x = np.maximum(weights[f"{name}.{layer}.weight"].astype(float) @ x + weights[f"{name}.{layer}.bias"], 0)
    return x


def dcn(weights: Weights, x: Array, layers: int, cross_layers: int, experts: int, rank: int) -> float:
    """x' = Σₑ gₑ · x₀ ∘ (Uₑ tanh(Cₑ tanh(Vₑᵀ x)) + b) + x: every expert by itself."""
    crossed = x
    for layer in range(cross_layers):
        name, mixed = f"cross.{layer}", np.zeros(len(x))
        gates = [1.0]
        if experts > 1:
            powers = [math.exp(row @ crossed) for row in weights[f"{name}.gate.weight"].astype(float)]
            gates = [power / sum(powers) for power in powers]
        for expert in range(experts):
            own = slice(expert * rank, (expert + 1) * rank)
            low = np.tanh(weights[f"{name}.down.weight"][own].astype(float) @ crossed)
            low = np.tanh(weights[f"{name}.core.weight"][expert].astype(float) @ low)
            high = weights[f"{name}.up.weight"][:, own].astype(float) @ low + weights[f"{name}.up.bias"]
            mixed += gates[expert] * x * high
        crossed = mixed + crossed
    deep = plain(weights, "deep", x, layers)
    return float(weights["crossed.weight"][0] @ crossed + weights["out.weight"][0] @ deep + weights["out.bias"][0])


def deepfm(weights: Weights, x: Array, layers: int, fields: int, size: int) -> float:
    """First order, every pair of vectors in O(n²), and the plain network."""
    table, numbers = x[: fields * (size + 1)].reshape(fields, size + 1), x[fields * (size + 1) :]
    vectors = [row[:size] for row in table]
    first = sum(row[size] for row in table)
    for j, number in enumerate(numbers):
        vectors.append(number * weights["numbers.weight"][j].astype(float))
        first += number * float(weights["first.weight"][0, j])
    second = sum(float(a @ b) for a, b in combinations(vectors, 2))
    deep = plain(weights, "deep", np.concatenate(vectors), layers)
    return float(first + second + weights["out.weight"][0] @ deep + weights["out.bias"][0])


def dlrm(weights: Weights, x: Array, layers: int, bottom: int, fields: int, size: int) -> float:
    """The bottom network's vector, the dot of each pair of vectors, and the top network."""
    numbers = plain(weights, "bottom", x[fields * size :], bottom)
    number = np.maximum(weights["numbers.weight"].astype(float) @ numbers + weights["numbers.bias"], 0)
    vectors = [number, *x[: fields * size].reshape(fields, size)]
    dots = [float(vectors[i] @ vectors[j]) for i in range(len(vectors)) for j in range(i)]
    top = plain(weights, "top", np.concatenate([number, dots]), layers)
    return float(weights["out.weight"][0] @ top + weights["out.bias"][0])


class Adam:
    """Adam on single numbers, kept in dictionaries: what was not touched does not move."""

    def __init__(self, rate: float) -> None:
        self.rate, self.steps = rate, 0
        self.first: dict[tuple[int, int], float] = {}
        self.second: dict[tuple[int, int], float] = {}

    def step(self, value: Array, slope: dict[tuple[int, int], float]) -> None:
        self.steps += 1
        for place, by in slope.items():
            self.first[place] = 0.9 * self.first.get(place, 0.0) + 0.1 * by
            self.second[place] = 0.999 * self.second.get(place, 0.0) + 0.001 * by * by
            mean = self.first[place] / (1 - 0.9**self.steps)
            spread = math.sqrt(self.second[place] / (1 - 0.999**self.steps))
            value[place] -= self.rate * mean / (spread + 1e-8)
