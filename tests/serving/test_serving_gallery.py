"""The gallery is a mapping that is searched, whatever its index; the journal keeps the order of its writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.indexes import Index
from bottega.errors import BuildError
from bottega.features.stores.memory import MemoryStore
from bottega.models.code_index import CodeIndex
from bottega.models.indexes.building import build_index
from bottega.serving.additions import Picture, additions
from bottega.serving.gallery import Gallery


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.normal(size=(count, 6))
    found: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


MAKERS: dict[str, Callable[[np.ndarray], Any]] = {
    "exact": lambda vectors: build_index(Index(), np.arange(len(vectors), dtype=np.int32), vectors),
    "codes": lambda vectors: CodeIndex.of(np.arange(len(vectors), dtype=np.int32), vectors),
}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(MAKERS)),
    st.integers(0, 2**31),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 11), min_size=1, max_size=4)), max_size=8),
)
def test_a_gallery_is_a_mapping_searched(kind: str, seed: int, changes: list[tuple[bool, list[int]]]) -> None:
    rng = np.random.default_rng(seed)
    names, first = [f"i{number:02}" for number in range(6)], unit(rng, 6)
    gallery = Gallery(pa.array(names), pa.array(["x"] * 6), first, MAKERS[kind](first))
    truth = dict(zip(names, first, strict=True))
    for come, numbers in changes:
        some = [f"i{number:02}" for number in numbers]
        if come:
            new = unit(rng, len(some))
            gallery.add(some, new, ["y"] * len(some))
            truth.update(zip(some, new, strict=True))
        else:
            gallery.remove(some)
            for name in some:
                truth.pop(name, None)
    assert len(gallery) == len(truth)
    for name in {*names, "i07", "i11"}:
        assert (gallery.number(name) >= 0) == (name in truth)
    query = unit(rng, 1)[0]
    for but in [None, *list(truth)[:2]]:
        found, scores = gallery.find(query, 20, -1 if but is None else gallery.number(but))
        assert sorted(map(gallery.name, found)) == sorted(set(truth) - {but})
        assert scores == sorted(scores, reverse=True)
        for number, score in zip(found, scores, strict=True):
            vector = truth[gallery.name(number)]
            assert np.array_equal(gallery.vector(number), vector)
            if kind == "exact":
                assert score == pytest.approx(float(vector @ query), abs=1e-6)
            else:
                binary = gallery.index.binary
                differ = sum(
                    int(word).bit_count() for word in (binary.encode(vector[None]) ^ binary.encode(query[None]))[0]
                )
                assert score == pytest.approx(1 - differ / 64)


def test_codes_load_as_they_were_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    vectors = unit(rng, 50)
    index = CodeIndex.of(np.arange(50, dtype=np.int32), vectors, 128)
    index.remove(np.array([3, 4], np.int32))
    index.add(np.array([60], np.int32), unit(rng, 1))
    index.save(tmp_path / "codes", "v")
    read = CodeIndex.load(tmp_path / "codes", "v")
    queries = unit(rng, 9)
    for one, two in zip(index.search(queries, 60), read.search(queries, 60), strict=True):
        assert np.array_equal(one, two)
    assert np.isnan(read.products(queries[0], np.array([3], np.int32))).all()
    best, scores = read.search(queries[:1], 5)
    assert np.array_equal(read.products(queries[0], best[0]), scores[0])
    with pytest.raises(BuildError, match="version"):
        CodeIndex.load(tmp_path / "codes", "w")


def entries(numbers: list[int], first: int = 0) -> list[Picture]:
    return [Picture(0, first + place, f"e{number}", b"", None) for place, number in enumerate(numbers)]


def test_a_journal_keeps_the_order_of_several_writers() -> None:
    store = MemoryStore()
    one, two = additions(store), additions(store)
    one.append(entries(list(range(700))))
    two.append(entries([1000], 700))
    one.append(entries([1001], 701))
    found, row = [], 0
    while True:
        part, after = additions(store).since(row)
        found += part
        if after == row:
            break
        row = after
    assert [int(entry.id[1:]) for entry in found] == [*range(700), 1000, 1001]
    assert additions(store).since(row) == ([], row)
