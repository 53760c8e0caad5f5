"""Steps: each retriever learns from the log before each cut, finds candidates there, and scores their union."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.design.models import Model, rung_name
from bottega.models.making import make_retriever, retriever_class
from bottega.models.protocols import Retriever
from bottega.models.retrieving import both_lists
from bottega.models.vocabulary import codes_of
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.filtering import allowed_at, allowed_lists, condition_of
from bottega.runs.steps.job import Job, slug

_CODE = (
    "bottega.models",
    "bottega.data",
    "bottega.features.conditions",
    "bottega.runs.steps.filtering",
    "bottega.runs.steps.interactions",
    "bottega.runs.steps.retrieving",
)
_LIBRARIES = ("numpy", "scipy", "implicit", "pyarrow", "numba")


def retrieve(job: Job, requests: Result) -> dict[str, Result]:
    """Fit each retriever at each cut, and keep the model and the lists it gives to that cut's requests."""
    done = {}
    condition = condition_of(job)
    read = [] if condition is None else sorted({part.table for part in condition.features if hasattr(part, "table")})
    for setting in job.design.models.get("retrieve", ()):
        name = rung_name(setting)

        def work(folder: Path, made: Result, *_: Result, setting: Model = setting) -> str:
            wanted = read_requests(made.folder)
            cuts = np.unique(wanted.time)
            found = 0
            for place, at in enumerate(cuts):
                model = make_retriever(setting)
                model.fit(job.interactions(int(at)), int(at))
                model.save(folder / f"cut-{place}")
                asked = wanted.columns.filter(pa.array(wanted.time == at))
                if condition is None:
                    lists = found_lists(model, asked, job.person)
                else:
                    allowed = allowed_at(job, condition, asked, int(at), model.items)
                    lists = allowed_lists(model, asked, job.person, allowed)
                np.save(folder / f"lists-{place}.npy", lists)
                found += int((lists >= 0).sum())
                job.runner.progress.advance(place + 1, len(cuts))
            return (
                f"{rung_name(setting)}: {len(cuts)} cuts, {found / max(len(wanted.time), 1):,.0f} candidates a request"
            )

        done[name] = job.runner.step(
            f"retrieve-{slug(name)}",
            work,
            inputs={
                "setting": setting,
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


def found_lists(model: Retriever, asked: pa.Table, person: str) -> np.ndarray:
    """Give what a retriever offers each request: its best, then its best among what the person never took.

    asked: the requests' columns. person: the one that names who asks. Both lists are as long as the model's setting
    says; returns (n, k + unseen) int32 codes, -1 where a list has ended.
    """
    setting = model.setting
    return both_lists(model, asked.column(person), asked.to_pylist(), setting.k, setting.unseen)


def score(job: Job, retrievers: Mapping[str, Result], examples: Result) -> dict[str, Result]:
    """Score every example by every retriever, as it stood at the example's cut."""
    done = {}
    for setting in job.design.models.get("retrieve", ()):
        name = rung_name(setting)

        def work(folder: Path, fitted: Result, made: Result, setting: Model = setting) -> None:
            rows = read_examples(made.folder)
            np.save(folder / "scores.npy", scored(setting, fitted.folder, rows, job.person))

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


def scored(setting: Model, folder: Path, rows: Examples, person: str) -> np.ndarray:
    """Give the score of each example by the retriever of its cut, (n,) float32; 0 for an item it does not know."""
    result = np.zeros(len(rows.group), np.float32)
    bounds = np.searchsorted(rows.group, np.arange(len(rows.requests) + 1))
    for place, at in enumerate(np.unique(rows.requests.time)):
        model = retriever_class(setting).load(folder / f"cut-{place}", setting)
        known = codes_of(model.items, rows.candidate.dictionary)
        chosen = np.flatnonzero(rows.requests.time == at)
        asked = rows.requests.columns.take(pa.array(chosen))
        told = model.ask_all(asked.column(person), asked.to_pylist())
        for request, evidence in zip(chosen, told, strict=True):
            part = slice(bounds[request], bounds[request + 1])
            result[part] = evidence.of(known[rows.codes[part]])
    return result
