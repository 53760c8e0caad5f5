"""Networks in planted worlds: they learn what only a network can, stop in time, and are served without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_worlds import auc, pairs

from bottega.design.scorers import DCN, DLRM, DeepFM, Logistic
from bottega.errors import BuildError, DataError
from bottega.models.inputs import Inputs
from bottega.models.logistic import LogisticModel
from bottega.models.making import make_scorer
from bottega.models.networks.network import NetworkModel
from bottega.testing.model_examples import rows

WHY = "is not installed: pip install 'bottega[deep]'"
pytest.importorskip("torch", reason=f"torch {WHY}")
pytest.importorskip("onnx", reason=f"onnx {WHY}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime {WHY}")

SMALL: dict[str, Any] = {"embedding_size": 4, "layers": [16], "batch": 128, "learning_rate": 0.01, "epochs": 5}
QUICK = DCN(embedding_size=2, layers=[4], cross_layers=1, rank=2, batch=64, epochs=2, learning_rate=0.01)


def fitted(setting: Any, world: tuple[Inputs, Any, Any], **more: Any) -> NetworkModel:
    model = NetworkModel(setting)
    model.fit(world[0], world[1], **more)
    return model


@pytest.mark.parametrize("setting", [DCN(**SMALL, rank=4), DeepFM(**SMALL), DLRM(**SMALL)], ids=repr)
def test_a_network_learns_which_ids_go_together(setting: Any) -> None:
    inputs, label, _ = pairs(4_000, seed=0)
    later, truth, margin = pairs(3_000, seed=1)
    linear = LogisticModel(Logistic())
    linear.fit(inputs, label)
    best = auc(truth, margin)
    assert 0.80 < best < 0.85
    assert auc(truth, linear.score(later)) < 0.56
    model = make_scorer(setting)
    model.fit(inputs, label)
    scores = model.score(later)
    assert auc(truth, scores) > best - 0.02
    assert scores.mean() == pytest.approx(truth.mean(), abs=0.03)  # an honest probability
    assert scores.dtype == np.float32
    assert 0 < scores.min() < scores.max() < 1


def test_it_stops_where_the_later_rows_no_longer_gain_and_keeps_the_best() -> None:
    inputs, label, _ = pairs(1_500, seed=0)
    setting = DCN(**{**SMALL, "learning_rate": 0.03, "epochs": 60, "layers": [64]}, stop_share=0.3, patience=2)
    model = fitted(setting, (inputs, label, None))
    course = model.training
    assert course["stopped_by"] == "patience"
    assert course["epochs"] == course["best_epoch"] + 2 == len(course["losses"]) < 60
    assert np.argmin(course["later"]) + 1 == course["best_epoch"]
    last = inputs.take(np.arange(1_050, 1_500))
    scores, truth = model.score(last).astype(float), label[1_050:]
    loss = -np.mean(np.where(truth > 0, np.log(scores), np.log(1 - scores)))
    assert loss == pytest.approx(min(course["later"]), abs=1e-5)  # the served weights are those of the best pass
    assert (course["rows"], course["later_rows"]) == (1_050, 450)


def test_what_is_judged_by_order_keeps_the_best_order() -> None:
    world = pairs(1_500, seed=2)
    setting = DCN(**{**SMALL, "epochs": 12}, stop_share=0.3, patience=12, stop_on="roc_auc")
    model = fitted(setting, world)
    course = model.training
    assert course["stop_on"] == "roc_auc"
    assert np.argmax(course["later"]) + 1 == course["best_epoch"]
    assert auc(world[1][1_050:], model.score(world[0].take(np.arange(1_050, 1_500)))) == pytest.approx(
        max(course["later"]), abs=1e-4
    )


@pytest.mark.parametrize("kind", [DeepFM, DLRM])
@pytest.mark.parametrize("stop_on", ["log_loss", "roc_auc"])
def test_a_network_is_not_stopped_before_it_begins_to_learn(kind: Any, stop_on: Any) -> None:
    truth, margin = pairs(3_000, seed=99)[::2]
    for seed in range(4):  # in 2 to 3 of these 16 the first passes learn nothing, and the second gains nothing
        setting = kind(**{**SMALL, "seed": seed, "epochs": 8}, stop_on=stop_on)
        model = fitted(setting, (*pairs(2_000, seed)[:2], None))
        assert auc(margin > 0, model.score(truth)) > 0.95


def test_patience_counts_from_the_start_where_something_was_learnt() -> None:
    model = fitted(DCN(**{**SMALL, "epochs": 30}), (*pairs(4_000, seed=0)[:2], None))
    assert model.training["stopped_by"] == "patience"
    assert model.training["epochs"] == model.training["best_epoch"] + 1


def test_a_network_is_judged_by_the_loss_that_it_learns() -> None:
    inputs, label, _ = pairs(4_000, seed=0)
    model = fitted(
        DCN(**{**SMALL, "epochs": 1, "stop_share": 0.25}, loss="focal", focal_gamma=3.0), (inputs, label, None)
    )
    later, truth = inputs.take(np.arange(3_000, 4_000)), label[3_000:]
    own = np.where(truth > 0, model.score(later), 1 - model.score(later)).astype(float)
    assert model.training["stop_on"] == "focal"
    assert model.training["later"] == [pytest.approx(((1 - own) ** 3 * -np.log(own)).mean(), rel=1e-5)]


def test_later_rows_of_one_class_are_judged_by_log_loss() -> None:
    inputs, label, _ = pairs(600, seed=0)
    label[-60:] = 0
    model = fitted(DCN(**{**SMALL, "epochs": 1}, stop_on="roc_auc"), (inputs, label, None))
    assert model.training["stop_on"] == "log_loss"


def test_all_positives_later_leave_a_finite_network() -> None:
    inputs, label, _ = pairs(600, seed=0)
    label[:] = 0
    label[-3:] = 1
    scores = fitted(QUICK, (inputs, label, None)).score(inputs)
    assert np.isfinite(scores).all()
    assert scores.mean() < 0.02


def test_weights_and_focal_loss_move_the_probability_and_not_the_order() -> None:
    inputs, label, margin = pairs(4_000, seed=0)
    rare = (label > 0) & (np.arange(4_000) % 4 > 0)  # three of four positives are dropped
    kept = inputs.take(~rare), label[~rare]
    plain = fitted(DCN(**SMALL), (*kept, None))
    heavy = fitted(DCN(**SMALL, positive_weight=4.0), (*kept, None))
    given = fitted(DCN(**SMALL), (*kept, None), weight=np.where(kept[1] > 0, 4.0, 1.0))
    focal = fitted(DCN(**SMALL, loss="focal"), (*kept, None))
    means = [float(model.score(inputs).mean()) for model in (plain, heavy, given, focal)]
    chance = 1 / (1 + np.exp(-margin))
    assert means[0] == pytest.approx(np.mean(chance / (chance + 4 * (1 - chance))), abs=0.03)
    assert means[1] == pytest.approx(0.5, abs=0.04)
    assert means[1] == pytest.approx(means[2], abs=1e-3)
    high = plain.score(inputs) > 0.3
    assert focal.score(inputs)[high].mean() != pytest.approx(plain.score(inputs)[high].mean(), abs=0.01)
    for model in (heavy, focal):
        assert auc(margin > 0, model.score(inputs)) > 0.95


def test_the_unknown_code_means_what_rare_ones_do() -> None:
    rng = np.random.default_rng(0)
    often, rate = rng.integers(0, 4, 4_000), 0.8
    rare = np.arange(4_000) % 4 == 0  # a quarter of the rows have an id that comes twice, and seldom a click
    code = np.where(rare, 4 + np.arange(4_000) // 8, often)
    label = (rng.random(4_000) < np.where(rare, 0.1, rate)).astype(np.float32)
    inputs = Inputs(["ad"], ["category"], code.astype(np.float32)[:, None])
    model = fitted(DCN(**SMALL), (inputs, label, None))
    unknown = model.score(Inputs(["ad"], ["category"], np.array([[-1], [1e6], [np.nan]], np.float32)))
    assert np.ptp(unknown) == 0
    assert unknown[0] < 0.35
    assert model.score(inputs)[~rare].mean() > 0.7


def test_a_warm_start_follows_the_drift_for_less() -> None:
    setting = DCN(**SMALL, rank=4, patience=8)
    old = fitted(setting, pairs(4_000, seed=0))
    day, fresh = pairs(2_500, seed=1, turn=6), pairs(3_000, seed=2, turn=6)
    before = {name: values.copy() for name, values in old.weights.dense.items()}
    warm = NetworkModel(setting)
    warm.fit(day[0], day[1], start=old)
    cold = fitted(setting, day)
    found = {name: auc(fresh[1], model.score(fresh[0])) for name, model in
             {"old": old, "warm": warm, "cold": cold}.items()}  # fmt: skip
    assert found["old"] < 0.6  # half of the people changed sides
    assert found["warm"] > found["old"] + 0.15
    assert found["warm"] > found["cold"] - 0.01
    assert warm.training["epochs"] <= 3 < cold.training["epochs"]
    assert all(np.array_equal(values, old.weights.dense[name]) for name, values in before.items())


def test_a_warm_start_keeps_what_no_pass_improves_on_and_makes_room_for_new_codes() -> None:
    old = fitted(DCN(**SMALL), pairs(4_000, seed=0))
    inputs, label, _ = pairs(400, seed=3, ids=20)
    again = NetworkModel(DCN(**{**SMALL, "learning_rate": 1.0}))  # every pass harms
    again.fit(inputs, label, start=old)
    assert again.training["best_epoch"] == 0
    known = pairs(500, seed=4)[0]
    np.testing.assert_allclose(again.score(known), old.score(known), atol=1e-6)
    assert again.weights.embedding.shape[0] > old.weights.embedding.shape[0]


def test_a_start_of_another_kind_or_with_other_columns_is_refused() -> None:
    inputs, label, _ = pairs(300, seed=0)
    old = fitted(QUICK, (inputs, label, None))
    with pytest.raises(DataError, match="same kind, sizes and layers"):
        fitted(DeepFM(**SMALL), (inputs, label, None), start=old)
    with pytest.raises(DataError, match="same kind, sizes and layers"):
        fitted(DCN(**SMALL), (inputs, label, None), start=old)
    other = Inputs(["user", "ad", "price"], inputs.kinds, inputs.values)
    with pytest.raises(DataError, match="columns of the fit"):
        fitted(QUICK, (other, label, None), start=old)


def test_another_seed_is_another_network_and_the_same_is_the_same() -> None:
    world = pairs(500, seed=0)
    one, same, other = (fitted(DCN(**{**SMALL, "epochs": 1}, dropout=0.2, seed=seed), world) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.score(world[0]), same.score(world[0]))
    assert not np.array_equal(one.score(world[0]), other.score(world[0]))


def test_a_fit_leaves_torch_as_it_was() -> None:
    import torch

    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    fitted(QUICK, pairs(200, seed=0))
    assert torch.equal(before, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_it_is_served_without_torch_and_without_onnx(tmp_path: Path) -> None:
    inputs, label = rows(300)
    model = fitted(QUICK, (inputs, label, None))
    model.save(tmp_path / "model")
    np.save(tmp_path / "values.npy", inputs.values)
    program = f"""
