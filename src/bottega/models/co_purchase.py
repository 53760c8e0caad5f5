"""CoPurchase: what is taken by the people who took what this person took."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bottega.design.part import microseconds
from bottega.design.retrievers import CoPurchase
from bottega.models.history import History
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.retrieving import Few, FewItems, top_k
from bottega.models.storage import read_array, write_arrays
from bottega.models.vocabulary import Codes

_BLOCK = 4_000_000  # pairs held at once, 48 MB


class CoPurchaseModel(FewItems[CoPurchase]):
    """Scores an item by its likeness to the items of this person.

    sim(i, j) = n(i, j) / (√(n(i) n(j)) + shrinkage), with n the number of people who took it (both), sim(i, i) = 0, the
    `neighbours` largest kept for each i (ties by lower code); score(p, j) = Σ over p's items i of w(p, i) sim(i, j),
    with w the decayed sum of p's events, or 1 without a half-life. When it is wrong: pairs seen by one or two people
    look alike by chance (shrinkage helps), and nothing is found for a person it does not know.

    >>> model = CoPurchaseModel(CoPurchase(shrinkage=0, half_life=None))
    >>> log = Interactions.of(["ann", "ann", "bob"], ["cup", "tea", "tea"], [1, 2, 3])
    >>> model.fit(log, at=9)
    >>> print(model.person_scores("bob").round(3))
    [0.707 0.   ]

    Source: M. Deshpande, G. Karypis, Item-based top-N recommendation algorithms, ACM TOIS 22 (2004).
    """

    near: Codes
    """(items, m) neighbours of each item; where there are fewer, code 0 with likeness 0."""
    likeness: Scores
    """(items, m) their similarities."""

    def learn(self, past: Interactions, at: int) -> None:
        """Compare all items in blocks, and keep the nearest of each."""
        binary = past.matrix()
        half_life = self.setting.half_life
        weights = binary if half_life is None else past.matrix("decayed", at=at, half_life=microseconds(half_life))
        self.history = History.of(past.people, weights)
        count, size = binary.shape[1], min(self.setting.neighbours, binary.shape[1])
        by_item = binary.T.tocsr()
        people = np.asarray(by_item.sum(axis=1)).ravel()  # (items,)
        self.near = np.zeros((count, size), dtype=np.int32)
        self.likeness = np.zeros((count, size), dtype=np.float32)
        pairs = by_item @ np.diff(binary.indptr)  # (items,) at most so many others share somebody with each
        for part in np.split(np.arange(count), 1 + np.flatnonzero(np.diff(np.cumsum(pairs) // _BLOCK))):
            low = int(part[0])
            block = (by_item[part] @ binary).tocsr()  # (block, items): pairs that somebody took
            block.sort_indices()
            for row, (first, last) in enumerate(pairwise(block.indptr.tolist()), start=low):
                other, both = block.indices[first:last], block.data[first:last]
                similar = both / (np.sqrt(people[row] * people[other]) + self.setting.shrinkage)
                similar[other == row] = 0.0
                best = top_k(similar, size)
                self.near[row, : len(best)] = other[best]
                self.likeness[row, : len(best)] = similar[best]

    def ask(self, person: str, request: Mapping[str, Any]) -> Few:  # noqa: ARG002
        """The same, of those items alone that are near to one of the person's."""
        item, weight = self.history.of_person(person)
        likeness = self.likeness[item] * weight[:, None]  # (h, m)
        codes, place = np.unique(self.near[item].ravel(), return_inverse=True)
        return Few(codes, np.bincount(place, likeness.ravel(), minlength=len(codes)).astype(np.float32))

    def store(self, folder: Path) -> None:
        """Write the neighbours as `near.npy` and `likeness.npy`."""
        write_arrays(folder, {"near": self.near, "likeness": self.likeness})

    def restore(self, folder: Path) -> None:
        """Read the neighbours."""
        self.near, self.likeness = read_array(folder, "near"), read_array(folder, "likeness")
