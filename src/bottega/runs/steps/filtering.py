"""In a batch: which candidates may be found by a request at its time, so that examples are what serving would rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import pyarrow as pa

from bottega.design.serving import Retrieve
from bottega.errors import BuildError
from bottega.features.batch import compute
from bottega.features.conditions import Condition
from bottega.features.frame import Frame, Values, text
from bottega.models.protocols import Evidence, Retriever
from bottega.models.retrieving import both_lists
from bottega.models.vocabulary import Codes
from bottega.runs.steps.features import plain_column
from bottega.runs.steps.job import Job

Allowed = Callable[[np.ndarray, Codes], np.ndarray]
"""From rows of requests, ascending, and a code of a candidate for each, to which of them may be found, (n,) bool."""
Best = Callable[[np.ndarray, int, int], Codes]
"""From rows of requests, and the lengths of their two lists of which one is 0, to the lists, −1 where one has ended."""
_MORE = 4  # how many times longer the next list is, where too few of one may be found
_CELLS = 4_000_000  # scores held at once, 16 MB


def condition_of(job: Job) -> Condition | None:
    """Give the condition under which candidates are found, where the path has one."""
    stage = next((part for part in job.design.serving.path if isinstance(part, Retrieve)), None)
    if stage is None or stage.where is None:
        return None
    return Condition(stage.where, "serving.path: Retrieve.where", job.design.features)


def allowed_at(job: Job, condition: Condition, asked: pa.Table, times: np.ndarray, items: pa.StringArray) -> Allowed:
    """Give what says which candidates may be found by some requests, each at its own time.

    asked: the requests' columns, (r,). times: (r,) microseconds since 1970 UTC. items: the catalogue.
    """
    name = job.candidate
    if name is None:
        raise BuildError("serving.path: Retrieve.where", "examples without candidates", "examples with a candidate")

    def allowed(rows: np.ndarray, codes: Codes) -> np.ndarray:
        if not len(rows):
            return np.zeros(0, bool)
        requests, group = np.unique(rows, return_inverse=True)
        some = asked.take(pa.array(requests))
        columns = {each: plain_column(some.column(each)) for each in some.column_names}
        frame = Frame(columns, times[requests], group, {name: text(items.take(pa.array(codes)))})
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

    def best(rows: np.ndarray, k: int, unseen: int) -> Codes:
        return both_lists(model, people.take(pa.array(rows)), [requests[row] for row in rows], k, unseen)

    return _full(best, len(requests), setting.k, setting.unseen, allowed, len(model.items))


def allowed_on_the_way(
    told: Iterable[tuple[Evidence, Codes]], k: int, unseen: int, allowed: Allowed, items: int
) -> Iterator[Codes]:
    """Give the same of a retriever that follows events, for some requests at a time: (m, k + unseen) codes.

    told: for each request what is known, and what its person has taken. items: how many the catalogue has.
    """
    begin, rest = 0, iter(told)
    while some := list(islice(rest, max(1, _CELLS // max(1, items)))):

        def best(rows: np.ndarray, k: int, unseen: int, some: list[tuple[Evidence, Codes]] = some) -> Codes:
            found = np.full((len(rows), k + unseen), -1, np.int32)
            for one, row in zip(found, rows.tolist(), strict=True):
                evidence, taken = some[row]
                listed = evidence.best(k + unseen, taken if unseen else None)
                one[: len(listed)] = listed
            return found

        def now(rows: np.ndarray, codes: Codes, begin: int = begin) -> np.ndarray:
            return allowed(rows + begin, codes)

        yield _full(best, len(some), k, unseen, now, items)
        begin += len(some)


def _full(best: Best, count: int, k: int, unseen: int, allowed: Allowed, items: int) -> Codes:
    """Fill both lists of each request with what it may find, (count, k + unseen)."""
    parts = []
    for length, seen in ((k, True), (unseen, False)):
        found = np.full((count, length), -1, np.int32)
        rows, width = np.arange(count if length else 0), 2 * length
        while len(rows):
            listed = best(rows, width if seen else 0, 0 if seen else width)
            row, place = np.nonzero(listed >= 0)
            stays = allowed(rows[row], listed[row, place])
            listed[row[~stays], place[~stays]] = -1
            order = np.argsort(listed < 0, axis=1, kind="stable")[:, :length]
            found[rows] = np.take_along_axis(listed, order, axis=1)
            ended = np.bincount(row, minlength=len(rows)) < width  # the retriever has no more
            full = (found[rows] >= 0).all(axis=1)
            rows = rows[~(full | ended)] if width < items else rows[:0]
            width *= _MORE
        parts.append(found)
    return np.hstack(parts)
