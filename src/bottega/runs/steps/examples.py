"""Steps: who asks when, and the labelled candidates of each request: one table that all rungs are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.data import examples as made
from bottega.data.cuts import cuts
from bottega.data.each import each
from bottega.data.examples import PART_NAMES, TEST, TRAIN, Requests, flatten, with_candidates
from bottega.data.judged import judged
from bottega.data.logged import logged
from bottega.data.positives import requests
from bottega.data.sampling import sampled
from bottega.data.tasks import task_labels
from bottega.design.examples import Cuts, FromPositives, Judged, Logged, Retrieved
from bottega.design.models import rung_name
from bottega.design.serving import Retrieve
from bottega.errors import BuildError, DataError
from bottega.features.frame import codes, text
from bottega.metrics import metric
from bottega.models.union import union
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests, write_requests
from bottega.runs.steps.job import Job
from bottega.runs.steps.logged import read_logged, write_logged

_CODE = ("bottega.data", "bottega.models.union", "bottega.runs.steps.examples", "bottega.runs.steps.logged")
_LIBRARIES = ("numpy", "pyarrow")
_FURTHER = "label: "  # before the names of further labels


@dataclass(frozen=True)
class Examples:
    """The examples of a run as they lie on the disk."""

    requests: Requests
    name: str | None
    """The column of the candidate; nothing: the event itself is scored."""
    group: np.ndarray  # (n,) int32, the request of each row, ascending
    candidate: pa.DictionaryArray  # (n,) texts; all null where there are none
    label: np.ndarray  # (n,) float32
    weight: np.ndarray  # (n,) float32, what undoes the draw of negatives
    retrieved: np.ndarray  # (n,) bool; False: a positive that no retriever found, which only counts as missed
    learn: np.ndarray  # (n,) bool: the rows that models learn from, when their part's turn comes
    more: made.Examples | None = None
    """Logged examples as the data room made them: all labels, when each is known, places and propensities."""
    further: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Of examples from positives, further labels by name, (n,) float32; NaN where one is not known."""

    def label_of(self, name: str) -> np.ndarray:
        """Give the final value of a label, (n,) float32: the main one, or another; NaN where it is not known."""
        others = self.further if self.more is None else self.more.labels
        return np.asarray(others.get(name, self.label))

    @property
    def given(self) -> bool:
        """Say whether the table itself says which rows are validation."""
        return self.more is not None and self.more.given

    @cached_property
    def codes(self) -> np.ndarray:
        """Give the place of each candidate in the dictionary, (n,)."""
        return codes(self.candidate)

    @cached_property
    def part(self) -> np.ndarray:
        """Give the part of each row, (n,)."""
        return np.asarray(self.requests.part[self.group])


def make_requests(job: Job) -> Result:
    """Find who asks at each cut, and what turned out to be relevant to them."""
    examples = job.design.data.examples
    if not isinstance(examples, (FromPositives, Judged)):
        raise TypeError("only positives and judgements need their requests made")
    tables = [examples.table, *([examples.requests] if isinstance(examples, Judged) else [])]

    def work(folder: Path, *_: Result) -> str:
        log = job.log(examples.table)
        if isinstance(examples, Judged):
            found = judged(job.design, log, job.log(examples.requests))
        else:
            made_at_cuts = isinstance(examples.requests, Cuts)
            found = requests(job.design, log, cuts(job.design, log)) if made_at_cuts else each(job.design, log)
        write_requests(found, folder)
        return counts(found)

    data = job.design.data
    job.asked = job.runner.step(
        "requests",
        work,
        inputs={"examples": examples, "labels": data.labels, "split": data.split, "tables": data.tables},
        needs=[job.ingested[name] for name in tables],
        code=_CODE,
        libraries=_LIBRARIES,
    )
    return job.asked


