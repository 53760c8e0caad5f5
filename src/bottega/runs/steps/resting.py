"""What values that differ rest on: asked of both sides while the store still stands at the moment of reading."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.features.explaining import log_says, place_of, record_says
from bottega.features.frame import Values, objects, taken
from bottega.features.stores.keys import key
from bottega.features.stores.protocol import Store
from bottega.features.tracks import Group
from bottega.runs.steps.examples import Examples
from bottega.serving.parity import WORST, Said, exact_columns, gap
from bottega.serving.parity_reading import Asked


class Resting:
    """Collects what is said of values that differ.

    groups: of the store. logs: of the tables. trained: the features of all examples. rows: the examples.
    """

    def __init__(
        self, groups: Sequence[Group], design: Design, logs: Mapping[str, Log], trained: Values, rows: Examples
    ) -> None:
        self._groups, self._design, self._logs, self._rows = groups, design, logs, rows
        self._trained = trained
        self._exact = exact_columns(design)
        self._worst: dict[str, list[float]] = {}  # of each feature the largest gaps so far, as a heap
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
        worst = self._worst.setdefault(name, [])
        for place, (value, row) in enumerate(zip(values, mine.tolist(), strict=True)):
            wanted = self._at(name, row)
            apart = gap(wanted, str(value) if isinstance(wanted, str) else value, name in self._exact)
            if not apart or (len(worst) == WORST and apart <= worst[0]):
                continue  # it is none of those that are told
            every = {**asked.columns, **({self._rows.name: asked.candidates[place]} if self._rows.name else {})}
            keys = {column: str(every[column] if column in every else self._at(column, row)) for column in found[0].by}
            says, slack = log_says(self._groups, name, self._design, self._logs, keys, asked.at)
            held = store.read(found[0].name, [key(list(keys.values()))])[0]
            self.said[name, first + place] = Said(says, record_says(self._groups, name, held, asked.at), slack)
            if not slack or not abs(wanted - value) <= slack:
                (heapq.heappush if len(worst) < WORST else heapq.heapreplace)(worst, apart)

    def _at(self, name: str, row: int) -> Any:
        """Give training's value; a time as the text of its microseconds, since it agrees wholly or not at all."""
        of_request = name in self._trained.request
        column = self._trained.request[name] if of_request else self._trained.row[name]
        value = objects(taken(column, np.array([self._rows.group[row] if of_request else row])))[0]
        if isinstance(value, np.datetime64):
            return None if np.isnat(value) else str(value.astype("datetime64[us]").astype(np.int64))
        return value
