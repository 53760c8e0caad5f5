"""Steps: each retriever learns from what was known, finds candidates for each request, and scores their union."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.data.examples import Requests
from bottega.design.examples import Each
from bottega.design.models import Model, rung_name
from bottega.design.part import microseconds
from bottega.design.retrievers import FOLLOWING
from bottega.errors import several
from bottega.features.conditions import Condition
from bottega.models.dense import encoder_hash
from bottega.models.following import Following, followed
from bottega.models.making import make_retriever, retriever_class
from bottega.models.protocols import Evidence, Retriever
from bottega.models.retrieving import ScoredCatalogue, both_lists
from bottega.models.vocabulary import Codes, codes_of
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.filtering import allowed_at, allowed_lists, allowed_on_the_way, condition_of
from bottega.runs.steps.job import Job, slug

LISTS = "lists.npy"
"""(r, k + unseen) int32: for each request a retriever's two lists, as codes of `Job.vocabulary`, −1 where one ended."""
_CODE = (
    "bottega.models",
    "bottega.data",
    "bottega.features.conditions",
    "bottega.runs.steps.filtering",
    "bottega.runs.steps.interactions",
    "bottega.runs.steps.retrieving",
)
_LIBRARIES = ("numpy", "scipy", "implicit", "pyarrow", "numba", "bm25s", "scikit-learn")


def retrieve(job: Job, requests: Result) -> dict[str, Result]:
    """Fit each retriever at each cut, keep the model, and the lists that it gives to the requests."""
    done = {}
    condition = condition_of(job)
    read = [] if condition is None else sorted({part.table for part in condition.features if hasattr(part, "table")})
    for setting in job.design.models.get("retrieve", ()):
        name = rung_name(setting)

        def work(folder: Path, made: Result, *_: Result, setting: Model = setting) -> str:
            asked = read_requests(made.folder)
            lists = np.full((len(asked), setting.k + setting.unseen), -1, np.int32)  # type: ignore[union-attr]
            if isinstance(setting, FOLLOWING):
                _on_the_way(job, setting, asked, condition, lists)
            else:
                times, place = cuts_of(job, asked)
                for number, at in enumerate(times.tolist()):
                    here = np.flatnonzero(place == number)
                    model = _fitted(job, setting, at)
                    if model is None:
                        continue
                    model.save(folder / f"cut-{number}")
                    columns = asked.columns.take(pa.array(here))
                    if condition is None:
                        found = found_lists(model, columns, job.person)
                    else:
                        allowed = allowed_at(job, condition, columns, asked.time[here], model.items)
                        found = allowed_lists(model, columns, job.person, allowed)
                    everywhere = np.append(codes_of(job.vocabulary, model.items), np.int32(-1))
                    lists[here] = everywhere[found]
                    job.runner.progress.advance(number + 1, len(times))
            np.save(folder / LISTS, lists)
            found = distinct(lists).sum() / max(len(asked), 1)
            return f"{rung_name(setting)}: {several(round(found), 'candidate')} a request"

        done[name] = job.runner.step(
            f"retrieve-{slug(name)}",
            work,
            inputs={
                "setting": setting,
                "encoder": encoder_hash(setting),
                "examples": job.design.data.examples,
                "seed": job.seed,
                **({} if condition is None else {"where": condition.where, "features": condition.features}),
            },
            needs=[requests, *job.learnt_from(), *(job.ingested[table] for table in read)],
            code=_CODE,
            libraries=_LIBRARIES,
            note=name,
        )
    return done


def cuts_of(job: Job, asked: Requests) -> tuple[np.ndarray, np.ndarray]:
    """Give the moments at which retrievers are fitted, and which of them each request goes by, (r,)."""
    requests = getattr(job.design.data.examples, "requests", None)
    time = asked.time
    if isinstance(requests, Each):
        span = microseconds(requests.refresh)
        time = time // span * span
    times, place = np.unique(time, return_inverse=True)
    return times, place


