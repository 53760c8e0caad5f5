"""BoostedTrees: the flat forest against LightGBM's own predict, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.models import BoostedTrees
from bottega.errors import BuildError, DataError
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.forest import Forest
from bottega.models.forest_codes import CATEGORY, NAN_LEFT, NAN_RIGHT
from bottega.models.inputs import Inputs

EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1.0, 1e9, -1e9, 3e38, 31.0, 32.0, 63.5]


def data(rows: int = 3000, seed: int = 0, nulls: bool = True) -> tuple[Inputs, np.ndarray]:
    """Six numbers (one with nulls that matter, one constant), a small category and one with 90 codes."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 8)).astype(np.float32)
    values[:, 4] = np.round(values[:, 4])
    values[:, 5] = 1
    values[:, 6], values[:, 7] = rng.integers(-1, 4, rows), rng.integers(-1, 90, rows)
    if nulls:
        values[rng.random(rows) < 0.3, 1] = np.nan
        values[rng.random(rows) < 0.02, 2] = np.nan
    odd = (values[:, 7] % 3 == 1) * 2.0 + (values[:, 6] == 2)
    margin = values[:, 0] + np.nan_to_num(values[:, 1], nan=1.5) * values[:, 4] + odd - 1
    label = (rng.random(rows) < 1 / (1 + np.exp(-2 * margin))).astype(np.float32)
    names, kinds = [f"c{i}" for i in range(8)], ["number"] * 6 + ["category"] * 2
    group = (np.arange(rows) // 12).astype(np.int32)
    return Inputs(names, kinds, values, {"id": pa.array(map(str, range(rows)))}, group), label  # type: ignore[arg-type]


def lightgbm_of(model: BoostedTreesModel) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=model.text)


@pytest.mark.parametrize("nulls", [True, False])
@pytest.mark.parametrize("leaves", [2, 7, 31, 32, 33, 64])
@pytest.mark.parametrize("objective", ["binary", "lambdarank"])
def test_the_forest_is_lightgbm_to_the_bit(leaves: int, objective: str, nulls: bool) -> None:
    inputs, label = data(nulls=nulls)
    model = BoostedTreesModel(BoostedTrees(trees=15, leaves=leaves, min_leaf=3, objective=objective))  # type: ignore[arg-type]
    model.fit(inputs, label)
    assert model.forest is not None
    wild = np.random.default_rng(1).choice(EDGES, size=(500, 8)).astype(np.float32)
    for values in (inputs.values, wild, wild[:1], wild[:127], wild[:129]):
        raw = lightgbm_of(model).predict(values, raw_score=True, num_threads=1)
        assert np.array_equal(model.forest.sum(np.ascontiguousarray(values)), raw)
        scores = model.score(Inputs(inputs.names, inputs.kinds, values))
        np.testing.assert_allclose(scores, lightgbm_of(model).predict(values, num_threads=1), rtol=1e-6)


def test_the_trees_of_the_test_have_every_kind_of_node() -> None:
    inputs, label = data()
    model = BoostedTreesModel(BoostedTrees(trees=15, leaves=31, min_leaf=3))
    model.fit(inputs, label)
    assert model.forest is not None
    assert set(model.forest.kind.tolist()) == {NAN_LEFT, NAN_RIGHT, CATEGORY}
    assert model.forest.word_count.max() > 1


