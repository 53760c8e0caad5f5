"""What values that differ rest on: asked of both sides while the store still stands at the moment of reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.features.explaining import log_says, place_of, record_says
from bottega.features.frame import Values, objects
from bottega.features.stores.keys import key
from bottega.features.stores.protocol import Store
from bottega.features.tracks import Group
from bottega.runs.steps.examples import Examples
from bottega.serving.parity import Said, alike
from bottega.serving.parity_reading import Asked

_EACH = 20  # values of one feature that are looked into


class Resting:
    """Collects what is said of values that differ.

    groups: of the store. logs: of the tables. trained: the features of all examples. rows: the examples.
    """

    def __init__(
        self, groups: Sequence[Group], design: Design, logs: Mapping[str, Log], trained: Values, rows: Examples
    ) -> None:
        self._groups, self._design, self._logs, self._rows = groups, design, logs, rows
        self._trained, self._objects = trained, dict[str, NDArray[Any]]()
        self._looked: Counter[str] = Counter()
        self.said: dict[tuple[str, int], Said] = {}
        """By feature and place of the value in the order of reading."""

    def look(
        self, name: str, values: Sequence[Any], mine: NDArray[np.int64], first: int, asked: Asked, store: Store
    ) -> None:
        """Look into the values of one request that differ from training's.

        values: as serving read them. mine: the rows of the examples. first: the place of the first value.
        """
        if (found := place_of(self._groups, name)) is None:
            return
        trained = self._of(name)
        of_request = name in self._trained.request
        for place, (value, row) in enumerate(zip(values, mine.tolist(), strict=True)):
            if alike(trained[self._rows.group[row] if of_request else row], value):
                continue
            self._looked[name] += 1
            if self._looked[name] > _EACH:
                return
            every = {**asked.columns, **({self._rows.name: asked.candidates[place]} if self._rows.name else {})}
            keys = {column: str(every[column]) for column in found[0].by}
            held = store.read(found[0].name, [key(list(keys.values()))])[0]
            says, slack = log_says(self._groups, name, self._design, self._logs, keys, asked.at)
            self.said[name, first + place] = Said(says, record_says(self._groups, name, held, asked.at), slack)

    def _of(self, name: str) -> NDArray[Any]:
        if name not in self._objects:
            column = self._trained.request.get(name, self._trained.row.get(name))
            made = objects(column) if column is not None else np.zeros(0)
            self._objects[name] = made.view(np.int64) if made.dtype.kind == "M" else made
        return self._objects[name]