def make_examples(job: Job, asked: Result | None, retrievers: Mapping[str, Result]) -> Result:
    """Give each request its candidates and their labels: retrieved, sampled, or as they were logged."""
    data = job.design.data
    examples = data.examples
    if not isinstance(examples, (Logged, FromPositives, Judged)):
        raise BuildError(
            "data.examples", type(examples).__name__, "Logged, FromPositives or Judged", "nothing builds these yet"
        )
    path = job.design.serving.path

    def work(folder: Path, *_: Result) -> str:
        dropped: Mapping[str, int] = {}
        if isinstance(examples, Logged):
            found, dropped = _from_log(job)
        elif isinstance(examples.candidates, Retrieved):
            found = _retrieved(job, read_requests(asked.folder), retrievers)  # type: ignore[union-attr]
        else:
            drawn = sampled(
                read_requests(asked.folder),  # type: ignore[union-attr]
                job.log(examples.table),
                examples.candidate,
                examples.candidates,
                job.seed,
            )
            found = _whole(drawn, examples.candidate, drawn.part() == TRAIN)
        if isinstance(examples, FromPositives) and len(data.labels) > 1:
            log = job.log(examples.table)
            found = replace(found, further=task_labels(job.design, log, found.requests, found.group, found.candidate))
        write_requests(found.requests, folder)
        write_rows(found, folder)
        told = f"{counts(found.requests)}; {len(found.group):,} candidates, {int((found.label > 0).sum()):,} positive"
        noted = {} if found.more is None else found.more.noted
        left = [f"{count:,} left out ({reason})" for reason, count in dropped.items()]
        return "; ".join([told, *left, *(f"{count:,} {reason}" for reason, count in noted.items())])

    return job.runner.step(
        "examples",
        work,
        inputs={
            "data": msgspec.structs.replace(data, sampling=None),  # it is not the examples that are sampled
            "path": [part for part in path if isinstance(part, Retrieve)],
            "learnt": [ladder.label for ladder in job.ladders],
            "seed": job.seed,
        },
        needs=[*([asked] if asked else []), *retrievers.values(), job.ingested[examples.table]],
        code=_CODE,
        libraries=_LIBRARIES,
    )


def _retrieved(job: Job, asked: Requests, retrievers: Mapping[str, Result]) -> Examples:
    """Merge the retrievers' lists at each cut; what they missed is kept too, so that the loss can be seen by views."""
    spec = job.design.data.examples
    stage = next(part for part in job.design.serving.path if isinstance(part, Retrieve))
    parts, sure = [], []
    for name, result in retrievers.items():
        halves = _halves(job, name, np.load(result.folder / "lists.npy"))
        parts += halves
        sure += [stage.quotas.get(name, 0), 0][: len(halves)]
    group, candidate = flatten(union(parts, stage.k, stage.merge, sure), job.vocabulary)
    labelled = with_candidates(asked, group, candidate)
    rows = _whole(labelled, spec.candidate, np.ones(len(labelled), bool))  # type: ignore[union-attr]
    rows = _learning(rows, spec.candidates.negatives, job.seed)  # type: ignore[union-attr]
    return _with_missed(rows)


def _halves(job: Job, name: str, lists: np.ndarray) -> list[np.ndarray]:
    setting = next(rung for rung in job.design.models["retrieve"] if rung_name(rung) == name)
    best: Any = getattr(setting, "k", lists.shape[1])
    return [part for part in (lists[:, :best], lists[:, best:]) if part.shape[1]]


def _learning(rows: Examples, negatives: int | None, seed: int) -> Examples:
    """Mark all positives and some negatives of each request to learn from; training keeps no others."""
    learn, weight = np.ones(len(rows.group), bool), rows.weight.copy()
    if negatives is not None:
        negative = np.flatnonzero(rows.label == 0)
        chance = np.random.default_rng(seed).random(len(negative))
        order = np.lexsort((chance, rows.group[negative]))
        group = rows.group[negative][order]
        place = np.arange(len(group)) - np.searchsorted(group, group)
        drawn = np.zeros(len(negative), bool)
        drawn[order] = place < negatives
        available = np.bincount(rows.group[negative], minlength=len(rows.requests))
        learn[negative] = drawn
        weight[negative] = np.maximum(available / negatives, 1)[rows.group[negative]]
    return _take(Examples(**{**vars(rows), "learn": learn, "weight": weight}), learn | (rows.part != TRAIN))


def _with_missed(rows: Examples) -> Examples:
    """Add the positives of validation and test that no retriever found."""
    asked = rows.requests
    known = pa.concat_arrays([rows.candidate.dictionary, asked.positives_candidate]).dictionary_encode()
    place = codes(known)
    here, size = place[: len(rows.candidate.dictionary)][rows.codes], len(known.dictionary)
    taken = place[len(rows.candidate.dictionary) :]
    missed = ~np.isin(
        asked.positives_request.astype(np.int64) * size + taken, rows.group.astype(np.int64) * size + here
    )
    missed &= asked.part[asked.positives_request] != TRAIN
    extra = int(missed.sum())
    group = np.concatenate([rows.group, asked.positives_request[missed]])
    order = np.argsort(group, kind="stable")

    def joined(column: np.ndarray, value: float | np.ndarray) -> np.ndarray:
        return np.concatenate([column, np.broadcast_to(np.asarray(value, column.dtype), extra)])[order]

    grade = 1 if asked.positives_grade is None else asked.positives_grade[missed]

    indices = np.concatenate([here, taken[missed]])[order].astype(np.int32)
    return Examples(
        asked,
        rows.name,
        group[order].astype(np.int32),
        pa.DictionaryArray.from_arrays(pa.array(indices), known.dictionary),
        joined(rows.label, grade),
        joined(rows.weight, 1),
        joined(rows.retrieved, False),
        joined(rows.learn, False),
    )


