"""The dense part of a network in whole numbers of 8 bits: its ONNX graph, with other nodes for its products."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bottega.models.compression.flows import constants, worth
from bottega.models.compression.vectors import LARGEST
from bottega.models.networks.needed import needed

_MICROSOFT = "com.microsoft"  # the operations of ONNX Runtime beyond the standard

Ranges = Mapping[str, tuple[float, float]]


def in_whole_numbers(dense: bytes, ranges: Ranges | None = None) -> bytes:
    """The same graph with x Wᵀ + b computed as s·t·(round(x/s) − z) · round(W/t)ᵀ + b in whole numbers.

    W is rounded to −127…127 with one scale t a matrix; what flows in, to 0…255 with one scale s a tensor, taken once
    for all products that read it: from each block of rows as it comes, or from `ranges`, beyond which it is cut.
    Products into fewer than `FEWEST` columns, and of what flows with what flows, stay float32. When it is wrong:
    small columns beside large ones are lost between two steps, unless the graph was `evened`; one wild value in a block
    makes the steps of all the others coarse; on a processor that adds pairs of products in 16 bits (x86 without VNNI) a
    sum may saturate.

    dense: an ONNX model, as `graph` makes it. ranges: least and largest value of each tensor that `tensors` names.
    Raises `BuildError` where onnx is not installed.

    Source: B. Jacob et al., Quantization and training of neural networks for integer-arithmetic-only inference, 2018.
    """
    onnx = needed("onnx")
    model = onnx.load_model_from_string(dense)
    weights = constants(model)
    nodes, held, rounded = [], dict(weights), dict[str, list[str]]()
    for node in model.graph.node:
        if not worth(node, weights):
            nodes.append(node)
            continue
        flow, name, *bias = node.input
        if flow not in rounded:
            rounded[flow] = [f"{flow}.whole", f"{flow}.scale", f"{flow}.zero"]
            if ranges is None:
                nodes.append(onnx.helper.make_node("DynamicQuantizeLinear", [flow], rounded[flow]))
            else:
                scale, zero = _grid(*ranges[flow])
                held |= {rounded[flow][1]: scale, rounded[flow][2]: zero}
                nodes.append(onnx.helper.make_node("QuantizeLinear", [flow, *rounded[flow][1:]], rounded[flow][:1]))
        whole, step = _rounded(weights[name])
        held |= {f"{name}.whole": whole, f"{name}.scale": step, "zero": np.array(0, np.int8)}
        flowing, scale_name, zero_name = rounded[flow]
        inputs = [flowing, f"{name}.whole", scale_name, f"{name}.scale", zero_name, "zero", *bias]
        nodes.append(onnx.helper.make_node("MatMulIntegerToFloat", inputs, node.output, domain=_MICROSOFT))
    used = {name for node in nodes for name in node.input}
    kept = {name: values for name, values in held.items() if name in used}
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


def _rounded(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A weight (out, in) as whole numbers (in, out) and their scale ()."""
    step = np.array(max(np.abs(weight).max(initial=0), np.finfo(np.float32).tiny) / LARGEST, np.float32)
    return np.ascontiguousarray(np.rint(weight / step).astype(np.int8).T), step


def _grid(low: float, high: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Scale and zero point of 256 steps over a range that holds 0, which so stays exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    return np.array(scale, np.float32), np.array(np.clip(round(-low / scale), 0, 255), np.uint8)
