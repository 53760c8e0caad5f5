"""Networks for several labels: the formula, the loss where labels are missing, what sharing gains, and the contract."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_oracles import plain
from networks_worlds import auc

from bottega.design.models import Model
from bottega.design.scorers import DCN, MultiTask
from bottega.design.serving import Distill, Prune, Quantize
from bottega.errors import DataError, DesignError
from bottega.models.compression.applying import refusal
from bottega.models.inputs import Inputs
from bottega.models.making import make_scorer
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.networks.graph import graph
from bottega.models.networks.multi_task_network import MultiTaskModel
from bottega.models.networks.serving import Served
from bottega.models.networks.weights import Weights
from bottega.models.probability import gives_chances
from bottega.testing.model_checks import SCORER_CHECKS
from bottega.testing.task_checks import TASK_CHECKS, check_multi_task, task_rows

WHY = "is not installed: pip install 'bottega[deep]'"
torch = pytest.importorskip("torch", reason=f"torch {WHY}")
pytest.importorskip("onnx", reason=f"onnx {WHY}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime {WHY}")

QUICK: dict[str, Any] = {"embedding_size": 4, "layers": [16], "tower": [8], "batch": 64, "epochs": 3,
                         "learning_rate": 0.01}  # fmt: skip
THREE = {"seen": 1.0, "liked": 5.0, "kept": 0.0}
SHAPES: list[MultiTask] = [
    MultiTask(objectives=THREE, embedding_size=3, layers=[8, 6], tower=[6, 5], experts=3),
    MultiTask(objectives=THREE, embedding_size=2, layers=[4], tower=[], experts=2),
    MultiTask(objectives={"seen": 2.0}, embedding_size=2, layers=[], tower=[], experts=2),
    MultiTask(objectives=THREE, embedding_size=2, layers=[5], tower=[3], sharing="shared-bottom"),
]


def made(setting: MultiTask, seed: int = 0) -> tuple[Fields, Architecture, Weights, Inputs]:
    """A network with weights large enough that every part of it counts, and rows for it."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.integers(-1, 4, 30), rng.normal(size=30), rng.integers(0, 3, 30)]).astype(np.float32)
    inputs = Inputs(["a", "b", "c"], ["category", "number", "category"], values)
    fields = Fields.of(inputs)
    architecture = Architecture.of(setting, fields)
    dense = {name: rng.normal(0, 1.0, shape).astype(np.float32) for name, shape in architecture.shapes.items()}
    table = rng.normal(0, 1.0, (fields.rows, architecture.width)).astype(np.float32)
    return fields, architecture, Weights(table, dense), inputs


def read(fields: Fields, weights: Weights, inputs: Inputs) -> Any:
    codes, numbers = fields.read(inputs.values)
    return np.concatenate([weights.embedding[codes].reshape(len(codes), -1), numbers], axis=1)


def formula(setting: MultiTask, dense: Any, x: Any) -> list[float]:
    """Each label's log-odds of one row: every expert, every gate and every tower by itself."""
    count = setting.experts if setting.sharing == "mmoe" else 1
    experts = [plain(dense, f"expert.{e}", x, len(setting.layers)) for e in range(count)]
    found = []
    for task in range(len(setting.objectives)):
        shares = [1.0]
        if count > 1:
            powers = [math.exp(float(row @ x)) for row in dense[f"gate.{task}.weight"].astype(float)]
            shares = [power / sum(powers) for power in powers]
        mixed = sum(share * expert for share, expert in zip(shares, experts, strict=True))
        tower = plain(dense, f"tower.{task}", mixed, len(setting.tower))
        found.append(float(dense[f"tower.{task}.out.weight"][0] @ tower + dense[f"tower.{task}.out.bias"][0]))
    return found


