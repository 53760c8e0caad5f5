"""Indexes of vectors, against plain NumPy and a dictionary."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.indexes import Index
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.indexes import finder as finders
from bottega.models.indexes import vector_index
from bottega.models.indexes.building import EXACT_UP_TO, build_index
from bottega.models.indexes.vector_index import VectorIndex

needs_faiss = pytest.mark.skipif(
    find_spec("faiss") is None, reason="not installed: faiss (pip install 'bottega[vectors]')"
)
FOUND = [pytest.param(kind, marks=needs_faiss) for kind in ("ivf", "hnsw", "int8")]
KINDS = ["exact", *FOUND]
NONE = np.zeros(0, np.int32)


def clustered(count: int, width: int = 16, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    centre = np.random.default_rng(99).normal(size=(40, width))
    return (centre[rng.integers(0, 40, count)] + 0.4 * rng.normal(size=(count, width))).astype(np.float32)


def codes_to(count: int) -> np.ndarray[Any, Any]:
    return np.arange(count, dtype=np.int32)


def truth(held: dict[int, Any], query: Any, k: int, out: set[int]) -> list[tuple[int, float]]:
    """The best of a dictionary, by float64 products; a product's float32 rounding may swap near ones."""
    rows = [(code, float(np.dot(vector.astype(np.float64), query))) for code, vector in held.items() if code not in out]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:k]


def check(index: VectorIndex, held: dict[int, Any], queries: Any, k: int, out: list[Any] | None = None) -> None:
    """Lists are those of the dictionary."""
    codes, scores = index.search(queries, k, out)
    assert codes.dtype == np.int32
    assert scores.dtype == np.float32
    assert len(index) == len(held)
    for row, query in enumerate(queries):
        left = set() if out is None or out[row] is None else set(out[row].tolist())
        right = truth(held, query, k, left)
        assert codes[row, len(right) :].tolist() == [-1] * (k - len(right))
        assert not scores[row, len(right) :].any()
        found = codes[row, : len(right)].tolist()
        assert len(set(found)) == len(found)
        assert not left & set(found)
        np.testing.assert_allclose(scores[row, : len(right)], [score for _, score in right], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(scores[row, : len(right)], index.products(query, codes[row, : len(right)]))
        order = [(-score, code) for code, score in zip(found, scores[row].tolist(), strict=False)]
        assert order == sorted(order)


WHOLE = st.integers(-3, 3).map(float)  # whole numbers: products are exact, and equal ones come often
VECTOR = st.lists(WHOLE, min_size=5, max_size=5)
STEP = st.one_of(
    st.tuples(st.just("add"), st.dictionaries(st.integers(0, 12), VECTOR, max_size=6)),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 14), max_size=4)),
)


@given(st.dictionaries(st.integers(0, 12), VECTOR, max_size=8), st.lists(STEP, max_size=6), st.data())
@settings(max_examples=80, deadline=None)
def test_what_is_added_and_removed_is_what_a_dictionary_holds(
    begin: dict[int, list[float]], steps: list[tuple[str, Any]], data: st.DataObject
) -> None:
    held = {code: np.array(vector, np.float32) for code, vector in begin.items()}
    block = np.array([*begin.values()], np.float32).reshape(-1, 5)
    index = build_index(Index(), np.array([*begin], np.int32), block)
    for what, given_ in steps:
        if what == "add":
            index.add(np.array([*given_], np.int32), np.array([*given_.values()], np.float32).reshape(-1, 5))
            held |= {code: np.array(vector, np.float32) for code, vector in given_.items()}
        else:
            index.remove(np.array(given_, np.int32))
            held = {code: vector for code, vector in held.items() if code not in given_}
        queries = np.array([data.draw(VECTOR), [0.0] * 5], np.float32)
        out = [np.array(data.draw(st.lists(st.integers(0, 13), max_size=5)), np.int32), None]
        k = data.draw(st.integers(1, 16))
        codes, scores = index.search(queries, k, out)
        for row, query in enumerate(queries):
            right = truth(held, query, k, set() if out[row] is None else set(out[row].tolist()))
            pairs = [(code, score) for code, score in zip(codes[row].tolist(), scores[row].tolist(), strict=True)]
            assert pairs == right + [(-1, 0.0)] * (k - len(right))
    for code in range(14):
        product = index.products(np.ones(5, np.float32), np.array([code], np.int32))[0]
        assert product == held[code].sum() if code in held else np.isnan(product)


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_as_good_as_the_kind_promises(kind: Any) -> None:
    vectors, asked = clustered(4000), clustered(300, seed=1)
    index = build_index(Index(kind=kind, recall=0.9), codes_to(4000), vectors)
    assert index.facts["built"] == kind
    best = np.sort(asked.astype(np.float64) @ vectors.T.astype(np.float64), axis=1)[:, ::-1][:, :100]
    codes, scores = index.search(asked, 100)
    recall = np.mean(scores >= best[:, [99]] - 1e-5)
    said = index.facts["recall"]
    assert recall >= 0.88
    assert said["low"] - 0.03 <= recall <= said["high"] + 0.03
    assert said["at"] == 100
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", asked, vectors[codes]), rtol=1e-5, atol=1e-5)
    for k in (1, 10):  # a short list is the beginning of a long one, but where the long one was filled by comparing all
        assert np.mean(index.search(asked, k)[0] == codes[:, :k]) > 0.97


