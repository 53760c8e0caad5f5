"""TextSimilarity: what is described like the things this person took."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Self

import numpy as np

from bottega.design.part import microseconds
from bottega.design.retrievers import TextSimilarity
from bottega.models.arriving import Arrived
from bottega.models.history import History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import ScoredCatalogue
from bottega.models.storage import read_array, read_texts, write_arrays, write_texts
from bottega.models.words import WordWeights, tf_idf, tf_idf_of


class TextSimilarityModel(ScoredCatalogue[TextSimilarity]):
    """Scores an item by the likeness of its newest text to those of what this person took.

    score(p, j) = cos(Σ over p's items i of w(p, i) v(i), v(j)), with v the TF-IDF vectors of the items' newest texts
    before the cut, and w the decayed sum of p's events, or 1 without a half-life; from 0 to 1. When it is wrong: it
    knows words, no meanings and no quality; what shares no word with the past is not found, nor is anything for a
    person it does not know.

    >>> names = ["red cup", "blue cup", "tea"]
    >>> log = Interactions.of(["ann", "bob", "bob"], ["a", "b", "c"], [1, 2, 3], texts={"name": names})
    >>> model = TextSimilarityModel(TextSimilarity(column="name"))
    >>> model.fit(log, at=9)
    >>> print(model.person_scores("ann").round(2))
    [1.   0.37 0.  ]
    """

    vectors: WordWeights

    def learn(self, past: Interactions, at: int) -> None:
        """Weigh the words of each item, and keep each person's items."""
        half_life = self.setting.half_life
        weights = (
            past.matrix() if half_life is None else past.matrix("decayed", at=at, half_life=microseconds(half_life))
        )
        self.history = History.of(past.people, weights)
        self.vectors = tf_idf(past.newest(self.setting.column).to_pylist())

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that knows new items by the known words of their texts; itself it stays as it is."""
        if not arrived.names:
            return self
        model, own = copy(self), self.vectors
        more = tf_idf_of(self._learnt, arrived.text([self.setting.column]))
        start = np.concatenate([own.start, own.start[-1] + more.start[1:]])
        word, weight = np.concatenate([own.word, more.word]), np.concatenate([own.weight, more.weight])
        model.vectors = WordWeights(own.words, start, word, weight)
        return model

    @property
    def _learnt(self) -> WordWeights:
        """The words of what it learnt from, without those that arrived."""
        own, last = self.vectors, len(self.items)
        end = own.start[last]
        return WordWeights(own.words, own.start[: last + 1], own.word[:end], own.weight[:end])

    def person_scores(self, person: str) -> Scores:
        """The cosine to every item, (items,); zeros for an unknown person."""
        item, weight = self.history.of_person(person)
        start, word, value = self.vectors.start, self.vectors.word, self.vectors.weight
        size = start[item + 1] - start[item]  # (h,)
        place = np.arange(size.sum()) + np.repeat(start[item] - np.cumsum(size) + size, size)
        taste = np.bincount(word[place], value[place] * np.repeat(weight, size), max(1, len(self.vectors.words)))
        length = np.sqrt(np.square(taste).sum())
        if length == 0:
            return np.zeros(len(start) - 1, dtype=np.float32)
        taste = (taste / length).astype(np.float32)  # (words,)
        scores: Scores = np.add.reduceat(taste[word] * value, start[:-1])
        return scores

    def store(self, folder: Path) -> None:
        """Write the words as `words.arrow`, and their weights in each item as `word_*.npy`."""
        write_texts(folder, "words", self.vectors.words)
        write_arrays(folder, {"word_start": self.vectors.start, "word": self.vectors.word})
        write_arrays(folder, {"word_weight": self.vectors.weight})

    def restore(self, folder: Path) -> None:
        """Read them."""
        start, word, weight = (read_array(folder, name) for name in ("word_start", "word", "word_weight"))
        self.vectors = WordWeights(read_texts(folder, "words"), start, word, weight)
