"""Words of a search, and the encoder that is learnt from texts alone: against a decomposition by NumPy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bottega.errors import DataError, DesignError
from bottega.models.texts.latent import LatentEncoder
from bottega.models.texts.stems import words_of


def test_words_of_a_search() -> None:
    assert words_of(["The cats' vitamin D, type-2!"], "english") == [["cat", "vitamin", "d", "type", "2"]]
    assert words_of(["Die Häuser daß"], "german") == [["haus"]]
    assert words_of(["日本茶です"], None) == [["日", "本", "茶", "で", "す"]]
    assert words_of(["", " …"], "english") == [[], []]
    with pytest.raises(DesignError, match="english"):
        words_of(["a"], "englisch")


def test_latent_is_a_cosine_of_the_truncated_decomposition() -> None:
    texts = ["red cup", "blue cup red", "tea green tea", "green cup", "", "blue blue tea"]
    encoder = LatentEncoder.learnt(texts, 3, None)
    parts = [text.split() for text in texts]
    names = sorted({word for part in parts for word in part})
    rarity = {word: 1 + np.log(7 / (1 + sum(word in part for part in parts))) for word in names}

    def weigh(part: list[str]) -> np.ndarray:
        count = Counter(part)
        row = np.array([(1 + np.log(count[word])) * rarity[word] if count[word] else 0 for word in names])
        return row / (np.linalg.norm(row) or 1)

    _, strength, axes = np.linalg.svd(np.array([weigh(part) for part in parts]), full_matrices=False)
    right = np.array([weigh(part) @ (axes[:3].T / np.sqrt(strength[:3])) for part in [*parts, ["cup", "new"]]])
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-12)
    found = encoder.encode([*texts, "cup new"])
    np.testing.assert_allclose(found @ found.T, right @ right.T, atol=1e-5)  # directions may be turned round
    assert not encoder.encode(["unheard of"]).any()


def test_latent_reads_back_and_is_as_small_as_its_texts(tmp_path: Path) -> None:
    encoder = LatentEncoder.learnt(["red cup", "green tea"], 512, "english")
    assert encoder.facts["size"] == 2
    encoder.save(tmp_path)
    again = LatentEncoder.load(tmp_path)
    assert again.facts == encoder.facts
    assert np.array_equal(again.encode(["cups, teas"]), encoder.encode(["cups, teas"]))
    assert not {one.suffix for one in tmp_path.iterdir()} - {".npy", ".arrow", ".json"}
    with pytest.raises(DataError, match="no word"):
        LatentEncoder.learnt(["", "…"], 2, None)