@pytest.mark.parametrize("kind", ["ivf", "int8"])
def test_long_lists_are_measured_as_such(kind: Any, tmp_path: Path) -> None:
    """How far to look for 300 is found by lists of 300: three times as far as for 100 would be further than needed."""
    vectors, asked = clustered(6000), clustered(200, seed=1)
    short, long = (build_index(Index(kind=kind, recall=0.9), codes_to(6000), vectors, asked, k) for k in (20, 300))
    assert (short.facts["recall"]["at"], long.facts["recall"]["at"]) == (100, 300)
    assert short.facts["effort"] <= long.facts["effort"] < 3 * short.facts["effort"]
    long.save(tmp_path / "index", "v1")
    border = np.sort(asked @ vectors.T, axis=1)[:, [-300]]
    for index in (long, VectorIndex.load(tmp_path / "index", "v1")):
        assert np.mean(index.search(asked, 300)[1] >= border - 1e-5) >= 0.88


@pytest.mark.parametrize("kind", KINDS)
def test_lists_stay_full_whatever_is_left_out(kind: Any) -> None:
    vectors, asked = clustered(3000), clustered(6, seed=1)
    held = dict(enumerate(vectors))
    index = build_index(Index(kind=kind, recall=0.8), codes_to(3000), vectors)
    best = [np.argsort(-(vectors @ query), kind="stable").astype(np.int32) for query in asked]
    for many in (50, 1500, 2995):
        out = [row[:many] for row in best]
        codes, _ = index.search(asked, 20, out)
        assert ((codes >= 0).sum(axis=1) == min(20, 3000 - many)).all()
        for row, left in zip(codes, out, strict=True):
            assert not set(row[row >= 0].tolist()) & set(left.tolist())
    check(index, held, asked, 10, [row[:2995] for row in best])
    every, _ = index.search(asked, 4000)  # more than it holds: all, and then the end
    assert all(sorted(row[:3000].tolist()) == list(range(3000)) and (row[3000:] == -1).all() for row in every)
    assert (index.search(asked, 3, [codes_to(3000)] * 6)[0] == -1).all()
    strangers = np.arange(5000, 8000, dtype=np.int32)
    with_strangers, without = index.search(asked, 2990, [strangers] * 6)[1], index.search(asked, 2990)[1]
    assert (with_strangers >= without - 1e-6).all()  # it looks further, and finds no less


def test_vectors_are_those_that_were_added_last() -> None:
    vectors, fresh = clustered(50), clustered(4, seed=3)
    index = build_index(Index(kind="exact"), codes_to(50), vectors)
    index.add(np.array([60, 7, 61, 70], np.int32), fresh)
    index.remove(np.array([3], np.int32))
    asked = np.array([7, 60, 3, 0, 99], np.int32)
    nothing = np.zeros(vectors.shape[1], np.float32)
    np.testing.assert_array_equal(index.vectors(asked), [fresh[1], fresh[0], nothing, vectors[0], nothing])


