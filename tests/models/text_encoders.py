"""Small encoders in the layouts that are found in the wild, and what they compute, written plainly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SIZE, ROOM = 6, 24
SENTENCES = [
    "The cat sat on a mat.",
    "Dogs run fast in the park!",
    "genes cause cancer in mice and men",
    "protein",
    "the cell has DNA, and the cat has cells: many of them",
    "Ünïcode 日本茶 9",
]


@cache  # trained anew it may number its pieces otherwise
def tokenizer() -> Any:
    """Train a WordPiece tokenizer that marks begin and end."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(SENTENCES[:5], trainers.WordPieceTrainer(vocab_size=90, special_tokens=special))
    marks = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    return made


class Weights:
    """A layer of attention without maps, over vectors of tokens, of their places, and of parts of the text."""

    def __init__(self, words: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.word, self.place, self.part = (
            rng.normal(size=(count, SIZE)).astype(np.float32) for count in (words, ROOM, 2)
        )

    def hidden(self, ids: Sequence[int], places: bool, parts: bool) -> np.ndarray:
        """The vectors of one text's tokens (t, d), of this text alone."""
        x = self.word[list(ids)].astype(np.float64)
        x = x + (self.place[: len(x)] if places else 0) + (self.part[0] if parts else 0)
        odds = np.exp(x @ x.T / np.sqrt(SIZE))
        return odds / odds.sum(axis=1, keepdims=True) @ x

    def graph(self, path: Path, outputs: Sequence[str], places: bool, parts: bool, kind: str = "INT64") -> None:
        """Write it as an ONNX graph: the tokens' vectors, or `sentence_embedding`, the one of the first token."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        integer = getattr(TensorProto, kind)
        names = [
            "input_ids",
            "attention_mask",
            *(["position_ids"] if places else []),
            *(["token_type_ids"] if parts else []),
        ]
        nodes = [helper.make_node("Gather", ["word", "input_ids"], ["x0"])]
        for step, (use, table, name) in enumerate(
            [(places, "place", "position_ids"), (parts, "part", "token_type_ids")]
        ):
            if use:
                nodes += [
                    helper.make_node("Gather", [table, name], [f"{table}s"]),
                    helper.make_node("Add", [f"x{step}", f"{table}s"], [f"x{step + 1}"]),
                ]
            else:
                nodes.append(helper.make_node("Identity", [f"x{step}"], [f"x{step + 1}"]))
        nodes += [
            helper.make_node("Transpose", ["x2"], ["across"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["x2", "across"], ["products"]),
            helper.make_node("Mul", ["products", "scale"], ["scaled"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["mask", "one"], ["below"]),
            helper.make_node("Mul", ["below", "large"], ["out"]),
            helper.make_node("Unsqueeze", ["out", "axis"], ["outs"]),
            helper.make_node("Add", ["scaled", "outs"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["odds"], axis=2),
            helper.make_node("MatMul", ["odds", "x2"], ["hidden"]),
            helper.make_node("Gather", ["hidden", "zero"], ["first"], axis=1),
        ]
        shapes = {}
        for name in outputs:
            whole = name == "sentence_embedding"
            nodes.append(helper.make_node("Identity", ["first" if whole else "hidden"], [name]))
            shapes[name] = ["n", SIZE] if whole else ["n", "t", SIZE]
        constants: dict[str, Any] = {
            "word": self.word, "place": self.place, "part": self.part, "scale": np.float32(1 / np.sqrt(SIZE)),
            "one": np.float32(1), "large": np.float32(1e9), "axis": np.array([1]), "zero": np.array(0),
        }  # fmt: skip
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, integer, ["n", "t"]) for name in names],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def graph_folder(
    path: Path,
    *,
    at: str = "model.onnx",
    outputs: Sequence[str] = ("last_hidden_state",),
    places: bool = False,
    parts: bool = True,
    kind: str = "INT64",
    pooling: Any = None,
    files: Any = None,
) -> Weights:
    """Write a folder with a graph, its tokenizer, and settings by the name of their file; gives the weights."""
    path.mkdir(parents=True)
    words = tokenizer()
    words.save(str(path / "tokenizer.json"))
    weights = Weights(words.get_vocab_size())
    weights.graph(path / at, outputs, places, parts, kind)
    settings = dict(files or {})
    if pooling is not None:
        settings["1_Pooling/config.json"] = pooling
    for name, value in settings.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(value))
    return weights


def static_folder(path: Path, form: str, seed: int = 0, **more: np.ndarray) -> tuple[Any, np.ndarray]:
    """Write a vector for each token, as `model2vec` or `sentence-transformers` do; gives tokenizer and vectors."""
    from safetensors.numpy import save_file

    path.mkdir(parents=True)
    words = tokenizer()
    vectors = np.random.default_rng(seed).normal(size=(words.get_vocab_size(), SIZE)).astype(np.float32)
    if form == "model2vec":
        words.save(str(path / "tokenizer.json"))
        save_file({"embeddings": vectors, **more}, str(path / "model.safetensors"))
        (path / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    else:
        home = path / "0_StaticEmbedding"
        home.mkdir()
        words.save(str(home / "tokenizer.json"))
        save_file({"embedding.weight": vectors}, str(home / "model.safetensors"))
        kind = "sentence_transformers.models.StaticEmbedding"
        (path / "modules.json").write_text(
            json.dumps([{"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": kind}])
        )
    return words, vectors