@given(st.lists(st.lists(st.floats(width=32), min_size=8, max_size=8), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_float_goes_the_way_of_lightgbm(rows: list[list[float]]) -> None:
    model = _fitted_once()
    values = np.array(rows, dtype=np.float32)
    values[:, 6:] = np.clip(values[:, 6:], -1e9, 1e9)  # LightGBM's own cast of larger categories is undefined
    assert model.forest is not None
    assert np.array_equal(model.forest.sum(values), lightgbm_of(model).predict(values, raw_score=True, num_threads=1))


def test_values_at_the_thresholds() -> None:
    """Each threshold itself, and the floats beside it, fall on LightGBM's side."""
    model = _fitted_once()
    assert model.forest is not None
    numeric = model.forest.kind != CATEGORY
    rows = []
    for feature, threshold in zip(model.forest.feature[numeric], model.forest.threshold[numeric], strict=True):
        for value in (threshold, np.nextafter(threshold, np.float32(9e9)), np.nextafter(threshold, np.float32(-9e9))):
            row = np.zeros(8, dtype=np.float32)
            row[feature] = value
            rows.append(row)
    values = np.array(rows)
    assert np.array_equal(model.forest.sum(values), lightgbm_of(model).predict(values, raw_score=True, num_threads=1))


_ONCE: list[BoostedTreesModel] = []


def _fitted_once() -> BoostedTreesModel:
    if not _ONCE:
        _ONCE.append(BoostedTreesModel(BoostedTrees(trees=10, leaves=31, min_leaf=3)))
        _ONCE[0].fit(*data())
    return _ONCE[0]


def test_trees_of_more_leaves_are_scored_by_lightgbm() -> None:
    inputs, label = data()
    model = BoostedTreesModel(BoostedTrees(trees=4, leaves=100, min_leaf=2))
    model.fit(inputs, label)
    assert model.forest is None
    np.testing.assert_allclose(model.score(inputs), lightgbm_of(model).predict(inputs.values, num_threads=1), rtol=1e-6)


def test_fit_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    inputs, label = data(300)
    BoostedTreesModel(BoostedTrees(trees=2)).fit(inputs, label)
    assert capfd.readouterr() == ("", "")


def test_a_tree_without_a_split_is_a_constant() -> None:
    inputs, label = data(60)
    model = BoostedTreesModel(BoostedTrees(trees=3, min_leaf=50))
    model.fit(inputs, label)
    np.testing.assert_allclose(model.score(inputs), label.mean(), rtol=1e-5)


@pytest.mark.parametrize("option", [{"zero_as_missing": True}, {"linear_tree": True}])
def test_trees_of_another_kind_are_left_to_lightgbm(option: dict[str, bool]) -> None:
    inputs, label = data()
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 8, **option}
    booster = lightgbm.train(parameters, lightgbm.Dataset(inputs.values, label, params=parameters), 3)
    assert Forest.read(booster.model_to_string()) is None
    assert Forest.read("tree\nno trees here\n") is None


def test_fit_is_lightgbm_with_these_parameters() -> None:
    """Weights (the mean of each request), grades and groups reach LightGBM: the same trees as when called by hand."""
    inputs, label = data()
    weight = np.random.default_rng(2).random(len(label)).astype(np.float32)
    grades = label * np.random.default_rng(3).integers(1, 4, len(label)).astype(np.float32)
    setting = BoostedTrees(trees=5, leaves=9, min_leaf=20, reg=2.0, learning_rate=0.2, seed=4, objective="lambdarank")
    model = BoostedTreesModel(setting)
    model.fit(inputs, grades, weight)
    parameters = {
        "objective": "lambdarank", "num_leaves": 9, "min_data_in_leaf": 20, "lambda_l2": 2.0, "learning_rate": 0.2,
        "seed": 4, "feature_fraction": setting.column_share, "max_bin": 127, "deterministic": True, "verbosity": -1,
        "force_row_wise": True, "num_threads": 1,
    }  # fmt: skip
    known = inputs.values.copy()
    known[known[:, 6] < 0, 6], known[known[:, 7] < 0, 7] = np.nan, np.nan
    weight = np.repeat(weight.reshape(250, 12).mean(axis=1), 12)
    dataset = lightgbm.Dataset(known, grades, weight=weight, group=np.full(250, 12), params=parameters,
                               categorical_feature=[6, 7])  # fmt: skip
    right = lightgbm.train(parameters, dataset, 5).predict(inputs.values, num_threads=1)
    np.testing.assert_allclose(model.score(inputs), right, rtol=1e-5, atol=1e-6)


def test_a_positive_weight_is_a_weight_of_the_positives() -> None:
    inputs, label = data(1500)
    weight = np.random.default_rng(2).random(len(label)).astype(np.float32)
    for given_weight in (None, weight):
        heavy, plain = (BoostedTreesModel(BoostedTrees(trees=5, positive_weight=w)) for w in (4.0, 1.0))
        heavy.fit(inputs, label, given_weight)
        by_hand = np.where(label > 0, np.float32(4), np.float32(1)) * (1 if given_weight is None else given_weight)
        plain.fit(inputs, label, by_hand)
        np.testing.assert_allclose(heavy.score(inputs), plain.score(inputs), rtol=1e-5)
        plain.fit(inputs, label, given_weight)
        assert heavy.score(inputs).mean() > plain.score(inputs).mean() + 0.1


@pytest.mark.parametrize("leaves", [15, 100])
def test_it_goes_on_from_the_days_before(tmp_path: Path, leaves: int) -> None:
    """A drifting log: the old trees stay, a few more follow the new day, and what was saved between is enough."""

    def day(shift: float, seed: int) -> tuple[Inputs, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(6000, 3)).astype(np.float32)
        truth = 1 / (1 + np.exp(-(2 * values[:, 0] * values[:, 1] + shift * values[:, 2] - 1)))
        label = (rng.random(6000) < truth).astype(np.float32)
        return Inputs(["a", "b", "c"], ["number"] * 3, values), label, truth  # type: ignore[arg-type]

    (first, old, _), (second, new, _), (third, _, truth) = day(-0.5, 0), day(0.8, 1), day(0.8, 2)
    stale = BoostedTreesModel(BoostedTrees(trees=60, leaves=leaves))
    stale.fit(first, old)
    stale.save(tmp_path / "stale")
    setting = BoostedTrees(trees=25, leaves=leaves)
    warm, fresh = BoostedTreesModel(setting), BoostedTreesModel(setting)
    warm.fit(second, new, start=BoostedTreesModel.load(tmp_path / "stale", stale.setting))
    fresh.fit(second, new)
    assert lightgbm_of(warm).num_trees() == 85
    raw = lightgbm_of(warm).predict(third.values, num_threads=1)
    np.testing.assert_allclose(warm.score(third), raw, rtol=1e-6)
    before = lightgbm_of(warm).predict(third.values, num_threads=1, num_iteration=60)
    np.testing.assert_allclose(before, stale.score(third), rtol=1e-6)
    loss = [
        -np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p))
        for p in (m.score(third) for m in (stale, warm, fresh))
    ]
    assert loss[1] < loss[0] - 0.05
    assert loss[1] < loss[2] + 0.005  # as good as the new day alone, and with the old trees kept


