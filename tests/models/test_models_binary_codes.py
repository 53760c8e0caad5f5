"""Binary codes against a naive search, and what signs keep of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.errors import BuildError, DataError
from bottega.models.binary_codes import BinaryCodes, nearest, refined


def clusters(count: int, size: int, seed: int = 0) -> tuple[Any, Any]:
    """Unit vectors around ten directions, and which."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 10, count)
    vectors = np.random.default_rng(99).normal(size=(10, size))[which] + 0.4 * rng.normal(size=(count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), which


def naive(queries: Any, items: Any, k: int) -> tuple[list[list[int]], list[list[int]]]:
    """Count the bits as text, and sort."""
    places, apart = [], []
    for query in queries:
        found = []
        for place, item in enumerate(items):
            differ = sum(bin(int(a) ^ int(b)).count("1") for a, b in zip(query, item, strict=True))
            found.append((differ, place))
        found = sorted(found)[:k]
        rest = [-1] * (k - len(found))
        places.append([place for _, place in found] + rest)
        apart.append([differ for differ, _ in found] + rest)
    return places, apart


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40), st.integers(0, 4), st.integers(1, 3), st.integers(1, 50), st.integers(0, 2**32), st.booleans()
)
def test_the_search_is_the_naive_one(items: int, queries: int, words: int, k: int, seed: int, alike: bool) -> None:
    rng = np.random.default_rng(seed)
    most = 3 if alike else 2**64 - 1  # few codes: many ties
    held, asked = (rng.integers(0, most, (n, words), dtype=np.uint64, endpoint=True) for n in (items, queries))
    places, apart = nearest(asked, held, k)
    assert (places.tolist(), apart.tolist()) == naive(asked, held, k)
    assert places.dtype == apart.dtype == np.int32
    assert places.shape == (queries, k)


def test_a_code_is_the_signs_of_its_projection() -> None:
    vectors, _ = clusters(50, 20)
    binary = BinaryCodes.learnt(vectors, bits=128)
    codes = binary.encode(vectors)
    assert codes.shape == (50, 2)
    for vector, code in zip(vectors, codes, strict=True):
        signs = [float((vector - binary.middle) @ column) > 0 for column in binary.turn.T]
        packed = code.view(np.uint8)
        assert [bool(packed[bit // 8] >> (7 - bit % 8) & 1) for bit in range(128)] == signs


@pytest.mark.parametrize(("size", "bits"), [(64, 64), (200, 64), (16, 64), (64, 128)])
def test_the_turn_keeps_lengths_of_what_it_keeps(size: int, bits: int) -> None:
    binary = BinaryCodes.learnt(clusters(400, size)[0], bits)
    assert binary.bits == bits
    gram = binary.turn.T @ binary.turn if size >= bits else binary.turn @ binary.turn.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-4)


def test_bits_find_nearly_what_floats_find_and_the_learnt_turn_beats_a_random_one() -> None:
    (vectors, which), (asked, truth) = clusters(3_000, 48), clusters(200, 48, seed=1)
    binary = BinaryCodes.learnt(vectors)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))
    chance = BinaryCodes(binary.middle, np.ascontiguousarray(turn[:48], dtype=np.float32))

    def right(one: BinaryCodes) -> float:
        places, _ = nearest(one.encode(asked), one.encode(vectors), 100)
        return float((which[places] == truth[:, None]).mean())

    exact = np.argsort(-(asked @ vectors.T), axis=1)[:, :100]
    floats = float((which[exact] == truth[:, None]).mean())
    assert right(binary) > floats - 0.01
    kept = [float(np.abs((vectors - one.middle) @ one.turn).sum()) for one in (binary, chance)]
    assert kept[0] > 1.05 * kept[1]  # ‖sign(x) − x‖² falls by as much as Σ|x| rises, lengths being kept


def test_floats_order_the_first_ones_again() -> None:
    vectors, _ = clusters(500, 32)
    asked = clusters(20, 32, seed=2)[0]
    binary = BinaryCodes.learnt(vectors)
    places, _ = nearest(binary.encode(asked), binary.encode(vectors), 500)
    best, products = refined(asked, vectors, places, 10)
    exact = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(best, exact)  # all 500 candidates: nothing can be lost
    np.testing.assert_allclose(products, np.take_along_axis(asked @ vectors.T, exact, 1), atol=1e-6)
    few, scores = refined(asked, vectors, np.array([[3, -1, 5]] * 20, np.int32), 4)
    assert {tuple(sorted(row)) for row in few.tolist()} == {(-1, -1, 3, 5)}
    assert not scores[:, 2:].any()


def test_the_same_vectors_give_the_same_codes_and_it_reads_back(tmp_path: Path) -> None:
    vectors, _ = clusters(100, 24)
    one, same, other = (BinaryCodes.learnt(vectors, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.turn, same.turn)
    assert not np.array_equal(one.turn, other.turn)
    one.save(tmp_path / "codes")
    read = BinaryCodes.load(tmp_path / "codes")
    np.testing.assert_array_equal(read.encode(vectors), one.encode(vectors))
    np.save(tmp_path / "codes" / "turn.npy", one.turn[:, :10])
    with pytest.raises(BuildError, match="of float32"):
        BinaryCodes.load(tmp_path / "codes")
    (tmp_path / "codes" / "turn.npy").write_bytes(b"")
    with pytest.raises(BuildError, match=r"turn\.npy"):
        BinaryCodes.load(tmp_path / "codes")


def test_one_vector_and_equal_ones_have_codes() -> None:
    for vectors in (np.ones((1, 3)), np.ones((9, 3)), np.zeros((4, 3))):
        binary = BinaryCodes.learnt(vectors)
        codes = binary.encode(vectors)
        assert len(np.unique(codes)) == 1
        assert nearest(codes, codes, 1)[1].max() == 0


def test_what_does_not_fit_is_refused() -> None:
    vectors, _ = clusters(20, 8)
    binary = BinaryCodes.learnt(vectors)
    with pytest.raises(DataError, match="multiple of 64"):
        BinaryCodes.learnt(vectors, bits=100)
    for wrong in (vectors[0], vectors[:0], np.full((3, 8), np.nan)):
        with pytest.raises(DataError, match="vectors"):
            BinaryCodes.learnt(wrong)
    with pytest.raises(DataError, match=r"\(n, 8\)"):
        binary.encode(vectors[:, :5])
    codes = binary.encode(vectors)
    with pytest.raises(DataError, match="k: 0"):
        nearest(codes, codes, 0)
    with pytest.raises(DataError, match="queries"):
        nearest(np.hstack([codes, codes]), codes, 1)
    with pytest.raises(DataError, match="uint64"):
        nearest(codes.astype(np.int64), codes, 1)
