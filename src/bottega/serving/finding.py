"""The first stage of a path: each retriever scores the catalogue, and their lists are merged."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bottega.design.serving import Retrieve
from bottega.features.frame import Values
from bottega.features.words import Known, TextColumn
from bottega.models.protocols import Evidence, Retriever, Scores
from bottega.models.union import union
from bottega.models.vocabulary import Codes, code_of
from bottega.serving.asking import Asked
from bottega.serving.bundle import Bundle, catalogue

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

    def sources(self, row: int) -> dict[str, int]:
        """Give for each retriever that brought a candidate its place in that one's list, from 1."""
        found: dict[str, int] = {}
        for name, listed in self.lists:
            place = np.flatnonzero(listed == self.codes[row])
            if len(place):
                found.setdefault(name, int(place[0]) + 1)
        return found


class Finder:
    """Finds candidates, or scores those that a request brought; it learns nothing, and threads may share it.

    bundle: for its retrievers. stage: how many are kept, and in which time; nothing: requests bring their own.
    """

    def __init__(self, bundle: Bundle, stage: Retrieve | None) -> None:
        self.retrievers: dict[str, Retriever] = bundle.retrievers
        self.stage = stage
        self._ids: list[str] = catalogue(bundle).to_pylist()
        self._known = Known()
        self._names = bundle.facts.fields
        everybody = [model.history.people for model in self.retrievers.values()]
        self._people = everybody[0] if everybody and all(one.equals(everybody[0]) for one in everybody) else None

    def somebody(self) -> str | None:
        """Give a person with a history, if there is one."""
        for model in self.retrievers.values():
            if len(model.history.people):
                return str(model.history.people[0].as_py())
        return None

    def find(self, found: Candidacy, limited: bool = True) -> None:
        """Let each retriever score the catalogue; where the request brought no candidates, merge their lists.

        limited: whether the stage's budget holds.
        """
        begin = time.perf_counter()
        asked = found.asked
        field_name, person = next(iter(asked.columns.items()), ("", None))
        budget = self.stage.budget_ms if self.stage is not None and limited else None
        row = None if self._people is None else code_of(self._people, person)
        known = False
        told: dict[str, Evidence] = {}
        for name, model in self.retrievers.items():
            if budget is not None and (gone := milliseconds(begin)) > budget:
                asked.degradations.append(f"{name}: left out, {gone:.1f} of {budget:g} ms were gone")
                continue
            told[name] = evidence = model.ask(person or "", asked.columns)
            seen = (model.history.of_row(code_of(model.history.people, person) if row is None else row))[0]
            known = known or len(seen) > 0
            if asked.given is None:
                found.lists.append((name, evidence.best(model.setting.k)))
                if model.setting.unseen:
                    found.lists.append((name, evidence.best(model.setting.unseen, seen)))
        if person is not None and told and not known and self._names.get(field_name) == "id":
            asked.degradations.append(f"{field_name}: unknown")
        if asked.given is None:
            found.codes = self._merged(found.lists)
            found.ids = [self._ids[code] for code in found.codes.tolist()]
        else:
            found.codes, found.ids = self._codes(asked.given), asked.given
            strange = found.codes < 0
            if self._ids and (unknown := int(strange.sum())):
                asked.degradations.append(f"candidates: {unknown} unknown")
        found.scores = {name: evidence.of(found.codes) for name, evidence in told.items()}
        found.stage_ms["retrieve"] = milliseconds(begin)

    def column(self, found: Candidacy) -> TextColumn:
        """Give the candidates' ids as a column of features."""
        return self._known.column(found.ids)

    def _merged(self, lists: Sequence[tuple[str, Codes]]) -> Codes:
        if not lists or self.stage is None:
            return _NOBODY
        codes: Codes = union([listed[None] for _, listed in lists], self.stage.k)[0]
        return codes[codes >= 0]

    def _codes(self, ids: Sequence[str]) -> Codes:
        """Give each id's place in the catalogue, (n,): a search by halves, so that no index is held beside it."""
        places = np.full(len(ids), -1, np.int32)
        if not self._ids:
            return places
        for row, name in enumerate(ids):
            place = bisect_left(self._ids, name)
            if place < len(self._ids) and self._ids[place] == name:
                places[row] = place
        return places


def milliseconds(begin: float) -> float:
    """Give the milliseconds since a moment of `time.perf_counter`."""
    return (time.perf_counter() - begin) * 1e3