@pytest.mark.parametrize("setting", SHAPES, ids=repr)
def test_what_serves_and_what_learns_is_the_formula(setting: MultiTask) -> None:
    from bottega.models.networks.torch_operations import TorchOperations

    fields, architecture, weights, inputs = made(setting)
    x = read(fields, weights, inputs)
    logits = np.array([formula(setting, weights.dense, row) for row in x.astype(float)])
    assert np.ptp(logits, axis=0).min() > 0.3  # the rows differ, or the test says nothing
    served = Served(fields, weights.embedding, graph(architecture, weights.dense), "test").score(inputs.values)
    assert served.shape == (30, len(setting.objectives))
    np.testing.assert_allclose(served, 1 / (1 + np.exp(-logits)), atol=1e-6)
    do = TorchOperations({name: torch.tensor(values) for name, values in weights.dense.items()})
    np.testing.assert_allclose(architecture.logits(do, torch.tensor(x)).numpy(), logits, rtol=1e-5, atol=2e-5)


def test_every_weight_counts_and_is_named_once() -> None:
    fields, architecture, weights, inputs = made(SHAPES[0], seed=2)
    x, rng = read(fields, weights, inputs), np.random.default_rng(3)
    before = np.array([formula(SHAPES[0], weights.dense, row) for row in x.astype(float)])
    for name, values in weights.dense.items():
        dense = {**weights.dense, name: values + rng.normal(0, 0.3, values.shape).astype(np.float32)}
        served = Served(fields, weights.embedding, graph(architecture, dense), "test").score(inputs.values)
        assert np.abs(served - 1 / (1 + np.exp(-before))).max() > 1e-4, name


def test_the_base_rate_of_each_label_comes_first() -> None:
    fields, architecture, _, inputs = made(SHAPES[0])
    fresh = Weights.fresh(architecture, fields, np.array([0.5, 0.1, 0.01]), seed=0)
    served = Served(fields, fresh.embedding, graph(architecture, fresh.dense), "test").score(inputs.values)
    np.testing.assert_allclose(served.mean(axis=0), [0.5, 0.1, 0.01], rtol=0.2)


cells = st.sampled_from([0.0, 1.0, math.nan])


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.tuples(cells, cells), min_size=4, max_size=12),
    weights=st.lists(st.floats(0.25, 4), min_size=12, max_size=12),
    gamma=st.sampled_from([0.0, 2.0]),
)
def test_the_loss_and_its_slope_where_labels_are_missing(labels: Any, weights: Any, gamma: float) -> None:
    from bottega.models.networks.lesson import Lesson
    from bottega.models.networks.trainer import loss_of

    losses = {"a": 1.0, "b": 3.0}
    labels = np.array([*labels, (0, 0), (1, 1)], np.float32)  # both classes of each
    weight = np.array([*weights, 1, 1][-len(labels) :], np.float32)
    inputs = Inputs(["x"], ["number"], np.arange(len(labels), dtype=np.float32)[:, None])
    model = MultiTaskModel(MultiTask(objectives={"a": 1, "b": 1}, losses=losses))
    given_, known, mass = model.lesson(inputs, labels, weight)
    lesson = Lesson.of(Fields.of(given_), given_, known, mass, 2.0)
    logits = np.random.default_rng(0).normal(0, 2, known.shape)
    there = ~np.isnan(labels).all(axis=1)
    total, slope = 0.0, np.zeros(known.shape)
    for row, (own, heavy) in enumerate(zip(labels[there].astype(float), weight[there], strict=True)):
        for task, scale in enumerate(losses.values()):
            if math.isnan(own[task]):
                continue
            w = float(heavy) * scale * (2.0 if own[task] else 1.0)

            def loss(z: float, y: float = own[task], w: float = w) -> float:
                p = 1 / (1 + math.exp(-z)) if y else 1 - 1 / (1 + math.exp(-z))
                return float(w * (1 - p) ** gamma * -math.log(p))

            total += loss(logits[row, task])
            slope[row, task] = (loss(logits[row, task] + 1e-5) - loss(logits[row, task] - 1e-5)) / 2e-5
    z = torch.tensor(logits, requires_grad=True)
    found = loss_of(z, torch.tensor(lesson.label).double(), torch.tensor(lesson.weight).double(), gamma)
    assert found.item() == pytest.approx(total, rel=1e-5)
    (by,) = torch.autograd.grad(found, z)
    np.testing.assert_allclose(by.numpy(), slope, rtol=1e-4, atol=1e-6)
    rate = [
        (sum(w * (y > 0) for y, w in cells_) + 0.5 * sum(w for _, w in cells_) / len(known))
        / (sum(w for _, w in cells_) * (1 + 1 / len(known)))
        for cells_ in (
            list(zip(lesson.label[:, t].tolist(), lesson.weight[:, t].tolist(), strict=True)) for t in (0, 1)
        )
    ]
    np.testing.assert_allclose(lesson.rate, rate, rtol=1e-5)


