"""Arriving: what comes while retrievers answer, new items and what is taken; and the models that know it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from bottega.models.interactions import NEVER, Times
from bottega.models.protocols import Evidence, Scores, Source
from bottega.models.vocabulary import Codes

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Arrived:
    """What came since the catalogue ended, in the order in which it could be known.

    first: items that were known before: the new ones have the codes from here on. names: (m,) ids of new items, none of
    them known. texts: by column, what each of them says, or null (m,). since: (m,) from when each stands in the
    catalogue, microseconds UTC; `NEVER` where it was only taken. item: (t,) codes of what was taken. time: (t,).
    """

    first: int
    names: Sequence[str] = ()
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    since: Times = field(default_factory=lambda: _NONE)
    item: Codes = field(default_factory=lambda: _NONE.astype(np.int32))
    time: Times = field(default_factory=lambda: _NONE)

    def text(self, columns: Sequence[str]) -> list[str]:
        """What some columns say of each new item, one after the other; empty where they say nothing."""
        told = [self.texts.get(name, [None] * len(self.names)) for name in columns]
        return [" ".join(part for part in each if part) for each in zip(*told, strict=True)]

    def singly(self) -> Iterator[Arrived]:
        """The same one new item after the other, and then what was taken."""
        for place, name in enumerate(self.names):
            texts = {column: [values[place]] for column, values in self.texts.items()}
            yield Arrived(self.first + place, [name], texts, self.since[place : place + 1])
        yield replace(self, first=self.first + len(self.names), names=(), texts={}, since=_NONE)

    def listed(self) -> list[tuple[int, int]]:
        """The code and the time of each new item that stands in the catalogue."""
        there = np.flatnonzero(self.since < NEVER)
        return list(zip((self.first + there).tolist(), self.since[there].tolist(), strict=True))


@runtime_checkable
class Arriving(Source, Protocol):
    """A source that can know what arrives, without learning anew."""

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that knows this too; itself it stays as it is, and answers who asked it before.

        Its `items` and `history` are those that it learnt from; codes beyond them are new items, in their order.
        """


def with_arrived(model: Source, arrived: Arrived) -> Source:
    """Give a retriever that answers in the catalogue with what arrived: one that cannot know it says nothing of it."""
    if isinstance(model, Arriving):
        found: Source = model.with_arrived(arrived)
        return found
    return Unmoved(model, arrived.first) if arrived.names else model


class Unmoved:
    """A retriever that knows the first items of a catalogue, and has no evidence of any other."""

    def __init__(self, model: Source, known: int) -> None:
        self.setting, self.items, self.history = model.setting, model.items, model.history
        self._model, self._known = model, known

    def __getattr__(self, name: str) -> Any:
        if name != "item_vectors":
            raise AttributeError(name)
        gives: Callable[[Codes], Scores] | None = getattr(self._model, name, None)
        return None if gives is None else lambda codes: _known_rows(gives, codes, self._known)

    def with_arrived(self, arrived: Arrived) -> Self:  # noqa: ARG002 (it knows nothing of that either)
        """Itself: it takes nothing in."""
        return self

    def ask(self, person: str, request: Mapping[str, Any]) -> Evidence:
        """What the model says of the items that it knows."""
        return _OfKnown(self._model.ask(person, request), self._known)


class _OfKnown:
    """Evidence of the first items of a catalogue."""

    def __init__(self, evidence: Evidence, known: int) -> None:
        self._evidence, self._known = evidence, known

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        out = None if leave_out is None else leave_out[leave_out < self._known]
        return self._evidence.best(k, out)

    def of(self, codes: Codes) -> Scores:
        return self._evidence.of(np.where(codes < self._known, codes, -1).astype(np.int32))


def _known_rows(gives: Callable[[Codes], Scores], codes: Codes, known: int) -> Scores:
    there = codes < known
    found: Scores = np.where(there[:, None], gives(np.where(there, codes, 0)), np.float32(0))
    return found
