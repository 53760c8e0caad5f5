"""Words, TF-IDF and TextSimilarity: against scikit-learn, and against plain Python on generated logs."""

from __future__ import annotations

from pathlib import Path

import model_oracles as oracles
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from bottega.design.retrievers import TextSimilarity
from bottega.errors import DataError
from bottega.models.interactions import Interactions
from bottega.models.retrieving import both_lists
from bottega.models.text_similarity import TextSimilarityModel
from bottega.models.words import tf_idf, words

DAY = 86_400_000_000
AT = 20 * DAY
TEXTS = st.one_of(
    st.none(), st.lists(st.sampled_from(["Red", "red", "cup,", "T-2", "_", "!"]), max_size=5).map(" ".join)
)
NAMES = st.sampled_from(["a", "b", "é", "9"])
ROWS = st.lists(st.tuples(NAMES, NAMES, st.integers(0, 25).map(lambda day: day * DAY), TEXTS), min_size=1, max_size=30)
LOGS = ROWS.filter(lambda rows: any(row[2] < AT for row in rows))
quick = settings(max_examples=60, deadline=None)


def log_of(rows: list[tuple[str, str, int, str | None]]) -> Interactions:
    person, item, time, text = zip(*rows, strict=True)
    return Interactions.of(person, item, time, {"name": pa.array(text, pa.string())})


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("RED RETROSPOT  CUP, 3pcs.", ["red", "retrospot", "cup", "3pcs"]),
        ("blue_cup\tn°5", ["blue", "cup", "n", "5"]),
        ("Tasse à Thé", ["tasse", "à", "thé"]),
        ("Tasse a\u0300 The\u0301", ["tasse", "à", "thé"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Чайная ЧАШКА", ["чайная", "чашка"]),
        ("चाय का प्याला", ["चाय", "का", "प्याला"]),
        ("كوب شاي", ["كوب", "شاي"]),
        ("日本茶set", ["日", "本", "茶", "set"]),
        ("ﾃｨｰ", ["テ", "ィ", "ー"]),
        (" … !? _ ", []),
    ],
)
def test_words(text: str, right: list[str]) -> None:
    assert words(text) == right


@given(st.lists(st.text("abC1 ,-_", max_size=12), min_size=1, max_size=12))
@quick
def test_tf_idf_is_that_of_scikit_learn(texts: list[str]) -> None:
    found = tf_idf(texts)
    dense = np.zeros((len(texts), len(found.words)))
    row = np.repeat(np.arange(len(texts)), np.diff(found.start))
    if len(found.words):
        np.add.at(dense, (row, found.word), found.weight)
    if not any(words(text) for text in texts):
        assert len(found.words) == 0
        assert not found.weight.any()
        return
    other = TfidfVectorizer(sublinear_tf=True, token_pattern="[A-Za-z0-9]+")
    right = other.fit_transform(texts).toarray()
    assert found.words.to_pylist() == other.get_feature_names_out().tolist()
    np.testing.assert_allclose(dense, right, atol=1e-6)


@given(LOGS, st.sampled_from([None, 10]))
@quick
def test_text_similarity(rows: list[tuple[str, str, int, str | None]], days: int | None) -> None:
    expected = oracles.text_similarity(rows, AT, None if days is None else days * DAY)
    model = TextSimilarityModel(TextSimilarity(column="name", half_life=None if days is None else f"{days}d"))
    model.fit(log_of(rows), AT)
    names = model.items.to_pylist()
    for person in ["a", "b", "é", "9", "a stranger"]:
        right = expected.get(person, {})
        np.testing.assert_allclose(model.person_scores(person), [right.get(name, 0.0) for name in names], atol=1e-6)


def test_it_finds_what_nobody_took_together(tmp_path: Path) -> None:
    log = Interactions.of(
        ["ann", "bob", "cid"], ["1", "2", "3"], [1, 2, 3], {"name": ["blue tea cup", "tea cup red", "umbrella"]}
    )
    model = TextSimilarityModel(TextSimilarity(column="name"))
    model.fit(log, 9)
    assert both_lists(model, ["ann"], [{}] * len(["ann"]), 3, 2).tolist() == [[0, 1, -1, 1, -1]]
    model.save(tmp_path / "model")
    read = TextSimilarityModel.load(tmp_path / "model", model.setting)
    assert read.vectors.words.to_pylist() == ["blue", "cup", "red", "tea", "umbrella"]
    assert np.array_equal(read.scores(log.people), model.scores(log.people))


def test_a_log_without_the_column_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'name'"):
        TextSimilarityModel(TextSimilarity(column="name")).fit(Interactions.of(["ann"], ["tea"], [1]), 9)
