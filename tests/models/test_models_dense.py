"""Dense: what it finds is what the encoder's own vectors say, computed plainly; it keeps its encoder, and grows."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_encoders import SENTENCES, SIZE, graph_folder, static_folder

from bottega.design.indexes import Index
from bottega.design.retrievers import Dense
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.arriving import Arrived
from bottega.models.dense import DenseModel, encoder_hash
from bottega.models.interactions import Interactions
from bottega.models.making import make_retriever
from bottega.models.retrieving import retrieved, scores_of
from bottega.models.texts.opening import open_encoder
from bottega.testing.model_checks import RETRIEVER_CHECKS
from bottega.testing.model_examples import search_world

MISSING = [name for name in ("onnx", "onnxruntime", "tokenizers", "safetensors") if find_spec(name) is None]
needs_texts = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (bottega[texts])")
NOBODY = np.zeros(0, np.int64)


def catalogue(texts: list[str | None], ids: list[str] | None = None) -> Interactions:
    names = ids or [f"{place:03}" for place in range(len(texts))]
    return Interactions.of([], [], NOBODY).with_catalogue(names, {"text": texts}).asked_by("text")


def fitted(texts: list[str | None], **fields: Any) -> DenseModel:
    model = DenseModel(Dense(**{"query": "text", "over": ["text"], **fields}))
    model.fit(catalogue(texts), 0)
    return model


def scores(model: DenseModel, text: Any) -> np.ndarray:
    return scores_of(model, [""], [{"text": text}])[0]


CONTRACT = [
    Dense("text", ["title", "text"], size=16),
    Dense("text", ["text"], size=500, language=None, index=Index("exact"), unseen=5),
]


@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", CONTRACT, ids=repr)
def test_contract(setting: Dense, check: Any) -> None:
    check(lambda: make_retriever(setting), search_world)


@needs_texts
@pytest.mark.parametrize("check", RETRIEVER_CHECKS[:-1], ids=lambda check: check.__name__)
def test_contract_with_a_graph(tmp_path: Path, check: Any) -> None:
    """All of it but `check_finds_what_comes`: the graph has learnt nothing."""
    graph_folder(tmp_path / "e")
    check(lambda: make_retriever(Dense("text", ["title", "text"], encoder=str(tmp_path / "e"))), search_world)


@needs_texts
@pytest.mark.parametrize("form", ["model2vec", "sentence-transformers"])
def test_lists_are_those_of_static_vectors(tmp_path: Path, form: str) -> None:
    static_folder(tmp_path / "e", form)
    texts = [text or "" for text in search_world().log.newest("text").to_pylist()]
    asked = ["cat1 cat2", "tea5 gen3", "rare17"]
    codes, found = retrieved(
        fitted(list(texts), encoder=str(tmp_path / "e")), asked, 5, requests=[{"text": text} for text in asked]
    )
    encoder = open_encoder(tmp_path / "e")
    products = encoder.encode(asked) @ encoder.encode(texts).T
    best = np.maximum(-np.sort(-products, axis=1)[:, :5], 0)
    np.testing.assert_allclose(found, best, atol=1e-5)
    assert ((codes >= 0) == (best > 0)).all()


@needs_texts
def test_scores_are_products_and_what_is_below_is_no_evidence(tmp_path: Path) -> None:
    graph_folder(tmp_path / "e")
    model = fitted([*SENTENCES, None, " "], encoder=str(tmp_path / "e"))
    encoder = open_encoder(tmp_path / "e")
    for query in ("the cat", "protein cells", "9 日本"):
        right = np.zeros(len(SENTENCES) + 2)
        right[: len(SENTENCES)] = encoder.encode(SENTENCES) @ encoder.encode([query])[0]
        np.testing.assert_allclose(scores(model, query), right, atol=1e-5)
        best = model.ask("", {"text": query}).best(99)
        assert best.tolist() == [place for place in np.argsort(-right, kind="stable") if right[place] > 0]
    assert model.facts["encoder"]["size"] == SIZE
    assert model.facts["index"]["recall"]["value"] == 1


@needs_texts
def test_what_rounding_leaves_of_nothing_is_no_evidence() -> None:
    """Texts without a word in common with the request, nor with those that have one, are not brought."""
    for seed in range(20):
        draw = np.random.default_rng(seed)
        words = [["cat", "dog", "sun", "moon"], ["tree", "fish", "bird", "stone"]]
        model = fitted([" ".join(draw.choice(words[place % 2], 4)) for place in range(5)])
        evidence = model.ask("", {"text": "cat dog sun moon"})
        assert set(evidence.best(5).tolist()) <= {0, 2, 4}
        assert evidence.of(np.array([1, 3], np.int32)).tolist() == [0, 0]
        assert (evidence.of(np.array([0, 2, 4], np.int32)) > 0).any()


def test_prompts_are_the_folders_unless_the_design_says_others(tmp_path: Path) -> None:
    said = {"prompts": {"query": "the dogs ", "document": "in the park: "}}
    graph_folder(tmp_path / "e", files={"config_sentence_transformers.json": said})
    encoder = open_encoder(tmp_path / "e")
    for fields, query, text in [
        ({}, "the dogs ", "in the park: "),
        ({"query_prefix": "mice ", "text_prefix": ""}, "mice ", ""),
    ]:
        model = fitted(list(SENTENCES), encoder=str(tmp_path / "e"), **fields)
        texts = encoder.encode([text + one for one in SENTENCES])
        right = texts @ encoder.encode([query + "cat"])[0]
        np.testing.assert_allclose(scores(model, "cat"), right, atol=1e-5)


@needs_texts
def test_the_design_says_how_tokens_are_pooled_and_where_a_text_ends(tmp_path: Path) -> None:
    graph_folder(tmp_path / "e", pooling={"pooling_mode": "mean"})
    for pooling, way in (("auto", "mean"), ("cls", "cls"), ("last", "lasttoken")):
        model = fitted(list(SENTENCES), encoder=str(tmp_path / "e"), pooling=pooling, longest=8)
        encoder = open_encoder(tmp_path / "e", way, 8)
        np.testing.assert_allclose(
            scores(model, "cat"), encoder.encode(SENTENCES) @ encoder.encode(["cat"])[0], atol=1e-5
        )


@needs_texts
@pytest.mark.parametrize("text", ["", "  ", None, "\x00", "🦕" * 5000, 9])
def test_odd_requests_have_answers(tmp_path: Path, text: Any) -> None:
    graph_folder(tmp_path / "e")
    for encoder in (None, str(tmp_path / "e")):
        model = fitted(list(SENTENCES), encoder=encoder)
        assert np.isfinite(scores(model, text)).all()
        if text is None or (isinstance(text, str) and not text.strip()):
            assert model.ask("", {"text": text}).best(5).tolist() == []
        assert model.ask("", {}).best(5).tolist() == []


@needs_texts
def test_a_model_needs_no_other_folder(tmp_path: Path) -> None:
    graph_folder(tmp_path / "e", at="onnx/model.onnx")
    model = fitted(list(SENTENCES), encoder=str(tmp_path / "e"))
    right = scores(model, "the cat")
    model.save(tmp_path / "model")
    (tmp_path / "e").rename(tmp_path / "elsewhere")
    read = DenseModel.load(tmp_path / "model", model.setting)
    assert np.array_equal(scores(read, "the cat"), right)
    assert read.facts == model.facts
    assert (
        json.loads((tmp_path / "model" / "dense.json").read_text())["encoder"]["hash"] == model.facts["encoder"]["hash"]
    )
    settings_of = tmp_path / "model" / "encoder" / "tokenizer.json"
    settings_of.write_text(settings_of.read_text().replace('"cat"', '"tac"'))
    with pytest.raises(BuildError, match="version"):
        DenseModel.load(tmp_path / "model", model.setting)
    with pytest.raises(BuildError, match="no such folder"):
        DenseModel(model.setting).fit(catalogue(list(SENTENCES)), 0)


@needs_texts
def test_an_encoder_is_known_by_its_files_and_not_by_its_path(tmp_path: Path) -> None:
    graph_folder(tmp_path / "e")
    setting = Dense("text", ["text"], encoder=str(tmp_path / "e"))
    first = encoder_hash(setting)
    (tmp_path / "e").rename(tmp_path / "f")
    assert encoder_hash(Dense("text", ["text"], encoder=str(tmp_path / "f"))) == first
    graph_folder(tmp_path / "e", parts=False)
    assert encoder_hash(setting) != first
    assert encoder_hash(Dense("text", ["text"])) is None


TEXT = st.one_of(st.none(), st.lists(st.sampled_from(["tea", "cup", "red", "pot", "…"]), max_size=4).map(" ".join))
NEW = st.lists(TEXT, max_size=5)


@given(NEW, NEW)
@settings(max_examples=40, deadline=None)
def test_new_items_are_found_as_if_they_had_been_there(first: list[Any], second: list[Any]) -> None:
    """Against the products with the vectors that the same encoder gives their texts."""
    every: list[str | None] = ["red tea pot", "tea", "cup cup red", "pot"]
    log = Interactions.of(["red"], ["002"], [-1]).with_catalogue([f"{n:03}" for n in range(4)], {"text": every})
    model = now = DenseModel(Dense(query="text", over=["text"], size=3))
    model.fit(log.asked_by("text"), 0)
    for came in (first, second):
        names = [f"new {len(every) + n}" for n in range(len(came))]
        now = now.with_arrived(Arrived(len(every), names, {"text": came}, np.zeros(len(came), np.int64)))
        every += came
    encoder = model.encoder
    query = encoder.encode(["red pot"])[0]
    right = np.array([encoder.encode([text or ""])[0] @ query for text in every])
    asked = now.ask("", {"text": "red pot"})
    np.testing.assert_allclose(asked.of(np.arange(len(every), dtype=np.int32)), right, atol=1e-5)
    found = asked.best(3)
    assert (right[found] > 0).all()
    np.testing.assert_allclose(right[found], np.sort(right[right > 1e-6])[::-1][:3], atol=1e-5)
    assert 2 not in asked.best(9, now.history.of_person("red")[0]).tolist()
    assert max(model.ask("", {"text": "red pot"}).best(99)) < 4


def test_an_index_of_another_kind_finds_the_same_at_full_recall() -> None:
    pytest.importorskip("faiss", reason="not installed: faiss (bottega[vectors])")
    rng = np.random.default_rng(0)
    texts: list[str | None] = [" ".join(f"word{n}" for n in rng.integers(0, 80, 8)) for _ in range(3000)]
    exact, other = (fitted(texts, size=16, index=Index(kind, recall=0.99)) for kind in ("exact", "hnsw"))
    asked = [f"word{n} word{n + 7}" for n in range(60)]
    lists = [retrieved(one, asked, 10, requests=[{"text": text} for text in asked]) for one in (exact, other)]
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(lists[0][0], lists[1][0], strict=True)])
    assert same >= 0.9
    assert other.facts["index"]["built"] == "hnsw"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text in text of 2"):
        fitted(["", None])
    with pytest.raises(DataError, match="no word"):
        fitted(["…", None])
    with pytest.raises(BuildError, match="nothing is downloaded"):
        fitted(["tea"], encoder=str(tmp_path / "none"))
    for fields in ({"over": []}, {"size": 0}, {"longest": 1}, {"batch": 0}, {"k": 0}):
        with pytest.raises(DesignError, match=next(iter(fields))):
            fitted(["tea"], **fields)
