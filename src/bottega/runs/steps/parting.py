"""Parts of a run's examples: views of candidates, slices of requests, people and items with few events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.keys import encode
from bottega.data.log import Log
from bottega.design.examples import FromPositives
from bottega.errors import DesignError, nearest
from bottega.evaluation.slicing import by_interactions, by_value, cold
from bottega.features.expressions import evaluate, parse
from bottega.features.frame import Values, objects, taken
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.job import Job

INTERACTIONS = "interactions"
"""The slices of people by their events before a request: none, one to five, more."""


def views_of(job: Job, rows: Examples, values: Values) -> list[tuple[Any, np.ndarray]]:
    """Give each view of the design with its rows, (n,) bool; `DesignError` for a feature that is not there."""
    found = []
    for view in job.design.evaluation.views:
        parsed = parse(view.where)
        for name in parsed.columns:
            if name not in values.request and name not in values.row:
                known = [*values.request, *values.row]
                raise DesignError(
                    "evaluation.views",
                    f"{view.name!r}: no feature {name!r}",
                    f"a feature: {known}",
                    nearest(name, known),
                )
        columns = {name: objects(values.at_rows(name, rows.group)) for name in parsed.columns}
        found.append((view, evaluate(parsed, columns, len(rows.group)) == 1))
    return found


def slices_of(job: Job) -> list[str]:
    """Name the slices that the design asks for, and that of people by their events."""
    plan = job.design.evaluation
    always = [INTERACTIONS] if isinstance(job.design.data.examples, FromPositives) else []
    return list(dict.fromkeys([*plan.slices, *(name for goal in plan.goals for name in goal.slices), *always]))


def by_item(job: Job, rows: Examples, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Part rows (m,) by the events that their candidate had before the request; nothing without a log of positives."""
    if not isinstance(job.design.data.examples, FromPositives):
        return {}
    log = job.log(job.design.data.examples.table)
    times, place = np.unique(rows.requests.time[rows.group[chosen]], return_inverse=True)
    every = rows.codes[chosen].astype(np.int64) * len(times) + place
    asked, where = np.unique(every, return_inverse=True)  # few of the pairs of a candidate and a time
    ids = rows.candidate.dictionary.take(pa.array(asked // len(times)))
    return by_interactions(events_before(log, str(rows.name), ids, times[asked % len(times)])[where])


def slice_of(job: Job, rows: Examples, values: Values, name: str, asked: np.ndarray) -> dict[str, np.ndarray]:
    """Give the requests (a,) of each value of a slice. Errors: `DesignError` for an unknown one.

    asked: (a,) the requests.
    """
    if name in ("cold", INTERACTIONS):
        return (cold if name == "cold" else by_interactions)(events_of_people(job, rows)[asked])
    if name in rows.requests.columns.column_names:
        return by_value(rows.requests.columns.column(name).combine_chunks().take(pa.array(asked)))
    if name in values.request:
        column = taken(values.request[name], asked)
        return by_value(column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else pa.array(column))
    known = ["cold", INTERACTIONS, *rows.requests.columns.column_names, *values.request]
    raise DesignError("evaluation.slices", repr(name), f"one of {', '.join(known)}", nearest(name, known))


def events_of_people(job: Job, rows: Examples) -> np.ndarray:
    """Count the events of each request's person that could be known before it, (r,)."""
    log, name = job.log(job.design.data.examples.table), rows.requests.columns.column_names[0]
    return events_before(log, name, rows.requests.columns.column(0), rows.requests.time)


def events_before(log: Log, name: str, ids: pa.Array | pa.ChunkedArray, times: np.ndarray) -> np.ndarray:
    """Count the rows of a log with an id in a column that could be known before a time, for each id and time, (m,)."""
    code, known = encode(log.column(name))
    asking = encode(ids, known)[0].astype(np.int64)
    never = np.int64(np.iinfo(np.int64).min)
    since = np.full(len(code), never) if log.time is None else log.time + 1  # an event at the request's time is out
    since = since if log.known is None else np.maximum(since, log.known)
    moments = np.unique(since)
    size = len(moments) + 1
    events = np.sort(code.astype(np.int64) * size + np.searchsorted(moments, since))
    begin = asking * size
    until = begin + np.searchsorted(moments, times, side="right")
    return np.where(asking < 0, 0, np.searchsorted(events, until) - np.searchsorted(events, begin))