@pytest.mark.parametrize("kind", FOUND)
def test_what_is_left_out_costs_little_recall(kind: Any) -> None:
    """Somebody who took the nearest ones, all of one cluster, still gets the nearest of the rest."""
    vectors, asked = clustered(12_000), clustered(30, seed=1)
    index = build_index(Index(kind=kind, recall=0.95), codes_to(12_000), vectors)
    for many in (0, 300, 1000):
        found = []
        for query in asked:
            order = np.argsort(-(vectors @ query), kind="stable").astype(np.int32)
            codes = index.search(query[None], 100, [np.sort(order[:many])])[0][0]
            found.append(len(np.intersect1d(codes, order[many : many + 100])) / 100)
        assert np.mean(found) > 0.85, many


@pytest.mark.parametrize("kind", FOUND)
def test_what_comes_later_is_found_and_what_goes_is_not(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_NEW", 100)
    vectors, fresh = clustered(2000), 3 * clustered(260, seed=2)  # longer ones: they are the best of every list
    index = build_index(Index(kind=kind, recall=0.9), codes_to(2000), vectors)
    before = index._finder
    for low in range(0, 260, 20):
        part = slice(low, low + 20)
        index.add(np.arange(5000 + low, 5020 + low, dtype=np.int32), fresh[part])
        found = [index.search(vector[None], 30)[0][0].tolist() for vector in fresh[part]]
        assert np.mean([5000 + low + i in row for i, row in enumerate(found)]) >= 0.9
    assert before.rows == 2000  # a search that holds it goes on
    assert index._finder.rows >= 2200
    index.remove(np.arange(5000, 5260, dtype=np.int32))
    codes, _ = index.search(fresh[:50], 50)
    assert codes.min() >= 0
    assert codes.max() < 2000
    index.add(codes_to(2000), np.ascontiguousarray(vectors[::-1]))  # all replaced, which the finder learns
    held = dict(enumerate(vectors[::-1]))
    found = index.search(fresh[:50], 20)[0]
    right = [{code for code, _ in truth(held, query, 20, set())} for query in fresh[:50]]
    assert np.mean([len(set(row.tolist()) & best) / 20 for row, best in zip(found, right, strict=True)]) > 0.8
    assert len(index) == 2000


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_answers_the_same(kind: Any, tmp_path: Path) -> None:
    vectors, asked = clustered(1500), clustered(20, seed=1)
    index = build_index(Index(kind=kind, recall=0.9), codes_to(1500), vectors)
    index.add(np.array([7, 9000], np.int32), clustered(2, seed=3))
    index.remove(np.array([11, 12345], np.int32))
    index.save(tmp_path / "index", "v1")
    assert {path.suffix for path in (tmp_path / "index").iterdir()} == {".npy", ".json"}
    read = VectorIndex.load(tmp_path / "index", "v1")
    for one, other in zip(read.search(asked, 30), index.search(asked, 30), strict=True):
        np.testing.assert_array_equal(one, other)
    assert read.facts == index.facts
    assert len(read) == len(index) == 1500
    assert isinstance(read._table.held.base.base, np.memmap)
    read.add(np.array([3, 7], np.int32), clustered(2, seed=4))  # mapped files are not written into
    read.remove(np.array([5], np.int32))
    assert not set(read.search(asked, 1600)[0].ravel().tolist()) & {5, 11}
    again = VectorIndex.load(tmp_path / "index", "v1")
    np.testing.assert_array_equal(again.search(asked, 30)[0], index.search(asked, 30)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_writes_the_same_bytes(kind: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        build_index(Index(kind=kind, seed=3), codes_to(1200), clustered(1200)).save(tmp_path / name, "v1")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "other")]
    assert files[0] == files[1]


def test_another_version_and_damaged_files_are_refused(tmp_path: Path) -> None:
    build_index(Index(), codes_to(10), clustered(10)).save(tmp_path / "index", "2026-01")
    with pytest.raises(BuildError, match=r"'2026-01'.*\n.*'2026-02'"):
        VectorIndex.load(tmp_path / "index", "2026-02")
    np.save(tmp_path / "index" / "codes.npy", codes_to(9))
    with pytest.raises(BuildError, match="a code of int32 for each vector"):
        VectorIndex.load(tmp_path / "index", "2026-01")


@needs_faiss
@pytest.mark.parametrize("kind", ["ivf", "hnsw", "int8"])
def test_a_damaged_finder_is_refused(kind: Any, tmp_path: Path) -> None:
    build_index(Index(kind=kind, recall=0.5), codes_to(1200), clustered(1200)).save(tmp_path / "index", "v")
    path = tmp_path / "index" / "finder.npy"
    whole = np.load(path)
    for held in (whole[:200], whole[:0]):
        np.save(path, held)
        with pytest.raises(BuildError, match="faiss cannot read it"):
            VectorIndex.load(tmp_path / "index", "v")
    np.save(path, finders.Finder.of(kind, clustered(1300), 0).bytes())
    with pytest.raises(BuildError, match="over 1300 vectors"):
        VectorIndex.load(tmp_path / "index", "v")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [np.zeros, np.ones], ids=["zeros", "equal"])
