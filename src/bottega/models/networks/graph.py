"""The dense part of a network as an ONNX graph, built from its weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bottega.models.networks.architecture import Architecture
from bottega.models.networks.needed import needed
from bottega.models.networks.onnx_operations import OnnxOperations, Value

_OPSET, _IR = 21, 10  # read by ONNX Runtime from 1.18 on
INPUTS, SCORE = "inputs", "score"


def graph(architecture: Architecture, dense: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """The ONNX model of the dense part: float32 `inputs` (n, inputs) → float32 `score`, the log-odds, (n,).

    Of a network for several labels they are (n, tasks). The same weights give the same bytes. It holds the dense
    weights under their own names, float32 and whole; the table of vectors stays outside.

    dense: the weights by name, in the shapes of the architecture. Raises `BuildError` where onnx is not installed.
    """
    onnx = needed("onnx")
    do = OnnxOperations(dense)
    do.result(architecture.logits(do, Value(INPUTS, (architecture.inputs,))), SCORE, architecture.tasks)
    real = onnx.TensorProto.FLOAT
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            do.nodes,
            type(architecture.setting).__name__,
            [onnx.helper.make_tensor_value_info(INPUTS, real, ["rows", architecture.inputs])],
            [onnx.helper.make_tensor_value_info(SCORE, real, ["rows", *architecture.tasks])],
            [onnx.numpy_helper.from_array(values, name) for name, values in do.constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="bottega",
    )
    text: bytes = made.SerializeToString(deterministic=True)
    return text
