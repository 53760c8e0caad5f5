"""The first stage of a path: each retriever scores the catalogue, and their lists are merged."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bottega.design.serving import Retrieve
from bottega.features.frame import Values
from bottega.features.words import Known, TextColumn
from bottega.models.arriving import Arrived, Unmoved, with_arrived
from bottega.models.protocols import Evidence, Scores, Source
from bottega.models.union import union
from bottega.models.vocabulary import Codes, code_of
from bottega.serving.asking import Asked
from bottega.serving.bundle import Bundle, catalogue
from bottega.serving.filtering import Allowed, best_allowed
from bottega.serving.gathering import Gatherer, in_turn

log = logging.getLogger("bottega.service")

May = Callable[[Sequence[str]], np.ndarray]
"""From ids of candidates to which of them may be found, (n,) bool."""
_NOBODY = np.zeros(0, np.int32)


@dataclass
class Candidacy:
    """The candidates of one request on their way through the stages."""

    asked: Asked
    ids: list[str] = field(default_factory=list)
    codes: Codes = field(default_factory=lambda: _NOBODY)  # (n,) place in the catalogue, -1: unknown
    lists: list[tuple[str, Codes]] = field(default_factory=list)  # what each retriever brought, best first
    scores: dict[str, Scores] = field(default_factory=dict)  # (n,) of each stage so far; one left out has none
    ranked: dict[str, Scores] = field(default_factory=dict)  # (n,) by ladder, the same of those that rank
    inputs: dict[str, np.ndarray] = field(default_factory=dict)  # by ladder (n, columns) float32 that was read
    values: Values = field(default_factory=Values)
    stage_ms: dict[str, float] = field(default_factory=dict)
    retrievers: Mapping[str, Source] = field(default_factory=dict)  # as they were when it was asked

    def sources(self, row: int) -> dict[str, int]:
        """Give for each retriever that brought a candidate its place in that one's list, from 1."""
        found: dict[str, int] = {}
        for name, listed in self.lists:
            place = np.flatnonzero(listed == self.codes[row])
            if len(place):
                found.setdefault(name, int(place[0]) + 1)
        return found


class _View(NamedTuple):
    """Retrievers and the items that they know, of one moment."""

    sources: dict[str, Source]
    items: int


@dataclass(frozen=True)
class _Told:
    """What one retriever says of a request: its evidence, its lists, and whether it knows the person."""

    evidence: Evidence
    lists: list[Codes]
    knows: bool


