"""Evening out: columns of unlike size that one product reads, brought to a like one, so that one scale rounds all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.compression.flows import Floats, constants, flowing, worth
from bottega.models.networks.graph import INPUTS
from bottega.models.networks.needed import needed

_LEAST = 1e-3  # of the largest: no column is taken for smaller than this


def evened(dense: bytes, rows: Floats) -> bytes:
    """The same scores, with each column that is rounded multiplied by a constant, and the weights that read it divided.

    x Wᵀ = (x ∘ d) (W / d)ᵀ, with d_k = √(max |W_k| / max |x_k|) for column k, over the rows and over all weights that
    read it: then a column reaches as far in what flows as in the weights, and small vectors beside large numbers are
    not lost between two steps. Done where columns of several kinds lie side by side: the inputs, and what the graph
    puts together; those that come out of one layer are of a like size already. When it is wrong: a column that is
    small in all rows but one is as coarse as that one makes it.

    A column that is 0 in all rows counts as one that reaches as far as any, and weights that are all 0 stay 0.

    dense: an ONNX model, as `graph` makes it. rows: (n, inputs), of training, at least one. Raises `BuildError` where
    onnx or onnxruntime is not installed.

    Source: M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019;
    G. Xiao et al., SmoothQuant, ICML 2023.
    """
    onnx = needed("onnx")
    model = onnx.load_model_from_string(dense)
    weights, flows = constants(model), flowing(dense, rows)
    mixed, changed, nodes = {INPUTS}, dict[str, npt.NDArray[Any]](), []
    for node in model.graph.node:
        flow = node.input[0]
        if node.op_type == "Concat" or (node.op_type in ("Reshape", "Slice") and flow in mixed):
            mixed.update(node.output)
        elif flow in mixed and worth(node, weights):
            if f"{flow}.by" not in changed:
                readers = [each.input[1] for each in model.graph.node if worth(each, weights) and each.input[0] == flow]
                by = _factors(flows[flow], np.concatenate([weights[name] for name in readers]))
                changed |= {f"{flow}.by": by} | {name: weights[name] / by for name in readers}
                nodes.append(onnx.helper.make_node("Mul", [flow, f"{flow}.by"], [f"{flow}.even"]))
            node.input[0] = f"{flow}.even"
        nodes.append(node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    held = weights | changed
    model.graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name, values in held.items())
    text: bytes = model.SerializeToString(deterministic=True)
    return text


def _factors(flow: Floats, weight: Floats) -> Floats:
    """d of each column, (in,). flow: (n, in). weight: (out, in)."""
    reach, by = np.abs(flow).max(axis=0), np.abs(weight).max(axis=0)
    if not reach.any() or not by.any():
        return np.ones_like(reach)
    reach = np.where(reach > 0, np.maximum(reach, _LEAST * reach.max()), reach.max())
    factors: Floats = np.sqrt(np.maximum(by, _LEAST * by.max()) / reach)
    return factors
