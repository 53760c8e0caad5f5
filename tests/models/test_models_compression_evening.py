"""Evening out before rounding: the same scores in float32, and a smaller error where columns are of unlike size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compression_world import MIXED, SETTINGS, Array, each_network, fitted, inputs_of, world

from bottega.models.compression.evening import evened
from bottega.models.compression.flows import measured, tensors
from bottega.models.compression.whole_numbers import in_whole_numbers
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.graph import INPUTS, SCORE, graph

onnx: Any = pytest.importorskip("onnx", reason="the extra `deep` is not installed")
pytest.importorskip("torch", reason="the extra `deep` is not installed")

FIELDS, NUMBERS, ROWS = 3, 4, 800
SMALL = [0, 4, FIELDS * 5 + 1]  # columns of the inputs: two of vectors, and a number


def scores(text: bytes, rows: Array) -> Array:
    import onnxruntime

    return np.asarray(onnxruntime.InferenceSession(text).run([SCORE], {INPUTS: rows.astype(np.float32)})[0])


def drawn(setting: Any, **scale: float) -> tuple[bytes, Array]:
    """A network of random weights over columns of one size, but for `SMALL`: times `of`, their weights times `by`."""
    rng = np.random.default_rng(7)
    architecture = Architecture(setting, FIELDS, NUMBERS)
    weights = {
        name: (rng.standard_normal(shape) * shape[-1] ** -0.5).astype(np.float32)
        for name, shape in architecture.shapes.items()
    }
    rows = rng.uniform(-1, 1, (ROWS, architecture.inputs)).astype(np.float32)
    rows[:, SMALL] *= scale.get("of", 1)
    for name in ("cross.0.down.weight", "deep.0.weight"):
        weights[name][:, SMALL] *= scale.get("by", 1)
    return graph(architecture, weights), rows


def errors(dense: bytes, learnt: Array, rows: Array) -> list[float]:
    """Mean error of the scores of `rows` in whole numbers, over their spread: dynamic, and static."""
    truth = scores(dense, rows)
    found = [in_whole_numbers(each, ranges) for each, ranges in ((dense, None), (dense, measured(dense, learnt)))]
    return [float(np.abs(scores(each, rows) - truth).mean() / truth.std()) for each in found]


@each_network()
def test_the_scores_stay_the_same(place: int) -> None:
    model, examples, rows = fitted(place), world()[0], world(600, 5)[0]
    learnt, unseen = (inputs_of(model, each, model.weights.embedding).astype(np.float32) for each in (examples, rows))
    dense = model.dense()
    even, truth = evened(dense, learnt), scores(dense, unseen)
    np.testing.assert_allclose(scores(even, unseen), truth, rtol=0, atol=3e-6 * np.abs(truth).max())
    assert evened(dense, learnt) == even
    assert sum(name.endswith(".even") for name in tensors(even)) == len(MIXED[place])


@pytest.mark.parametrize(("of", "by"), [(0.01, 1), (0.01, 100), (1, 100), (1, 0.01)])
def test_a_column_a_hundred_times_smaller_is_not_lost_nor_loses_others(of: float, by: float) -> None:
    dense, rows = drawn(SETTINGS[0], of=of, by=by)
    even = evened(dense, rows)
    for found, before in zip(errors(even, rows, rows), errors(dense, rows, rows), strict=True):
        assert found < 0.02
        assert found < (0.1 if of * by == 1 else 1.1) * before


def test_columns_that_no_row_fills_may_be_filled_later() -> None:
    dense, rows = drawn(SETTINGS[0])
    learnt = rows.copy()
    learnt[:, SMALL] = 0
    even, truth = evened(dense, learnt), scores(dense, rows)
    np.testing.assert_allclose(scores(even, rows), truth, rtol=0, atol=3e-6 * np.abs(truth).max())
    assert max(errors(even, learnt, rows)) < 0.01


@pytest.mark.parametrize(("of", "by"), [(1, 0), (1, 1e-30), (1e-42, 1), (0, 0)])
def test_next_to_nothing_stays_so(of: float, by: float) -> None:
    dense, rows = drawn(SETTINGS[0], of=of, by=by)
    even, truth = evened(dense, rows), scores(dense, rows)
    np.testing.assert_allclose(scores(even, rows), truth, rtol=0, atol=3e-6 * np.abs(truth).max())
    assert max(errors(even, rows, rows)) < 0.01


def test_where_there_is_nothing_to_measure_the_scores_stay() -> None:
    dense, rows = drawn(SETTINGS[0])
    np.testing.assert_array_equal(scores(evened(dense, 0 * rows), rows), scores(dense, rows))
    architecture = Architecture(SETTINGS[0], FIELDS, NUMBERS)
    nothing = graph(architecture, {name: np.zeros(shape, np.float32) for name, shape in architecture.shapes.items()})
    np.testing.assert_array_equal(scores(evened(nothing, rows), rows), np.zeros(ROWS))
