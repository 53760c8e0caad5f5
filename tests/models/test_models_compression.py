"""Compression of networks: what is pruned and distilled, refused, saved and read again, in worlds that are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compression_world import SETTINGS, Array, NumpyOperations, each_network, fitted, inputs_of, log_odds, world
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bottega.design.scorers import DCN, DLRM, BoostedTrees, HistoricalRate
from bottega.design.serving import Distill, Prune, Quantize
from bottega.errors import BuildError, DataError
from bottega.models.compression.applying import refusal
from bottega.models.compression.compressed import CompressedModel, load_any, load_compressed
from bottega.models.compression.contract import serving_bytes
from bottega.models.compression.distill import distill
from bottega.models.compression.prune import prune, without_smallest
from bottega.models.compression.quantize import quantize
from bottega.models.inputs import Inputs
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.network import NetworkModel

pytest.importorskip("torch", reason="the extra `deep` is not installed")

floats = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 19)), elements=st.floats(-99, 99, width=32))


@given(floats, st.floats(0, 0.99))
def test_a_share_is_exact_and_takes_the_smallest(table: Array, share: float) -> None:
    found = without_smallest(table, share)
    gone = found != table
    assert ((found == 0) | (found == table)).all()
    assert (found == 0).sum() >= round(share * table.size) >= gone.sum()
    assert (found == 0).sum() == max(round(share * table.size), (table == 0).sum())
    if gone.any() and (found != 0).any():
        assert np.abs(table[gone]).max() <= np.abs(found[found != 0]).min()


def test_pruned_vectors_are_zero_and_the_others_stay() -> None:
    model, (rows, *_) = fitted(0), world()
    found = prune(model, Prune(embeddings=0.6))
    table = without_smallest(model.weights.embedding, 0.6)
    x = inputs_of(model, rows, table)
    oracle: Any = NumpyOperations(model.weights.dense, rounded=False)
    truth = Architecture.of(model.setting, model.fields).logits(oracle, x)[:, 0]
    np.testing.assert_allclose(log_odds(found.score(rows)), truth, atol=2e-4)


def test_pruned_layers_have_the_share_of_zeros() -> None:
    import onnx

    model = fitted(0)
    found = prune(model, Prune(embeddings=0, layers=0.5))
    zeros = {
        each.name: (onnx.numpy_helper.to_array(each) == 0).mean()
        for each in onnx.load_model_from_string(found.dense).graph.initializer
    }
    for name, values in model.weights.dense.items():
        if name.endswith(".weight") and values.ndim == 2:
            assert abs(zeros[name] - 0.5) <= 0.5 / values.size
        if name.endswith(".bias"):
            assert zeros[name] == (values == 0).mean()


def test_files_shrink(tmp_path: Path) -> None:
    model = NetworkModel(DCN(cross_layers=0, layers=(64,), embedding_size=16, epochs=1))
    rows, label, _ = world()
    values = rows.values.copy()
    values[:, 0] = np.arange(len(values))
    model.fit(Inputs(rows.names, rows.kinds, values), label)
    sizes = {}
    for name, found in {
        "whole": model,
        "int8": quantize(model, Quantize(), rows),
        "half": prune(model, Prune(embeddings=0.5)),
        "most": prune(model, Prune(embeddings=0.9)),
        "layers": prune(model, Prune(embeddings=0.5, layers=0.9)),
    }.items():
        found.save(tmp_path / name)
        sizes[name] = serving_bytes(tmp_path / name)
    assert sizes["int8"] < 0.4 * sizes["whole"]
    assert sizes["half"] < 0.65 * sizes["whole"]
    assert sizes["most"] < 0.3 * sizes["whole"]
    assert sizes["layers"] < sizes["half"] - 4000


STUDENT = DCN(
    embedding_size=8, layers=(16,), cross_layers=1, rank=4, epochs=40, patience=4, batch=128, learning_rate=0.01
)


def test_a_student_of_a_good_teacher_beats_one_of_labels_alone() -> None:
    (rows, label, chance), (unseen, _, truth) = world(1500, 1), world(4000, 2)
    alone = NetworkModel(STUDENT)
    alone.fit(rows, label)
    taught = distill(Distill(STUDENT, share=0.9), rows, label, chance)

    def lost(scores: Array) -> float:
        return float(-(truth * np.log(scores) + (1 - truth) * np.log1p(-scores)).mean())

    best = lost(truth)
    assert lost(taught.score(unseen)) - best < 0.7 * (lost(alone.score(unseen)) - best)


def test_without_a_share_the_teacher_says_nothing() -> None:
    rows, label, _ = world(1500, 1)
    alone = NetworkModel(SETTINGS[0])
    alone.fit(rows, label)
    found = distill(Distill(SETTINGS[0], share=0), rows, label, np.full(len(label), 0.9))
    np.testing.assert_array_equal(found.score(rows), alone.score(rows))


def test_with_the_whole_share_labels_say_nothing() -> None:
    rows, label, chance = world(1500, 1)
    weight = np.random.default_rng(0).random(len(label)).astype(np.float32) + 0.5
    found = distill(Distill(SETTINGS[0], share=1), rows, label, chance, weight)
    again = distill(Distill(SETTINGS[0], share=1), rows, 1 - label, chance, weight)
    np.testing.assert_array_equal(found.score(rows), again.score(rows))
    assert found.score(rows).mean() == pytest.approx(chance.mean(), rel=0.1)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5])
def test_a_teacher_without_probabilities_is_refused(wrong: float) -> None:
    rows, label, chance = world()
    with pytest.raises(DataError, match="teacher"):
        distill(Distill(STUDENT), rows, label, np.where(np.arange(len(label)) == 7, wrong, chance))


@pytest.mark.parametrize(
    ("setting", "champion", "why"),
    [
        (Quantize(), DCN(), ""),
        (Prune(), DLRM(), ""),
        (Distill(STUDENT), BoostedTrees(), ""),
        (Distill(STUDENT), DCN(), ""),
        (Quantize(), BoostedTrees(), "BoostedTrees is no network"),
        (Prune(), HistoricalRate(by="ad", name="Rate"), "Rate is no network"),
        (Distill(STUDENT), HistoricalRate(by="ad"), "HistoricalRate is smaller and faster"),
        (Distill(DCN(name="student", calibrate="platt")), DCN(), "the student is the champion itself"),
        (Distill(STUDENT), BoostedTrees(objective="lambdarank"), "gives an order and no probabilities"),
        (Distill(STUDENT), BoostedTrees(objective="lambdarank", calibrate="platt"), ""),
    ],
)
def test_what_does_not_apply_is_refused_with_its_reason(setting: Any, champion: Any, why: str) -> None:
    found = refusal(setting, champion)
    assert found.startswith(why) if why.startswith(("Boosted", "Rate", "Hist", "the")) else why in found
    assert bool(found) == bool(why)


def every(model: NetworkModel) -> list[CompressedModel]:
    rows, label, chance = world()
    return [
        quantize(model, Quantize(), rows),
        quantize(model, Quantize(mode="static"), rows),
        prune(model, Prune()),
        prune(model, Prune(embeddings=0, layers=0.3)),
        distill(Distill(SETTINGS[2]), rows, label, chance, champion=model.setting),
    ]


@each_network()
def test_what_was_saved_scores_the_same(place: int, tmp_path: Path) -> None:
    model, rows = fitted(place), world()[0]
    for number, found in enumerate(every(model)):
        folder = tmp_path / str(number)
        found.save(folder)
        again = load_any(folder, model.setting)
        assert isinstance(again, CompressedModel)
        assert (again.setting, again.facts) == (model.setting, found.facts)
        np.testing.assert_array_equal(again.score(rows), found.score(rows))
        assert again.score(rows.take([])).shape == (0,)


def test_load_any_reads_what_was_not_compressed(tmp_path: Path) -> None:
    fitted(0).save(tmp_path / "model")
    assert isinstance(load_any(tmp_path / "model", SETTINGS[0]), NetworkModel)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    for number, found in enumerate(every(fitted(0))[:4]):
        found.save(tmp_path / str(number))
        for path in sorted((tmp_path / str(number)).iterdir()):
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            with pytest.raises(BuildError, match=str(number)):
                load_compressed(tmp_path / str(number), SETTINGS[0])
            path.unlink()
            with pytest.raises(BuildError, match=str(number)):
                load_compressed(tmp_path / str(number), SETTINGS[0])
            path.write_bytes(whole)
        assert len(load_compressed(tmp_path / str(number), SETTINGS[0]).score(world()[0])) == 4000


def test_an_array_of_another_shape_is_refused(tmp_path: Path) -> None:
    quantize(fitted(0), Quantize(), world()[0]).save(tmp_path / "a")
    np.save(tmp_path / "a" / "scale.npy", np.zeros(3, np.float32))
    with pytest.raises(BuildError, match="a table 'int8'"):
        load_compressed(tmp_path / "a", SETTINGS[0])


def test_a_compressed_model_does_not_learn() -> None:
    with pytest.raises(BuildError, match="scoring alone"):
        prune(fitted(0), Prune()).fit(*world()[:2])


def test_other_inputs_are_refused() -> None:
    rows = world()[0]
    with pytest.raises(DataError):
        prune(fitted(0), Prune()).score(Inputs(rows.names[::-1], rows.kinds, rows.values))


def test_serving_needs_neither_torch_nor_onnx(tmp_path: Path) -> None:
    quantize(fitted(0), Quantize(), world()[0]).save(tmp_path / "m")
    np.save(tmp_path / "rows.npy", world()[0].values[:50])
    code = (
        "import sys, numpy as np; from pathlib import Path; from bottega.design.scorers import DCN\n"
        "from bottega.models.compression.compressed import load_any; from bottega.models.inputs import Inputs\n"
        f"folder = Path({str(tmp_path)!r}); model = load_any(folder / 'm', DCN())\n"
        "rows = Inputs(model.fields.names, model.fields.kinds, np.load(folder / 'rows.npy'))\n"
        "np.save(folder / 'scores.npy', model.score(rows)); sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    found = np.load(tmp_path / "scores.npy")
    truth = load_any(tmp_path / "m", SETTINGS[0]).score(world()[0].take(np.arange(50)))
    np.testing.assert_array_equal(found, truth)
