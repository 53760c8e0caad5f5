"""What flows into the products of a graph that are rounded: which those are, and what it is for some rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.networks.graph import INPUTS
from bottega.models.networks.needed import needed

FEWEST = 8  # columns of a product: one into fewer gains no time, and its error goes into the score undiluted

Floats = npt.NDArray[np.float32]


def constants(model: Any) -> dict[str, npt.NDArray[Any]]:
    """The constants of an ONNX model, weights among them, by name."""
    onnx = needed("onnx")
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def worth(node: Any, weights: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether a node is a layer x Wᵀ (+ b) that is wide enough to be rounded. weights: among `constants`."""
    if node.op_type != "Gemm" or node.input[1] not in weights:
        return False
    return len(weights[node.input[1]]) >= FEWEST


def tensors(dense: bytes) -> list[str]:
    """The names of what flows into the products that are rounded, each once."""
    model = needed("onnx").load_model_from_string(dense)
    weights = constants(model)
    return list(dict.fromkeys(node.input[0] for node in model.graph.node if worth(node, weights)))


def flowing(dense: bytes, rows: Floats) -> dict[str, Floats]:
    """Each of `tensors`, (n, its columns), for some rows (n, inputs) of the dense part."""
    onnx, runtime = needed("onnx"), needed("onnxruntime")
    names = tensors(dense)
    model = onnx.load_model_from_string(dense)
    inner = [name for name in names if name != INPUTS]
    for name in inner:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict(zip(inner, session.run(inner, {INPUTS: rows}), strict=True)) if inner else {}
    return {name: found.get(name, rows) for name in names}


def measured(dense: bytes, rows: Floats) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each of `tensors`, over some rows (n, inputs) of the dense part."""
    return {name: (float(values.min()), float(values.max())) for name, values in flowing(dense, rows).items()}
