"""A network for several labels: which of them is learnt where, and one score of all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import MultiTask
from bottega.errors import DataError
from bottega.models.inputs import Inputs
from bottega.models.inputs import lesson as lesson_of_one
from bottega.models.networks.network import NetworkModel
from bottega.models.protocols import Scores


class MultiTaskModel(NetworkModel):
    """Scores a row by Σ weight · P(label), from one network that learns all labels of its objectives.

    Its loss is the sum over the labels of `losses` times the log loss, where a label that is missing (NaN) counts
    nothing: a row teaches what is known of it. Labels with much in common are learnt from each other's rows, the more
    so the rarer one is. When it is wrong: labels that pull apart, and one that is far commoner than all others, can
    take what they share for themselves; look at each label beside a network of its own.

    Source: J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD
    2018.
    """

    setting: MultiTask

    @property
    def tasks(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""
        return tuple(self.setting.objectives)

    def lesson(
        self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None
    ) -> tuple[Inputs, Scores, Scores | None]:
        """The rows of weight above 0, with labels and weights (n, tasks): 0 where a label is missing.

        label: (n, tasks), NaN where it is missing; of one objective also (n,), none missing. Raises `DataError` for
        other shapes, values below 0, and a label of one class.
        """
        labels = np.asarray(label, dtype=np.float32)
        if labels.ndim == 1 and len(self.tasks) == 1:
            lesson_of_one(inputs, labels, weight)
            labels = labels[:, None]
        if labels.shape != (len(inputs), len(self.tasks)):
            raise DataError(
                "label",
                f"an array {labels.shape}",
                f"({len(inputs)}, {len(self.tasks)}), a column for each of {', '.join(self.tasks)}",
                "pass the labels in the order of the objectives",
            )
        rows, found = Inputs((), (), np.empty((len(inputs), 0), np.float32)), []
        for place, name in enumerate(self.tasks):
            there = ~np.isnan(labels[:, place])
            mass = np.ones(len(inputs), np.float32) if weight is None else np.asarray(weight, np.float32)
            mass = np.where(there, mass, 0) if mass.shape == there.shape else mass
            try:
                lesson_of_one(rows, np.where(there, labels[:, place], 0), mass)
            except DataError as error:
                raise DataError(f"label {name!r}", error.found, error.allowed, error.fix) from None
            found.append(np.asarray(mass * np.float32(self.setting.losses.get(name, 1.0)), np.float32))
        weights = np.column_stack(found)
        taught = weights.any(axis=1)
        if not taught.all():
            inputs, labels, weights = inputs.take(taught), labels[taught], weights[taught]
        return inputs, np.nan_to_num(labels), weights

    def score(self, inputs: Inputs) -> Scores:
        """The sum of the labels' probabilities by their weights, (n,): an order, and no probability."""
        chances, total = self.probabilities(inputs), np.zeros(len(inputs), np.float32)
        for place, weight in enumerate(self.setting.objectives.values()):
            total += np.float32(weight) * chances[:, place]
        return total
