"""The operations as nodes of an ONNX graph, written directly; needs the package onnx, and no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.networks.operations import Operations


@dataclass(frozen=True)
class Value:
    """A tensor of the graph. name: its own. shape: of each row, (d,) or (f, width)."""

    name: str
    shape: tuple[int, ...]


class OnnxOperations(Operations):
    """Writes the operations down; what each does stands in `Operations`.

    weights: by name, float32. nodes, constants: what was written.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def linear(self, x: Value, name: str) -> Value:
        weight = self.weights[f"{name}.weight"]
        inputs = [x.name, self._constant(weight, f"{name}.weight")]
        if f"{name}.bias" in self.weights:
            inputs.append(self._constant(self.weights[f"{name}.bias"], f"{name}.bias"))
        return self._node("Gemm", inputs, (len(weight),), transB=1)

    def blocks(self, x: Value, name: str) -> Value:
        weight = self.weights[f"{name}.weight"]
        count, rank, _ = weight.shape
        whole = np.zeros((count * rank, count * rank), dtype=np.float32)  # one product costs less than many small ones
        for block, matrix in enumerate(weight):
            place = slice(block * rank, (block + 1) * rank)
            whole[place, place] = matrix
        return self._node("Gemm", [x.name, self._constant(whole, f"{name}.weight")], x.shape, transB=1)

    def scaled(self, x: Value, gate: Value) -> Value:
        (width,), (count,) = x.shape, gate.shape
        parts, gates = self._reshaped(x, (count, width // count)), self._reshaped(gate, (count, 1))
        return self._reshaped(self._node("Mul", [parts.name, gates.name], parts.shape), x.shape)

    def mixed(self, x: Value, gate: Value) -> Value:
        (width,), (count,) = x.shape, gate.shape
        parts, gates = self._reshaped(x, (count, width // count)), self._reshaped(gate, (1, count))
        total = self._node("MatMul", [gates.name, parts.name], (1, width // count))
        return self._reshaped(total, (width // count,))

    def normal(self, x: Value, name: str) -> Value:  # noqa: ARG002 (folded into the layer's weights)
        return x

    def relu(self, x: Value) -> Value:
        return self._node("Relu", [x.name], x.shape)

    def tanh(self, x: Value) -> Value:
        return self._node("Tanh", [x.name], x.shape)

    def softmax(self, x: Value) -> Value:
        return self._node("Softmax", [x.name], x.shape, axis=1)

    def add(self, x: Value, y: Value) -> Value:
        return self._node("Add", [x.name, y.name], x.shape)

    def cross(self, x: Value, first: Value, factor: Value) -> Value:
        return self.add(x, self._node("Mul", [first.name, factor.name], x.shape))

    def columns(self, x: Value, low: int, high: int) -> Value:
        return self._sliced(x, low, high)

    def concat(self, parts: Sequence[Value]) -> Value:
        width = sum(part.shape[0] for part in parts)
        return self._node("Concat", [part.name for part in parts], (width, *parts[0].shape[1:]), axis=1)

    def vectors(self, x: Value, width: int) -> Value:
        return self._reshaped(x, (x.shape[0] // width, width))

    def flat(self, x: Value) -> Value:
        return self._reshaped(x, (x.shape[0] * x.shape[1],))

    def part(self, vectors: Value, low: int, high: int) -> Value:
        return self._sliced(vectors, low, high)

    def spread(self, x: Value, name: str) -> Value:
        weight = self.weights[f"{name}.weight"]
        column = self._reshaped(x, (*x.shape, 1))
        return self._node("Mul", [column.name, self._constant(weight, f"{name}.weight")], weight.shape)

    def second_order(self, vectors: Value) -> Value:
        size, axis, half = vectors.shape[1:], self._constant(np.array([1])), np.array(0.5, dtype=np.float32)
        whole = self._square(self._node("ReduceSum", [vectors.name, axis], size, keepdims=0))
        own = self._node("ReduceSum", [self._square(vectors).name, axis], size, keepdims=0)
        twice = self.total(self._node("Sub", [whole.name, own.name], size))
        return self._node("Mul", [twice.name, self._constant(half)], (1,))

    def dots(self, vectors: Value) -> Value:
        count = vectors.shape[0]
        turned = self._node("Transpose", [vectors.name], vectors.shape[::-1], perm=[0, 2, 1])
        every = self.flat(self._node("MatMul", [vectors.name, turned.name], (count, count)))
        i, j = np.tril_indices(count, -1)
        return self._node("Gather", [every.name, self._constant(i * count + j)], (len(i),), axis=1)

    def total(self, x: Value) -> Value:
        return self._node("ReduceSum", [x.name, self._constant(np.array([1]))], (1,), keepdims=1)

    def result(self, x: Value, name: str, shape: Sequence[int]) -> None:
        """Name x as the graph's result. shape: of each row of it, () for one column."""
        self._node("Reshape", [x.name, self._constant(np.array([-1, *shape]))], tuple(shape), output=name)

    def _square(self, x: Value) -> Value:
        return self._node("Mul", [x.name, x.name], x.shape)

    def _reshaped(self, x: Value, shape: tuple[int, ...]) -> Value:
        return self._node("Reshape", [x.name, self._constant(np.array([0, *shape]))], shape)  # 0: as many rows

    def _sliced(self, x: Value, low: int, high: int) -> Value:
        places = [self._constant(np.array([place])) for place in (low, high, len(x.shape))]
        return self._node("Slice", [x.name, *places], (*x.shape[:-1], high - low))

    def _constant(self, values: npt.NDArray[Any], name: str = "") -> str:
        name = name or f"constant.{len(self.constants)}"
        self.constants[name] = values
        return name

    def _node(
        self, kind: str, inputs: Sequence[str], shape: tuple[int, ...], output: str = "", **settings: Any
    ) -> Value:
        from onnx import helper

        output = output or f"{kind.lower()}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **settings))
        return Value(output, shape)
