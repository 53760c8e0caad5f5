"""What the retrievers share: they score the catalogue for one person, and the best of it is the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import DataError, DesignError
from bottega.models.history import EMPTY, History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Evidence, Retriever, Scores
from bottega.models.storage import new_folder, read_texts, write_texts
from bottega.models.vocabulary import Codes, Texts, texts

Setting = TypeVar("Setting")
_CELLS = 4_000_000  # scores held at once, 16 MB
_FIRST = 4096  # of the items that are best for everybody: enough for any list, less what somebody took


def top_k(scores: npt.NDArray[np.floating], k: int, leave_out: Codes | None = None) -> Codes:
    """The codes of the k largest scores above 0, largest first, ties by lower code; fewer where there are fewer.

    scores: (items,), not written into. k: at least 1. leave_out: codes that may not come.

    >>> top_k(np.array([0.5, 0.0, 0.9, 0.5]), 2).tolist()
    [2, 0]
    """
    if leave_out is not None and len(leave_out):
        scores = scores.copy()
        scores[leave_out] = 0
    codes = np.flatnonzero(scores > 0)
    found = scores[codes]
    if len(found) > k:
        border = np.partition(found, len(found) - k)[len(found) - k]
        above = found > border
        level = np.flatnonzero(found == border)[: k - int(above.sum())]
        above[level] = True
        codes, found = codes[above], found[above]
    return codes[np.argsort(-found, kind="stable")].astype(np.int32)


class Scored:
    """Evidence that is a score of every item.

    scores: (items,), not written into.
    """

    def __init__(self, scores: Scores) -> None:
        self.scores = scores

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k best items with a score above 0, best first."""
        return top_k(self.scores, k, leave_out)

    def of(self, codes: Codes) -> Scores:
        """The score of each item; 0 for −1."""
        found: Scores = self.scores[codes]
        return np.where(codes < 0, np.float32(0), found) if len(codes) and codes.min() < 0 else found


class Few:
    """Evidence of few items: what it costs hangs on them, and not on the catalogue.

    codes: (m,) ascending. scores: (m,). rest: (items,) the scores of all others, none above 0; nothing: they have 0.

    >>> found = Few(np.array([2, 7], np.int32), np.array([0.5, 0.9], np.float32))
    >>> found.best(5), found.of(np.array([7, 3], np.int32))
    (array([7, 2], dtype=int32), array([0.9, 0. ], dtype=float32))
    """

    def __init__(self, codes: Codes, scores: Scores, rest: Scores | None = None) -> None:
        self.codes, self.scores, self._rest = codes, scores, rest

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k best items with a score above 0, best first."""
        kept = self.scores > 0
        if leave_out is not None and len(leave_out):
            kept &= ~np.isin(self.codes, leave_out)
        codes, scores = self.codes[kept], self.scores[kept]
        found: Codes = codes[np.argsort(-scores, kind="stable")[:k]]
        return found

    def of(self, codes: Codes) -> Scores:
        """The score of each item; 0 for −1."""
        if self._rest is None:
            found = np.zeros(len(codes), np.float32)
        else:
            found = np.where(codes < 0, np.float32(0), self._rest[codes]).astype(np.float32)
        if len(self.codes):
            place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
            own = self.codes[place] == codes
            found[own] = self.scores[place[own]]
        return found


class OfAll(Scored):
    """The same for whoever asks: its best items are found once."""

    def __init__(self, scores: Scores) -> None:
        super().__init__(scores)
        self._first = top_k(scores, _FIRST)

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k best items with a score above 0, best first."""
        first, out = self._first, 0 if leave_out is None else len(leave_out)
        if k + out > len(first) == _FIRST:
            return super().best(k, leave_out)
        if leave_out is None or not out:
            return first[:k]
        found: Codes = first[: k + out]
        return found[~np.isin(found, leave_out)][:k]


def retrieved(
    model: Retriever, people: Texts, k: int, seen: bool = True, requests: Sequence[Mapping[str, Any]] | None = None
) -> tuple[Codes, Scores]:
    """The k best items of a retriever for each person, best first: codes (n, k) int32, scores (n, k) float32.

    Where there are fewer, the rest is −1 with score 0. k: at least 1. seen: whether items may come that the person has
    in the log. requests: (n,) the columns of each; nothing: there are no others than the person.
    """
    if k < 1:
        raise DesignError("k", k, "1 or more", "k=100")
    names = texts(people).to_pylist()
    codes = np.full((len(names), k), -1, dtype=np.int32)
    scores = np.zeros((len(names), k), dtype=np.float32)
    for row, (person, one) in enumerate(zip(names, model.ask_all(names, requests or [{}] * len(names)), strict=True)):
        best = one.best(k, None if seen else model.history.of_person(person)[0])
        codes[row, : len(best)] = best
        scores[row, : len(best)] = one.of(best)
    return codes, scores


