"""Factorization: EASE against the formula and its own optimality, ALS against implicit itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import threadpoolctl
from implicit.cpu.als import AlternatingLeastSquares

from bottega.design.retrievers import Factorization
from bottega.models import factorization
from bottega.models.factorization import FactorizationModel, ease
from bottega.models.interactions import Interactions
from bottega.models.retrieving import retrieved
from bottega.models.rows_kernel import weighted_rows

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def log() -> Interactions:
    rng = np.random.default_rng(3)
    people = rng.integers(0, 200, 6000)
    items = (people % 7 * 40 + rng.integers(0, 90, 6000)) % 300
    return Interactions.of(people.astype(str), items.astype(str), rng.integers(0, 50 * DAY, 6000))


@pytest.mark.parametrize("reg", [0.5, 50.0])
def test_ease_is_the_formula(log: Interactions, reg: float) -> None:
    matrix = log.matrix()
    inverse = np.linalg.inv((matrix.T @ matrix).toarray() + reg * np.eye(matrix.shape[1]))
    right = -inverse / np.diag(inverse)
    np.fill_diagonal(right, 0)
    assert matrix.shape[1] > factorization._BLOCK  # more than one block of the mirrored triangle
    np.testing.assert_allclose(ease(matrix, reg), right, atol=1e-6)


def test_float32_is_near_to_float64_wherever_it_is_taken(log: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = log.matrix()
    reg = float((matrix.T @ (matrix @ np.ones(matrix.shape[1]))).max()) / 999
    found = []
    for limit in (1e3, 0):
        monkeypatch.setattr(factorization, "_SINGLE_UP_TO", limit)
        found.append(ease(matrix, reg))
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_ease_is_optimal(log: Interactions) -> None:
    """With a zero diagonal, the slope of ‖X − XB‖² + reg ‖B‖² vanishes everywhere off the diagonal."""
    dense, reg = log.matrix().toarray(), 20.0
    weights = ease(sp.csr_matrix(dense), reg).astype(np.float64)
    slope = dense.T @ (dense @ weights - dense) + reg * weights
    np.fill_diagonal(slope, 0)
    assert np.abs(np.diag(weights)).max() == 0
    assert np.abs(slope).max() < 1e-3
    assert np.abs(dense.T @ dense).max() > 10


def test_ease_scores_are_the_product(log: Interactions) -> None:
    model = FactorizationModel(Factorization(reg=20.0, half_life="10d"))
    model.fit(log, 40 * DAY)
    past = log.before(40 * DAY)
    matrix = past.matrix("decayed", at=40 * DAY, half_life=10 * DAY)
    matrix.data = np.minimum(matrix.data, 1)
    assert matrix.data.max() == 1
    right = matrix.toarray() @ ease(matrix, 20.0)
    np.testing.assert_allclose(model.scores(past.people), right, atol=1e-5)


def test_weighted_rows_are_the_product() -> None:
    """Histories of 0 to 9 rows, more columns than one block, and nobody; the same bits alone and among many."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 2500)).astype(np.float32)
    dense = sp.random(10, 30, 0.0, random_state=0).toarray()
    for person in range(10):
        dense[person, rng.choice(30, person, replace=False)] = rng.random(person) + 0.1
    sparse = sp.csr_matrix(dense)
    arrays = sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32), sparse.data.astype(np.float32)
    asked = np.array([3, -1, 0, 9, 8, 7, 6, 5, 4, 2, 1, 9])
    found = weighted_rows(matrix, *arrays, asked)
    np.testing.assert_allclose(found, np.where(asked[:, None] < 0, 0, dense[asked] @ matrix), atol=1e-5)
    for row, person in zip(found, asked, strict=True):
        assert np.array_equal(weighted_rows(matrix, *arrays, np.array([person]))[0], row)


@pytest.mark.parametrize("method", ["ease", "als"])
def test_strangers_have_nothing(log: Interactions, method: str) -> None:
    model = FactorizationModel(Factorization(method=method, factors=4, iterations=1))  # type: ignore[arg-type]
    model.fit(log, 40 * DAY)
    scores = model.scores(["a stranger", *log.people.to_pylist()[:20], ""])
    assert not scores[[0, -1]].any()
    assert scores[1:-1].any(axis=1).all()


def test_als_is_that_of_implicit(log: Interactions) -> None:
    model = FactorizationModel(Factorization(method="als", factors=12, reg=0.3, iterations=4, seed=7, half_life=None))
    model.fit(log, 40 * DAY)
    past = log.before(40 * DAY)
    with threadpoolctl.threadpool_limits(1, "blas"):
        other = AlternatingLeastSquares(factors=12, regularization=0.3, iterations=4, random_state=7, num_threads=1)
        other.fit(past.matrix().astype(np.float32), show_progress=False)
    right = other.user_factors @ other.item_factors.T
    np.testing.assert_allclose(model.scores(past.people), right, atol=1e-5)
    ids, _ = other.recommend(3, past.matrix()[3].astype(np.float32), N=5, filter_already_liked_items=True)
    found, _ = retrieved(model, [past.people[3].as_py()], 5, seen=False)
    assert found[0].tolist() == ids.tolist()


def test_another_seed_starts_elsewhere(log: Interactions) -> None:
    scores = []
    for seed in (0, 1):
        model = FactorizationModel(Factorization(method="als", factors=4, iterations=1, seed=seed))
        model.fit(log, 40 * DAY)
        scores.append(model.person_scores("5"))
    assert not np.allclose(scores[0], scores[1])


def test_auto_takes_ease_for_a_small_catalogue(log: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    model = FactorizationModel(Factorization(factors=4, iterations=1))
    model.fit(log, 40 * DAY)
    assert model.method == "ease"
    monkeypatch.setattr(factorization, "_EASE_UP_TO", 10)
    model.fit(log, 40 * DAY)
    assert model.method == "als"
