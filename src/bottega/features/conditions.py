"""A condition over features: which candidates it holds for, and what has to be read to know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.design.features import Feature
from bottega.features.batch import names, needs
from bottega.features.expressions import evaluate, parse
from bottega.features.frame import Frame, Values, objects


class Condition:
    """A condition in SQL over features and the columns of a request.

    where: the condition. place: the field of the design, for errors. features: the design's.

    >>> from bottega.design.features import Expression
    >>> some = [Expression({"cheap": "price < 5"}), Expression({"far": "distance > 9"})]
    >>> condition = Condition("cheap = 1 and age > 18", "where", some)
    >>> [names(part) for part in condition.features], sorted(condition.columns)
    ([['cheap']], ['age', 'cheap', 'price'])
    """

    def __init__(self, where: str, place: str, features: Sequence[Feature]) -> None:
        self.where = where
        self._parsed = parse(where, where=place)
        columns: set[str] = set(self._parsed.columns)
        kept: list[Feature] = []
        for part in reversed(features):  # one may read what stands before it
            if columns & set(names(part)):
                columns |= needs(part)
                kept.insert(0, part)
        self.features = kept
        """Those that must be computed, in their order."""
        self.columns = frozenset(columns)
        """The names of all columns that are read on the way."""

    def holds(self, values: Values, frame: Frame) -> np.ndarray:
        """Say for which candidates it holds, (n,) bool; null does not.

        values: the features of the frame. Errors: `DesignError` for a column that is not there.
        """
        every = Values({**frame.requests, **values.request}, values.row)
        inputs = {name: objects(every.at_rows(name, frame.group)) for name in self._parsed.columns}
        found: np.ndarray = evaluate(self._parsed, inputs, frame.rows) == 1
        return found
