"""What arrives while retrievers answer: against the events followed from the start, and against formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_following import DAY, ITEMS, SETTINGS, naive, worlds

from bottega.design.retrievers import BM25, TextSimilarity
from bottega.models.arriving import Arrived
from bottega.models.bm25 import BM25Model
from bottega.models.interactions import NEVER, Interactions
from bottega.models.making import make_retriever
from bottega.models.text_similarity import TextSimilarityModel


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 100 * DAY), st.integers(1, 3))
def test_what_arrives_counts_as_if_it_had_been_followed(setting: Any, world: Any, at: int, steps: int) -> None:
    rows, listed = world
    past = [row for row in rows if row[2] < at and row[3] <= at]
    later = sorted((row for row in rows if row not in past), key=lambda row: max(row[2] + 1, row[3]))
    if not past:
        return
    log = Interactions.of([row[0] for row in past], [row[1] for row in past], [row[2] for row in past])
    early = {item: since for item, since in listed.items() if since < at}
    model: Any = make_retriever(setting)
    model.fit(log.with_catalogue(list(early), {}, list(early.values())) if early else log, at)
    names = model.items.to_pylist()
    before = model.ask("p", {}).scores.tolist()
    for part in np.array_split(np.arange(len(later)), steps):
        took = [later[row] for row in part.tolist()]
        new = list(dict.fromkeys(row[1] for row in took if row[1] not in names))
        since = np.array([listed.get(name, NEVER) for name in new], np.int64)
        first, names = len(names), names + new
        item = np.array([names.index(row[1]) for row in took], np.int32)
        model = model.with_arrived(Arrived(first, new, {}, since, item, np.array([row[2] for row in took], np.int64)))
    found = dict(zip(names, model.ask("p", {}).scores.tolist(), strict=True))
    seen = {item: since for item, since in listed.items() if item in names}
    right = naive(setting, [(*row[:3], row[2]) for row in rows], seen, 10**4 * DAY)
    np.testing.assert_allclose([found.get(item, 0.0) for item in ITEMS], right, rtol=1e-5, atol=1e-36)
    assert len(before) <= len(found)


WORDS = ["tea", "cup", "red", "pot", "new", "blue"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.lists(TEXTS | st.none(), max_size=5), TEXTS, st.integers(1, 2))
def test_bm25_weighs_new_texts_by_the_words_it_learnt(
    known: list[str], new: list[str | None], query: str, steps: int
) -> None:
    if not any(known):
        return
    log = Interactions.of([], [], np.zeros(0, np.int64)).with_catalogue(
        [f"{n:03}" for n in range(len(known))], {"text": known}
    )
    model = now = BM25Model(BM25(query="text", over=["text"], k1=1.2, b=0.75, language=None))
    model.fit(log, 0)
    first = len(known)
    for part in np.array_split(np.arange(len(new)), steps):
        names = [f"new {row}" for row in part]
        texts = [new[row] for row in part.tolist()]
        now = now.with_arrived(Arrived(first, names, {"text": texts}, np.zeros(len(part), np.int64)))
        first += len(part)
    scores = now.ask("", {"text": query}).of(np.arange(first, dtype=np.int32))
    np.testing.assert_array_equal(scores[: len(known)], model.ask("", {"text": query}).of(np.arange(len(known))))
    mean = sum(len(text.split()) for text in known) / len(known)
    for place, text in enumerate(new, len(known)):
        assert scores[place] == pytest.approx(_formula(known, (text or "").split(), query, mean), rel=1e-5)


def _formula(known: Sequence[str], words: Sequence[str], query: str, mean: float) -> float:
    total = 0.0
    for word in query.split():
        having = max(1, sum(word in text.split() for text in known))  # a word that nobody had is as rare as one's own
        rarity, times = math.log(1 + (len(known) - having + 0.5) / (having + 0.5)), words.count(word)
        total += rarity * times / (times + 1.2 * (0.25 + 0.75 * len(words) / mean)) if times else 0.0
    return total


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS.filter(bool), min_size=2, max_size=6, unique=True), st.data())
def test_an_item_that_says_the_same_is_as_similar(known: list[str], data: st.DataObject) -> None:
    rows = [(f"p{n % 3}", f"{n:03}", text) for n, text in enumerate(known)]
    who, what, said = map(list, zip(*rows, strict=True))
    log = Interactions.of(who, what, np.arange(len(rows)), {"name": said})
    model = now = TextSimilarityModel(TextSimilarity("name"))
    model.fit(log, 10**6)
    copied = data.draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=4))
    for step, place in enumerate(copied):
        texts = {"name": [known[place], "unheard", None]}
        names = [f"new-{step}-{n}" for n in range(3)]
        now = now.with_arrived(Arrived(len(known) + 3 * step, names, texts, np.zeros(3, np.int64)))
    for person in ("p0", "p1", "p2", "nobody"):
        scores = now.person_scores(person)
        np.testing.assert_allclose(scores[: len(known)], model.person_scores(person), rtol=1e-6)
        for step, place in enumerate(copied):
            assert scores[len(known) + 3 * step] == pytest.approx(scores[place], rel=1e-5)
            assert not scores[len(known) + 3 * step + 1 : len(known) + 3 * step + 3].any()
