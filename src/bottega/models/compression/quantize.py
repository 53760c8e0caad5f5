"""Quantising: a network's vectors and layers in whole numbers of 8 bits."""

from __future__ import annotations

import numpy as np

from bottega.design.serving import Quantize
from bottega.errors import BuildError
from bottega.models.compression.compressed import CompressedModel
from bottega.models.compression.vectors import Reading, Rounded
from bottega.models.compression.whole_numbers import in_whole_numbers, measured
from bottega.models.inputs import Inputs
from bottega.models.networks.network import NetworkModel

EXAMPLES = 4096  # rows, evenly spaced, on which `static` measures what flows through the network


def quantize(model: NetworkModel, setting: Quantize, examples: Inputs | None = None) -> CompressedModel:
    """Round a fitted network: each vector with a scale of its own, each layer with one, what flows with one a tensor.

    When it is wrong: `static` cuts what lies beyond the range of the examples. Layers into fewer than 8 columns stay
    float32; see `in_whole_numbers`.

    examples: training rows, of which `EXAMPLES` are measured; wanted for `static` alone, else `BuildError`.
    """
    fields, dense = model.fields, model.dense()
    vectors = Rounded.of(model.weights.embedding)
    ranges = None
    if setting.mode == "static":
        if examples is None or not len(examples):
            raise BuildError(
                "serving.compress: Quantize(mode='static')",
                "no rows to measure on",
                "some rows of training",
                "pass examples=, or take Quantize(mode='dynamic')",
            )
        rows = examples.take(np.linspace(0, len(examples) - 1, min(len(examples), EXAMPLES)).astype(np.int64))
        rows.expect(fields.names, fields.kinds)
        read = np.empty((len(rows), (len(fields.offset) - 1) * vectors.width + fields.number_count), np.float32)
        vectors.read(Reading.of(fields), rows.values, read)
        ranges = measured(dense, read)
    facts = {
        "kind": "Quantize",
        "mode": setting.mode,
        "vectors": "int8, a scale for each vector",
        "layers": "int8, those into 8 columns or more",
    }
    return CompressedModel(model.setting, fields, vectors, in_whole_numbers(dense, ranges), facts)
