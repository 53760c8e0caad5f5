"""A training that is killed comes to the same end, and so do steps made in parts or on an accelerator."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_worlds import pairs

from bottega.design.scorers import DCN, DLRM
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.fields import Fields
from bottega.models.networks.lesson import Lesson
from bottega.models.networks.network import NetworkModel
from bottega.models.networks.place import Place
from bottega.models.networks.trainer import Trainer
from bottega.models.networks.vectors import DeviceVectors, HostVectors
from bottega.models.networks.weights import Weights

WHY = "is not installed: pip install 'bottega[deep]'"
pytest.importorskip("torch", reason=f"torch {WHY}")
pytest.importorskip("onnx", reason=f"onnx {WHY}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime {WHY}")

SETTING = DCN(embedding_size=3, layers=[8], rank=2, cross_layers=1, batch=64, epochs=6, patience=6, dropout=0.1,
              learning_rate=0.002, stop_share=0.2)  # fmt: skip
PROGRAM = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_models_networks_resume import SETTING, pairs
from bottega.models.networks.checkpoints import Checkpoints
from bottega.models.networks.network import NetworkModel

write = Checkpoints.write
def write_and_die(self, facts, *arrays):
    write(self, facts, *arrays)
    if len(facts["losses"]) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoints.write = write_and_die
inputs, label, _ = pairs(800, seed=0)
NetworkModel(SETTING).fit(inputs, label, checkpoints=Path({folder!r}))
"""


def learnt(checkpoints: Path | None, **more: Any) -> NetworkModel:
    inputs, label, _ = pairs(800, seed=0)
    model = NetworkModel(SETTING)
    model.fit(inputs, label, checkpoints=checkpoints, **more)
    return model


def same(one: NetworkModel, other: NetworkModel) -> bool:
    ours, theirs = one.weights, other.weights
    facts = ("losses", "later", "best_epoch", "epochs", "stopped_by")
    return (
        np.array_equal(ours.embedding, theirs.embedding)
        and all(np.array_equal(ours.dense[name], theirs.dense[name]) for name in ours.dense)
        and all(one.training[name] == other.training[name] for name in facts)
    )


def test_a_killed_training_comes_to_the_same_end(tmp_path: Path) -> None:
    program = PROGRAM.format(here=str(Path(__file__).parent), folder=str(tmp_path))
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("pass-000003-")
    assert {file.suffix for file in left.rglob("*") if file.is_file()} == {".npy", ".json"}
    resumed = learnt(tmp_path)
    whole = learnt(None)
    assert same(resumed, whole)
    assert whole.training["best_epoch"] > 3  # something was learnt after the kill
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("pass-000006-")


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = learnt(tmp_path)
    again = learnt(tmp_path)
    assert same(first, again)
    assert again.training["examples_per_s"] == 0  # it learnt nothing more


def test_a_state_of_other_rows_or_another_setting_is_not_used(tmp_path: Path) -> None:
    learnt(tmp_path)
    inputs, label, _ = pairs(800, seed=1)
    other, alone = NetworkModel(SETTING), NetworkModel(SETTING)
    other.fit(inputs, label, checkpoints=tmp_path)
    alone.fit(inputs, label)
    assert same(other, alone)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_state_is_passed_over(tmp_path: Path) -> None:
    whole = learnt(tmp_path)
    (left,) = tmp_path.iterdir()
    path = left / "moments.npy"
    path.write_bytes(path.read_bytes()[:100])
    assert same(learnt(tmp_path), whole)


def test_parts_side_by_side_come_to_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, label, _ = pairs(800, seed=0)
    setting = DCN(embedding_size=3, layers=[8], rank=2, batch=12, epochs=2, learning_rate=0.01)  # not normalised
    scores = []
    for place in (Place("cpu", "float32", 1), Place("cpu", "float32", 3), Place("cpu", "bfloat16", 2)):
        monkeypatch.setattr(Place, "of", lambda _, place=place: place)
        model = NetworkModel(setting)
        model.fit(inputs, label)
        scores.append(model.score(inputs))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
    np.testing.assert_allclose(scores[0], scores[2], atol=0.03)  # products were rounded to 8 bits


@pytest.mark.parametrize("steps", [0, 7])
def test_an_accelerator_steps_the_vectors_as_the_processor_does(steps: int) -> None:
    import torch

    rng, rows, width = np.random.default_rng(0), 9, 4
    table = rng.normal(size=(rows, width)).astype(np.float32)
    moments = np.abs(rng.normal(size=(rows, 2 * width))).astype(np.float32) * 0.01
    host = HostVectors(table.copy(), moments.copy(), steps, 0.01, 0.05)
    device = DeviceVectors(table, moments, steps, 0.01, 0.05, torch.device("cpu"))
    for _ in range(4):
        codes = torch.tensor(np.column_stack([rng.integers(0, 4, 6), rng.integers(4, 8, 6)]).astype(np.int32))
        numbers = torch.tensor(rng.normal(size=(6, 1)).astype(np.float32))
        np.testing.assert_allclose(host.read(codes, numbers), device.read(codes, numbers), atol=1e-6)
        slope = torch.tensor(rng.normal(size=(6, 2 * width + 1)).astype(np.float32))
        host.step(codes, slope)
        device.step(codes, slope)
    for ours, theirs in zip(host.arrays(), device.arrays(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.abs(host.arrays()[0] - table).max() > 0.01
    np.testing.assert_array_equal(device.arrays()[0][8], table[8])  # no batch touched it


@pytest.mark.parametrize("kind", [DCN, DLRM])
def test_normalising_begins_without_changing_what_was_learnt(kind: Any) -> None:
    setting = kind(embedding_size=3, layers=[8, 4], batch=64, learning_rate=1e-9, reg=0.0)  # as good as no step
    inputs, label, _ = pairs(2_000, seed=0)
    fields = Fields.of(inputs)
    architecture = Architecture.of(setting, fields)
    rng = np.random.default_rng(1)
    fresh = Weights.fresh(architecture, fields, 0.5, seed=0)
    dense = {name: v + rng.normal(0, 0.25, v.shape).astype(np.float32) for name, v in fresh.dense.items()}
    begin = Weights(fresh.embedding * 30, dense)
    lesson = Lesson.of(fields, inputs, label, None, 1.0)
    place, losses = Place("cpu", "float32", 1), []
    with place.taken():
        for unchanged in (True, False):
            trainer = Trainer(architecture, fields, begin, lesson, place)
            scores = trainer.score(begin, lesson).astype(float)
            if unchanged:
                trainer.begin_unchanged()
                for name, values in begin.dense.items():
                    np.testing.assert_allclose(trainer.weights().dense[name], values, atol=1e-5)
            losses.append(trainer.learn())
    expected = -np.log(np.where(label > 0, scores, 1 - scores)).mean()
    assert losses[0] == pytest.approx(expected, rel=0.04)
    assert abs(losses[0] - expected) < abs(losses[1] - expected) / 2