def distinct(lists: np.ndarray) -> np.ndarray:
    """Count the different candidates of each request, (r,); what the list of the unseen repeats counts once.

    >>> distinct(np.array([[4, 2, 2, 7], [1, -1, 1, -1], [-1, -1, -1, -1]], np.int32)).tolist()
    [3, 1, 0]
    """
    ordered = np.sort(lists, axis=1)
    first = np.ones(ordered.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    counted: np.ndarray = np.count_nonzero(first & (ordered >= 0), axis=1)
    return counted


def found_lists(model: Retriever, asked: pa.Table, person: str) -> np.ndarray:
    """Give what a retriever offers each request: its best, then its best among what the person never took.

    asked: the requests' columns. person: the one that names who asks. Both lists are as long as the model's setting
    says; returns (n, k + unseen) int32 codes, -1 where a list has ended.
    """
    setting = model.setting
    return both_lists(model, asked.column(person), asked.to_pylist(), setting.k, setting.unseen)


def _fitted(job: Job, setting: Model, at: int) -> Retriever | None:
    """Fit a retriever on what was known at a moment; nothing where that is nothing that it learns from."""
    past = job.interactions(at)
    if not len(past.items) or (not len(past) and issubclass(retriever_class(setting), ScoredCatalogue)):
        return None  # a catalogue alone says something to those that read texts
    model = make_retriever(setting)
    model.fit(past, at)
    job.forget_interactions(at)
    return model


def _followed(job: Job, setting: Model, asked: Requests) -> Iterator[tuple[Evidence, Codes]]:
    """Give what a following retriever knows for each request, and what its person had taken; times are ascending."""
    model = make_retriever(setting)
    if not isinstance(model, Following):
        raise TypeError("a retriever that follows events")
    events = job.events()
    people = codes_of(events.people, asked.columns.column(job.person))
    order = np.argsort(asked.time, kind="stable")
    if (order != np.arange(len(order))).any():
        raise TypeError("requests in the order of time")
    return followed(model, events, people, asked.time)


def _on_the_way(job: Job, setting: Model, asked: Requests, condition: Condition | None, lists: np.ndarray) -> None:
    """Write the lists of a retriever that follows events into `lists`, each as of its request's time."""
    told, k = _followed(job, setting, asked), setting.k  # type: ignore[union-attr]
    if condition is None:
        for row, (one, taken) in enumerate(told):
            _fill(lists[row], one, taken, k)
        return
    allowed = allowed_at(job, condition, asked.columns, asked.time, job.vocabulary)
    begin = 0
    for part in allowed_on_the_way(told, k, lists.shape[1] - k, allowed, len(job.vocabulary)):
        lists[begin : begin + len(part)] = part
        begin += len(part)


def _fill(row: np.ndarray, one: Evidence, taken: Codes, k: int) -> None:
    for low, length, leave_out in ((0, k, None), (k, len(row) - k, taken)):
        if length:
            best = one.best(length, leave_out)
            row[low : low + len(best)] = best


def score(job: Job, retrievers: Mapping[str, Result], examples: Result) -> dict[str, Result]:
    """Score every example by every retriever, as it stood at the example's cut, or if it follows events, its time."""
    done = {}
    for setting in job.design.models.get("retrieve", ()):
        name = rung_name(setting)

        def work(folder: Path, fitted: Result, made: Result, *_: Result, setting: Model = setting) -> None:
            rows = read_examples(made.folder)
            moving = isinstance(setting, FOLLOWING)
            scores = _scored_on_the_way(job, setting, rows) if moving else scored(job, setting, fitted, rows)
            np.save(folder / "scores.npy", scores)

        done[name] = job.runner.step(
            f"score-{slug(name)}",
            work,
            inputs={"setting": setting},
            needs=[retrievers[name], examples],
            code=_CODE,
            libraries=_LIBRARIES,
            note=name,
        )
    return done


def as_inputs(job: Job, scores: Mapping[str, Result]) -> dict[str, Result]:
    """Give the scores that rankers may read: those of retrievers that follow events are other ones a moment later."""
    settings = {rung_name(setting): setting for setting in job.design.models.get("retrieve", ())}
    return {name: result for name, result in scores.items() if not isinstance(settings[name], FOLLOWING)}


def scored(job: Job, setting: Model, fitted: Result, rows: Examples) -> np.ndarray:
    """Give the score of each example by the retriever of its cut, (n,) float32; 0 for an item it does not know."""
    result = np.zeros(len(rows.group), np.float32)
    bounds = np.searchsorted(rows.group, np.arange(len(rows.requests) + 1))
    times, place = cuts_of(job, rows.requests)
    for number in range(len(times)):
        if not (fitted.folder / f"cut-{number}").exists():
            continue
        model = retriever_class(setting).load(fitted.folder / f"cut-{number}", setting)
        known = codes_of(model.items, rows.candidate.dictionary)
        chosen = np.flatnonzero(place == number)
        asked = rows.requests.columns.take(pa.array(chosen))
        told = model.ask_all(asked.column(job.person), asked.to_pylist())
        for request, evidence in zip(chosen, told, strict=True):
            part = slice(bounds[request], bounds[request + 1])
            result[part] = evidence.of(known[rows.codes[part]])
    return result


def _scored_on_the_way(job: Job, setting: Model, rows: Examples) -> np.ndarray:
    result = np.zeros(len(rows.group), np.float32)
    bounds = np.searchsorted(rows.group, np.arange(len(rows.requests) + 1))
    known = codes_of(job.vocabulary, rows.candidate.dictionary)
    for request, (one, _) in enumerate(_followed(job, setting, rows.requests)):
        part = slice(bounds[request], bounds[request + 1])
        result[part] = one.of(known[rows.codes[part]])
    return result
