"""An encoder that is a vector for each token: a text's is their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bottega.models.texts.encoder import Vectors, unit
from bottega.models.texts.folder import Folder, refused
from bottega.models.texts.needed import needed
from bottega.models.texts.tokens import Tokenizer

_LONGEST = 512  # tokens, as model2vec reads


class StaticEncoder:
    """The mean of the vectors of a text's tokens; zeros for a text without one.

    A folder of model2vec holds `embeddings`, and may hold a `weights` and a `mapping` of each token; unknown tokens are
    left out there. A folder of sentence-transformers holds `embedding.weight`.

    folder: looked through. longest: tokens of a text; nothing: 512 for model2vec, else all.
    """

    def __init__(self, folder: Folder, longest: int | None) -> None:
        library = needed("safetensors")
        self._folder = folder
        with library.safe_open(str(folder.path / folder.weights), framework="numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model2vec = "embeddings" in found
        vectors = found["embeddings" if model2vec else "embedding.weight"]
        self._mapping, self._weights = found.get("mapping"), found.get("weights")
        if vectors.ndim != 2 or vectors.dtype.kind not in "fi":
            what = f"vectors {vectors.shape} of {vectors.dtype}"
            raise refused(folder.path, what, "save them as float32", "(tokens, size) of numbers")
        self._vectors = vectors.astype(np.float32)
        longest = longest or (_LONGEST if model2vec else None)
        self._tokens = Tokenizer(folder.path / folder.tokenizer, longest, marks=False)
        rows = len(vectors if self._mapping is None else self._mapping)
        words = self._tokens.inner.get_vocab_size()
        if words > rows or (self._mapping is not None and self._mapping.max(initial=0) >= len(vectors)):
            what = f"{words:,} tokens and {rows:,} vectors"
            raise refused(folder.path, what, "take tokenizer and vectors from one model", "a vector for each token")
        unknown = getattr(self._tokens.inner.model, "unk_token", None) if model2vec else None
        self._unknown = self._tokens.inner.token_to_id(unknown) if unknown else None
        self.prompts = folder.prompts
        self.facts: Mapping[str, Any] = {
            "kind": "static",
            "hash": folder.hash(),
            "size": vectors.shape[1],
            "longest": longest,
            "unit": folder.unit,
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vector of each text, (n, size)."""
        found = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, one in enumerate(self._tokens.read(texts) if texts else ()):
            ids = np.array([token for token in one.ids if token != self._unknown], np.int64)
            if len(ids):
                vectors = self._vectors[ids if self._mapping is None else self._mapping[ids]]
                found[row] = (vectors if self._weights is None else vectors * self._weights[ids, None]).mean(axis=0)
        return unit(found) if self._folder.unit else found

    def save(self, folder: Path) -> None:
        """Copy the files."""
        self._folder.copy(folder)
