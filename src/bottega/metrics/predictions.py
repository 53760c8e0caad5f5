"""Predictions: a score and a label of 0 or 1 for each row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError
from bottega.metrics.arrays import Array, floats


@dataclass(frozen=True, eq=False, init=False)
class Predictions:
    """Labels and scores of the same rows, checked once for all metrics.

    labels: (n,) 0 or 1, booleans too. scores: (n,) finite; metrics of probability want them in [0, 1]. Raises
    `DataError` for no rows, columns of different lengths, other labels, and scores that are missing or infinite.

    >>> Predictions([1, 0], [0.9, 0.2]).labels.tolist()
    [1.0, 0.0]
    >>> rows, starts = Predictions([1, 0], [0.9, 0.2]).order
    >>> rows.tolist(), starts.tolist()
    ([1, 0], [0, 1, 2])
    """

    labels: Array
    scores: Array

    def __init__(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        label = floats("labels", labels)
        score = floats("scores", scores, len(label))
        if len(label) == 0:
            raise DataError("labels", "no rows", "at least one row", "check the filter that made this selection")
        wrong = (label != 0) & (label != 1)
        if wrong.any():
            raise DataError(
                "labels",
                f"{label[wrong][0]:g} in {int(wrong.sum())} rows",
                "0 and 1",
                "derive a label of two classes, as labels > 0; leave rows without a label out",
            )
        if not np.isfinite(score).all():
            raise DataError(
                "scores",
                f"{int((~np.isfinite(score)).sum())} scores are missing or infinite",
                "finite numbers",
                "look for nulls in the features, or for an overflow in the model",
            )
        object.__setattr__(self, "labels", label)
        object.__setattr__(self, "scores", score)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.labels)

    @cached_property
    def order(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The rows by rising score, (n,), and where each distinct score begins there, with the end, (k + 1,)."""
        rows = np.argsort(self.scores).astype(np.int32)
        ranked = self.scores[rows]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1], [True]]))
        return rows, starts.astype(np.int32)

    @cached_property
    def probabilities(self) -> Array:
        """The scores, if all lie in [0, 1]. Raises `DataError` otherwise."""
        low, high = self.scores.min(), self.scores.max()
        if low < 0 or high > 1:
            raise DataError(
                "scores",
                f"values from {low:g} to {high:g}",
                "probabilities, 0 to 1",
                "pass probabilities, not logits; for a metric of order alone use roc_auc or pr_auc",
            )
        return self.scores