import sys
from pathlib import Path
import numpy as np
from bottega.design.scorers import DCN
from bottega.models.inputs import Inputs
from bottega.models.making import scorer_class
setting = DCN(embedding_size=2, layers=[4], cross_layers=1, rank=2)
home = Path({str(tmp_path)!r})
model = scorer_class(setting).load(home / "model", setting)
inputs = Inputs({list(inputs.names)!r}, {list(inputs.kinds)!r}, np.load(home / "values.npy"))
np.save(home / "scores.npy", model.score(inputs))
assert not {{"torch", "onnx"}} & set(sys.modules), "training came along"
assert not model.weights.embedding.flags.writeable
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), model.score(inputs))


@pytest.mark.parametrize("name", ["network.json", "dense.onnx", "embedding.npy", "deep.0.weight.npy", "shape.npy"])
def test_a_damaged_or_missing_file_is_named(name: str, tmp_path: Path) -> None:
    fitted(QUICK, pairs(200, seed=0)).save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BuildError, match=name):
        NetworkModel.load(tmp_path / "model", QUICK)
    path.unlink()
    with pytest.raises(BuildError, match=name):
        NetworkModel.load(tmp_path / "model", QUICK)


def test_another_setting_than_it_was_saved_with_is_refused(tmp_path: Path) -> None:
    fitted(QUICK, pairs(200, seed=0)).save(tmp_path / "model")
    with pytest.raises(BuildError, match="as the design says"):
        NetworkModel.load(tmp_path / "model", DCN(embedding_size=3, layers=[4], cross_layers=1, rank=2))


def test_what_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, label, _ = pairs(200, seed=0)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BuildError, match=r"pip install 'bottega\[deep\]'"):
        fitted(QUICK, (inputs, label, None))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTEGA_DEVICE", "abacus")
    with pytest.raises(BuildError, match="BOTTEGA_DEVICE=cpu"):
        fitted(QUICK, pairs(200, seed=0))
    monkeypatch.setenv("BOTTEGA_DEVICE", "cpu")
    assert fitted(QUICK, pairs(200, seed=0)).training["device"] == "cpu"
