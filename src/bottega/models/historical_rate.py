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
    """(v,) sorted."""
    hits: npt.NDArray[np.float64]
    """(v,) Σ weight · label of each id."""
    rows: npt.NDArray[np.float64]
    """(v,) Σ weight of each id."""
    rates: npt.NDArray[np.float32]
    """(v,) of each id."""
    total: tuple[float, float]
    """Σ weight · label, and Σ weight, of all rows."""

    def __init__(self, setting: HistoricalRate) -> None:
        self.setting = setting

    @property
    def rate(self) -> float:
        """The rate over all rows."""
        return self.total[0] / self.total[1]

    def fit(
        self,
        inputs: Inputs,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        start: HistoricalRateModel | None = None,
    ) -> None:
        """Count labels and rows of each id.

        start: a model of the same column, fitted on other rows, as those of the days before: its counts are added.
        """
        inputs, labels, weights = lesson(inputs, label, weight)
        mass = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        column, hits = self._column(inputs), mass * labels
        self.total = float(hits.sum()), float(mass.sum())
        if start is not None:
            column = pa.concat_arrays([column.cast(pa.string()), start.ids.cast(pa.string())])
            hits, mass = np.concatenate([hits, start.hits]), np.concatenate([mass, start.rows])
            self.total = self.total[0] + start.total[0], self.total[1] + start.total[1]
        codes, self.ids = encode(column)
        known = codes >= 0
        self.hits = np.bincount(codes[known], hits[known], minlength=len(self.ids)).astype(np.float64)
        self.rows = np.bincount(codes[known], mass[known], minlength=len(self.ids)).astype(np.float64)
        below = self.rows + self.setting.prior
        above = self.hits + self.setting.prior * self.rate
        rates = np.divide(above, below, out=np.full(len(below), self.rate), where=below > 0)
        self.rates = rates.astype(np.float32)

    def score(self, inputs: Inputs) -> Scores:
        """The rate of each row's id, (n,)."""
        codes = codes_of(self.ids, self._column(inputs))
        scores = np.full(len(codes), self.rate, dtype=np.float32)
        known = codes >= 0
        scores[known] = self.rates[codes[known]]
        return scores

    def save(self, folder: Path) -> None:
        """Write `ids.arrow`, the rates and counts, and the counts of all rows."""
        with new_folder(folder) as part:
            write_texts(part, "ids", self.ids)
            write_arrays(part, {"rates": self.rates, "hits": self.hits, "rows": self.rows})
            write_json(part / "historical_rate.json", {"total": self.total})

    @classmethod
    def load(cls, folder: Path, setting: HistoricalRate) -> Self:
        """Read what `save` wrote."""
        model = cls(setting)
        model.ids, model.rates = read_texts(folder, "ids"), read_array(folder, "rates")
        model.hits, model.rows = read_array(folder, "hits"), read_array(folder, "rows")
        model.total = tuple(read_facts(folder, "historical_rate")["total"])
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
