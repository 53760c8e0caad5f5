"""Logistic: a linear model of standardised numbers and one-hot categories."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import Logistic
from bottega.files import write_json
from bottega.models import logistic_columns, logistic_whole
from bottega.models.inputs import Inputs, Kind, lesson
from bottega.models.logistic_belief import Belief
from bottega.models.logistic_sight import Sight
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays

_MANY_CODES, _MANY_ROWS = 256, 100_000  # above one of them codes are solved by columns, with penalties of their own


class LogisticModel:
    """Scores a row by the probability σ(b + Σ w·z) of a label above 0.

    z are the numbers, standardised and cut at ±5 deviations, nulls at the mean with an indicator where training has
    nulls, and one indicator for each category code (none for an unknown one; above 2²⁰ codes share by hash). w
    minimises Σ weight · log loss + Σ penalty/2 · w², b is free. The penalty is `reg`; with more than 256 codes or
    100,000 rows, as a click log has, each column of categories has its own, `reg` divided by the spread² of its
    weights as the rows tell it (`logistic_columns`): a cross that is noise is shrunk to nothing. A positive weighs
    `positive_weight` times as much. When it is wrong: it sees no interaction that the features do not hold, and no
    bend; equal ids of training and serving must have equal codes.

    >>> rows = Inputs(["x"], ["number"], np.array([[0], [1], [2], [3]], np.float32))
    >>> model = LogisticModel(Logistic())
    >>> model.fit(rows, [0, 0, 1, 1])
    >>> print(model.score(rows).round(2))
    [0.22 0.4  0.6  0.78]
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sight: Sight
    belief: Belief

    def __init__(self, setting: Logistic) -> None:
        self.setting = setting

    def fit(
        self,
        inputs: Inputs,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        start: LogisticModel | None = None,
    ) -> None:
        """Solve for the weights.

        start: a model of the same columns and codes, fitted on other rows, as those of the days before: its weights are
        where these start and what they are drawn to, each as strongly as its rows were sure of it. That is as if the
        old rows were learnt again with these, but for how weights move together; how numbers are standardised stays.
        """
        from threadpoolctl import threadpool_limits

        inputs, labels, given = lesson(inputs, label, weight)
        target = (labels > 0).astype(np.float64)
        mass = np.ones(len(target)) if given is None else given.astype(np.float64)
        mass *= np.where(target > 0, self.setting.positive_weight, 1.0)
        reg, values = self.setting.reg, inputs.values
        if start is None:
            self.sight = Sight.of(values, inputs.kinds)
            prior = Belief.none(self.sight, reg)
            rate = float(mass @ target / mass.sum())
            prior.weights[0] = np.log(rate / (1 - rate))
        else:
            inputs.expect(start.names, start.kinds)
            self.sight = Sight.of(values, inputs.kinds, start.sight)
            prior = start.belief.moved(start.sight, self.sight, reg)
        self.names, self.kinds = tuple(inputs.names), tuple(inputs.kinds)
        with threadpool_limits(1, "blas"):  # the same bytes whatever the number of cores
            if self.sight.offset[-1] > (_MANY_CODES if len(values) <= _MANY_ROWS else 0):
                tuned = reg if start is None else None
                self.belief = logistic_columns.solve(self.sight, values, target, mass, prior, tuned)
            else:
                self.belief = logistic_whole.solve(self.sight, values, target, mass, prior)

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,)."""
        inputs.expect(self.names, self.kinds)
        margin = self.sight.margins(inputs.values, self.belief.weights, self.belief.categories)
        return np.asarray(1 / (1 + np.exp(-margin)), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write `logistic.json` and the arrays."""
        with new_folder(folder) as part:
            write_json(part / "logistic.json", {"names": self.names, "kinds": self.kinds})
            write_arrays(part, {name: getattr(self.sight, name) for name in _SIGHT})
            write_arrays(part, {name: getattr(self.belief, name) for name in _BELIEF})

    @classmethod
    def load(cls, folder: Path, setting: Logistic) -> Self:
        """Read what `save` wrote."""
        model = cls(setting)
        facts = read_facts(folder, "logistic")
        model.names, model.kinds = tuple(facts["names"]), tuple(facts["kinds"])
        model.sight = Sight(model.kinds, *(read_array(folder, name) for name in _SIGHT))
        model.belief = Belief(*(read_array(folder, name) for name in _BELIEF))
        return model


_SIGHT = ("mean", "scale", "null", "offset")
_BELIEF = ("weights", "trust", "categories", "category_trust", "penalty")
