"""An encoder learnt from the texts alone: latent semantic analysis."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.keys import encode
from bottega.errors import DataError
from bottega.files import write_json
from bottega.models.storage import read_array, read_facts, read_texts, write_arrays, write_texts
from bottega.models.texts.encoder import Vectors, unit
from bottega.models.texts.stems import words_of

_AMONG = 50_000  # texts that it learns from: more of them change little
_WORDS = 200_000  # words that it knows: the most frequent ones


class LatentEncoder:
    """Encodes a text by its place along the directions in which the words of the texts vary together most.

    With X the TF-IDF matrix of the texts, its rows of length 1, and X ≈ U S Vᵀ, v(t) = x(t) V S^(−½), brought to
    length 1: between the directions all alike and as strong as they are, which found most on held-out questions. When
    it is wrong: it knows only words that stood in the texts, and together with which others; few texts teach little.

    Source: S. Deerwester, S. Dumais, G. Furnas, T. Landauer, R. Harshman, Indexing by latent semantic analysis, 1990.
    """

    def __init__(
        self, words: pa.StringArray, rarity: npt.NDArray[Any], directions: Vectors, language: str | None
    ) -> None:
        self.prompts: Mapping[str, str] = {"query": "", "text": ""}
        self._words, self._language = words, language
        self._rarity = rarity  # (w,)
        self._directions = directions  # (w, size)
        self._place = {word: place for place, word in enumerate(words.to_pylist())}
        told = hashlib.sha256("\n".join(self._place).encode())
        told.update(np.ascontiguousarray(directions).data)
        self.facts: Mapping[str, Any] = {
            "kind": "latent semantic analysis",
            "hash": told.hexdigest(),
            "size": directions.shape[1],
            "words": len(words),
            "language": language,
        }

    @classmethod
    def learnt(cls, texts: Sequence[str], size: int, language: str | None) -> Self:
        """Learn it from texts; with fewer texts or words than `size` it is as small as they are.

        size: numbers in a vector; larger tells more apart, and comes nearer to comparing words alone. Raises
        `DataError` where no text has a word.
        """
        from sklearn.utils.extmath import randomized_svd

        if len(texts) > _AMONG:
            chosen = np.sort(np.random.default_rng(0).choice(len(texts), _AMONG, replace=False))
            texts = [texts[place] for place in chosen]
        parts = words_of(texts, language)
        seen = Counter(word for part in parts for word in dict.fromkeys(part))
        kept = sorted(seen, key=lambda word: (-seen[word], word))[:_WORDS]
        if not kept:
            raise DataError("models: Dense.over", f"no word in {len(texts):,} texts", "texts with words")
        _, words = encode(pa.array(kept, pa.string()))
        count = np.array([seen[word] for word in words.to_pylist()])
        rarity = 1 + np.log((1 + len(texts)) / (1 + count))
        bare = cls(words, rarity.astype(np.float32), np.zeros((len(words), 1), np.float32), language)
        matrix = bare._weights(parts)
        size = min(size, *matrix.shape)
        _, strength, axes = randomized_svd(matrix, size, n_iter=4, random_state=0)
        known = strength > strength[0] * 1e-6
        directions = np.ascontiguousarray(axes[known].T / np.sqrt(strength[known]), np.float32)
        return cls(words, bare._rarity, directions, language)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vector of each text, (n, size), to the bit that of each alone; zeros for one without a known word."""
        return unit(self._weights(words_of(texts, self._language)) @ self._directions)

    def save(self, folder: Path) -> None:
        """Write words, their rarity and the directions."""
        write_texts(folder, "words", self._words)
        write_arrays(folder, {"rarity": self._rarity, "directions": self._directions})
        write_json(folder / "latent.json", {"language": self._language})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the directions are mapped."""
        language = read_facts(folder, "latent")["language"]
        return cls(
            read_texts(folder, "words"), read_array(folder, "rarity"), read_array(folder, "directions"), language
        )

    def _weights(self, parts: Sequence[Sequence[str]]) -> Any:
        """Weigh the known words of each text: (1 + ln count) × rarity, rows of length 1; sparse (n, w)."""
        import scipy.sparse as sp

        rows = [Counter(word for word in part if word in self._place) for part in parts]
        start = np.cumsum([0, *map(len, rows)])
        word = np.array([self._place[word] for row in rows for word in row], np.int64)
        times = np.array([times for row in rows for times in row.values()], np.float64)
        weight = (1 + np.log(times)) * self._rarity[word]
        length = np.sqrt(np.bincount(np.repeat(np.arange(len(rows)), np.diff(start)), weight**2, len(rows)))
        weight /= np.repeat(length, np.diff(start))
        return sp.csr_matrix((weight.astype(np.float32), word, start), shape=(len(rows), len(self._words)))
