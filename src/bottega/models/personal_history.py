"""PersonalHistory: what this person took before."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bottega.design.part import microseconds
from bottega.design.retrievers import PersonalHistory
from bottega.models.history import History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import Few, FewItems
from bottega.models.storage import read_array, write_arrays

_RECENT = microseconds("30d")
_LITTLE = 1e-3  # far under any weight that matters


class PersonalHistoryModel(FewItems[PersonalHistory]):
    """Scores an item by how often and how lately this person took it, then by how many people took it lately.

    score(p, i) = Σ over p's events with i of 2^(−(at − time) / half_life), + 0.001 share(i), for what p took; what is
    taken in one visit weighs the same, and the share tells it apart. share(i) is how many of the people of the last 30
    days took i. Every other item, and all of them for a person it does not know, has 0.001 (share(i) − 1): that is no
    evidence, since it lies at 0 or below, and never retrieved; but given candidates end with the popular ones and not
    by chance, as a shop would fill its list. When it is wrong: it finds nothing new, and nothing for a person it does
    not know.

    >>> model = PersonalHistoryModel(PersonalHistory(half_life="1d"))
    >>> model.fit(Interactions.of(["ann", "ann"], ["cup", "tea"], [0, 86_400_000_000]), at=2 * 86_400_000_000)
    >>> print(model.person_scores("ann"), model.person_scores("bob"))
    [0.251 0.501] [0. 0.]
    """

    lately: Scores
    """(items,) 0.001 share."""

    def learn(self, past: Interactions, at: int) -> None:
        """Keep each person's items with their decayed weights, and what is popular."""
        self.__dict__.pop("_rest", None)
        half_life = microseconds(self.setting.half_life)
        self.history = History.of(past.people, past.matrix("decayed", at=at, half_life=half_life))
        people = len(np.unique(past.person[past.time >= at - _RECENT]))
        self.lately = (_LITTLE * past.people_by_item(at - _RECENT) / max(1, people)).astype(np.float32)

    def ask(self, person: str, request: Mapping[str, Any]) -> Few:  # noqa: ARG002
        """The same, as the person's own items and the rest."""
        item, weight = self.history.of_person(person)
        return Few(item, weight + self.lately[item], self._rest)

    @cached_property
    def _rest(self) -> Scores:
        rest: Scores = self.lately - np.float32(_LITTLE)
        return rest

    def store(self, folder: Path) -> None:
        """Write the popularity as `lately.npy`."""
        write_arrays(folder, {"lately": self.lately})

    def restore(self, folder: Path) -> None:
        """Read it."""
        self.lately = read_array(folder, "lately")
