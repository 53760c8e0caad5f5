"""BM25: what shares words with the request's text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.design.retrievers import BM25
from bottega.errors import DataError
from bottega.files import write_json
from bottega.metrics import Ranking, metric
from bottega.models.arriving import Arrived
from bottega.models.history import EMPTY, History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import Scored, top_k
from bottega.models.storage import new_folder, read_array, read_facts, read_texts, write_arrays, write_texts
from bottega.models.texts.stems import words_of
from bottega.models.vocabulary import Codes, Texts, texts

_DEFAULT = 1.5, 0.75
_K1, _B = (0.6, 0.9, 1.2, 1.5, 2.0), (0.3, 0.5, 0.75, 0.9)
_TUNED_ON, _AMONG = 500, 20_000  # requests and texts: enough to tell settings apart that differ
_JUDGED_BY, _DEPTH = "ndcg@10", 50


class BM25Model:
    """Scores a text by the words that it shares with the request.

    score(q, d) = Σ over the words t of q of idf(t) · tf ÷ (tf + k1 (1 − b + b |d| ÷ mean |d|)), with
    idf(t) = ln(1 + (N − n(t) + ½) ÷ (n(t) + ½)), n(t) the texts that have the word; the library `bm25s` indexes it.
    When it is wrong: it knows words, no meanings: what says the same in other words is not found.

    k1 and b that the design leaves open are those of a small grid with the best NDCG@10 on the requests of the log,
    where these are texts and have judged candidates; `tuned` says what was found.

    >>> log = Interactions.of([], [], np.zeros(0, np.int64)).with_catalogue(
    ...     ["a", "b"], {"text": ["the cat sat on the mat", "dogs run"]})
    >>> model = BM25Model(BM25(query="text", over=["text"]))
    >>> model.fit(log, at=0)
    >>> print(model.ask("", {"text": "running dog"}).of(np.array([0, 1])).round(2))
    [0.   0.61]

    Source: S. Robertson, H. Zaragoza, The probabilistic relevance framework: BM25 and beyond, 2009; X. H. Lù, BM25S,
    2024.
    """

    history: History
    """What each person took in the log."""
    k1: float
    b: float
    length: float
    """Words of a text on average."""
    tuned: dict[str, Any]
    """The grid with its values of NDCG@10, where it was tuned."""
    words: pa.StringArray
    """(w,) sorted."""
    start: npt.NDArray[np.int64]
    """(w + 1,) where each word's texts begin."""
    item: Codes
    """(m,) the texts that have the word."""
    weight: npt.NDArray[np.float32]
    """(m,) what the word adds there."""

    def __init__(self, setting: BM25) -> None:
        self.setting = setting
        self.items: pa.StringArray = pa.array([], pa.string())
        self.history = EMPTY
        self._size = 0
        self._later: dict[str, tuple[list[int], list[float]]] = {}

    def fit(self, log: Interactions, at: int) -> None:
        """Index the catalogue's newest texts before `at`; `DataError` where there is none with a word."""
        past = log.before(at)
        self.items = past.items
        self.history = History.of(past.people, past.matrix()) if len(past) else EMPTY
        parts = [past.newest(name).fill_null("").to_pylist() for name in self.setting.over]
        tokens = self._tokens([" ".join(each) for each in zip(*parts, strict=True)])
        if not any(tokens):
            raise DataError(
                f"models: {type(self.setting).__name__}.over",
                f"no word in {', '.join(self.setting.over)} of {len(self.items):,} candidates",
                "texts with words",
                "name the columns that hold the text",
            )
        self.tuned = {}
        self.k1, self.b = (
            found if found is not None else default
            for found, default in zip((self.setting.k1, self.setting.b), _DEFAULT, strict=True)
        )
        if None in (self.setting.k1, self.setting.b) and past.who == self.setting.query and len(past):
            self._tune(tokens, past)
        self._index(tokens, self.k1, self.b)

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that knows new texts too; their words are as rare as they were when it learnt, and new ones once.

        What it knew keeps its scores, so they drift from those of an index that is made anew as much comes.
        """
        if not arrived.names:
            return self
        model = copy(self)
        model._later = {word: (list(items), list(weights)) for word, (items, weights) in self._later.items()}
        for place, words in enumerate(self._tokens(arrived.text(self.setting.over)), self._size):
            longer = self.k1 * (1 - self.b + self.b * len(words) / self.length)
            for word, times in Counter(words).items():
                items, weights = model._later.setdefault(word, ([], []))
                items.append(place)
                weights.append(self._rarity(word) * times / (times + longer))
        model._size += len(arrived.names)
        return model

    def ask(self, person: str, request: Mapping[str, Any]) -> Scored:  # noqa: ARG002
        """The score of every text for the request's."""
        return Scored(self._scores(self._tokens([str(request.get(self.setting.query) or "")])[0]))

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Scored]:
        """The same for many requests."""
        return (self.ask(person, request) for person, request in zip(texts(people).to_pylist(), requests, strict=True))

    def save(self, folder: Path) -> None:
        """Write items, history, words and their weights into a new folder."""
        with new_folder(folder) as part:
            write_texts(part, "items", self.items)
            self.history.save(part)
            write_texts(part, "words", self.words)
            write_arrays(part, {"word_start": self.start, "word_item": self.item, "word_weight": self.weight})
            write_json(part / "bm25.json", {"k1": self.k1, "b": self.b, "length": self.length, "tuned": self.tuned})

    @classmethod
    def load(cls, folder: Path, setting: BM25) -> Self:
        """Read what `save` wrote; arrays stay on the disk and are mapped."""
        model, told = cls(setting), read_facts(folder, "bm25")
        model.items, model.history, model.words = (
            read_texts(folder, "items"),
            History.load(folder),
            read_texts(folder, "words"),
        )
        model.k1, model.b, model.length, model.tuned = told["k1"], told["b"], told["length"], told["tuned"]
        model._size = len(model.items)
        model.start, model.item, model.weight = (
            read_array(folder, f"word_{name}") for name in ("start", "item", "weight")
        )
        return model

    def _scores(self, tokens: Sequence[str]) -> Scores:
        found = np.zeros(self._size, np.float32)
        for word in tokens:
            place = self._places.get(word)
            if place is not None:
                part = slice(self.start[place], self.start[place + 1])
                found[self.item[part]] += self.weight[part]  # each text once
            if word in self._later:
                items, weights = self._later[word]
                found[items] += np.array(weights, np.float32)
        return found

    def _rarity(self, word: str) -> float:
        place = self._places.get(word)
        many = 1 if place is None else int(self.start[place + 1] - self.start[place])
        return math.log(1 + (len(self.items) - many + 0.5) / (many + 0.5))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words.to_pylist())}

    def _index(self, tokens: Sequence[Sequence[str]], k1: float, b: float) -> None:
        import bm25s

        words = sorted(set().union(*tokens))
        place = {word: code for code, word in enumerate(words)}
        index = bm25s.BM25(k1=k1, b=b, method="lucene")
        index.index(([[place[word] for word in text] for text in tokens], place), show_progress=False)
        self._size = len(tokens)
        self.length = sum(map(len, tokens)) / max(1, len(tokens))
        self.words = pa.array(words, pa.string())
        self.start = np.asarray(index.scores["indptr"], np.int64)[: len(words) + 1]
        self.item = np.asarray(index.scores["indices"], np.int32)
        self.weight = np.asarray(index.scores["data"], np.float32)
        self.__dict__.pop("_places", None)

    def _tune(self, tokens: Sequence[Sequence[str]], past: Interactions) -> None:
        """Choose k1, then b, by the requests whose right candidates the log knows."""
        people = _some(len(past.people), _TUNED_ON)
        asked = self._tokens(past.people.take(pa.array(people)).to_pylist())
        right = past.matrix()[people]
        kept = np.union1d(_some(len(tokens), _AMONG), right.indices)
        right, texts_ = right[:, kept], [tokens[place] for place in kept]
        found: dict[tuple[float, float], float] = {}

        def try_(k1: float, b: float) -> float:
            if (k1, b) not in found:
                self._index(texts_, k1, b)
                found[k1, b] = self._value(asked, right)
            return found[k1, b]

        if self.setting.k1 is None:
            self.k1 = max(_K1, key=lambda k1: try_(k1, self.b))
        if self.setting.b is None:
            self.b = max(_B, key=lambda b: try_(self.k1, b))
        self.tuned = {f"k1={k1:g} b={b:g}": round(value, 6) for (k1, b), value in found.items()}

    def _value(self, asked: Sequence[Sequence[str]], right: Any) -> float:
        """Give the NDCG@10 of some requests by the index as it is; right: (requests, texts), sparse."""
        lists: list[tuple[Any, ...]] = []
        for row, words in enumerate(asked):
            every = self._scores(words)
            best = top_k(every, _DEPTH)
            mine = right.indices[right.indptr[row] : right.indptr[row + 1]]
            lists.append((np.full(len(best), row), every[best], np.isin(best, mine).astype(np.float64), best))
        group, score, label, item = map(np.concatenate, zip(*lists, strict=True))
        ranked = Ranking(group, score, label, items=item, relevant=np.diff(right.indptr))
        return float(metric(_JUDGED_BY).value(ranked))

    def _tokens(self, given: Sequence[str]) -> list[list[str]]:
        return words_of(given, self.setting.language)


def _some(size: int, most: int) -> npt.NDArray[np.int64]:
    """Give places to tune on, ascending: all, or of many some drawn at random."""
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).choice(size, most, replace=False))
