"""Texts by place: the same as the texts themselves, each made once, remembered up to a bound."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.features.codebook import Codebook
from bottega.features.frame import category, codes, dictionary, objects, taken, text
from bottega.features.hashing import cross, hashes
from bottega.features.matrix import coded
from bottega.features.vocabulary import Vocabulary
from bottega.features.words import Known, TextColumn, Words

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


def lengths(texts: Sequence[str | None]) -> np.ndarray:
    return np.array([-1 if text is None else len(text) for text in texts])


@given(st.lists(st.lists(TEXTS, max_size=8), max_size=8), st.integers(1, 12))
def test_columns_say_what_was_asked_however_little_is_remembered(requests: list[list[str | None]], most: int) -> None:
    known, held = Known(most), []
    for asked in requests:
        column = known.column(asked)
        held.append((asked, column))
        assert len(column.words.texts) <= most + max(map(len, requests)) + 1
        assert len(set(column.words.texts)) == len(column.words.texts)
        for before, its in held:  # columns that are on their way stay what they were
            assert objects(its).tolist() == before
            assert its.of(lengths).tolist() == lengths(before).tolist()


@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8))
def test_texts_by_place_are_read_as_dictionaries_of_a_batch_are(first: list[Any], asked: list[Any]) -> None:
    known = Known()
    known.column(first)
    for column in (known.column(asked), TextColumn.over(asked)):
        right = text(pa.array(asked, pa.string()))
        assert len(column) == len(asked)
        assert objects(column).tolist() == objects(right).tolist() == asked
        assert dictionary(column).to_pylist() == asked
        assert category(column) is column
        assert hashes(column).tolist() == hashes(right).tolist()
        assert cross(column, right, 100).tolist() == cross(right, right, 100).tolist()
        assert [None if code < 0 else column.words.texts[code + 1] for code in codes(column).tolist()] == asked
        for coding in (Vocabulary(first), Codebook.learn(first, own_from=2, hashed=5)):
            assert coded(column, coding).tolist() == coded(right, coding).tolist() == coding.codes(asked).tolist()
        back = np.arange(len(asked))[::-1]
        assert objects(taken(column, back)).tolist() == asked[::-1]
        assert objects(column[1:]).tolist() == asked[1:]


def test_each_text_is_made_once() -> None:
    told: list[str | None] = []

    def make(texts: list[str | None]) -> np.ndarray:
        told.extend(texts)
        return lengths(texts)

    known = Known()
    for asked in (["a", "bb"], ["bb", None, "ccc"], ["a"], ["dddd", "dddd"]):
        assert known.column(asked).of(make).tolist() == lengths(asked).tolist()
    assert told == [None, "a", "bb", "ccc", "dddd"]


def test_what_is_no_text_leaves_nothing_behind() -> None:
    known = Known()
    with pytest.raises(UnicodeEncodeError):
        known.column(["a", "\ud800"])
    assert known.column(["b", "a"]).of(lengths).tolist() == [1, 1]
    assert "\ud800" not in known.column([]).words.texts


def test_long_texts_do_not_fill_the_memory() -> None:
    known = Known()
    for number in range(40):
        column = known.column([f"{number}{'x' * 2**19}"])
        assert sum(len(text or "") for text in column.words.texts) < 2**24
        assert objects(column).tolist()[0].startswith(str(number))


def test_threads_share_words() -> None:
    known, words = Known(most=50), Words(["a", "b"])
    faults: list[Any] = []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            asked = [f"{'x' * int(number % 7)}{number}" for number in rng.integers(0, 200, 20)]
            if known.column(asked).of(lengths).tolist() != lengths(asked).tolist():
                faults.append(asked)
            if words.made(lengths).tolist() != [-1, 1, 1]:
                faults.append(words.texts)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