def scores_of(model: Retriever, people: Texts, requests: Sequence[Mapping[str, Any]] | None = None) -> Scores:
    """The score of every item for each person, (n, items) float32; requests as for `retrieved`."""
    names = texts(people).to_pylist()
    every = np.arange(len(model.items), dtype=np.int32)
    rows = [one.of(every) for one in model.ask_all(names, requests or [{}] * len(names))]
    return np.array(rows, np.float32).reshape(len(names), len(every))


def both_lists(model: Retriever, people: Texts, requests: Sequence[Mapping[str, Any]], k: int, unseen: int) -> Codes:
    """The k best items for each request, and beside them the best among what the person never took, in one pass.

    people: (n,) who asks. requests: (n,) their columns. k, unseen: lengths of the lists, from 0. Gives codes
    (n, k + unseen), −1 where a list has ended.
    """
    names = texts(people).to_pylist()
    codes = np.full((len(names), k + unseen), -1, dtype=np.int32)
    for row, (person, one) in enumerate(zip(names, model.ask_all(names, requests), strict=True)):
        if k:
            best = one.best(k)
            codes[row, : len(best)] = best
        if unseen:
            best = one.best(unseen, model.history.of_person(person)[0])
            codes[row, k : k + len(best)] = best
    return codes


class ScoredCatalogue(ABC, Generic[Setting]):
    """A retriever that scores every item for a person: a model adds `learn`, `person_scores`, `store`, `restore`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.items: pa.StringArray = pa.array([], pa.string())
        self.history: History = EMPTY

    def fit(self, log: Interactions, at: int) -> None:
        """Learn from the rows before `at`; `DataError` where there are none."""
        past = log.before(at)
        if not len(past):
            raise DataError(
                "interactions",
                f"no rows before {np.datetime64(at, 'us')} UTC",
                "at least one row",
                "move the cut to a later time, or look at the quarantine",
            )
        self.items = past.items
        self.learn(past, at)

    def scores(self, people: Texts) -> Scores:
        """The score of every item for each person, (n, items): to the bit that of each alone."""
        names = texts(people).to_pylist()
        rows = np.empty((len(names), len(self.items)), dtype=np.float32)
        for row, person in zip(rows, names, strict=True):
            row[:] = self.person_scores(person)
        return rows

    def ask(self, person: str, request: Mapping[str, Any]) -> Evidence:  # noqa: ARG002
        """The score of every item for one person."""
        return Scored(self.person_scores(person))

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:  # noqa: ARG002
        """The same for many people, scored some at once."""
        names = texts(people)
        step = max(1, _CELLS // max(1, len(self.items)))
        for low in range(0, len(names), step):
            yield from map(Scored, self.scores(names.slice(low, step)))

    def save(self, folder: Path) -> None:
        """Write items, people, history and what the model adds into a new folder."""
        with new_folder(folder) as part:
            write_texts(part, "items", self.items)
            self.history.save(part)
            self.store(part)

    @classmethod
    def load(cls, folder: Path, setting: Setting) -> Self:
        """Read what `save` wrote; arrays stay on the disk and are mapped."""
        model = cls(setting)
        model.items = read_texts(folder, "items")
        model.history = History.load(folder)
        model.restore(folder)
        return model

    @abstractmethod
    def learn(self, past: Interactions, at: int) -> None:
        """Learn from rows that all lie before `at`, and set `history`."""

    @abstractmethod
    def person_scores(self, person: str) -> Scores:
        """The score of every item for one person, (items,); not to be written into."""

    def store(self, folder: Path) -> None:
        """Write what the model holds beyond items and history; nothing, unless it says so."""

    def restore(self, folder: Path) -> None:
        """Read what `store` wrote."""


class FewItems(ScoredCatalogue[Setting]):
    """A retriever with evidence of few items for each person: a model adds `ask` in place of `person_scores`."""

    @abstractmethod
    def ask(self, person: str, request: Mapping[str, Any]) -> Few:
        """The items that are near to a person."""

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Few]:
        """The same for many people."""
        return (self.ask(person, request) for person, request in zip(texts(people).to_pylist(), requests, strict=True))

    def person_scores(self, person: str) -> Scores:
        """What its evidence says of every item, (items,)."""
        return self.ask(person, {}).of(np.arange(len(self.items), dtype=np.int32))


class SameForAll(ScoredCatalogue[Setting]):
    """A retriever that knows nothing of tastes: a model adds `state` in place of `person_scores`."""

    @abstractmethod
    def state(self) -> Scores:
        """The score of every item, (items,); not to be written into."""

    def fit(self, log: Interactions, at: int) -> None:
        """Learn from the rows before `at`; `DataError` where there are none."""
        super().fit(log, at)
        self.changed()

    def changed(self) -> None:
        """Forget what was found of another state."""
        self.__dict__.pop("_evidence", None)

    def person_scores(self, person: str) -> Scores:  # noqa: ARG002
        """The same for everybody."""
        return self.state()

    def ask(self, person: str, request: Mapping[str, Any]) -> Scored:  # noqa: ARG002
        """The score of every item."""
        return self._evidence

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Scored]:  # noqa: ARG002
        """The same for many people."""
        return repeat(self._evidence, len(people))

    @cached_property
    def _evidence(self) -> OfAll:
        return OfAll(self.state())