class Finder:
    """Finds candidates, or scores those that a request brought; threads may share it while one lets it take things in.

    bundle: for its retrievers. stage: how many are kept, and in which time; nothing: requests bring their own.
    """

    def __init__(self, bundle: Bundle, stage: Retrieve | None) -> None:
        self.stage = stage
        self._ids: list[str] = catalogue(bundle).to_pylist()  # sorted; then what arrived, in its order
        self._sorted = len(self._ids)
        self._later: dict[str, int] = {}  # of what arrived, its code
        self._taken: dict[str, list[int]] = {}  # by person, codes of what they took since the build
        self._view = _View(dict(bundle.retrievers), self._sorted)  # each change puts another one in its place
        self._known = Known()
        self._names = bundle.facts.fields
        everybody = [model.history.people for model in self._view.sources.values()]
        self._people = everybody[0] if everybody and all(one.equals(everybody[0]) for one in everybody) else None
        timed = stage is not None and stage.budget_ms is not None
        self._gatherer = Gatherer() if timed else None

    @property
    def items(self) -> int:
        """How many items it knows."""
        return len(self._ids)

    @property
    def retrievers(self) -> dict[str, Source]:
        """The retrievers as they are now."""
        return self._view.sources

    def code(self, name: str) -> int:
        """Give the place of an item in the catalogue, −1 where it is unknown."""
        place = bisect_left(self._ids, name, 0, self._sorted)
        return place if place < self._sorted and self._ids[place] == name else self._later.get(name, -1)

    def take_in(self, arrived: Arrived, people: Sequence[str]) -> None:
        """Know new items, and what was taken, from the next request on; one thread alone may call it.

        A retriever that fails to take them in knows no more than it does from then on, and the log says so.

        people: (t,) who took each.
        """
        sources = {name: _taught(name, model, arrived) for name, model in self._view.sources.items()}
        self._ids += arrived.names
        self._later |= {name: arrived.first + place for place, name in enumerate(arrived.names)}
        for person, item in zip(people, arrived.item.tolist(), strict=True):
            self._taken.setdefault(person, []).append(item)
        self._view = _View(sources, len(self._ids))  # last: whoever sees a code of theirs finds its id

    def somebody(self) -> str | None:
        """Give a person with a history, if there is one."""
        for model in self._view.sources.values():
            if len(model.history.people):
                return str(model.history.people[0].as_py())
        return None

    def find(self, found: Candidacy, limited: bool = True, may: May | None = None) -> None:
        """Ask each retriever; where the request brought no candidates, merge their lists.

        limited: whether the stage's budget holds. may: of candidates' ids, which of them may be found; nothing: all.
        """
        begin = time.perf_counter()
        asked = found.asked
        field_name, person = next(iter(asked.columns.items()), ("", None))
        row = None if self._people is None else code_of(self._people, person)
        allowed = None if may is None else self._allowed(may)
        view = self._view  # the same one throughout a request
        found.retrievers = view.sources
        jobs = {
            name: partial(self._ask, one, view.items, person, row, asked, allowed) for name, one in view.sources.items()
        }
        if limited and self._gatherer is not None and self.stage is not None and self.stage.budget_ms is not None:
            told, late = self._gatherer.gather(jobs, self.stage.budget_ms)
        else:
            told, late = in_turn(jobs)
        asked.degradations += [f"{name}: {reason}" for name, reason in late.items()]
        known = any(source.knows for source in told.values())
        if person is not None and told and not known and self._names.get(field_name) == "id":
            asked.degradations.append(f"{field_name}: unknown")
        if asked.given is None:
            found.lists = [(name, listed) for name, source in told.items() for listed in source.lists]
            found.codes = self._merged(found.lists)
            found.ids = [self._ids[code] for code in found.codes.tolist()]
        else:
            self._take(found, asked.given, may, view.items)
        found.scores = {name: source.evidence.of(found.codes) for name, source in told.items()}
        found.stage_ms["retrieve"] = milliseconds(begin)

    def _ask(
        self,
        model: Source,
        items: int,
        person: str | None,
        row: int | None,
        asked: Asked,
        allowed: Allowed | None,
    ) -> _Told:
        evidence = model.ask(person or "", asked.columns)
        seen = model.history.of_row(code_of(model.history.people, person) if row is None else row)[0]
        if (lately := self._taken.get(person or "")) is not None:
            seen = np.union1d(seen, np.array([code for code in lately[:] if code < items], np.int32))
        lists = []
        if asked.given is None:
            for length, leave_out in ((model.setting.k, None), (model.setting.unseen, seen)):
                if length and allowed is None:
                    lists.append(evidence.best(length, leave_out))
                elif length and allowed is not None:
                    lists.append(best_allowed(evidence, length, leave_out, allowed, items))
        return _Told(evidence, lists, len(seen) > 0)

    def _allowed(self, may: May) -> Allowed:
        return lambda codes: may([self._ids[code] for code in codes.tolist()])

    def _take(self, found: Candidacy, given: list[str], may: May | None, items: int) -> None:
        """Take the candidates that the request brought, less those that may not be found."""
        if may is not None and given and not (mask := may(given)).all():
            found.asked.degradations.append(f"candidates: {int((~mask).sum())} not allowed")
            given = [name for name, stays in zip(given, mask.tolist(), strict=True) if stays]
            found.asked.travelling = {name: column[mask] for name, column in found.asked.travelling.items()}
        codes = np.array([self.code(name) for name in given], np.int32)
        found.codes, found.ids = np.where(codes < items, codes, -1).astype(np.int32), given
        if self._ids and (unknown := int((found.codes < 0).sum())):
            found.asked.degradations.append(f"candidates: {unknown} unknown")

    def column(self, ids: Sequence[str]) -> TextColumn:
        """Give candidates' ids as a column of features."""
        return self._known.column(ids)

    def _merged(self, lists: Sequence[tuple[str, Codes]]) -> Codes:
        if not lists or self.stage is None:
            return _NOBODY
        left = dict(self.stage.quotas)
        sure = [left.pop(name, 0) for name, _ in lists]  # of the first list of each
        codes: Codes = union([listed[None] for _, listed in lists], self.stage.k, self.stage.merge, sure)[0]
        return codes[codes >= 0]


def _taught(name: str, model: Source, arrived: Arrived) -> Source:
    """Give a retriever that knows what arrived; one that fails at it knows the rest, or stays as it is.

    What it fails at is found by giving it one item after the other, and then without its texts.
    """
    try:
        return with_arrived(model, arrived)
    except Exception:  # a retriever may be anybody's, and the others go on
        log.exception("%s cannot take in all that is new", name)
    for one in arrived.singly():
        try:
            model = with_arrived(model, one)
        except Exception:
            try:
                model = with_arrived(model, replace(one, texts={}))
            except Exception:
                log.error("%s stays as it is", name)
                return Unmoved(model, one.first)
    return model


def milliseconds(begin: float) -> float:
    """Give the milliseconds since a moment of `time.perf_counter`."""
    return (time.perf_counter() - begin) * 1e3