def test_vectors_that_are_all_the_same_tie_by_code(kind: Any, make: Callable[..., Any]) -> None:
    vectors = make((1300, 8), np.float32)
    index = build_index(Index(kind=kind), codes_to(1300), vectors)
    codes, scores = index.search(np.ones((2, 8), np.float32), 5, [None, np.array([0, 2], np.int32)])
    assert (scores == vectors[0].sum()).all()
    if index.facts["built"] == "exact":
        assert codes.tolist() == [[0, 1, 2, 3, 4], [1, 3, 4, 5, 6]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 7, 13, 33, 514])
def test_any_width(kind: Any, width: int) -> None:
    vectors = clustered(1100, width)
    index = build_index(Index(kind=kind, recall=0.8), codes_to(1100), vectors)
    codes, scores = index.search(vectors[:5], 3)
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", vectors[:5], vectors[codes]), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 40])
def test_few_vectors(kind: Any, size: int) -> None:
    vectors = clustered(40)
    index = build_index(Index(kind=kind), codes_to(size), vectors[:size])
    assert index.facts["built"] == "exact"
    check(index, dict(enumerate(vectors[:size])), vectors[:4], 5)
    index.add(np.array([77], np.int32), vectors[:1])
    check(index, {**dict(enumerate(vectors[:size])), 77: vectors[0]}, vectors[:4], 5)


def test_what_is_no_vector_is_refused() -> None:
    index = build_index(Index(), codes_to(3), clustered(3))
    good = clustered(1)
    for bad in (np.nan, np.inf, -np.inf, 1e20):
        wrong = good.copy()
        wrong[0, 3] = bad
        for call in (lambda wrong=wrong: index.add(np.array([5]), wrong), lambda wrong=wrong: index.search(wrong, 2)):
            with pytest.raises(DataError, match="row 0 holds NaN"):
                call()
        with pytest.raises(DataError, match="row 0 holds NaN"):
            build_index(Index(), np.array([5]), wrong)
    for codes, vectors, why in (
        ([1, 1], clustered(2), "comes twice"),
        ([-1], good, "codes from -1"),
        ([2**31], good, "codes from 2147483648"),
        ([0.5], good, "float64"),
        ([1], clustered(1, 5), r"\(1, 5\)"),
        ([1, 2], good, r"\(1, 16\) for 2 codes"),
    ):
        with pytest.raises(DataError, match=why):
            index.add(np.array(codes), vectors)
    assert len(index) == 3
    with pytest.raises(DataError, match=r"queries \(16,\)"):
        index.search(good[0], 2)
    with pytest.raises(DataError, match="2 lists to leave out for 1 queries"):
        index.search(good, 2, [None, None])
    with pytest.raises(DesignError):
        index.search(good, 0)


