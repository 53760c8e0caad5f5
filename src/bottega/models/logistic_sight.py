"""How `Logistic` sees a row: numbers standardised, nulls by an indicator, each category by a weight of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.models.inputs import Kind
from bottega.models.vocabulary import Codes

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_BLOCK = 8_192


@dataclass(frozen=True, eq=False)
class Sight:
    """What training says of the columns.

    kinds: (f,). mean: (f,) of the numbers, 0 for categories. scale: (f,) one over the standard deviation; 0 for
    categories and constant numbers. null: (u,) the numbers that have nulls in training. offset: (f + 1,) where the
    weights of each category begin; numbers take no place.

    >>> sight = Sight.of(np.array([[1.0, 2], [3, 0]], np.float32), ["number", "category"])
    >>> sight.mean.tolist(), sight.offset.tolist(), sight.dense
    ([2.0, 0.0], [0, 0, 3], 3)
    """

    kinds: Sequence[Kind]
    mean: Array
    scale: Array
    null: Codes
    offset: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Values, kinds: Sequence[Kind], start: Sight | None = None) -> Sight:
        """Measure values (n, f), one column at a time; what a model to start from has measured stays."""
        from bottega.models.logistic_kernel import OWN_UP_TO

        count = values.shape[1]
        mean, scale = np.zeros(count), np.zeros(count)
        sizes, nulls = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
        for j, kind in enumerate(kinds):
            known = values[:, j][np.isfinite(values[:, j])].astype(np.float64)
            if kind == "category":
                sizes[j] = min(known.max(initial=-1) + 1, OWN_UP_TO)
            elif len(known):
                deviation = known.std()
                mean[j] = known.mean()
                scale[j] = 1 / deviation if deviation > 1e-9 * abs(mean[j]) else 0.0
                nulls[j] = np.isnan(values[:, j]).any()
        if start is not None:
            measured = start.scale > 0
            mean, scale = np.where(measured, start.mean, mean), np.where(measured, start.scale, scale)
            sizes = np.maximum(sizes, np.diff(start.offset))
            nulls[start.null] = True
        offset = np.concatenate([[0], np.cumsum(sizes)])
        return cls(tuple(kinds), mean, scale, np.flatnonzero(nulls).astype(np.int32), offset)

    @property
    def dense(self) -> int:
        """The number of weights that are no category's, 1 + f + u: the intercept, the numbers, their nulls."""
        return 1 + len(self.mean) + len(self.null)

    @property
    def columns(self) -> Codes:
        """The columns of categories."""
        return np.array([j for j, kind in enumerate(self.kinds) if kind == "category"], dtype=np.int32)

    def margins(self, values: Values, weights: Array, categories: Values) -> Array:
        """The log-odds of each row, (n,). weights: (1 + f + u,). categories: (c,) float32."""
        from bottega.models.logistic_kernel import add_codes, add_dense

        margin = np.zeros(len(values))
        mean, scale, null, offset = (_frozen(each) for each in (self.mean, self.scale, self.null, self.offset))
        add_dense(_frozen(values), mean, scale, null, _frozen(weights), margin)
        add_codes(_frozen(values), _frozen(self.columns), offset, _frozen(categories), margin)
        return margin

    def blocks(self, values: Values) -> Iterator[tuple[slice, Array]]:
        """Blocks of rows and their dense part z, (m, 1 + f + u), with 1 in front."""
        numbers = len(self.mean)
        for low in range(0, len(values), _BLOCK):
            block = values[low : low + _BLOCK]
            z = np.ones((len(block), self.dense))
            middle = z[:, 1 : 1 + numbers]
            np.multiply(block - self.mean, self.scale, out=middle)
            np.clip(middle, -5, 5, out=middle)
            np.copyto(middle, 0.0, where=np.isnan(block))
            z[:, 1 + numbers :] = np.isnan(block[:, self.null])
            yield slice(low, low + len(block)), z


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, not to be written into: as it comes from a file, so that there is one thing to compile."""
    view = values.view()
    view.setflags(write=False)
    return view
