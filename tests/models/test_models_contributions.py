"""Contributions against what is known otherwise: closed forms, Shapley's own sum over all sets, and LightGBM."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.scorers import BoostedTrees, HistoricalRate, Logistic
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.contributions import (
    Contributions,
    contributions,
    drawn,
    load_background,
    save_background,
)
from bottega.models.historical_rate import HistoricalRateModel
from bottega.models.inputs import Inputs
from bottega.models.logistic import LogisticModel


class Formula:
    """A scorer that is a formula of its columns; it counts its calls and the rows of the largest."""

    def __init__(self, formula: Callable[[Any], Any], objective: str = "lambdarank") -> None:
        self.setting = SimpleNamespace(objective=objective)
        self.formula, self.calls, self.most = formula, 0, 0

    def score(self, inputs: Inputs) -> Any:
        self.calls += 1
        self.most = max(self.most, len(inputs))
        return self.formula(inputs.values.T).astype(np.float32)


def table(rows: int, columns: int, seed: int = 0) -> Inputs:
    values = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    return Inputs([f"x{j}" for j in range(columns)], ["number"] * columns, values)


def background(rows: Inputs, n: int = 16, seed: int = 0) -> Inputs:
    return rows.take(drawn(np.arange(len(rows)), seed, n))


def by_all_sets(scorer: Any, rows: Inputs, others: Inputs) -> np.ndarray:
    """Shapley's sum over all sets of features, as it is written: exponential, and naive."""
    columns = rows.values.shape[1]

    def worth(row: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = others.values.copy()
        mixed[:, list(known)] = row[list(known)]
        return float(scorer.score(Inputs(rows.names, rows.kinds, mixed)).astype(float).mean())

    found = np.zeros((len(rows), columns))
    for place, row in enumerate(rows.values):
        for j in range(columns):
            rest = [other for other in range(columns) if other != j]
            for size in range(columns):
                share = math.factorial(size) * math.factorial(columns - size - 1) / math.factorial(columns)
                for known in itertools.combinations(rest, size):
                    found[place, j] += share * (worth(row, (*known, j)) - worth(row, known))
    return found


def hard(x: Any) -> Any:
    return x[0] * x[1] * x[2] + np.where(x[3] > 0, x[0] - x[4], np.abs(x[1])) + np.exp(x[2] / 2)


def whole(found: Contributions) -> np.ndarray:
    return found.base + found.values.sum(axis=1)


def test_a_linear_model_gives_its_weights_times_the_distance() -> None:
    weights = np.array([1.5, -2.0, 0.0, 0.25], np.float32)
    rows, others = table(7, 4), table(30, 4, seed=1)
    found = contributions(Formula(lambda x: weights @ x), rows, others, permutations=2)
    assert found.values == pytest.approx(weights * (rows.values - others.values.mean(axis=0)), abs=1e-5)
    assert found.base == pytest.approx(np.full(7, float(weights @ others.values.mean(axis=0))), abs=1e-5)
    assert found.unit == "score"


def test_a_probability_is_told_in_log_odds() -> None:
    weights = np.array([1.0, -0.5, 0.0], np.float32)
    rows, others = table(50, 3), table(40, 3, seed=1)
    model = Formula(lambda x: 1 / (1 + np.exp(1 - weights @ x)), "binary")
    found = contributions(model, rows, others, permutations=2)
    assert found.values == pytest.approx(weights * (rows.values - others.values.mean(axis=0)), abs=2e-5)
    assert found.unit == "log-odds"
    assert 1 / (1 + np.exp(-whole(found))) == pytest.approx(model.score(rows), rel=1e-6)


def test_real_models_add_up_to_their_scores() -> None:
    rows = table(3000, 4)
    label = np.random.default_rng(2).random(3000) < 1 / (1 + np.exp(1 - rows.values @ [1.0, -0.5, 0.0, 0.0]))
    some, others = rows.take(np.arange(20)), background(rows)
    for model in (LogisticModel(Logistic()), BoostedTreesModel(BoostedTrees(trees=20))):
        model.fit(rows, label)
        found = contributions(model, some, others)
        assert 1 / (1 + np.exp(-whole(found))) == pytest.approx(model.score(some), rel=1e-5)
        strong = np.abs(rows.values[:20, 0]) > 1  # the first feature pushes up where it is large, and down where small
        assert (np.sign(found.values[strong, 0]) == np.sign(rows.values[:20, 0])[strong]).all()
        assert np.abs(found.values).mean(axis=0).argmax() == 0


def test_with_all_orders_it_is_the_sum_over_all_sets() -> None:
    rows, others = table(3, 5), table(4, 5, seed=1)
    found = contributions(Formula(hard), rows, others, permutations=120)
    assert found.values == pytest.approx(by_all_sets(Formula(hard), rows, others), abs=1e-5)


def test_one_pair_of_orders_is_exact_for_products_of_two() -> None:
    def pairs(x: Any) -> Any:
        return x[0] * x[3] - 2 * x[1] * x[4] + x[2] ** 3 + x[0] * x[1]

    rows, others = table(3, 5), table(4, 5, seed=1)
    found = contributions(Formula(pairs), rows, others, permutations=2, seed=5)
    assert found.values == pytest.approx(by_all_sets(Formula(pairs), rows, others), abs=1e-4)


def test_more_orders_come_nearer() -> None:
    rows, others = table(6, 5), table(4, 5, seed=1)
    exact = by_all_sets(Formula(hard), rows, others)
    wrong = [
        np.mean([np.abs(contributions(Formula(hard), rows, others, n, s).values - exact).mean() for s in range(6)])
        for n in (2, 16, 64)
    ]
    assert wrong[0] > 1.5 * wrong[1] > 2 * wrong[2] > 0


@settings(max_examples=25)
@given(st.integers(0, 2**16), st.integers(1, 12), st.integers(1, 5))
def test_they_add_up_to_the_score(seed: int, columns: int, others: int) -> None:
    def formula(x: Any) -> Any:
        return np.sin(x.sum(axis=0)) * x[0] + np.maximum.reduce(x)

    rows = table(4, columns, seed)
    found = contributions(Formula(formula), rows, table(others, columns, seed + 1), 4, seed)
    assert whole(found) == pytest.approx(formula(rows.values.T), abs=1e-5)


def test_a_column_that_is_not_read_and_one_like_the_background_add_nothing() -> None:
    rows, others = table(4, 5), table(6, 5, seed=1)
    rows.values[:, 1] = others.values[:, 1] = 3.0
    found = contributions(Formula(lambda x: x[0] * x[1] + np.exp(x[3]) * x[0]), rows, others)
    assert np.abs(found.values[:, [1, 2, 4]]).max() < 1e-12
    assert np.abs(found.values[:, [0, 3]]).min() > 1e-6


def test_trees_agree_with_lightgbm_in_direction_and_order() -> None:
    """Its values weigh by the rows of each node, these by a background: alike in direction and order, not in value."""
    import lightgbm

    rows = table(6000, 6)
    x = rows.values
    label = np.random.default_rng(3).random(6000) < 1 / (
        1 + np.exp(1 - 2 * x[:, 0] + 1.5 * x[:, 1] - x[:, 2] * x[:, 3])
    )
    model = BoostedTreesModel(BoostedTrees(trees=60))
    model.fit(rows, label)
    some = rows.take(np.arange(60))
    found = contributions(model, some, background(rows, 64))
    theirs = lightgbm.Booster(model_str=model.text).predict(some.values, pred_contrib=True)
    assert whole(found) == pytest.approx(theirs.sum(axis=1), abs=1e-4)  # the score itself, in log-odds
    strong = np.abs(theirs[:, :-1]) > 0.5
    assert strong.sum() > 60
    assert (np.sign(found.values) == np.sign(theirs[:, :-1]))[strong].mean() > 0.97
    assert np.corrcoef(found.values.ravel(), theirs[:, :-1].ravel())[0, 1] > 0.95
    ours, others = (np.abs(each).mean(axis=0) for each in (found.values, theirs[:, :-1]))
    assert np.argsort(-ours)[:2].tolist() == np.argsort(-others)[:2].tolist() == [0, 1]


def test_an_id_that_is_looked_up_is_one_feature() -> None:
    ids = pa.array(["a", "b", "a", None, "new"])
    rows = Inputs([], [], np.zeros((5, 0), np.float32), {"ad": ids})
    model = HistoricalRateModel(HistoricalRate(by="ad", prior=1.0))
    model.fit(rows.take([0, 1, 2]), [1, 0, 0])
    found = contributions(model, rows, rows.take([1, 3]))
    odds = np.log(model.score(rows) / (1 - model.score(rows)))
    assert found.names == ["ad"]
    assert found.values.ravel() == pytest.approx(odds - odds[[1, 3]].mean(), abs=1e-5)
    assert found.values[3] == found.values[4]  # nobody and somebody new: the rate over all


def test_an_id_and_a_column_of_one_name_are_one_feature() -> None:
    class Both(Formula):
        def score(self, inputs: Inputs) -> Any:
            text = np.array([name == "a" for name in inputs.ids["ad"].to_pylist()])
            return (inputs.values[:, 0] * 10 + inputs.values[:, 1] + text).astype(np.float32)

    values = np.array([[3, 1], [4, 2]], np.float32)
    rows = Inputs(["ad", "hour"], ["category", "number"], values, {"ad": pa.array(["a", "b"])})
    found = contributions(Both(lambda x: x), rows.take([0]), rows.take([1]))
    assert found.names == ["ad", "hour"]
    assert found.values.tolist() == [[-9.0, -1.0]]


def test_all_rows_go_in_few_calls_that_stay_small() -> None:
    scorer = Formula(hard)
    contributions(scorer, table(200, 5), table(16, 5, seed=1))
    assert scorer.calls < 8
    assert scorer.most <= 65_536


def test_it_is_the_same_again_and_for_each_row_by_itself() -> None:
    rows, others = table(9, 7), background(table(50, 7, seed=1))
    found = contributions(Formula(lambda x: hard(x) * x[6]), rows, others, seed=3)
    again = contributions(Formula(lambda x: hard(x) * x[6]), rows, others, seed=3)
    alone = contributions(Formula(lambda x: hard(x) * x[6]), rows.take([4]), others, seed=3)
    assert (found.values == again.values).all()
    assert (found.values[4] == alone.values[0]).all()


def test_a_probability_of_zero_or_one_has_an_end() -> None:
    certain = Formula(lambda x: (x[0] > 0).astype(float), "binary")
    found = contributions(certain, table(20, 2), table(8, 2, seed=1))
    assert np.isfinite(found.values).all()
    assert np.abs(whole(found)).max() == pytest.approx(math.log(1e7), rel=1e-6)


def test_no_row_and_no_column_are_no_fault() -> None:
    assert contributions(Formula(hard), table(0, 5), table(3, 5)).values.shape == (0, 5)
    bare = Inputs([], [], np.zeros((2, 0), np.float32))
    found = contributions(Formula(lambda x: np.full(x.shape[1], 0.5)), bare, bare)
    assert whole(found).tolist() == [0.5, 0.5]


def test_what_does_not_fit_is_refused() -> None:
    rows = table(3, 2)
    with pytest.raises(DataError, match="background"):
        contributions(Formula(hard), rows, table(0, 2))
    with pytest.raises(DataError, match="inputs"):
        contributions(Formula(hard), rows, table(4, 3))
    named = Inputs(rows.names, rows.kinds, rows.values, {"ad": pa.array(["a", "b", "c"])})
    with pytest.raises(DataError, match="ids"):
        contributions(Formula(hard), named, rows)
    for number in (0, 3, -2):
        with pytest.raises(DesignError, match="permutations"):
            contributions(Formula(hard), rows, rows, permutations=number)
    with pytest.raises(DesignError, match="n"):
        background(rows, 0)


def test_the_background_is_some_rows_in_order() -> None:
    rows = table(100, 2)
    drawn = background(rows, 16, seed=4)
    places = [int(np.flatnonzero((rows.values == row).all(axis=1))[0]) for row in drawn.values]
    assert places == sorted(set(places))
    assert (drawn.values == background(rows, 16, seed=4).values).all()
    assert (drawn.values != background(rows, 16, seed=5).values).any()
    assert len(background(rows, 500)) == 100


def test_what_is_saved_reads_back(tmp_path: Path) -> None:
    rows = Inputs(["a/b", "x"], ["category", "number"], table(3, 2).values, {"../ad": pa.array(["a", None, "é"])})
    save_background(rows, tmp_path / "background")
    found = load_background(tmp_path / "background")
    assert (found.names, found.kinds) == (rows.names, rows.kinds)
    assert (found.values == rows.values).all()
    assert found.ids["../ad"].to_pylist() == ["a", None, "é"]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["background.json", "ids_0.arrow", "values.npy"]
    (tmp_path / "background" / "values.npy").write_bytes(b"")
    with pytest.raises(BuildError, match=r"values\.npy"):
        load_background(tmp_path / "background")
