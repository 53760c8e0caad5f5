"""Asking: which items are questions when a part is judged, which are searched, and the lists that this gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.data.keys import as_text, encode
from bottega.design.data import GivenSplit
from bottega.design.design import Design
from bottega.errors import DataError
from bottega.evaluation.outcome import Mask, Outcome
from bottega.evaluation.slicing import by_value
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import FITS
from bottega.runs.steps.pictures.items import Items, column, of_parts, same_value
from bottega.runs.steps.pictures.searching import Ways, outcome_of

Places = npt.NDArray[np.int64]


class Asked(NamedTuple):
    """What is judged for one fit: places of the questions (q,) and of the items that are searched (n,), both ascending;
    the place of each question among those searched (q,), −1 for none; how many of them are relevant to it (q,)."""

    fit: str
    queries: Places
    searched: Places
    own: Places
    relevant: Places


def asked_by(design: Design, items: Items, fit: str) -> Asked:
    """Give what is judged for a fit; `DataError` where nothing that is searched is like any question."""
    judged = FITS[fit][1]
    queries = of_parts(items, judged)
    queries, searched = queries[items.value[queries] >= 0], _searched(design, items, judged)
    place = np.minimum(np.searchsorted(searched, queries), len(searched) - 1)
    own = np.where(searched[place] == queries, place, -1)
    known = items.value[searched]
    counts = np.bincount(known[known >= 0], minlength=int(items.value.max(initial=0)) + 1)
    relevant = counts[items.value[queries]] - (own >= 0)
    if not (relevant > 0).any():
        part, column_ = "test" if judged == TEST else "validation", same_value(design).column
        raise DataError(
            "data.examples",
            f"no picture of the {part} has its {column_!r} in common with any that is searched",
            "questions to which some item is relevant",
            'SameValue(…, gallery="all"), where parts share no value; or another split',
        )
    return Asked(fit, queries, searched, own, relevant)


def judged_lists(job: Job, items: Items, asked: Asked, ways: Ways) -> Outcome:
    """Give the lists of several ways of search as what evaluation judges.

    Intervals resample the design's unit, a column of the table; nothing: each question stands for itself.
    """
    unit = job.design.evaluation.unit
    entity: npt.NDArray[np.generic] = np.arange(len(asked.queries))
    if unit not in (None, "request"):
        entity = encode(as_text(_column(job, items, asked, str(unit), "evaluation.unit")))[0]
    slices: dict[str, dict[str, Mask]] = {
        name: by_value(_column(job, items, asked, name, "evaluation.slices")) for name in _slices(job.design)
    }
    alike = items.value[asked.queries], items.value[asked.searched]
    return outcome_of(ways, *alike, asked.relevant, entity, slices)


def served_by(job: Job, items: Items) -> Places:
    """Give the places of the items that are searched once the test is read (n,), ascending: those that were searched
    for it, and all whose part nobody gave, since they were held out to be judged with and for nothing else.

    Parts that the table gives stay as they are: who names a test in a table says which pictures are questions alone, as
    benchmarks do, and what is served is then what was judged. So does `SameValue(…, gallery="training")`.
    """
    spec, split = same_value(job.design), job.design.data.split
    judged = _searched(job.design, items, TEST)
    if spec.gallery != "auto":
        return judged
    rows = job.log(spec.table).rows
    if not isinstance(split, GivenSplit) or split.column not in rows.column_names:
        return np.arange(len(items))
    without = rows.column(split.column).is_null().to_numpy()[items.row]
    return np.union1d(judged, np.flatnonzero(without))


def _searched(design: Design, items: Items, judged: int) -> Places:
    mode = same_value(design).gallery
    if mode == "auto":
        mode = "training" if isinstance(design.data.split, GivenSplit) else "all"
    earlier = (TRAIN,) if judged == VALIDATE else (TRAIN, VALIDATE)
    return of_parts(items, *earlier) if mode == "training" else of_parts(items, *earlier, judged, UNUSED)


def _slices(design: Design) -> list[str]:
    plan = design.evaluation
    return list(dict.fromkeys([*plan.slices, *(name for goal in plan.goals for name in goal.slices)]))


def _column(job: Job, items: Items, asked: Asked, name: str, where: str) -> pa.ChunkedArray:
    values = column(job.log(same_value(job.design).table), name, where)
    return values.take(pa.array(items.row[asked.queries]))
