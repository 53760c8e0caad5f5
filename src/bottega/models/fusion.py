"""Fusion: the places that a candidate has in several orders, as one score."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import Fusion
from bottega.errors import DataError, nearest
from bottega.files import write_json
from bottega.models.inputs import Inputs, Kind, lesson
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_facts


class FusionModel:
    """Scores a candidate by Σ weight ÷ (constant + place) over the orders in which it has a place.

    The place in an order is 1 for the largest number of the request, and of equal numbers all have the best of their
    places; a number of 0 or less, or none, has no place. It learns nothing. When it is wrong: places forget by how much
    one candidate is better than the next; a weak source counts like a strong one unless weights say otherwise; and
    candidates of other requests, or fewer of this one, give other places.

    >>> rows = Inputs(["words", "taste"], ["number", "number"], np.array([[9, 0], [5, 2], [0, 7]], np.float32))
    >>> model = FusionModel(Fusion(over=["words", "taste"], constant=1))
    >>> model.fit(rows, [1, 0, 0])
    >>> model.score(rows).round(3).tolist()
    [0.5, 0.6669999957084656, 0.5]

    Source: G. Cormack, C. Clarke, S. Büttcher, Reciprocal rank fusion, SIGIR 2009.
    """

    listwise = True
    """A row's score hangs on the other rows of its request."""
    names: tuple[str, ...]
    """The columns of the inputs."""
    kinds: tuple[Kind, ...]

    def __init__(self, setting: Fusion) -> None:
        self.setting = setting

    def fit(
        self,
        inputs: Inputs,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        start: FusionModel | None = None,  # noqa: ARG002
    ) -> None:
        """Look whether the columns are there; `DataError` where one is not, or holds categories."""
        given, _, _ = lesson(inputs, label, weight)
        known = [name for name, kind in zip(given.names, given.kinds, strict=True) if kind == "number"]
        for name in self.setting.over:
            if name not in known:
                raise DataError(
                    "models: Fusion.over",
                    f"no number {name!r}",
                    f"numbers among {', '.join(known) or 'none'}",
                    nearest(name, known),
                )
        self.names, self.kinds = tuple(given.names), tuple(given.kinds)

    def score(self, inputs: Inputs) -> Scores:
        """The sum over the orders, (n,) float32; 0 for a candidate without a place."""
        found: Scores = self.shares(inputs).sum(axis=1).astype(np.float32)
        return found

    def shares(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """What each order gives to each candidate, (n, orders): weight ÷ (constant + place), 0 without a place."""
        inputs.expect(self.names, self.kinds)
        group = np.zeros(len(inputs), np.int32) if inputs.group is None else inputs.group
        weights = self.setting.weights or [1.0] * len(self.setting.over)
        found = np.zeros((len(inputs), len(weights)))
        for order, (name, weight) in enumerate(zip(self.setting.over, weights, strict=True)):
            column = inputs.values[:, self.names.index(name)]
            rows = np.flatnonzero(column > 0)  # NaN is not above 0
            found[rows, order] = weight / (self.setting.constant + places(group[rows], column[rows]))
        return found

    def save(self, folder: Path) -> None:
        """Write the columns that it was fitted on as `fusion.json`."""
        with new_folder(folder) as part:
            write_json(part / "fusion.json", {"names": self.names, "kinds": self.kinds})

    @classmethod
    def load(cls, folder: Path, setting: Fusion) -> Self:
        """Read what `save` wrote."""
        model, told = cls(setting), read_facts(folder, "fusion")
        model.names, model.kinds = tuple(told["names"]), tuple(told["kinds"])
        return model


def places(group: npt.NDArray[np.integer], values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Give each value its place among those of its group, from 1 for the largest; equal values share the best place.

    group, values: (n,), no NaN.

    >>> places(np.array([0, 0, 0, 4]), np.array([2.0, 5.0, 2.0, 1.0])).tolist()
    [2, 1, 2, 1]
    """
    order = np.lexsort((-values, group))
    ours, theirs = group[order], values[order]
    begins = np.flatnonzero(np.r_[True, ours[1:] != ours[:-1]]) if len(ours) else np.zeros(0, np.int64)
    first = np.repeat(begins, np.diff(np.r_[begins, len(ours)]))
    new = np.r_[True, (theirs[1:] != theirs[:-1]) | (ours[1:] != ours[:-1])] if len(ours) else np.zeros(0, np.bool_)
    level = np.maximum.accumulate(np.where(new, np.arange(len(ours)), 0))
    found = np.empty(len(ours), np.int64)
    found[order] = level - first + 1
    return found
