"""Lesson: what a network learns from, read once; and where the later part of it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.models.inputs import Inputs
from bottega.models.networks.fields import Codes, Fields, Numbers

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows in the form in which they are learnt. codes: (n, c). numbers: (n, m). label, weight: (n,) float32, of
    several labels (n, tasks)."""

    codes: Codes
    numbers: Numbers
    label: Array
    weight: Array

    @classmethod
    def of(cls, fields: Fields, inputs: Inputs, label: Array, weight: Array | None, positive: float) -> Self:
        """Read the rows.

        label, weight: (n,) or (n, tasks); a label above 0 is relevant. positive: weight of a positive beside a
        negative.
        """
        codes, numbers = fields.read(inputs.values)
        truth = (label > 0).astype(np.float32)
        mass = np.ones(truth.shape, dtype=np.float32) if weight is None else weight
        return cls(codes, numbers, truth, mass * np.where(truth > 0, np.float32(positive), np.float32(1)))

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: slice) -> Self:
        return type(self)(self.codes[rows], self.numbers[rows], self.label[rows], self.weight[rows])

    @property
    def rate(self) -> npt.NDArray[np.float64]:
        """The weighted share of positives, of each label, kept off 0 and 1 by one example; of no rows a half."""
        mass = self.weight.sum(axis=0, dtype=np.float64)
        positive = (self.weight * self.label).sum(axis=0, dtype=np.float64)
        mass, positive = np.where(mass > 0, mass, 1), np.where(mass > 0, positive, 0.5)
        return np.asarray((positive + 0.5 * mass / len(self)) / (mass * (1 + 1 / len(self))))


def later_from(group: Codes | None, rows: int, share: float) -> int:
    """The row from which on examples judge and do not teach: the last `share` of them, whole requests.

    Gives `rows` where that would leave nothing to learn from, or nothing to judge by.

    >>> later_from(None, 100, 0.1), later_from(np.array([1, 1, 2, 2, 2, 3]), 6, 0.4), later_from(None, 1, 0.5)
    (90, 5, 1)
    """
    first = rows - int(rows * share)
    while group is not None and 0 < first < rows and group[first] == group[first - 1]:
        first += 1
    return first if first else rows
