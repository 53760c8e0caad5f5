"""Codebooks: codes by a plain definition, the same on every path, collisions as counted by hand, and files."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.errors import DataError, ServeError
from bottega.features import codebook
from bottega.features.codebook import Codebook, load_coding, unseen
from bottega.features.frame import Frame, Values
from bottega.features.hashing import hashes
from bottega.features.matrix import matrix
from bottega.features.vocabulary import Vocabulary

WORDS = st.sampled_from(["a", "b", "c", "d", "ä", "", "own", "日本", "long" * 40])
COLUMNS = st.lists(st.one_of(st.none(), WORDS), max_size=60)


def plain(learnt, asked, own_from, hashed):
    """The definition, a row at a time."""
    rows = Counter(value for value in learnt if value is not None)
    own = sorted(value for value in rows if rows[value] >= own_from)
    codes = []
    for value in asked:
        if value is None:
            codes.append(-1)
        else:
            codes.append(own.index(value) if value in own else len(own) + int(hashes([value])[0]) % hashed)
    return codes


@given(COLUMNS, COLUMNS, st.integers(1, 5), st.integers(1, 20))
def test_codes_are_those_of_the_definition(learnt, asked, own_from, hashed):
    book = Codebook.learn(learnt, own_from, hashed)
    right = plain(learnt, asked, own_from, hashed)
    column = pa.array(asked, pa.string())
    for form in (asked, np.array(asked, object), column, pa.chunked_array([column]), column.dictionary_encode()):
        codes = book.codes(form)
        assert codes.dtype == np.int32
        assert codes.tolist() == right
    assert max(right, default=-1) < len(book)
    shuffled = [learnt[place] for place in np.random.default_rng(0).permutation(len(learnt))]
    for form in (shuffled, pa.array(learnt, pa.string()).dictionary_encode()):
        assert Codebook.learn(form, own_from, hashed) == book


@given(COLUMNS, st.integers(1, 5), st.integers(1, 20))
def test_the_spread_is_counted_by_hand(learnt, own_from, hashed):
    spread = Codebook.learn(learnt, own_from, hashed).spread
    rows = Counter(value for value in learnt if value is not None)
    rare = {value: plain(learnt, [value], own_from, hashed)[0] for value in rows if rows[value] < own_from}
    shared = [value for value in rare if Counter(rare.values())[rare[value]] > 1]
    assert (spread.distinct, spread.own, spread.codes) == (len(rows), len(rows) - len(rare), hashed)
    assert spread.shared_values == pytest.approx(len(shared) / max(len(rare), 1))
    assert spread.shared_rows == pytest.approx(sum(rows[value] for value in shared) / max(sum(rows.values()), 1))
    assert spread.expected == pytest.approx(1 - math.exp(-len(rare) / hashed))


def test_the_measured_collisions_are_those_of_chance():
    spread = Codebook.learn([f"user{number}" for number in range(40_000)], 2, 2**16).spread
    assert spread.expected == pytest.approx(0.457, abs=0.001)
    assert abs(spread.shared_values - spread.expected) < 0.015  # six standard errors


def test_many_rows_have_the_codes_of_few():
    texts = [f"t{number % 300}" for number in range(20_000)] + [None, "never seen"]
    book = Codebook.learn([*texts[:15_000], "once", "twice"], 50, 64)
    few = np.concatenate([book.codes(texts[at : at + 1000]) for at in range(0, len(texts), 1000)])
    column = pa.array(texts)
    for form in (texts, np.array(texts, object), column, pa.chunked_array([column[:7], column[7:]])):
        np.testing.assert_array_equal(book.codes(form), few)
    np.testing.assert_array_equal(book.codes(column.dictionary_encode()), few)
    assert few[-2] == -1
    assert few[-1] >= len(book.own)


def test_a_dictionary_counts_what_occurs_and_a_text_that_stands_twice_once():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 2, 2, 1, None], pa.int32()), pa.array(["a", "b", "a", "c"]))
    book = Codebook.learn(column, 2, 8)
    assert book.own == ("a",)
    assert book.spread.distinct == 2
    assert book.codes(column)[:3].tolist() == [0, 0, 0]


def test_the_memory_of_rare_texts_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(codebook, "_KNOWN", 5)
    book = Codebook.learn(["a", "a"], 2, 1000)
    texts = [f"t{number % 50}" for number in range(200)]
    assert book.codes(texts).tolist() == plain(["a", "a"], texts, 2, 1000)
    assert len(book._known) <= 1 + 1 + 5


def test_more_codes_than_a_model_tells_apart_are_refused():
    with pytest.raises(DataError, match="16,777,216"):
        Codebook.learn(["a"], 1, 2**24)


def test_the_share_of_unseen_rows():
    values = ["a", "b", "a", "c", None, "c", "b"]
    learnt = np.array([1, 1, 0, 0, 0, 0, 0], bool)
    assert unseen(values, learnt, ~learnt) == pytest.approx(2 / 4)
    assert unseen(pa.array(values).dictionary_encode(), learnt, ~learnt) == pytest.approx(2 / 4)
    assert math.isnan(unseen(values, learnt, np.zeros(7, bool)))


def test_a_codebook_is_a_column_of_the_matrix():
    book = Codebook.learn(["a", "a", "b"], 2, 4)
    asked = pa.array(["a", None, "b", "z"]).dictionary_encode()
    frame = Frame({}, np.zeros(1, np.int64), np.zeros(4, np.int32), {})
    found = matrix(
        ["ad", "word"], Values({}, {"ad": asked, "word": asked}), frame, {"ad": book, "word": Vocabulary("ab")}
    )
    assert found[:, 0].tolist() == plain(["a", "a", "b"], asked.to_pylist(), 2, 4)
    assert found[:, 1].tolist() == [0, -1, 1, -1]


def test_a_codebook_is_saved_and_loaded(tmp_path):
    book = Codebook.learn(["b", "ä", "a\n\"'", "日本", "", "rare"] * 2 + ["once"], 2, 16)
    book.save(tmp_path / "c.json")
    loaded = load_coding(tmp_path / "c.json")
    assert loaded == book
    assert isinstance(loaded, Codebook)
    assert loaded.spread == book.spread
    Vocabulary(["own", "x"]).save(tmp_path / "v.json")
    assert load_coding(tmp_path / "v.json") == Vocabulary(["own", "x"])
    whole = (tmp_path / "c.json").read_text()
    for damage in [
        whole[:-9],
        '{"own": 3}',
        '{"own": ["b", "a"]}',
        whole.replace("16", "0"),
        whole.replace("16", '"x"'),
    ]:
        (tmp_path / "c.json").write_text(damage)
        with pytest.raises(ServeError, match=r"c\.json"):
            load_coding(tmp_path / "c.json")
    with pytest.raises(ServeError, match=r"none\.json"):
        load_coding(tmp_path / "none.json")
    with pytest.raises(ServeError, match=r"none\.json"):
        Codebook.load(tmp_path / "none.json")