def _from_log(job: Job) -> tuple[Examples, Mapping[str, int]]:
    spec = job.design.data.examples
    found = logged(job.design, job.log(spec.table))
    for place, label in enumerate(job.design.data.labels):
        if label.name in {ladder.label for ladder in job.ladders}:
            _check_classes(job, f"data.labels[{place}]", label.name, found.labels.get(label.name, found.label))
    rows = _whole(found, getattr(spec, "candidate", None), np.ones(len(found), bool))
    return replace(rows, more=found), found.dropped


def _check_classes(job: Job, where: str, name: str, label: np.ndarray) -> None:
    """Refuse a label that is neither 0 and 1, nor, where lists are judged, whole grades."""
    odd = label[~np.isnan(label) & (label != 0) & (label != 1)]
    if not len(odd):
        return
    graded = metric(job.design.evaluation.primary).kind != "binary"
    if graded and (odd == np.floor(odd)).all() and odd.min() >= 0 and odd.max() <= 30:
        return
    raise DataError(
        where,
        f"{name!r} is {odd[0]:g} in {np.count_nonzero(label == odd[0]):,} examples",
        "whole grades from 0 to 30" if graded else "0 and 1: what is learnt is a probability",
        "make it 0 or 1 in the table, or a column of truth values",
    )


def _whole(found: made.Examples, name: str | None, learn: np.ndarray) -> Examples:
    rows = len(found)
    column = text(pa.nulls(rows, pa.string()) if found.candidate is None else found.candidate)
    return Examples(found.requests, name, found.group, column, found.label, found.weight, np.ones(rows, bool), learn)


def _take(rows: Examples, chosen: np.ndarray) -> Examples:
    return Examples(
        rows.requests,
        rows.name,
        rows.group[chosen],
        rows.candidate.filter(pa.array(chosen)),
        rows.label[chosen],
        rows.weight[chosen],
        rows.retrieved[chosen],
        rows.learn[chosen],
    )


def counts(asked: Requests) -> str:
    """Say how many requests each part has."""
    return (
        ", ".join(f"{PART_NAMES[part]} {int((asked.part == part).sum()):,}" for part in range(TEST + 1)) + " requests"
    )


def write_rows(rows: Examples, folder: Path) -> None:
    """Write the candidates as Parquet: request, candidate, label, weight, retrieved, learn, and `label: name`."""
    names = ("label", "weight", "retrieved", "learn")
    table = {"request": rows.group, "candidate": rows.candidate, **{name: getattr(rows, name) for name in names}}
    table |= {f"{_FURTHER}{name}": values for name, values in rows.further.items()}
    schema_note = {"candidate": rows.name or ""}
    pq.write_table(pa.table(table).replace_schema_metadata(schema_note), folder / "examples.parquet")
    if rows.more is not None:
        write_logged(rows.more, folder)


def read_examples(folder: Path) -> Examples:
    """Read what the step wrote."""
    table = pq.read_table(folder / "examples.parquet", read_dictionary=["candidate"])
    name = (table.schema.metadata or {}).get(b"candidate", b"").decode() or None
    columns = {column: table.column(column).to_numpy() for column in ("label", "weight", "retrieved", "learn")}
    further = {
        column.removeprefix(_FURTHER): table.column(column).to_numpy()
        for column in table.column_names
        if column.startswith(_FURTHER)
    }
    candidate = table.column("candidate").unify_dictionaries().combine_chunks()
    rows = Examples(
        read_requests(folder),
        name,
        table.column("request").to_numpy(),
        candidate if isinstance(candidate, pa.DictionaryArray) else text(candidate),
        **columns,
        further=further,
    )
    named = None if name is None else rows.candidate
    return replace(rows, more=read_logged(folder, rows.requests, rows.group, named, rows.label))
