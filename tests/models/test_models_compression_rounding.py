"""Rounding to whole numbers of 8 bits, held to the same arithmetic in NumPy; vectors in all forms, read alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compression_world import (
    Array,
    NumpyOperations,
    each_network,
    even_factors,
    fitted,
    inputs_of,
    log_odds,
    world,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bottega.design.serving import Quantize
from bottega.errors import BuildError
from bottega.metrics.binary import log_loss
from bottega.models.compression.flows import measured, tensors
from bottega.models.compression.quantize import quantize
from bottega.models.compression.vectors import Reading, Rounded, Sparse, Whole
from bottega.models.compression.whole_numbers import in_whole_numbers
from bottega.models.inputs import Inputs
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.network import NetworkModel

pytest.importorskip("torch", reason="the extra `deep` is not installed")


def rounded_by_numpy(model: NetworkModel, rows: Inputs) -> Array:
    """What the dense part reads from rounded vectors."""
    table = model.weights.embedding.astype(np.float64)
    scale = np.abs(table).max(axis=1, keepdims=True) / 127
    return inputs_of(model, rows, np.rint(table / np.where(scale > 0, scale, 1)) * scale)


@each_network()
@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_rounding_is_what_numpy_says_it_is(place: int, mode: Any) -> None:
    model, examples, rows = fitted(place), world()[0], world(600, 5)[0]
    architecture = Architecture.of(model.setting, model.fields)
    even, ranges = even_factors(place, rounded_by_numpy(model, examples)), None
    if mode == "static":
        before: Any = NumpyOperations(model.weights.dense, rounded=False, even=even)
        architecture.logits(before, rounded_by_numpy(model, examples))
        ranges = before.seen
    oracle: Any = NumpyOperations(model.weights.dense, ranges, even=even)
    truth = architecture.logits(oracle, rounded_by_numpy(model, rows))[:, 0]
    found = log_odds(quantize(model, Quantize(mode=mode), examples).score(rows))
    whole = log_odds(model.score(rows))
    assert np.abs(found - truth).mean() < 0.1 * np.abs(found - whole).mean()  # a step flips where it falls on a half
    # DeepFM multiplies each number by a vector: columns that say the same, whose large weights nearly cancel out
    assert 0 < np.abs(found - whole).mean() < (0.08 if place == 1 else 0.05) * whole.std()
    assert np.abs(found - whole).max() < 0.4 * whole.std()  # one scale a layer, whose weights hold a normalisation


@each_network()
def test_rounding_costs_next_to_nothing(place: int) -> None:
    model, (rows, label, _) = fitted(place), world()
    before = log_loss(label, model.score(rows))
    for mode in ("static", "dynamic"):
        assert abs(log_loss(label, quantize(model, Quantize(mode=mode), rows).score(rows)) - before) < 1e-3


def test_static_measures_the_range_of_what_flows() -> None:
    model, (rows, *_) = fitted(0), world()
    x = inputs_of(model, rows, model.weights.embedding).astype(np.float32)
    ranges = measured(model.dense(), x)
    assert list(ranges) == tensors(model.dense())
    assert ranges["inputs"] == (float(x.min()), float(x.max()))


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_without_examples_it_is_refused(mode: Any) -> None:
    with pytest.raises(BuildError, match=f"{mode}.*no rows to measure on"):
        quantize(fitted(0), Quantize(mode=mode), world()[0].take([]))


def test_the_same_weights_give_the_same_graph() -> None:
    dense = fitted(0).dense()
    assert in_whole_numbers(dense) == in_whole_numbers(dense)


floats = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 19)), elements=st.floats(-99, 99, width=32))


@given(floats)
def test_no_number_is_off_by_more_than_half_its_scale(table: Array) -> None:
    found = Rounded.of(table)
    error = np.abs(found.whole * found.scale[:, None].astype(np.float64) - table)
    assert (error <= found.scale[:, None] * 0.5001 + 1e-30).all()
    assert np.abs(found.whole.astype(int)).max() <= 127


@pytest.mark.parametrize("width", [1, 5, 8, 17])
def test_all_forms_are_read_alike(width: int) -> None:
    rows = world()[0]
    fields = fitted(0).fields
    rng = np.random.default_rng(width)
    table = rng.standard_normal((fields.rows, width)).astype(np.float32) * (rng.random((fields.rows, width)) < 0.4)
    size = (len(fields.offset) - 1) * width + fields.number_count
    whole, sparse, rounded = (np.full((len(rows), size), np.nan, np.float32) for _ in range(3))
    how = Reading.of(fields)
    Whole(table).read(how, rows.values, whole)
    Sparse.of(table).read(how, rows.values, sparse)
    np.testing.assert_array_equal(sparse, whole)
    small = Rounded.of(table)
    small.read(how, rows.values, rounded)
    Whole(small.whole * small.scale[:, None]).read(how, rows.values, whole)
    np.testing.assert_array_equal(rounded, whole)
