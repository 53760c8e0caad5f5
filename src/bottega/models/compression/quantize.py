"""Quantising: a network's vectors and layers in whole numbers of 8 bits."""

from __future__ import annotations

import numpy as np

from bottega.design.serving import Quantize
from bottega.errors import BuildError
from bottega.models.compression.compressed import CompressedModel
from bottega.models.compression.evening import evened
from bottega.models.compression.flows import measured
from bottega.models.compression.vectors import Reading, Rounded
from bottega.models.compression.whole_numbers import in_whole_numbers
from bottega.models.inputs import Inputs
from bottega.models.networks.network import NetworkModel

EXAMPLES = 4096  # rows, evenly spaced, on which is measured what flows through the network


def quantize(model: NetworkModel, setting: Quantize, examples: Inputs) -> CompressedModel:
    """Round a fitted network: each vector with a scale of its own, each layer with one, what flows with one a tensor.

    Before, columns of unlike size that one layer reads are evened out, by what the examples say; see `evened`. When it
    is wrong: examples unlike what is served leave the steps coarse, and `static` cuts what lies beyond their range.
    Layers into fewer than 8 columns stay float32; see `in_whole_numbers`.

    examples: training rows, at least one, of which `EXAMPLES` are measured in both modes; without one, `BuildError`.
    """
    if not len(examples):
        raise BuildError(
            f"serving.compress: Quantize(mode={setting.mode!r})",
            "no rows to measure on",
            "some rows of training",
            "pass examples=",
        )
    fields, vectors = model.fields, Rounded.of(model.weights.embedding)
    rows = examples.take(np.linspace(0, len(examples) - 1, min(len(examples), EXAMPLES)).astype(np.int64))
    rows.expect(fields.names, fields.kinds)
    read = np.empty((len(rows), (len(fields.offset) - 1) * vectors.width + fields.number_count), np.float32)
    vectors.read(Reading.of(fields), rows.values, read)
    dense = evened(model.dense(), read)
    ranges = measured(dense, read) if setting.mode == "static" else None
    facts = {
        "kind": "Quantize",
        "mode": setting.mode,
        "vectors": "int8, a scale for each vector",
        "layers": "int8, those into 8 columns or more; columns of unlike size evened out",
    }
    return CompressedModel(model.setting, fields, vectors, in_whole_numbers(dense, ranges), facts)
