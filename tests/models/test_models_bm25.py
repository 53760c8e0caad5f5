"""BM25: against the library that indexes it, against the formula written plainly, and its tuning against a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.retrievers import BM25
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.bm25 import BM25Model
from bottega.models.interactions import Interactions
from bottega.models.making import make_retriever
from bottega.models.retrieving import retrieved
from bottega.testing.model_checks import RETRIEVER_CHECKS
from bottega.testing.model_examples import search_world

WORDS = ["tea", "cup", "green", "red", "pot", "milk"]
TEXTS = st.lists(st.sampled_from([*WORDS, "", "…"]), max_size=8).map(" ".join)
quick = settings(max_examples=80, deadline=None)


def catalogue(texts: Sequence[str | None], asked: Sequence[tuple[str, int]] = ()) -> Interactions:
    """Documents named by their place, and pairs of a question and a document that is right for it."""
    ids = [f"{place:04}" for place in range(len(texts))]
    log = Interactions.of([text for text, _ in asked], [ids[place] for _, place in asked], np.full(len(asked), -1))
    return log.with_catalogue(ids, {"text": texts}).asked_by("text")


def fitted(log: Interactions, **fields: Any) -> BM25Model:
    model = BM25Model(BM25(**{"query": "text", "over": ["text"], "language": None, **fields}))
    model.fit(log, 0)
    return model


def scores(model: BM25Model, text: Any) -> np.ndarray:
    return model.ask("", {"text": text}).of(np.arange(len(model.items), dtype=np.int32))


def naive(texts: Sequence[str], query: str, k1: float, b: float) -> list[float]:
    """The formula, word for word."""
    parts = [[word for word in text.split() if word != "…"] for text in texts]
    mean = sum(map(len, parts)) / len(parts)
    found = []
    for part in parts:
        total = 0.0
        for word in (word for word in query.split() if word != "…"):
            having = sum(word in other for other in parts)
            idf = math.log(1 + (len(parts) - having + 0.5) / (having + 0.5))
            times = part.count(word)
            total += idf * times / (times + k1 * (1 - b + b * len(part) / mean)) if times else 0.0
        found.append(total)
    return found


@given(st.lists(TEXTS, min_size=1, max_size=9).filter(lambda texts: any(set(WORDS) & set(t.split()) for t in texts)),
       TEXTS, st.sampled_from([0.0, 0.6, 1.5, 10.0]), st.sampled_from([0.0, 0.4, 1.0]))  # fmt: skip
@quick
def test_bm25_is_its_formula(texts: list[str], query: str, k1: float, b: float) -> None:
    model = fitted(catalogue(texts), k1=k1, b=b)
    np.testing.assert_allclose(scores(model, query), naive(texts, query, k1, b), rtol=1e-5, atol=1e-6)


def test_lists_are_those_of_the_library() -> None:
    import bm25s

    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, 301)
    vocabulary = [f"word{n}" for n in range(300)]
    draw = lambda size: " ".join(rng.choice(vocabulary, size, p=chance / chance.sum()))  # noqa: E731
    texts, asked = [draw(rng.integers(3, 60)) for _ in range(400)], [draw(6) for _ in range(50)]
    model = fitted(catalogue(texts), k1=1.2, b=0.75)
    other = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    other.index(bm25s.tokenize(texts, stopwords=[], show_progress=False), show_progress=False)
    words = bm25s.tokenize(asked, stopwords=[], show_progress=False, return_ids=False)
    right, found = other.retrieve(words, k=20, show_progress=False)
    codes, ours = retrieved(model, asked, 20, requests=[{"text": text} for text in asked])
    np.testing.assert_allclose(ours, found, rtol=1e-5)
    for mine, theirs, values in zip(codes, right, found, strict=True):
        sure = values > values[-1] * (1 + 1e-5)  # at equal scores the library takes any
        assert set(mine[sure]) == set(theirs[sure])


def test_a_word_asked_twice_counts_twice() -> None:
    model = fitted(catalogue(["tea cup", "cup"]), k1=1.0, b=0.0)
    np.testing.assert_allclose(scores(model, "tea tea"), 2 * scores(model, "tea"), rtol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "…", None, "unheard of", "the", "\x00", "🦕", "the " * 10_000])
def test_what_says_nothing_finds_nothing(text: str | None) -> None:
    model = fitted(catalogue(["the tea", "the cup", None]), language="english")
    assert not scores(model, text).any()
    assert model.ask("", {"text": text}).best(5).tolist() == []
    assert model.ask("", {}).best(5).tolist() == []


def test_a_number_is_read_as_a_text() -> None:
    assert scores(fitted(catalogue(["route 66", "route"])), 66)[0] > 0


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("english", "The cats were running", "cat runs"),
        ("german", "Die Häuser der Städte", "Haus"),
        ("french", "Les théières vertes", "théière verte"),
        ("russian", "чайные чашки", "чашка"),
        ("finnish", "talossa on teetä", "talo"),
        (None, "日本茶を飲む", "茶"),
        (None, "ชาเขียว", "ชา"),
        (None, "STRASSE", "Straße"),
        (None, "cafe\u0301", "café"),
    ],
)
def test_languages(language: str | None, text: str, query: str) -> None:
    model = fitted(catalogue([text, "something else"]), language=language)
    found = scores(model, query)
    assert found[0] > 0
    assert found[1] == 0


def test_columns_are_read_one_after_the_other_and_nulls_are_empty() -> None:
    ids = ["a", "b", "c"]
    columns = {"title": ["tea", None, None], "text": ["pot", "tea pot", None]}
    log = Interactions.of([], [], np.zeros(0, np.int64)).with_catalogue(ids, columns).asked_by("text")
    both = fitted(log, over=["title", "text"], k1=1.2, b=0.75)
    np.testing.assert_allclose(
        scores(both, "tea pot"), naive(["tea pot", "tea pot", ""], "tea pot", 1.2, 0.75), rtol=1e-5
    )


def ndcg(found: Sequence[float], right: set[int], k: int = 10) -> float:
    order = [place for place in sorted(range(len(found)), key=lambda place: (-found[place], place)) if found[place] > 0]
    gain = sum(1 / math.log2(at + 2) for at, place in enumerate(order[:k]) if place in right)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(k, len(right))))


def judged_texts() -> tuple[list[str], list[tuple[str, int]]]:
    """Texts in which length says something: right are short ones, so that b matters."""
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 30), p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])) for _ in range(60)]
    asked = []
    for question in ("tea milk", "red pot", "green", "cup pot tea", "milk pot", "red red cup"):
        words = set(question.split())
        having = [place for place, text in enumerate(texts) if words & set(text.split())]
        asked += [(question, place) for place in sorted(having, key=lambda place: len(texts[place]))[:3]]
    return texts, asked


@pytest.mark.parametrize("fixed", [{}, {"k1": 0.7}, {"b": 0.2}])
def test_tuning_takes_the_best_of_its_grid(fixed: dict[str, float]) -> None:
    texts, asked = judged_texts()
    model = fitted(catalogue(texts, asked), **fixed)
    right: dict[str, set[int]] = {}
    for question, place in asked:
        right.setdefault(question, set()).add(place)
    seen = {}
    for told, value in model.tuned.items():
        k1, b = (float(part.split("=")[1]) for part in told.split())
        each = [ndcg(naive(texts, question, k1, b), mine) for question, mine in right.items()]
        seen[k1, b] = sum(each) / len(each)
        assert value == pytest.approx(seen[k1, b], abs=1e-5)
    assert seen[model.k1, model.b] == pytest.approx(max(seen.values()), abs=1e-5)
    assert {"k1": model.k1, "b": model.b} | fixed == {"k1": model.k1, "b": model.b}
    assert len(seen) == {(): 8, ("k1",): 4, ("b",): 5}[tuple(fixed)]
    np.testing.assert_allclose(scores(model, "tea pot"), naive(texts, "tea pot", model.k1, model.b), rtol=1e-5)


def test_nothing_is_tuned_where_nothing_is_judged_or_people_are_no_questions() -> None:
    texts, asked = judged_texts()
    assert (fitted(catalogue(texts)).k1, fitted(catalogue(texts)).b) == (1.5, 0.75)
    people = catalogue(texts, asked).asked_by("customer")
    assert fitted(people).tuned == {}
    assert fitted(catalogue(texts, asked), k1=1.0, b=0.5).tuned == {}


def test_questions_that_are_tuned_on_may_say_nothing() -> None:
    model = fitted(catalogue(["tea", "cup"], [("…", 0), ("unheard", 1)]))
    assert (model.k1, model.b) == (0.6, 0.3)  # the first of equals
    assert set(model.tuned.values()) == {0.0}


def test_many_texts_are_tuned_among_some_with_all_that_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from bottega.models import bm25

    monkeypatch.setattr(bm25, "_AMONG", 20)
    monkeypatch.setattr(bm25, "_TUNED_ON", 4)
    texts, asked = judged_texts()
    model = fitted(catalogue(texts, asked))
    assert len(model.items) == len(texts)
    assert max(model.tuned.values()) > 0
    np.testing.assert_allclose(scores(model, "tea pot"), naive(texts, "tea pot", model.k1, model.b), rtol=1e-5)


def test_what_was_tuned_reads_back(tmp_path: Path) -> None:
    model = fitted(catalogue(*judged_texts()))
    model.save(tmp_path / "model")
    read = BM25Model.load(tmp_path / "model", model.setting)
    assert (read.k1, read.b, read.tuned) == (model.k1, model.b, model.tuned)
    for name in ("words.arrow", "word_weight.npy", "bm25.json"):
        path = tmp_path / "model" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BuildError, match=name):
            BM25Model.load(tmp_path / "model", model.setting)
        path.write_bytes(whole)


def test_refusals() -> None:
    with pytest.raises(DataError, match="no word in text of 2"):
        fitted(catalogue(["", None]))
    with pytest.raises(DataError, match="no column 'titel'"):
        fitted(catalogue(["tea"]), over=["titel"])
    with pytest.raises(DesignError, match="english"):
        fitted(catalogue(["tea"]), language="englisch")
    with pytest.raises(DesignError, match="over"):
        BM25(query="text", over=[])
    with pytest.raises(DesignError, match="k1"):
        BM25(query="text", over=["text"], k1=-1.0)


SETTINGS = [BM25(query="text", over=["title", "text"]), BM25("text", ["text"], k1=0.0, b=0.2, language=None)]


@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_contract(setting: BM25, check: Any) -> None:
    check(lambda: make_retriever(setting), search_world)
