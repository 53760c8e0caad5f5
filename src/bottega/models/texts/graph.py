"""An encoder as an ONNX graph, run by ONNX Runtime without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bottega.models.texts.encoder import Vectors, unit
from bottega.models.texts.folder import Folder, refused
from bottega.models.texts.needed import needed
from bottega.models.texts.pooling import pooled
from bottega.models.texts.tokens import Block, Tokenizer

_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_WHOLE = ("sentence_embedding", "sentence_embeddings", "text_embeds")
_TOKENS = ("token_embeddings", "last_hidden_state")


class GraphEncoder:
    """Reads tokens, runs the graph, and makes one vector of those of the tokens.

    A graph that gives `sentence_embedding` has done that itself; `pooling`, of `WAYS`, then counts only where somebody
    asks for it and the graph gives the tokens' vectors too. Each batch runs in one thread of its own. Raises
    `BuildError` where the graph cannot be read, or wants or gives what nothing here knows.

    folder: looked through. longest: tokens of a text; nothing: as the folder says, else 512. batch: texts at once.
    """

    def __init__(self, folder: Folder, pooling: str | None, longest: int | None, batch: int) -> None:
        self._folder, self._batch = folder, batch
        self._session = _session(folder.path / folder.weights)
        self._wants = {one.name: np.int32 if "int32" in one.type else np.int64 for one in self._session.get_inputs()}
        if odd := [name for name in self._wants if name not in _INPUTS]:
            fix = "export it for feature extraction: optimum-cli export onnx --task feature-extraction"
            raise refused(folder.path, f"a graph that wants {odd[0]!r}", fix, f"inputs {', '.join(_INPUTS)}")
        self._output, self._ways = self._chosen(pooling)
        self._longest = longest or folder.longest or 512
        self._tokens = Tokenizer(folder.path / folder.tokenizer, self._longest, folder.pad)
        self.prompts = folder.prompts
        self.facts: Mapping[str, Any] = {
            "kind": "onnx",
            "hash": folder.hash(),
            "size": self.encode(["a"]).shape[1],
            "pooling": " + ".join(self._ways) if self._ways else "the graph's own",
            "longest": self._longest,
            "unit": folder.unit,
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vector of each text, (n, size); long texts run with long ones."""
        if len(texts) <= 1:
            return self._run(self._tokens.block(self._tokens.read(texts))) if texts else np.zeros((0, 0), np.float32)
        read = self._tokens.read(texts)
        order = np.argsort([-len(one.ids) for one in read], kind="stable")
        parts = [order[low : low + self._batch] for low in range(0, len(order), self._batch)]
        with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
            done = list(pool.map(lambda part: self._run(self._tokens.block([read[row] for row in part])), parts))
        found = np.empty((len(texts), done[0].shape[1]), np.float32)
        found[order] = np.concatenate(done)
        return found

    def save(self, folder: Path) -> None:
        """Copy the files."""
        self._folder.copy(folder)

    def _run(self, block: Block) -> Vectors:
        given = {"input_ids": block.ids, "attention_mask": block.mask, "token_type_ids": block.types}
        given["position_ids"] = np.broadcast_to(np.arange(block.ids.shape[1]), block.ids.shape)
        fed = {name: np.ascontiguousarray(given[name], kind) for name, kind in self._wants.items()}
        (told,) = self._session.run([self._output], fed)
        found = np.asarray(told, np.float32)
        found = pooled(found, block.mask, self._ways) if self._ways else found
        return unit(found) if self._folder.unit else found

    def _chosen(self, pooling: str | None) -> tuple[str, tuple[str, ...]]:
        """Choose what is read of the graph, and how it is pooled: nothing where the graph pools."""
        shapes = {one.name: len(one.shape) for one in self._session.get_outputs()}
        whole = next((name for name in _WHOLE if shapes.get(name) == 2), None)
        tokens = next((name for name in (*_TOKENS, *shapes) if shapes.get(name) == 3), None)
        if whole is not None and (pooling is None or tokens is None):
            return whole, ()
        if tokens is None:
            fix = "export it for feature extraction: optimum-cli export onnx --task feature-extraction"
            allowed = f"one of {', '.join((*_WHOLE, *_TOKENS))}"
            raise refused(self._folder.path, f"a graph that gives {', '.join(shapes)}", fix, allowed)
        if self._folder.later:
            fix = "export the whole model with sentence-transformers, so that the graph gives sentence_embedding"
            raise refused(
                self._folder.path, f"a module {self._folder.later[0]} after the graph", fix, "a pooling alone"
            )
        return tokens, (pooling,) if pooling else self._folder.pooling or ("mean",)


def _session(path: Path) -> Any:
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise refused(
            path, f"ONNX Runtime cannot read it ({error})", "restore the file from a copy", "a graph"
        ) from error
