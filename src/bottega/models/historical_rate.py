"""HistoricalRate: the smoothed rate of the label for each value of a column."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.keys import encode
from bottega.design.scorers import HistoricalRate
from bottega.errors import DataError, nearest
from bottega.files import write_json
from bottega.models.inputs import Inputs, lesson
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_facts, read_texts, write_arrays, write_texts
from bottega.models.vocabulary import codes_of


class HistoricalRateModel:
    """Scores a row by the smoothed rate of the label among the rows with the same id.

    rate(v) = (Σ w·label + prior · g) / (Σ w + prior) over the rows with value v, with g the rate over all rows; an
    unknown or missing id gets g. When it is wrong: it knows one column only, and rates that were learnt on sampled rows
    are those of the sample.

    >>> rows = Inputs([], [], np.zeros((3, 0), np.float32), {"ad": pa.array(["a", "a", "b"])})
    >>> model = HistoricalRateModel(HistoricalRate(by="ad", prior=1.0))
    >>> model.fit(rows, [1, 1, 0])
    >>> print(model.score(rows).round(3))
    [0.889 0.889 0.333]
    """

    ids: pa.StringArray
    rates: npt.NDArray[np.float32]
    rate: float

    def __init__(self, setting: HistoricalRate) -> None:
        self.setting = setting

    def fit(self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        """Count labels and rows of each id."""
        inputs, labels, weights = lesson(inputs, label, weight)
        codes, self.ids = encode(self._column(inputs))
        mass = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        self.rate = float(mass @ labels / mass.sum())
        known = codes >= 0
        hits = np.bincount(codes[known], (mass * labels)[known], minlength=len(self.ids))
        rows = np.bincount(codes[known], mass[known], minlength=len(self.ids)) + self.setting.prior
        rates = np.divide(
            hits + self.setting.prior * self.rate, rows, out=np.full(len(rows), self.rate), where=rows > 0
        )
        self.rates = rates.astype(np.float32)

    def score(self, inputs: Inputs) -> Scores:
        """The rate of each row's id, (n,)."""
        codes = codes_of(self.ids, self._column(inputs))
        scores = np.full(len(codes), self.rate, dtype=np.float32)
        known = codes >= 0
        scores[known] = self.rates[codes[known]]
        return scores

    def save(self, folder: Path) -> None:
        """Write `ids.arrow`, `rates.npy` and the rate over all rows."""
        with new_folder(folder) as part:
            write_texts(part, "ids", self.ids)
            write_arrays(part, {"rates": self.rates})
            write_json(part / "historical_rate.json", {"rate": self.rate})

    @classmethod
    def load(cls, folder: Path, setting: HistoricalRate) -> Self:
        """Read what `save` wrote."""
        model = cls(setting)
        model.ids, model.rates = read_texts(folder, "ids"), read_array(folder, "rates")
        model.rate = read_facts(folder, "historical_rate")["rate"]
        return model

    def _column(self, inputs: Inputs) -> pa.StringArray:
        if self.setting.by not in inputs.ids:
            raise DataError(
                "HistoricalRate.by",
                f"no column {self.setting.by!r} of ids",
                f"one of {list(inputs.ids)}",
                nearest(self.setting.by, inputs.ids) or "name a column of the request or the candidate",
            )
        return inputs.ids[self.setting.by]
