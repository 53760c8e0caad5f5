"""The network of a picture as an ONNX graph, built from its weights; bytes go in, unit vectors come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.images.network import Network, Steps
from bottega.models.networks.needed import needed

_OPSET, _IR = 21, 10  # read by ONNX Runtime from 1.18 on
PICTURES, VECTORS = "pictures", "vectors"
_LEAST = 1e-12  # of a length by which a vector is divided, as in PyTorch


class OnnxSteps(Steps):
    """Writes the steps down as nodes; what each does stands in `Steps`. weights: by name, float32, folded.
    output: name of the vectors."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], output: str) -> None:
        self.weights, self.output = weights, output
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def seen(self, x: str, name: str) -> str:
        made = self.node("Conv", [x, *self._weights(name)], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return self.node("Relu", [made])

    def halved(self, x: str) -> str:
        return self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def add(self, x: str, y: str) -> str:
        return self.node("Add", [x, y])

    def largest(self, x: str) -> str:
        return self.node("ReduceMax", [x, self.constant(np.array([2, 3]))], keepdims=0)

    def drawn(self, x: str, name: str) -> str:
        return self.unit(self.node("Gemm", [x, *self._weights(name)], transB=1), self.output)

    def unit(self, x: str, output: str) -> str:
        """Bring vectors to the length 1."""
        length = self.node("ReduceL2", [x, self.constant(np.array([1]))], keepdims=1)
        return self.node("Div", [x, self.node("Max", [length, self.constant(np.float32(_LEAST))])], output)

    def both_ways(self, x: str) -> str:
        """Put each picture's mirror image behind all of them."""
        ends = [self.constant(np.array([value])) for value in (-1, np.iinfo(np.int64).min, 3, -1)]
        return self.node("Concat", [x, self.node("Slice", [x, *ends])], axis=0)

    def middle_of(self, x: str, output: str) -> str:
        """Give what lies between each picture's vector and that of its mirror image, at the length 1."""
        halves = [f"{output}.{side}" for side in ("plain", "mirrored")]
        self.nodes.append(needed("onnx").helper.make_node("Split", [x], halves, axis=0, num_outputs=2))
        return self.unit(self.add(*halves), output)

    def constant(self, values: Any, name: str = "") -> str:
        """Keep an array, and give its name."""
        name = name or f"constant.{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **settings: Any) -> str:
        """Write a node, and give the name of what comes out."""
        output = output or f"{kind.lower()}.{len(self.nodes)}"
        self.nodes.append(needed("onnx").helper.make_node(kind, list(inputs), [output], **settings))
        return output

    def _weights(self, name: str) -> list[str]:
        return [self.constant(self.weights[key], key) for key in (f"{name}.weight", f"{name}.bias")]


def graph(
    network: Network,
    weights: Mapping[str, npt.NDArray[np.float32]],
    middle: npt.NDArray[np.float32],
    spread: npt.NDArray[np.float32],
    mirror: bool = False,
) -> bytes:
    """The ONNX model: uint8 `pictures` (n, height, width, channels) → float32 `vectors` (n, out) of length 1.

    The same weights give the same bytes. middle, spread: (channels,) of the pixels, 0 to 255; z = (x − middle) ÷ spread
    is what the first layer reads. mirror: whether a vector is that of a picture and its mirror image together. Raises
    `BuildError` where onnx is not installed.
    """
    onnx = needed("onnx")
    do, types = OnnxSteps(weights, "views" if mirror else VECTORS), onnx.TensorProto
    number = do.node("Cast", [PICTURES], to=types.FLOAT)
    centred = do.node("Sub", [number, do.constant(middle, "middle")])
    scaled = do.node("Div", [centred, do.constant(spread, "spread")])
    seen = do.node("Transpose", [scaled], perm=[0, 3, 1, 2])
    found = network.vectors(do, do.both_ways(seen) if mirror else seen)
    if mirror:
        do.middle_of(found, VECTORS)
    sides = [network.height, network.width, network.channels]
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            do.nodes,
            "ImageEncoder",
            [onnx.helper.make_tensor_value_info(PICTURES, types.UINT8, ["rows", *sides])],
            [onnx.helper.make_tensor_value_info(VECTORS, types.FLOAT, ["rows", network.out])],
            [onnx.numpy_helper.from_array(values, name) for name, values in do.constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="bottega",
    )
    text: bytes = made.SerializeToString(deterministic=True)
    return text
