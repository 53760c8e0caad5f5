"""Fusion: against reciprocal rank fusion written plainly, on generated orders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.scorers import Fusion
from bottega.errors import DataError, DesignError
from bottega.models.calibrators import fit_calibrator
from bottega.models.contributions import contributions
from bottega.models.fusion import FusionModel, places
from bottega.models.inputs import Inputs
from bottega.models.making import make_scorer
from bottega.models.probability import Corrected, Probability
from bottega.testing.model_checks import SCORER_CHECKS, check_learns, check_rows_alone

NUMBERS = st.sampled_from([0.0, -1.0, 1.0, 2.0, 2.5, 7.0, math.nan, math.inf, -math.inf, 1e-30])
ROWS = st.lists(st.tuples(st.integers(0, 4), NUMBERS, NUMBERS), max_size=25)
quick = settings(max_examples=200, deadline=None)


def block(rows: list[tuple[int, float, float]]) -> Inputs:
    rows = sorted(rows, key=lambda row: row[0])
    values = np.array([row[1:] for row in rows], np.float32).reshape(-1, 2)
    return Inputs(["words", "taste"], ["number", "number"], values, group=np.array([row[0] for row in rows], np.int32))


def fitted(**fields: Any) -> FusionModel:
    model = FusionModel(Fusion(**{"over": ["words", "taste"], **fields}))
    model.fit(block([(0, 1.0, 2.0), (0, 2.0, 1.0)]), [1, 0])
    return model


def naive(rows: list[tuple[int, float, float]], weights: tuple[float, float], constant: float) -> list[float]:
    """Sum weight ÷ (constant + place), the place being one more than how many of the request are better."""
    found = []
    for group, *mine in sorted(rows, key=lambda row: row[0]):
        total = 0.0
        for column, value in enumerate(mine):
            if value > 0:
                better = sum(1 for row in rows if row[0] == group and np.float32(row[1 + column]) > np.float32(value))
                total += weights[column] / (constant + better + 1)
        found.append(total)
    return found


@given(ROWS, st.sampled_from([0.0, 1.0, 60.0]), st.sampled_from([(), (2.0, 0.5)]))
@quick
def test_fusion(rows: list[tuple[int, float, float]], constant: float, weights: tuple[float, ...]) -> None:
    model = fitted(constant=constant, weights=weights)
    right = naive(rows, weights or (1.0, 1.0), constant)  # type: ignore[arg-type]
    found = model.score(block(rows))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right, rtol=1e-6)


@given(ROWS, st.randoms(use_true_random=False))
@quick
def test_only_the_order_counts(rows: list[tuple[int, float, float]], random: Any) -> None:
    """A rising map of one request's numbers changes nothing."""
    stretch = {group: random.choice([1, 4, 64]) for group in range(5)}
    other = [(group, one * stretch[group], two * 2) for group, one, two in rows]
    assert np.array_equal(fitted().score(block(rows)), fitted().score(block(other)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30))
@quick
def test_places(pairs: list[tuple[int, int]]) -> None:
    pairs = sorted(pairs, key=lambda pair: pair[0])
    group, values = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    right = [1 + sum(1 for other in pairs if other[0] == mine[0] and other[1] > mine[1]) for mine in pairs]
    assert places(group, values.astype(np.float32)).tolist() == right


def test_rows_without_a_group_are_one_request() -> None:
    rows = block([(0, 3.0, 0.0), (0, 1.0, 5.0), (0, 2.0, 0.0)])
    bare = Inputs(rows.names, rows.kinds, rows.values)
    assert np.array_equal(fitted().score(bare), fitted().score(rows))


@pytest.mark.parametrize("check", [check for check in SCORER_CHECKS if check is not check_learns],
                         ids=lambda check: check.__name__)  # fmt: skip
@pytest.mark.parametrize("setting", [Fusion(over=["price", "rate"]), Fusion(over=["rate"], constant=0.0)], ids=repr)
def test_contract(setting: Fusion, check: Any) -> None:
    """All of it but `check_learns`: it learns nothing, and is as good as the orders that it is given."""
    check(lambda: make_scorer(setting))


class AcrossRequests(FusionModel):
    """Gives places among all rows."""

    def score(self, inputs: Inputs) -> Any:
        return super().score(Inputs(inputs.names, inputs.kinds, inputs.values, inputs.ids))


class ByPlace(FusionModel):
    """Prefers the rows that come first."""

    def score(self, inputs: Inputs) -> Any:
        return super().score(inputs) - np.arange(len(inputs), dtype=np.float32)


@pytest.mark.parametrize("broken", [AcrossRequests, ByPlace])
def test_a_listwise_model_that_looks_beyond_its_request_is_caught(broken: type[FusionModel]) -> None:
    with pytest.raises(AssertionError, match="check_rows_alone"):
        check_rows_alone(lambda: broken(Fusion(over=["price", "rate"])))


def test_refusals(tmp_path: Path) -> None:
    rows = block([(0, 1.0, 2.0), (0, 2.0, 1.0)])
    with pytest.raises(DataError, match="did you mean 'words'") as caught:
        FusionModel(Fusion(over=["word"])).fit(rows, [1, 0])
    assert "words, taste" in str(caught.value)
    kinds = Inputs(["words", "taste"], ["category", "number"], rows.values)
    with pytest.raises(DataError, match="no number 'words'"):
        FusionModel(Fusion(over=["words"])).fit(kinds, [1, 0])
    model = fitted()
    model.save(tmp_path / "model")
    read = FusionModel.load(tmp_path / "model", model.setting)
    with pytest.raises(DataError):
        read.score(kinds)
    with pytest.raises(DesignError, match="weights"):
        Fusion(over=["words"], weights=[1.0, 2.0])
    with pytest.raises(DesignError, match="weights"):
        Fusion(over=["words"], weights=[0.0])
    with pytest.raises(DesignError, match="over"):
        Fusion(over=[])


@given(ROWS.filter(bool), st.sampled_from([None, "platt", "isotonic"]), st.randoms(use_true_random=False))
@quick
def test_what_each_order_gives_adds_up_to_the_score(
    rows: list[tuple[int, float, float]], kind: Any, random: Any
) -> None:
    """Of any rows of the list, wherever they stand in it: what it does not read has no part in it."""
    numbers = np.array([(*row[1:], place) for place, row in enumerate(rows)], np.float32)
    whole = Inputs(["words", "taste", "noise"], ["number"] * 3, numbers, group=np.zeros(len(rows), np.int32))
    model = FusionModel(Fusion(over=["words", "taste"], weights=[2, 0.5], calibrate=kind))
    model.fit(whole.take(np.zeros(2, np.int64)), [1, 0])
    said = np.array([0.0, 0.01, 0.02, 0.04], np.float32)
    calibrator = None if kind is None else fit_calibrator(kind, said, np.array([0, 1, 0, 1]), probabilities=False)
    scorer = Corrected(model, Probability(calibrator=calibrator))
    wanted = np.array(random.sample(range(len(rows)), random.randint(1, len(rows))))
    found = contributions(scorer, whole, whole.take(np.zeros(0, np.int64)), wanted=wanted)
    score = scorer.score(whole).astype(np.float64)[wanted]
    cut = np.clip(score, 1e-7, 1 - 1e-7)
    assert list(found.names) == ["words", "taste", "noise"]
    assert found.unit == ("score" if kind is None else "log-odds")
    assert not found.values[:, 2].any()
    right = score if kind is None else np.log(cut) - np.log1p(-cut)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), right, rtol=1e-5, atol=1e-6)
    if kind is None:
        np.testing.assert_allclose(found.base, 0)
