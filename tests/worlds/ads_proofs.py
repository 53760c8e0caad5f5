"""What the proofs on the ads world share: its log as examples, some columns of them, and models taught by lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

import bottega as bt
from bottega.data.examples import TEST, Examples
from bottega.data.lessons import Lesson, lesson
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.models.calibrators import Kind, fit_calibrator
from bottega.models.inputs import Inputs
from bottega.models.making import make_scorer
from bottega.models.probability import Corrected, Probability

CLICKED = bt.Label("clicked", matures_after="1h")


@dataclass(frozen=True)
class Traffic:
    """The examples of a world's log, and the columns that models read of them."""

    design: bt.Design
    log: Log
    examples: Examples
    columns: Sequence[str]

    @classmethod
    def read(cls, folder: Path, columns: Sequence[str], calibrate: str | None = None, **data: Any) -> Traffic:
        """Make the examples of a world's log: the last day is the test, the one before it validation."""
        rows = pq.read_table(folder / "impressions")
        time = rows["shown_at"].cast(pa.int64()).to_numpy()
        log = Log("impressions", rows, time, time)
        design = bt.Design(
            name="proof",
            scope=bt.Scope(question="Is it true?"),
            data=bt.Data(
                tables=[bt.Table("impressions", time="shown_at")],
                examples=bt.Logged("impressions", request=["user_id", "query", "device"], candidate="ad_id"),
                split=bt.TimeSplit(validate="1d", test="1d", calibrate=calibrate),
                **{"labels": [CLICKED], **data},
            ),
            features=[],
            models={"rank": [bt.Logistic()]},
            evaluation=bt.Evaluation(primary="log_loss"),
            serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=4)]),
        )
        return cls(design, log, logged(design, log), columns)

    def table(self, chosen: NDArray[np.bool_] | None = None) -> pa.Table:
        """Give the rows of the log that are examples, in their order, or some of them."""
        rows = self.examples.row if self.examples.row is not None else np.zeros(0, np.int64)
        return self.log.rows.take(pa.array(rows if chosen is None else rows[chosen]))

    def inputs(self, rows: pa.Table, place: int | None = None) -> Inputs:
        """Give what a model reads of rows: texts and ids as categories, the place as a number, one or logged."""
        values = np.empty((rows.num_rows, len(self.columns)), np.float32)
        for j, name in enumerate(self.columns):
            if name == "position":
                values[:, j] = rows[name].to_numpy() if place is None else place
            else:
                known = pa.array(self.log.rows[name].unique().to_pylist(), rows[name].type)
                values[:, j] = pc.index_in(rows[name], value_set=known).fill_null(-1).to_numpy()
        kinds = ["number" if name == "position" else "category" for name in self.columns]
        return Inputs(self.columns, kinds, values)  # type: ignore[arg-type]

    def lesson(self, label: str = "clicked", calibrate: bool = False, **data: Any) -> Lesson:
        """Give what may be learnt of a label before the test, under another part of the design's data."""
        return lesson(self.changed(**data), self.examples, TEST, label=label, calibrate=calibrate)

    def changed(self, **data: Any) -> bt.Design:
        """Give the design with other fields of its data."""
        return replace_part(self.design, data=replace_part(self.design.data, **data))

    def taught(self, setting: Any, taught: Lesson) -> Corrected:
        """Fit a model on a lesson, and undo what sampling and late labels do."""
        rows = np.repeat(np.arange(len(taught.times)), taught.times)
        model = make_scorer(setting)
        model.fit(self.inputs(self.table()).take(rows), taught.target[rows], taught.weight[rows])
        return Corrected(model, Probability(taught.kept, taught.share.value))

    def calibrated(self, model: Corrected, taught: Lesson, kind: Kind) -> Corrected:
        """Give the model with a calibrator of the lesson's slice, fitted after the correction."""
        inputs = self.inputs(self.table(taught.calibrate))
        scores = model.probability.corrected(model.scorer.score(inputs))
        calibrator = fit_calibrator(kind, scores, taught.target[taught.calibrate])
        return Corrected(model.scorer, replace(model.probability, calibrator=calibrator))


def replace_part(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)
