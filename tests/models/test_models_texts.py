"""Encoders of texts from folders: against plain NumPy of one text alone, and against sentence-transformers."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_encoders import ROOM, SENTENCES, SIZE, graph_folder, static_folder, tokenizer

from bottega.errors import BuildError
from bottega.models.texts.needed import needed
from bottega.models.texts.opening import open_encoder

MISSING = [name for name in ("onnx", "onnxruntime", "tokenizers", "safetensors") if find_spec(name) is None]
needs_texts = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (bottega[texts])")
LIBRARY = [name for name in ("torch", "sentence_transformers") if find_spec(name) is None]
needs_library = pytest.mark.skipif(bool(LIBRARY), reason=f"not installed: {', '.join(LIBRARY)} (bottega[sentences])")
POOLS = {
    "mean": lambda hidden: hidden.mean(axis=0),
    "cls": lambda hidden: hidden[0],
    "lasttoken": lambda hidden: hidden[-1],
    "max": lambda hidden: hidden.max(axis=0),
    "mean_sqrt_len_tokens": lambda hidden: hidden.sum(axis=0) / np.sqrt(len(hidden)),
    "weightedmean": lambda hidden: np.average(hidden, axis=0, weights=np.arange(1, len(hidden) + 1)),
}


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@needs_texts
@pytest.mark.parametrize("way", POOLS)
@pytest.mark.parametrize("older", [False, True])
def test_graph_is_pooled_as_its_folder_says(tmp_path: Path, way: str, older: bool) -> None:
    names = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens", "weightedmean": "weightedmean_tokens"}
    said = {f"pooling_mode_{names.get(way, way)}": True} if older else {"pooling_mode": way}
    weights = graph_folder(tmp_path / "e", pooling=said)
    encoder = open_encoder(tmp_path / "e", batch=2)
    found = encoder.encode(SENTENCES)
    read = [one.ids for one in tokenizer().encode_batch(SENTENCES)]
    right = [unit(POOLS[way](weights.hidden(ids, places=False, parts=True))) for ids in read]
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert found.dtype == np.float32
    assert encoder.facts["size"] == SIZE
    alone = [encoder.encode([text])[0] for text in SENTENCES]
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert all(np.array_equal(encoder.encode([text])[0], one) for text, one in zip(SENTENCES, alone, strict=True))


@needs_texts
@pytest.mark.parametrize("at", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
@pytest.mark.parametrize(
    ("places", "parts", "kind"), [(True, True, "INT64"), (True, False, "INT32"), (False, False, "INT64")]
)
def test_graph_is_given_the_inputs_that_it_wants(tmp_path: Path, at: str, places: bool, parts: bool, kind: str) -> None:
    weights = graph_folder(tmp_path / "e", at=at, places=places, parts=parts, kind=kind)
    read = [one.ids for one in tokenizer().encode_batch(SENTENCES)]
    right = [unit(weights.hidden(ids, places=places, parts=parts).mean(axis=0)) for ids in read]
    np.testing.assert_allclose(open_encoder(tmp_path / "e").encode(SENTENCES), right, atol=1e-5)


@needs_texts
def test_a_graph_that_pools_is_believed_unless_another_way_is_asked_for(tmp_path: Path) -> None:
    weights = graph_folder(tmp_path / "e", outputs=("token_embeddings", "sentence_embedding"))
    hidden = [weights.hidden(one.ids, places=False, parts=True) for one in tokenizer().encode_batch(SENTENCES)]
    believed, asked = open_encoder(tmp_path / "e"), open_encoder(tmp_path / "e", pooling="mean")
    np.testing.assert_allclose(believed.encode(SENTENCES), [unit(one[0]) for one in hidden], atol=1e-5)
    np.testing.assert_allclose(asked.encode(SENTENCES), [unit(one.mean(axis=0)) for one in hidden], atol=1e-5)
    assert (believed.facts["pooling"], asked.facts["pooling"]) == ("the graph's own", "mean")


@needs_texts
def test_an_encoder_for_products_keeps_its_lengths(tmp_path: Path) -> None:
    said = {"similarity_fn_name": "dot", "prompts": {"query": "query: ", "passage": "passage: "}}
    weights = graph_folder(tmp_path / "e", files={"config_sentence_transformers.json": said})
    encoder = open_encoder(tmp_path / "e")
    (ids,) = ([one.ids for one in tokenizer().encode_batch(["the cat"])],)
    right = weights.hidden(ids[0], places=False, parts=True).mean(axis=0)
    np.testing.assert_allclose(encoder.encode(["the cat"])[0], right, atol=1e-5)
    assert encoder.prompts == {"query": "query: ", "text": "passage: "}


@needs_texts
@pytest.mark.parametrize(
    ("files", "asked", "right"),
    [
        ({"config.json": {"max_position_embeddings": ROOM}}, None, ROOM),
        ({"config.json": {"max_position_embeddings": 514, "model_type": "roberta"}}, None, 512),
        (
            {"sentence_bert_config.json": {"max_seq_length": 9}, "tokenizer_config.json": {"model_max_length": 12}},
            None,
            9,
        ),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, None, 512),
        ({"tokenizer_config.json": {"model_max_length": 12}}, 10, 10),
        ({}, None, 512),
    ],
)
def test_long_texts_are_cut(tmp_path: Path, files: Any, asked: int | None, right: int) -> None:
    weights = graph_folder(tmp_path / "e", parts=False, files=files)
    encoder = open_encoder(tmp_path / "e", longest=asked)
    ids = tokenizer().encode("cat " * 1000).ids
    cut = [*ids[: right - 1], ids[-1]]  # the mark of the end stays
    expected = unit(weights.hidden(cut, places=False, parts=False).mean(axis=0))
    np.testing.assert_allclose(encoder.encode(["cat " * 1000])[0], expected, atol=1e-5)
    assert encoder.facts["longest"] == right


@needs_texts
def test_odd_texts_and_many_threads(tmp_path: Path) -> None:
    graph_folder(tmp_path / "e")
    encoder = open_encoder(tmp_path / "e", batch=3)
    odd = ["", " ", "\x00", "🦕" * 50, "a\nb", "\ud7ff", *SENTENCES]
    found = encoder.encode(odd)
    assert np.isfinite(found).all()
    assert encoder.encode([]).shape[0] == 0
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda text: encoder.encode([text])[0], odd * 5))
    assert all(np.array_equal(one, encoder.encode([text])[0]) for one, text in zip(again, odd * 5, strict=True))


@needs_texts
def test_static_vectors_of_model2vec(tmp_path: Path) -> None:
    count = tokenizer().get_vocab_size()
    rng = np.random.default_rng(5)
    more = {"weights": rng.random(count).astype(np.float32), "mapping": rng.integers(0, count, count)}
    for name, extra in (("plain", {}), ("weighed", more)):
        words, vectors = static_folder(tmp_path / name, "model2vec", **extra)
        found = open_encoder(tmp_path / name).encode([*SENTENCES, ""])
        for text, vector in zip(SENTENCES, found, strict=False):
            ids = [one for one in words.encode(text, add_special_tokens=False).ids if one != words.token_to_id("[UNK]")]
            rows = [
                vectors[extra["mapping"][one] if extra else one] * (extra["weights"][one] if extra else 1)
                for one in ids
            ]
            np.testing.assert_allclose(vector, unit(np.mean(rows, axis=0)), atol=1e-6)
        assert not found[-1].any()


@needs_texts
@needs_library
def test_static_vectors_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    import sentence_transformers

    static_folder(tmp_path / "e", "sentence-transformers")
    library = sentence_transformers.SentenceTransformer(str(tmp_path / "e"), device="cpu")
    right = library.encode(SENTENCES, normalize_embeddings=True)
    encoder = open_encoder(tmp_path / "e")
    assert encoder.facts["kind"] == "static"
    np.testing.assert_allclose(encoder.encode(SENTENCES), right, atol=1e-6)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with seeded weights as sentence-transformers saves it, without a graph."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    home = tmp_path_factory.mktemp("bert")
    words = tokenizer()
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=words.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=ROOM,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(home / "plain")
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=ROOM, **marks).save_pretrained(home / "plain")
    parts = [Transformer(str(home / "plain")), Pooling(16, "mean"), Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(str(home / "whole"))
    return home / "whole"


LONG = [*SENTENCES, "the cat and the dogs " * 20]


@needs_texts
@needs_library
def test_a_folder_without_a_graph_is_run_by_the_library(bert: Path, tmp_path: Path) -> None:
    import sentence_transformers

    encoder = open_encoder(bert)
    library = sentence_transformers.SentenceTransformer(str(bert), device="cpu")
    assert encoder.facts["kind"] == "sentence-transformers"
    np.testing.assert_allclose(encoder.encode(LONG), library.encode(LONG), atol=1e-6)
    tokens = library.encode(LONG, output_value="token_embeddings")
    first = [unit(one[0].numpy()) for one in tokens]
    np.testing.assert_allclose(open_encoder(bert, pooling="cls").encode(LONG), first, atol=1e-6)
    (tmp_path / "copy").mkdir()
    encoder.save(tmp_path / "copy")
    again = open_encoder(tmp_path / "copy")
    assert again.facts == encoder.facts
    assert np.array_equal(again.encode(LONG[:2]), encoder.encode(LONG[:2]))


@needs_texts
@needs_library
def test_the_graph_of_a_real_bert_says_what_the_library_says(bert: Path, tmp_path: Path) -> None:
    import shutil

    import sentence_transformers
    import torch

    shutil.copytree(bert, tmp_path / "e")
    library = sentence_transformers.SentenceTransformer(
        str(bert), device="cpu", model_kwargs={"attn_implementation": "eager"}
    )

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = library[0].auto_model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.inner(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones(2, 5, dtype=torch.long)
    (tmp_path / "e" / "onnx").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is old
        torch.onnx.export(
            Hidden(), (ids, ids, ids * 0), str(tmp_path / "e" / "onnx" / "model.onnx"), dynamo=False, opset_version=17,
            input_names=names, output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "n", 1: "t"} for name in [*names, "last_hidden_state"]},
        )  # fmt: skip
    encoder = open_encoder(tmp_path / "e", batch=3)
    assert encoder.facts["kind"] == "onnx"
    assert encoder.facts["longest"] == ROOM
    np.testing.assert_allclose(encoder.encode(LONG), library.encode(LONG), atol=1e-5)


@needs_texts
def test_what_is_copied_reads_back_and_is_known_by_its_hash(tmp_path: Path) -> None:
    said = {"prompts": {"query": "q: "}}
    graph_folder(tmp_path / "e", at="onnx/model.onnx", pooling={"pooling_mode": "cls"},
                 files={"config_sentence_transformers.json": said})  # fmt: skip
    for name in ("README.md", "pytorch_model.bin", ".cache/x.json"):
        (tmp_path / "e" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "e" / name).write_text("no part of it")
    encoder = open_encoder(tmp_path / "e")
    (tmp_path / "copy").mkdir()
    encoder.save(tmp_path / "copy")
    again = open_encoder(tmp_path / "copy")
    files = {one.relative_to(tmp_path / "copy").as_posix() for one in (tmp_path / "copy").rglob("*") if one.is_file()}
    assert files == {"onnx/model.onnx", "tokenizer.json", "1_Pooling/config.json", "config_sentence_transformers.json"}
    assert (again.facts, again.prompts) == (encoder.facts, encoder.prompts)
    assert np.array_equal(again.encode(SENTENCES), encoder.encode(SENTENCES))
    (tmp_path / "copy" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    assert open_encoder(tmp_path / "copy").facts["hash"] != encoder.facts["hash"]


@needs_texts
def test_weights_beside_a_graph_come_along(tmp_path: Path) -> None:
    import onnx

    graph_folder(tmp_path / "e")
    right = open_encoder(tmp_path / "e").encode(SENTENCES)
    model = onnx.load(str(tmp_path / "e" / "model.onnx"))
    (tmp_path / "e" / "model.onnx").unlink()
    onnx.save(model, str(tmp_path / "e" / "model.onnx"), save_as_external_data=True, location="model.onnx_data",
              size_threshold=100)  # fmt: skip
    (tmp_path / "copy").mkdir()
    open_encoder(tmp_path / "e").save(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.onnx_data").exists()
    assert np.array_equal(open_encoder(tmp_path / "copy").encode(SENTENCES), right)


def _spoilt(home: Path, how: str) -> None:
    if how == "empty":
        home.mkdir()
        return
    if how == "pickle":
        home.mkdir()
        (home / "pytorch_model.bin").write_bytes(b"")
        return
    graph_folder(home)
    if how == "no tokenizer":
        (home / "tokenizer.json").unlink()
    elif how == "broken tokenizer":
        (home / "tokenizer.json").write_text("{}")
    elif how == "broken graph":
        (home / "model.onnx").write_bytes(b"no graph")
    elif how == "broken settings":
        (home / "config.json").write_text("{")
    elif how == "unknown pooling":
        (home / "1_Pooling").mkdir()
        (home / "1_Pooling" / "config.json").write_text('{"pooling_mode": "attention"}')
    elif how == "prompt left out":
        (home / "1_Pooling").mkdir()
        (home / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean", "include_prompt": false}')
    elif how == "several graphs":
        (home / "model.onnx").rename(home / "a.onnx")
        (home / "b.onnx").write_bytes((home / "a.onnx").read_bytes())
    elif how == "a layer more":
        kind = "sentence_transformers.models.Dense"
        (home / "modules.json").write_text(json.dumps([{"idx": 2, "path": "2_Dense", "type": kind}]))
    elif how == "broken weights":
        (home / "model.onnx").unlink()
        (home / "model.safetensors").write_bytes(b"\x00" * 20)


@needs_texts
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("empty", "no model.onnx and no model.safetensors"),
        ("pickle", "pytorch_model.bin, which is pickle"),
        ("no tokenizer", "without a tokenizer.json"),
        ("broken tokenizer", "tokenizers cannot read it"),
        ("broken graph", "ONNX Runtime cannot read it"),
        ("broken settings", "cannot be read"),
        ("unknown pooling", "attention"),
        ("prompt left out", "include_prompt"),
        ("several graphs", "a.onnx, b.onnx"),
        ("a layer more", "Dense"),
        ("broken weights", "cannot be read"),
    ],
)
def test_a_folder_that_is_no_encoder_is_refused_by_name(tmp_path: Path, how: str, told: str) -> None:
    _spoilt(tmp_path / "e", how)
    with pytest.raises(BuildError, match=told) as caught:
        open_encoder(tmp_path / "e")
    assert caught.value.fix


@needs_texts
def test_fewer_vectors_than_tokens_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    _, vectors = static_folder(tmp_path / "e", "model2vec")
    save_file({"embeddings": vectors[:9]}, str(tmp_path / "e" / "model.safetensors"))
    with pytest.raises(BuildError, match="and 9 vectors"):
        open_encoder(tmp_path / "e")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing is downloaded") as caught:
        open_encoder(tmp_path / "none")
    assert str(tmp_path / "none") in str(caught.value)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(BuildError, match=r"bottega\[texts\]"):
        needed("no_such_package_of_texts")