def pairs_of_tasks(count: int, seed: int, rare: float) -> tuple[Inputs, Any, Any]:
    """Rows of two ids whose pair alone decides two labels, one of every row, the other known of few; and its order."""
    rng = np.random.default_rng(seed)
    user, ad = rng.integers(0, 12, count), rng.integers(0, 12, count)
    margin = np.where(user % 2 == ad % 2, 1.5, -1.5)
    first = rng.random(count) < 1 / (1 + np.exp(-margin))
    second = (rng.random(count) < 1 / (1 + np.exp(2 - margin))).astype(np.float32)
    second[rng.random(count) > rare] = np.nan
    values = np.column_stack([user, ad]).astype(np.float32)
    labels = np.column_stack([first, second]).astype(np.float32)
    return Inputs(["user", "ad"], ["category", "category"], values), labels, margin


@pytest.mark.parametrize("sharing", ["mmoe", "shared-bottom"])
def test_a_rare_label_gains_from_what_it_shares(sharing: Any) -> None:
    inputs, labels, _ = pairs_of_tasks(6_000, 0, rare=0.03)
    later, truth, margin = pairs_of_tasks(4_000, 1, rare=1.0)
    setting = {**QUICK, "layers": [32], "epochs": 12, "patience": 3, "sharing": sharing}
    both, alone = (MultiTaskModel(MultiTask(objectives=tasks, **setting)) for tasks in ({"a": 1, "b": 1}, {"b": 1}))
    both.fit(inputs, labels)
    alone.fit(inputs, labels[:, 1:])
    shared = auc(truth[:, 1], both.probabilities(later)[:, 1])
    assert shared > auc(truth[:, 1], margin) - 0.03
    assert shared > auc(truth[:, 1], alone.score(later)) + 0.05
    assert both.probabilities(later).mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.06)


def test_weights_of_the_objectives_decide_the_order() -> None:
    inputs, labels = task_rows(2)
    labels[:, 1] = 1 - labels[:, 0]  # what one likes the other does not

    def order(weights: dict[str, float]) -> Any:
        model = MultiTaskModel(MultiTask(objectives=weights, **QUICK))
        model.fit(inputs, labels)
        return model.probabilities(inputs), model.score(inputs)

    for weights in ({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 2.0}, {"a": 1.0, "b": 4.0}):
        chances, scores = order(weights)
        np.testing.assert_allclose(scores, chances @ np.array(list(weights.values()), np.float32), rtol=1e-5)
        assert auc(labels[:, int(weights["b"] > weights["a"])], scores) > 0.7


def test_losses_move_what_is_learnt_and_not_what_the_score_counts() -> None:
    inputs, labels = task_rows(2, seed=5)
    plain_, heavy = (
        MultiTaskModel(MultiTask(objectives={"a": 1, "b": 1}, losses=losses, **QUICK)) for losses in ({}, {"b": 50.0})
    )
    for model in (plain_, heavy):
        model.fit(inputs, labels)
    assert not np.allclose(plain_.score(inputs), heavy.score(inputs), atol=1e-3)
    np.testing.assert_allclose(heavy.score(inputs), heavy.probabilities(inputs).sum(axis=1), rtol=1e-5)


