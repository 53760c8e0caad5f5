"""The networks' formulas: the graph that serves and the steps that learn against plain loops."""

from __future__ import annotations

from functools import partial
from typing import Any

import network_oracles
import numpy as np
import pytest

from bottega.design.scorers import DCN, DLRM, DeepFM
from bottega.models.inputs import Inputs
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.networks.graph import graph
from bottega.models.networks.serving import Served
from bottega.models.networks.weights import Weights

WHY = "is not installed: pip install 'bottega[deep]'"
torch = pytest.importorskip("torch", reason=f"torch {WHY}")
pytest.importorskip("onnx", reason=f"onnx {WHY}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime {WHY}")

KINDS = {"both": ("category", "number", "category", "number", "category"), "categories": ("category",) * 3,
         "one category": ("category",), "numbers": ("number",) * 2}  # fmt: skip
SETTINGS: list[Any] = [
    DCN(embedding_size=3, layers=[5, 4], cross_layers=2, rank=2, experts=3),
    DCN(embedding_size=2, layers=[], cross_layers=1, rank=3, experts=1),
    DCN(embedding_size=2, layers=[4], cross_layers=0),
    DeepFM(embedding_size=3, layers=[5, 4]),
    DeepFM(embedding_size=1, layers=[]),
    DLRM(embedding_size=3, layers=[5, 4], bottom=[6]),
    DLRM(embedding_size=2, layers=[], bottom=[]),
]


def made(setting: Any, kinds: str, seed: int = 0) -> tuple[Fields, Architecture, Weights, Inputs]:
    """A network with weights large enough that every part of it counts, and rows for it."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(-1, 4, 40) if kind == "category" else rng.normal(size=40) for kind in KINDS[kinds]]
    values = np.column_stack(columns).astype(np.float32)
    values[3, -1] = -1 if KINDS[kinds][-1] == "category" else np.nan
    inputs = Inputs([f"c{j}" for j in range(len(columns))], KINDS[kinds], values)
    fields = Fields.of(inputs)
    architecture = Architecture.of(setting, fields)
    dense = {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in architecture.shapes.items()}
    table = rng.normal(0, 0.7, (fields.rows, architecture.width)).astype(np.float32)
    return fields, architecture, Weights(table, dense), inputs


def inputs_of(fields: Fields, weights: Weights, inputs: Inputs) -> np.ndarray[Any, Any]:
    """What the dense part reads, (n, inputs), put together by NumPy."""
    codes, numbers = fields.read(inputs.values)
    return np.concatenate([weights.embedding[codes].reshape(len(codes), -1), numbers], axis=1)


def oracle(architecture: Architecture, weights: Weights) -> Any:
    setting, dense = architecture.setting, weights.dense
    layers, size, fields = len(setting.layers), setting.embedding_size, architecture.fields
    match setting:
        case DCN():
            parts = layers, setting.cross_layers, setting.experts, setting.rank
            return lambda x: network_oracles.dcn(dense, x, *parts)
        case DeepFM():
            return partial(network_oracles.deepfm, dense, layers=layers, fields=fields, size=size)
        case _:
            return partial(
                network_oracles.dlrm, dense, layers=layers, bottom=len(setting.bottom), fields=fields, size=size
            )


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_the_served_graph_is_the_formula(setting: Any, kinds: str) -> None:
    fields, architecture, weights, inputs = made(setting, kinds)
    served = Served(fields, weights.embedding, graph(architecture, weights.dense), "test")
    formula = oracle(architecture, weights)
    expected = np.array([formula(x) for x in inputs_of(fields, weights, inputs).astype(float)])
    assert np.ptp(expected) > 0.5  # the rows differ, or the test says nothing
    np.testing.assert_allclose(served.score(inputs.values), 1 / (1 + np.exp(-expected)), atol=1e-6)


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_what_learns_is_what_serves(setting: Any, kinds: str) -> None:
    from bottega.models.networks.torch_operations import TorchOperations

    fields, architecture, weights, inputs = made(setting, kinds, seed=1)
    served = Served(fields, weights.embedding, graph(architecture, weights.dense), "test")
    do = TorchOperations({name: torch.tensor(values) for name, values in weights.dense.items()})
    logits = architecture.logits(do, torch.tensor(inputs_of(fields, weights, inputs)))
    assert logits.shape == (40, 1)
    np.testing.assert_allclose(served.score(inputs.values), logits.sigmoid().flatten().numpy(), atol=1e-5)


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_every_weight_counts_and_is_named_once(setting: Any) -> None:
    fields, architecture, weights, inputs = made(setting, "both", seed=2)
    x = inputs_of(fields, weights, inputs)
    before, rng = served_logits(architecture, weights.dense, x), np.random.default_rng(3)
    for name, values in weights.dense.items():
        jitter = rng.normal(0, 0.3, values.shape).astype(np.float32)
        moved = served_logits(architecture, {**weights.dense, name: values + jitter}, x)
        assert np.abs(moved - before).max() > 1e-4, name


def served_logits(architecture: Architecture, dense: Any, x: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(graph(architecture, dense)).run(["score"], {"inputs": x})[0]


def test_the_same_weights_give_the_same_graph_and_a_valid_one() -> None:
    import onnx

    _, architecture, weights, _ = made(SETTINGS[0], "both")
    text = graph(architecture, weights.dense)
    assert text == graph(architecture, dict(weights.dense))
    model = onnx.load_from_string(text)
    onnx.checker.check_model(model, full_check=True)
    held = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    np.testing.assert_array_equal(held["cross.0.down.weight"], weights.dense["cross.0.down.weight"])


def test_focal_loss_and_its_slope() -> None:
    from bottega.models.networks.trainer import loss_of

    logits = torch.tensor([-2.0, 0.5, 3.0, 60.0], dtype=torch.float64, requires_grad=True)
    label, weight = torch.tensor([1.0, 0.0, 1.0, 1.0]).double(), torch.tensor([1.0, 2.0, 0.5, 1.0]).double()
    loss = loss_of(logits, label, weight, 2.0)
    own = [1 / (1 + np.exp(2)), 1 - 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-3.0))]
    expected = sum(w * (1 - p) ** 2 * -np.log(p) for w, p in zip([1, 2, 0.5], own, strict=True))
    assert loss.item() == pytest.approx(expected)
    assert loss_of(logits, label, weight, 0.0).item() == pytest.approx(
        sum(w * -np.log(p) for w, p in zip([1, 2, 0.5], own, strict=True))
    )
    (slope,) = torch.autograd.grad(loss, logits)
    assert torch.isfinite(slope).all()
