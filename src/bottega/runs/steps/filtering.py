"""In a batch: which candidates may be found by a request at its time, so that examples are what serving would rank."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from bottega.design.serving import Retrieve
from bottega.errors import BuildError
from bottega.features.batch import compute
from bottega.features.conditions import Condition
from bottega.features.frame import Frame, Values, text
from bottega.models.protocols import Retriever
from bottega.models.retrieving import both_lists
from bottega.models.vocabulary import Codes
from bottega.runs.steps.features import plain_column
from bottega.runs.steps.job import Job

Allowed = Callable[[np.ndarray, Codes], np.ndarray]
"""From rows of requests, ascending, and a code of a candidate for each, to which of them may be found, (n,) bool."""
_MORE = 4


def condition_of(job: Job) -> Condition | None:
    """Give the condition under which candidates are found, where the path has one."""
    stage = next((part for part in job.design.serving.path if isinstance(part, Retrieve)), None)
    if stage is None or stage.where is None:
        return None
    return Condition(stage.where, "serving.path: Retrieve.where", job.design.features)


def allowed_at(job: Job, condition: Condition, asked: pa.Table, at: int, items: pa.StringArray) -> Allowed:
    """Give what says which candidates may be found by some requests at a moment.

    asked: the requests' columns, (r,). at: microseconds since 1970 UTC. items: the catalogue.
    """
    name = getattr(job.design.data.examples, "candidate", None)
    if name is None:
        raise BuildError("serving.path: Retrieve.where", "examples without candidates", "examples with a candidate")

    def allowed(rows: np.ndarray, codes: Codes) -> np.ndarray:
        requests, group = np.unique(rows, return_inverse=True)
        some = asked.take(pa.array(requests))
        columns = {each: plain_column(some.column(each)) for each in some.column_names}
        frame = Frame(columns, np.full(len(requests), at, np.int64), group, {name: text(items.take(pa.array(codes)))})
        values = Values()
        for part in condition.features:
            values.update(compute(part, job.design, job.logs(), frame, values, job.engine()))
        return condition.holds(values, frame)

    return allowed


def allowed_lists(model: Retriever, asked: pa.Table, person: str, allowed: Allowed) -> Codes:
    """Give the lists of a retriever, of what each request may find: longer lists are asked for until they are full.

    Returns (n, k + unseen) int32 codes, −1 where a list has ended.
    """
    setting = model.setting
    people, requests = asked.column(person), asked.to_pylist()
    parts = []
    for length, seen in ((setting.k, True), (setting.unseen, False)):
        found = np.full((len(requests), length), -1, np.int32)
        rows, width = np.arange(len(requests) if length else 0), 2 * length
        while len(rows):
            listed = both_lists(
                model,
                people.take(pa.array(rows)),
                [requests[row] for row in rows],
                width if seen else 0,
                0 if seen else width,
            )
            row, place = np.nonzero(listed >= 0)
            stays = allowed(rows[row], listed[row, place])
            listed[row[~stays], place[~stays]] = -1
            order = np.argsort(listed < 0, axis=1, kind="stable")[:, :length]
            found[rows] = np.take_along_axis(listed, order, axis=1)
            ended = np.bincount(row, minlength=len(rows)) < width  # the retriever has no more
            full = (found[rows] >= 0).all(axis=1)
            rows = rows[~(full | ended)] if width < len(model.items) else rows[:0]
            width *= _MORE
        parts.append(found)
    return np.hstack(parts)
