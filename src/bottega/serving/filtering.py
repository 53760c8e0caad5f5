"""Which candidates may be found at all: a condition over what the store says of them now."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bottega.design.features import Categories, Cross, Expression
from bottega.features.batch import derive, time_name
from bottega.features.conditions import Condition
from bottega.features.frame import Frame
from bottega.features.reader import Reader
from bottega.models.protocols import Evidence
from bottega.models.vocabulary import Codes
from bottega.serving.bundle import Bundle

Allowed = Callable[[Codes], np.ndarray]
"""From codes of candidates to which of them may be found, (n,) bool."""
_MORE = 4  # how many times longer the next list is, where too few of one may be found


class Filter:
    """Says of candidates whether a condition holds for them; it learns nothing, and threads may share it.

    where: the condition. bundle: whose store it reads.
    """

    def __init__(self, where: str, bundle: Bundle) -> None:
        self._condition = Condition(where, "serving.path: Retrieve.where", bundle.design.features)
        read = [group for group in bundle.facts.groups if self._condition.columns & set(group.columns)]
        self._reader = Reader(bundle.reader.store, read)
        self._derived = [part for part in self._condition.features if isinstance(part, (Expression, Cross, Categories))]
        self._time_name = time_name(bundle.design)

    def holds(self, frame: Frame) -> np.ndarray:
        """Say for which candidates of a frame the condition holds, (n,) bool."""
        values = self._reader.read(frame)
        for part in self._derived:
            values.update(derive(part, frame, values, self._time_name))
        return self._condition.holds(values, frame)


def best_allowed(evidence: Evidence, k: int, leave_out: Codes | None, allowed: Allowed, items: int) -> Codes:
    """Give the k best candidates of those that may be found: longer and longer lists, until k are full or all is seen.

    items: how many there are in the catalogue.
    """
    width = k
    while True:
        listed = evidence.best(width, leave_out)
        found = listed[allowed(listed)] if len(listed) else listed
        if len(found) >= k or len(listed) < width or width >= items:
            return found[:k]
        width *= _MORE