@needs_faiss
def test_real_queries_are_what_recall_is_measured_on() -> None:
    vectors = clustered(3000)
    away = np.random.default_rng(5).normal(size=(400, 16)).astype(np.float32)  # not where the vectors lie
    near = build_index(Index(kind="ivf", recall=0.9), codes_to(3000), vectors)
    far = build_index(Index(kind="ivf", recall=0.9), codes_to(3000), vectors, away)
    assert (near.facts["queries"], far.facts["queries"]) == ("vectors", "given")
    best = np.sort(away @ vectors.T, axis=1)[:, -100]
    reached = np.mean(far.search(away, 100)[1] >= best[:, None] - 1e-5)
    with pytest.raises(DataError, match="1 queries"):
        build_index(Index(kind="ivf"), codes_to(3000), vectors, away[:1])
    assert reached >= 0.88
    assert far.facts["recall"]["low"] - 0.03 <= reached <= far.facts["recall"]["high"] + 0.03


def test_auto_is_exact_for_few_and_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = clustered(100, 4), clustered(EXACT_UP_TO + 1, 4)
    assert build_index(Index(), codes_to(100), few).facts["why"] == "up to 20,000 vectors"
    if find_spec("faiss"):
        assert build_index(Index(recall=0.5), codes_to(len(many)), many).facts["built"] == "ivf"
    monkeypatch.setattr("bottega.models.indexes.building.find_spec", lambda _: None)
    index = build_index(Index(), codes_to(len(many)), many)
    assert index.facts["built"] == "exact"
    assert "pip install 'bottega[vectors]'" in index.facts["why"]


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "int8"])
def test_a_kind_without_its_package_is_refused(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finders.needed.cache_clear()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(BuildError, match=r"pip install 'bottega\[vectors\]'"):
        build_index(Index(kind=kind), codes_to(1200), clustered(1200))


@pytest.mark.parametrize("recall", [0.0, 1.5, "high"])
def test_a_recall_out_of_range_is_refused(recall: Any) -> None:
    with pytest.raises(DesignError, match=r"Index\.recall"):
        Index(recall=recall)


@pytest.mark.parametrize("kind", KINDS)
def test_searches_go_on_while_vectors_come_and_go(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_NEW", 64)
    vectors = clustered(2000)
    index = build_index(Index(kind=kind, recall=0.8), codes_to(2000), vectors)
    still, moving = index.search(vectors[:8], 5, [np.arange(1000, 3000, dtype=np.int32)] * 8), clustered(600, seed=6)

    def write(_: int) -> None:
        for low in range(0, 600, 20):
            index.add(np.arange(1000 + low, 1020 + low, dtype=np.int32), moving[low : low + 20])
            index.remove(np.arange(2000, 2010, dtype=np.int32))

    def read(_: int) -> bool:
        codes, scores = index.search(vectors[:8], 2000)
        lists = [row[row >= 0] for row in codes]
        return all(len(np.unique(row)) == 2000 for row in lists) and bool((np.diff(scores) <= 0).all())

    with ThreadPoolExecutor(3) as pool:
        writing = pool.map(write, range(1))
        assert all(pool.map(read, range(40)))
        list(writing)
    now = index.search(vectors[:8], 5, [np.arange(1000, 3000, dtype=np.int32)] * 8)
    if kind == "exact":
        np.testing.assert_array_equal(now[0], still[0])
    every = index.search(moving[:8], 2000)[0]
    assert all(len(np.unique(row)) == len(index) for row in every)


def test_equal_products_come_from_one_sum() -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(50, 37)).astype(np.float32), 41, axis=0)[: 50 * 41]
    order = rng.permutation(len(vectors))
    index = build_index(Index(), codes_to(len(vectors)), vectors[order])
    codes, scores = index.search(rng.normal(size=(5, 37)).astype(np.float32), len(vectors))
    for row, values in zip(codes, scores, strict=True):
        parts = [order[row[low : low + 41]] // 41 for low in range(0, len(row), 41)]
        assert all(len(set(part.tolist())) == 1 for part in parts)
        assert len(np.unique(values)) == 50
        assert all((np.diff(row[low : low + 41]) > 0).all() for low in range(0, len(row), 41))