def test_only_like_trees_are_gone_on_from() -> None:
    inputs, label = data(600)
    rank, binary = (BoostedTreesModel(BoostedTrees(trees=2, objective=name)) for name in ("lambdarank", "binary"))  # type: ignore[arg-type]
    rank.fit(inputs, label)
    with pytest.raises(DataError, match="same objective"):
        binary.fit(inputs, label, start=rank)
    other = Inputs(["z", *inputs.names[1:]], inputs.kinds, inputs.values, group=inputs.group)
    with pytest.raises(DataError, match="columns of the fit"):
        BoostedTreesModel(rank.setting).fit(other, label, start=rank)


def test_what_cannot_be_learnt_from_is_refused() -> None:
    inputs, label = data(120)
    rank = BoostedTreesModel(BoostedTrees(objective="lambdarank"))
    with pytest.raises(DataError, match="group"):
        rank.fit(Inputs(inputs.names, inputs.kinds, inputs.values), label)
    for wrong in (label / 2, label * 40):
        with pytest.raises(DataError, match="grades"):
            rank.fit(inputs, wrong)
    with pytest.raises(DataError, match="one class"):
        BoostedTreesModel(BoostedTrees()).fit(inputs, label * 0)
    many = Inputs(["x"], ["number"], np.zeros((10_001, 1), np.float32), group=np.zeros(10_001, np.int32))
    with pytest.raises(DataError, match="10000"):
        rank.fit(many, np.arange(10_001) % 2)


def test_other_columns_than_those_of_the_fit_are_refused() -> None:
    inputs, label = data(300)
    model = BoostedTreesModel(BoostedTrees(trees=2))
    model.fit(inputs, label)
    with pytest.raises(DataError, match="did you mean 'c77'"):
        model.score(Inputs([*inputs.names[:7], "c77"], inputs.kinds, inputs.values))
    with pytest.raises(DataError, match="columns of the fit"):
        model.score(Inputs(inputs.names[::-1], inputs.kinds, inputs.values))


def test_scoring_what_was_read_needs_no_lightgbm(tmp_path: Path) -> None:
    model = _fitted_once()
    model.save(tmp_path / "model")
    program = """
import sys
from pathlib import Path
import numpy as np
from bottega.design.models import BoostedTrees
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.inputs import Inputs
model = BoostedTreesModel.load(Path(sys.argv[1]), BoostedTrees())
print(model.score(Inputs(model.names, model.kinds, np.zeros((1, 8), np.float32)))[0], "lightgbm" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")], capture_output=True, text=True, check=True
    )
    score = model.score(Inputs(model.names, model.kinds, np.zeros((1, 8), np.float32)))[0]
    assert done.stdout.split() == [str(score), "False"]
    (tmp_path / "model" / "trees.txt").unlink()
    with pytest.raises(BuildError, match=r"trees\.txt"):
        BoostedTreesModel.load(tmp_path / "model", BoostedTrees())
