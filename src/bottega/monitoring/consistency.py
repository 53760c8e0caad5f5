"""Consistency after the fact: features as they were served, beside what a batch makes of the same moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.features import Image, TargetRate
from bottega.errors import DataError
from bottega.features.batch import compute, names, needs, time_name
from bottega.features.frame import Column, Frame, Values, text
from bottega.features.matrix import matrix
from bottega.features.vocabulary import Coding
from bottega.serving.bundle import Facts
from bottega.serving.decision_log import served_features
from bottega.serving.parity import Parity, exact_columns, excused, summarise
from bottega.serving.wire import as_id


def recompute(
    design: Design,
    facts: Facts,
    words: Mapping[str, Mapping[str, Coding]],
    logs: Mapping[str, Log],
    decisions: Sequence[Mapping[str, Any]],
) -> Parity:
    """Compute the features of answered requests in a batch, each as of its own moment, and compare what was served.

    What a model read is compared, in its own precision, for the items that were shown: windows, look-ups and what is
    computed from them. Scores of retrievers, target rates and the place in a list are not recomputed. A difference is
    a fault of one side, or an event that reached the store after the answer and the log before it: in `logs` a row's
    `known` is when it could be there at the earliest.

    facts: of the build. words: of each ladder's text columns. logs: of all tables, with what has come since. decisions:
    lines of the decision log of this build.
    Errors: `DataError` where no decision has features.
    """
    rows = [row for row in decisions if _whole(row, facts)]
    if not rows:
        found = f"{len(decisions)} decisions, none with all features"
        raise DataError("decision log", found, "answers that ranked", "ask the service for some: POST /rank")
    frame = _frame(design, facts, rows)
    values = _values(design, logs, frame)
    every = {**values.request, **values.row}
    places = [(row["request"], item["id"]) for row in rows for item in row["items"]]
    columns: dict[str, tuple[str, Column, Column]] = {}
    for ladder, told in facts.ladders.items():
        known = [name for name in told.names if name in every]
        batch = matrix(known, values, frame, words[ladder])
        served = np.concatenate([served_features(row, ladder, len(told.names)) for row in rows])
        for place, name in enumerate(known):
            there = served[:, told.names.index(name)].astype(np.float64)
            columns.setdefault(name, (name, batch[:, place].astype(np.float64), there))
    return excused(summarise(list(columns.values()), exact_columns(design), places, {}), design.serving.approximate)


def _whole(row: Mapping[str, Any], facts: Facts) -> bool:
    """Tell whether every ladder ranked, none having been left out for want of time."""
    features = row.get("trace", {}).get("features", {})
    return bool(row["items"]) and all(
        len(served_features(row, ladder, len(told.names))) == len(row["items"]) if features.get(ladder) else False
        for ladder, told in facts.ladders.items()
    )


def _frame(design: Design, facts: Facts, rows: Sequence[Mapping[str, Any]]) -> Frame:
    requests: dict[str, Column] = {}
    for name, kind in facts.fields.items():
        given = [row["request"].get(name) for row in rows]
        if kind == "number":
            requests[name] = np.array([np.nan if value is None else value for value in given], np.float64)
        elif kind == "time":
            requests[name] = np.array(["NaT" if value is None else value for value in given], "datetime64[us]")
        else:
            requests[name] = text(pa.array([as_id(value) for value in given], pa.string()))
    time = np.array([row["trace"]["at"] for row in rows], np.int64)
    group = np.repeat(np.arange(len(rows)), [len(row["items"]) for row in rows])
    candidate = getattr(design.data.examples, "candidate", None)
    ids = text(pa.array([item["id"] for row in rows for item in row["items"]], pa.string()))
    return Frame(requests, time, group, {} if candidate is None else {candidate: ids})


def _values(design: Design, logs: Mapping[str, Log], frame: Frame) -> Values:
    """Compute every feature whose inputs are there."""
    values = Values()
    for feature in design.features:
        there = {*frame.requests, *frame.candidates, *values.request, *values.row, "request_time", time_name(design)}
        if not isinstance(feature, (TargetRate, Image)) and needs(feature) <= there | set(names(feature)):
            values.update(compute(feature, design, logs, frame, values))
    return values