TASKS = {"seen": 1.0, "liked": 5.0}
CONTRACT = [
    MultiTask(objectives=TASKS, experts=2, **QUICK),
    MultiTask(objectives=TASKS, sharing="shared-bottom", losses={"liked": 2.0}, stop_on="roc_auc", **QUICK),
    MultiTask(objectives={**TASKS, "kept": 2.0}, experts=3, dropout=0.1, loss="focal", **QUICK),
]
ONE = [
    MultiTask(objectives={"seen": 1.0}, experts=2, **QUICK),
    MultiTask(objectives={"seen": 3.0}, sharing="shared-bottom", **QUICK),
]


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", CONTRACT, ids=repr)
def test_contract(setting: MultiTask, check: Any) -> None:
    check(lambda: MultiTaskModel(setting))


@pytest.mark.parametrize("check", SCORER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", ONE, ids=repr)
def test_contract_of_a_scorer(setting: MultiTask, check: Any) -> None:
    check(lambda: make_scorer(setting))


class Unweighted(MultiTaskModel):
    """Forgets the weights of its objectives."""

    def score(self, inputs: Inputs) -> Any:
        return self.probabilities(inputs).sum(axis=1)


class Filled(MultiTaskModel):
    """Takes a missing label for a 0."""

    def lesson(self, inputs: Inputs, label: Any, weight: Any) -> Any:
        return super().lesson(inputs, np.nan_to_num(np.asarray(label)), weight)


@pytest.mark.parametrize(("broken", "caught"), [(Unweighted, "check_probabilities"), (Filled, "check_missing_labels")])
def test_a_broken_network_is_caught(broken: type[MultiTaskModel], caught: str) -> None:
    with pytest.raises(AssertionError, match=caught):
        check_multi_task(lambda: broken(CONTRACT[0]))


def test_it_goes_on_from_an_earlier_one_and_after_a_kill(tmp_path: Path) -> None:
    inputs, labels = task_rows(2)
    setting = MultiTask(objectives=TASKS, **{**QUICK, "epochs": 4, "patience": 4})
    whole, again = MultiTaskModel(setting), MultiTaskModel(setting)
    whole.fit(inputs, labels)

    class KilledError(Exception):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    from bottega.models.networks import training

    with pytest.MonkeyPatch.context() as patched:
        steps, own = iter(range(10)), training.Trainer.learn
        patched.setattr(training.Trainer, "learn", lambda self: own(self) if next(steps) < 2 else kill())
        with pytest.raises(KilledError):
            again.fit(inputs, labels, checkpoints=tmp_path)
    again.fit(inputs, labels, checkpoints=tmp_path)
    np.testing.assert_array_equal(again.probabilities(inputs), whole.probabilities(inputs))
    further = MultiTaskModel(setting)
    further.fit(inputs, labels, start=whole)
    assert further.training["epochs"] == 2
    with pytest.raises(DataError, match="same kind"):
        MultiTaskModel(MultiTask(objectives={"seen": 1, "kept": 1, "liked": 1}, **QUICK)).fit(
            inputs, np.column_stack([labels, labels[:, 1]]), start=whole
        )


def test_it_gives_an_order_and_is_not_compressed() -> None:
    setting: Model = CONTRACT[0]
    assert not gives_chances(setting)
    for compression in (Quantize(), Prune(embeddings=0.5), Distill(DCN())):
        assert "MultiTask says several labels" in refusal(compression, setting)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"objectives": {}}, "no label"),
        ({"objectives": {"a": -1.0}}, "-1"),
        ({"objectives": {"a": 0.0}}, "0"),
        ({"objectives": {"a": math.nan}}, "nan"),
        ({"objectives": {"a": 1.0}, "losses": {"b": 1.0}}, "'b'"),
        ({"objectives": {"a": 1.0}, "losses": {"a": 0.0}}, "0"),
        ({"objectives": {"a": 1.0}, "experts": 0}, "0"),
        ({"objectives": {"a": 1.0}, "tower": [0]}, "0"),
        ({"objectives": {"a": 1.0}, "calibrate": "beta"}, "beta"),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused_where_it_is_written(fields: Any, found: str) -> None:
    with pytest.raises(DesignError, match=found):
        MultiTask(**fields)
