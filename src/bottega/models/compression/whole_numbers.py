"""The dense part of a network in whole numbers of 8 bits: its ONNX graph, with other nodes for its products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.compression.vectors import LARGEST
from bottega.models.networks.graph import INPUTS
from bottega.models.networks.needed import needed

FEWEST = 8  # columns of a product: one into fewer gains no time, and its error goes into the score undiluted
_MICROSOFT = "com.microsoft"  # the operations of ONNX Runtime beyond the standard

Ranges = Mapping[str, tuple[float, float]]


def in_whole_numbers(dense: bytes, ranges: Ranges | None = None) -> bytes:
    """The same graph with x Wᵀ + b computed as s·t·(round(x/s) − z) · round(W/t)ᵀ + b in whole numbers.

    W is rounded to −127…127 with one scale t a matrix; what flows in, to 0…255 with one scale s a tensor, taken once
    for all products that read it: from each block of rows as it comes, or from `ranges`, beyond which it is cut.
    Products into fewer than `FEWEST` columns, and of what flows with what flows, stay float32. When it is wrong:
    one wild value in a block makes the steps of all the others coarse; on a processor that adds pairs of products in
    16 bits (x86 without VNNI) a sum may saturate.

    dense: an ONNX model, as `graph` makes it. ranges: least and largest value of each tensor that `tensors` names.
    Raises `BuildError` where onnx is not installed.

    Source: B. Jacob et al., Quantization and training of neural networks for integer-arithmetic-only inference, 2018.
    """
    onnx = needed("onnx")
    model = onnx.load_model_from_string(dense)
    weights = _weights(onnx, model)
    nodes, constants, rounded = [], dict(weights), dict[str, list[str]]()
    for node in model.graph.node:
        if not _worth(node, weights):
            nodes.append(node)
            continue
        flow, name, *bias = node.input
        if flow not in rounded:
            rounded[flow] = [f"{flow}.whole", f"{flow}.scale", f"{flow}.zero"]
            if ranges is None:
                nodes.append(onnx.helper.make_node("DynamicQuantizeLinear", [flow], rounded[flow]))
            else:
                scale, zero = _grid(*ranges[flow])
                constants |= {rounded[flow][1]: scale, rounded[flow][2]: zero}
                nodes.append(onnx.helper.make_node("QuantizeLinear", [flow, *rounded[flow][1:]], rounded[flow][:1]))
        whole, step = _rounded(weights[name])
        constants |= {f"{name}.whole": whole, f"{name}.scale": step, "zero": np.array(0, np.int8)}
        flowing, scale_name, zero_name = rounded[flow]
        inputs = [flowing, f"{name}.whole", scale_name, f"{name}.scale", zero_name, "zero", *bias]
        nodes.append(onnx.helper.make_node("MatMulIntegerToFloat", inputs, node.output, domain=_MICROSOFT))
    used = {name for node in nodes for name in node.input}
    kept = {name: values for name, values in constants.items() if name in used}
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            model.graph.name,
            model.graph.input,
            model.graph.output,
            [onnx.numpy_helper.from_array(values, name) for name, values in kept.items()],
        ),
        opset_imports=[*model.opset_import, onnx.helper.make_opsetid(_MICROSOFT, 1)],
        ir_version=model.ir_version,
        producer_name=model.producer_name,
    )
    text: bytes = made.SerializeToString(deterministic=True)
    return text


def tensors(dense: bytes) -> list[str]:
    """The names of what flows into the products that `in_whole_numbers` rounds, each once."""
    onnx = needed("onnx")
    model = onnx.load_model_from_string(dense)
    weights = _weights(onnx, model)
    return list(dict.fromkeys(node.input[0] for node in model.graph.node if _worth(node, weights)))


def measured(dense: bytes, rows: npt.NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each of `tensors`, over some rows (n, inputs) of the dense part."""
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
    found[INPUTS] = rows
    return {name: (float(found[name].min()), float(found[name].max())) for name in names}


def _weights(onnx: Any, model: Any) -> dict[str, npt.NDArray[Any]]:
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def _worth(node: Any, weights: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether a node is a layer x Wᵀ (+ b) that is wide enough."""
    if node.op_type != "Gemm" or node.input[1] not in weights:
        return False
    return len(weights[node.input[1]]) >= FEWEST


def _rounded(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A weight (out, in) as whole numbers (in, out) and their scale ()."""
    step = np.array(max(np.abs(weight).max(initial=0), np.finfo(np.float32).tiny) / LARGEST, np.float32)
    return np.ascontiguousarray(np.rint(weight / step).astype(np.int8).T), step


def _grid(low: float, high: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Scale and zero point of 256 steps over a range that holds 0, which so stays exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    return np.array(scale, np.float32), np.array(np.clip(round(-low / scale), 0, 255), np.uint8)
