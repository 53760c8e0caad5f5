"""Fields: which columns a network reads, as rows of one table of vectors and as transformed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError
from bottega.models.inputs import Inputs, Kind

Codes = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float32]
_SAMPLE = 200_000  # rows, evenly spaced, from which the shape of the numbers is read


@dataclass(frozen=True, eq=False)
class Fields:
    """What a network reads from a block of inputs, measured once on the rows of its first fit.

    A category's vectors stand in one table of all fields, at `offset`: first the one for unknown codes, then one for
    each code from 0 to the largest of training. A number x becomes z = asinh((x − middle) / spread), then (z − mean) ·
    scale, cut at ±5; null is 0, with an indicator beside it where training has nulls. Near the middle that is linear,
    far out logarithmic, whatever the unit. When it is wrong: what lies beyond ±5 deviations cannot be told apart.

    names, kinds: (f,) the columns of the inputs. offset: (c + 1,) int64, for the c categories in their order. shape:
    (4, m) float64, middle, spread, mean and scale of the m numbers. nulls: (u,) int64, columns with an indicator.

    >>> values = np.array([[0, 2], [1, 4], [-1, np.nan], [1, 8]], dtype=np.float32)
    >>> fields = Fields.of(Inputs(["ad", "bid"], ["category", "number"], values))
    >>> codes, numbers = fields.read(values)
    >>> codes.ravel().tolist()
    [1, 2, 0, 2]
    >>> print(numbers.round(1))
    [[-1.1  0. ]
     [-0.2  0. ]
     [ 0.   1. ]
     [ 1.3  0. ]]
    """

    names: Sequence[str]
    kinds: Sequence[Kind]
    offset: npt.NDArray[np.int64]
    shape: npt.NDArray[np.float64]
    nulls: npt.NDArray[np.int64]

    @classmethod
    def of(cls, inputs: Inputs) -> Self:
        """Measure the columns of these rows; `DataError` where there is no column at all."""
        if not inputs.names:
            raise DataError("inputs", "no column", "a number or a category at least", "give the model features to read")
        values = inputs.values
        categories, numbers = _columns(inputs.kinds, "category"), _columns(inputs.kinds, "number")
        sizes = [1 + _largest(values[:, j]) + 1 for j in categories]
        sample = np.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).astype(np.int64)
        shapes = [_shape(values[sample, j].astype(np.float64)) for j in numbers]
        return cls(
            tuple(inputs.names),
            tuple(inputs.kinds),
            np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
            np.array(shapes, dtype=np.float64).reshape(-1, 4).T.copy(),
            np.array([j for j in numbers if np.isnan(values[:, j]).any()], dtype=np.int64),
        )

    def grown(self, inputs: Inputs) -> Self:
        """The same fields with room for larger codes; numbers are read as before."""
        inputs.expect(self.names, self.kinds)
        sizes = np.diff(self.offset)
        largest = [_largest(inputs.values[:, j]) + 2 for j in self.categories]
        sizes = np.maximum(sizes, np.array(largest, dtype=np.int64)) if len(sizes) else sizes
        offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return type(self)(self.names, self.kinds, offset, self.shape, self.nulls)

    @property
    def categories(self) -> npt.NDArray[np.int64]:
        """(c,) the columns of the categories."""
        return _columns(self.kinds, "category")

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """(m,) the columns of the numbers."""
        return _columns(self.kinds, "number")

    @property
    def rows(self) -> int:
        """Rows of the table of vectors."""
        return int(self.offset[-1])

    @property
    def number_count(self) -> int:
        """Numbers and indicators, m + u."""
        return int(self.shape.shape[1]) + len(self.nulls)

    def read(self, values: npt.NDArray[np.float32]) -> tuple[Codes, Numbers]:
        """The rows of the table for each category, (n, c), and the numbers with their indicators, (n, m + u).

        values: (n, f) as in the inputs.
        """
        from bottega.models.networks.fields_kernel import read_codes, read_numbers

        codes = np.empty((len(values), len(self.offset) - 1), dtype=np.int32)
        numbers = np.empty((len(values), self.number_count), dtype=np.float32)
        values = frozen(values)
        read_codes(values, self.categories, self.offset, codes)
        read_numbers(values, self.numbers, self.shape, self.nulls, numbers)
        return codes, numbers


def frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, not to be written into: as it comes from a file, so that there is one thing to compile."""
    view = values.view()
    view.setflags(write=False)
    return view


def _columns(kinds: Sequence[Kind], kind: Kind) -> npt.NDArray[np.int64]:
    return np.array([j for j, found in enumerate(kinds) if found == kind], dtype=np.int64)


def _largest(column: npt.NDArray[np.float32]) -> int:
    """The largest code, −1 where none is known."""
    known = column[np.isfinite(column)]
    return max(int(known.max(initial=-1)), -1)


def _shape(column: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Middle, spread, mean and scale of a number: its median, the median distance from it of what lies off it."""
    known = column[np.isfinite(column)]
    if not len(known):
        return 0.0, 1.0, 0.0, 0.0
    middle = float(np.median(known))
    off = np.abs(known - middle)
    off = off[off > 0]
    if not len(off):
        return middle, 1.0, 0.0, 0.0
    spread = float(np.median(off))
    bent = np.arcsinh((known - middle) / spread)
    return middle, spread, float(bent.mean()), float(1 / bent.std())
