"""Popularity: what most people took lately."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bottega.design.part import microseconds
from bottega.design.retrievers import Popularity
from bottega.models.history import History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import SameForAll
from bottega.models.storage import read_array, write_arrays


class PopularityModel(SameForAll[Popularity]):
    """Scores an item by the number of people who took it in the span before the cut, the same for everybody.

    score(i) = |{p : p took i in [at − span, at)}|. When it is wrong: it knows no tastes, and a span longer than a
    season shows last season's goods. It answers people it does not know, so that a path always has candidates.

    >>> model = PopularityModel(Popularity(span=None))
    >>> model.fit(Interactions.of(["ann", "bob", "ann"], ["tea", "tea", "cup"], [1, 2, 3]), at=9)
    >>> model.person_scores("somebody").tolist()
    [1.0, 2.0]
    """

    people_by_item: Scores

    def learn(self, past: Interactions, at: int) -> None:
        """Count the people of each item, (items,), and keep who took what."""
        self.history = History.of(past.people, past.matrix())
        since = None if self.setting.span is None else at - microseconds(self.setting.span)
        self.people_by_item = past.people_by_item(since).astype(np.float32)

    def state(self) -> Scores:
        """The counts, (items,)."""
        return self.people_by_item

    def store(self, folder: Path) -> None:
        """Write the counts as `people_by_item.npy`."""
        write_arrays(folder, {"people_by_item": self.people_by_item})

    def restore(self, folder: Path) -> None:
        """Read the counts."""
        self.people_by_item = read_array(folder, "people_by_item")
