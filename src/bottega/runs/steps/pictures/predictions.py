"""What each way of search found for each question of the test, with all that is needed to compute the metrics again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.evaluation.outcome import Outcome
from bottega.runs.steps.asking import MOST
from bottega.runs.steps.job import Job
from bottega.runs.steps.pictures.asking import Asked
from bottega.runs.steps.pictures.items import Items, picture_of, same_value


def write_predictions(job: Job, items: Items, asked: Asked, test: Outcome, path: Path) -> None:
    """Write a row for each item that any way of search found: the question, the item, whether it is relevant, and the
    score by each way, null where it did not find it.

    `relevant_items` says how many items are relevant to the question, found or not. In a question's first row stands
    its picture: a load test asks with it, of the first questions.
    """
    picture, table = picture_of(job.design), same_value(job.design).table
    group = np.asarray(test.group, np.int64)
    first = np.flatnonzero(np.diff(group, prepend=-1))[:MOST]
    images = job.log(table).column(picture.column).take(pa.array(items.row[asked.queries[group[first]]])).to_pylist()
    shown: list[bytes | None] = [None] * len(group)
    for row, image in zip(first.tolist(), images, strict=True):
        shown[row] = image
    columns = {
        "question": items.ids.take(pa.array(asked.queries[group])),
        "image": pa.array(shown, pa.binary()),
        "item": items.ids.take(pa.array(asked.searched[np.asarray(test.candidate, np.int64)])),
        "label": pa.array(test.label),
        "relevant_items": pa.array(asked.relevant[group]),
        **{test.title(rung): pa.array(rung.scores, from_pandas=True) for rung in test.rungs},
    }
    pq.write_table(pa.table(columns), path, compression="zstd")
