"""Distilling: a small network learns what a teacher says beside the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.design.serving import Distill
from bottega.errors import DataError
from bottega.models.compression.compressed import CompressedModel
from bottega.models.compression.vectors import Whole
from bottega.models.inputs import Inputs
from bottega.models.networks.network import NetworkModel

Array = npt.NDArray[np.float32]


def distill(
    setting: Distill,
    inputs: Inputs,
    label: npt.ArrayLike,
    teacher: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    champion: Any = None,
    checkpoints: Path | None = None,
) -> CompressedModel:
    """Fit the student to t = share · teacher + (1 − share) · label, by log loss.

    A row stands twice, with label 1 at weight t and label 0 at weight 1 − t, whose losses sum to that of t. What the
    teacher says must be of the same kind as the labels: where training rows are sampled or weighted, the probability
    among these rows, before any correction, as the student is corrected in the same way afterwards. When it is wrong:
    a teacher that has learnt its own rows by heart says little beside their labels.

    inputs: (n,) rows in the order of their time. label: (n,), above 0 is relevant. teacher: (n,) probabilities.
    weight: (n,) from 0 up. champion: setting of the model whose place the student takes. checkpoints: as in the
    network's `fit`. Raises `DataError` for a teacher that gives no probabilities.

    Source: G. Hinton et al., Distilling the knowledge in a neural network, 2015, at temperature 1.
    """
    said = np.asarray(teacher, dtype=np.float32)
    truth = (np.asarray(label, dtype=np.float32) > 0).astype(np.float32)
    if said.shape != truth.shape or not (np.isfinite(said).all() and said.min() >= 0 and said.max() <= 1):
        raise DataError(
            "teacher",
            f"an array {said.shape} for {truth.shape} labels, from {said.min():g} to {said.max():g}",
            "a probability for each row, 0 to 1",
            "take a champion that gives probabilities, or give it a calibrator",
        )
    share = np.float32(setting.share)
    target = share * said + (1 - share) * truth
    mass = np.ones_like(target) if weight is None else np.asarray(weight, dtype=np.float32)
    student = NetworkModel(setting.student)
    twice = inputs.take(np.repeat(np.arange(len(inputs)), 2))
    labels = np.tile(np.array([1, 0], np.float32), len(target))
    weights = np.column_stack([mass * target, mass * (1 - target)]).ravel()
    student.fit(twice, labels, weights, checkpoints=checkpoints)
    facts = {
        "kind": "Distill",
        "student": type(setting.student).__name__,
        "share": setting.share,
        "epochs": student.training["epochs"],
        "rows": len(target),
    }
    place = setting.student if champion is None else champion
    return CompressedModel(place, student.fields, Whole(student.weights.embedding), student.dense(), facts)
