"""Step: the parity gate. A slice of the log goes through the stream, and examples are read between its events."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import TEST
from bottega.features.batch import given_columns
from bottega.features.filling import come_of
from bottega.features.frame import Column, Values, taken, text
from bottega.features.tracked import layout
from bottega.files import write_json
from bottega.runs.step import Result
from bottega.runs.steps.arriving import Arriving, arriving
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import frame, load
from bottega.runs.steps.job import Job
from bottega.runs.steps.rated import Rated
from bottega.runs.steps.replayed import Replay, replaying
from bottega.runs.steps.resting import Resting
from bottega.runs.steps.retrieving import cuts_of
from bottega.serving.bundle import fields_of, rates_folder, texts_asked
from bottega.serving.parity import Parity, exact_columns, excused, summarise, together
from bottega.serving.parity_reading import Asked, Reading, Spec

ROWS = 1000
BEFORE, MOST = 5_000, 200_000
"""Events that go through the stream before the first example is read, and at most in all."""


def check_parity(
    job: Job,
    examples: Result,
    retrievers: Mapping[str, Result],
    scores: Mapping[str, Result],
    features: Sequence[Result],
) -> Result:
    """Compare the features of test examples, as training has them, with what serving reads from a store in motion."""

    def work(folder: Path, made: Result, *_: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        found = compare(job, folder / "work", rows, retrievers, scores, features)
        shutil.rmtree(folder / "work")
        write_json(folder / "parity.json", msgspec.to_builtins(found))
        more = f", {found.approximate:,} of approximate features" if found.approximate else ""
        through = f" ({found.events:,} events between)" if found.events else ""
        return f"{found.compared:,} values compared{through}, {found.mismatches:,} differ{more}"

    return job.runner.step(
        "parity",
        work,
        inputs={
            "rows": ROWS, "seed": job.seed, "features": job.design.features, "tables": job.design.data.tables,
            "approximate": job.design.serving.approximate,
        },
        needs=[examples, *retrievers.values(), *scores.values(), *features, *job.ingested.values()],
        code=(
            "bottega.features", "bottega.data.streams", "bottega.serving.parity", "bottega.serving.parity_reading",
            "bottega.serving.path", "bottega.serving.streaming", "bottega.runs.steps.parity",
        ),
        libraries=("numpy", "numba", "pyarrow", "lmdb", "msgspec"),
    )  # fmt: skip


@dataclass
class _Served:
    """What serving read, row by row in the order of reading."""

    rows: list[int] = field(default_factory=list)
    places: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    rated: list[bool] = field(default_factory=list)


def compare(
    job: Job,
    folder: Path,
    rows: Examples,
    retrievers: Mapping[str, Result],
    scores: Mapping[str, Result],
    features: Sequence[Result],
) -> Parity:
    """Replay a slice of the log, and compare up to 1,000 test rows, each read at its own time by the code that serves.

    The store is filled by the batch as of the slice's begin. From there on the events go through the stream into it in
    the order of their arrival, a share of them late, some delivered twice; an example of time t is read when all that
    had come to the log by t has arrived, by another process. Retrievers' scores are compared as well.

    folder: for the replay, new.
    """
    logs, design = job.logs(), job.design
    chosen = drawn(job, rows)
    if not len(chosen):
        return Parity(0, 0, {}, [])
    folder.mkdir(parents=True)
    offline = frame(rows, list(scores.items()))
    trained = load(features)
    trained.row.update({name: column for name, column in offline.candidates.items() if name != rows.name})
    groups, rated = layout(design, logs), Rated(job, rows)
    begin, events = sliced(job, rows.requests.time[rows.group[chosen]])
    resting = Resting(groups, design, logs, trained, rows)
    served = _Served()
    spec = Spec(
        design, tuple(groups), fields_of(rows.requests.columns.schema, texts_asked(design)), f"lmdb:{folder / 'store'}"
    )
    times = rows.requests.time[rows.group[chosen]]
    given = given_columns(design.features)
    with replaying(design, logs, groups, begin, events, folder) as replay, Reading(spec, folder) as reading:
        for number, at in enumerate(np.unique(times).tolist()):
            replay.advance(at)
            tables = _saved(folder / "rates" / str(number), rated, at)
            here = chosen[times == at]
            models = _models(job, rows, retrievers, at)
            for request in np.unique(rows.group[here]).tolist():
                mine = here[rows.group[here] == request]
                brought = {name: _plain(trained.row[name][mine]) for name in given}
                asked = _asked(rows, request, mine, at, models, tables, brought)
                _read(replay, reading, asked, mine, served, resting, rated.names if tables is None else set())
    return _summed(job, rows, trained, served, resting, rated.names, len(events.row))


def _read(
    replay: Replay,
    reading: Reading,
    asked: Asked,
    mine: NDArray[np.int64],
    served: _Served,
    resting: Resting,
    missing: set[str],
) -> None:
    """Read for the rows of one request, and look at once what values that differ rest on."""
    told = reading.ask(asked)
    first = len(served.rows)
    served.rows += mine.tolist()
    served.rated += [not missing] * len(mine)
    served.places += [(asked.columns, candidate) for candidate in asked.candidates]
    for name, values in told.items():
        served.columns.setdefault(name, []).extend(values)
        if name not in missing:
            resting.look(name, values, mine, first, asked, replay.store)


def drawn(job: Job, rows: Examples) -> NDArray[np.int64]:
    """Draw test rows that serving could have been asked for, up to 1,000, ascending; all from one slice of the log."""
    able = np.flatnonzero((rows.part == TEST) & rows.retrieved)
    times = rows.requests.time[rows.group[able]]
    if len(able):
        coming = np.sort(np.concatenate([np.zeros(0, np.int64), *_coming(job)]))
        coming = coming[coming <= times.max()]
        if len(coming) > MOST:
            able = able[times >= coming[-MOST + BEFORE]]
    return np.sort(np.random.default_rng(job.seed).choice(able, min(ROWS, len(able)), replace=False))


def sliced(job: Job, times: NDArray[np.int64]) -> tuple[int, Arriving]:
    """Give the slice's begin, `BEFORE` events before the first example where there are so many, and its events."""
    coming = np.sort(np.concatenate([np.zeros(0, np.int64), *_coming(job)]))
    before = int(np.searchsorted(coming, times.min(), side="right"))
    begin = int(coming[max(before - BEFORE, 0)]) if len(coming) else int(times.min())
    begin = min(begin, int(times.min()))
    return begin, arriving(job.design, job.logs(), begin, int(times.max()) + 1, job.seed)


def _coming(job: Job) -> list[NDArray[np.int64]]:
    logs = job.logs()
    return [
        come_of(logs[table.name], table.available_after)
        for table in job.design.data.tables
        if logs[table.name].time is not None
    ]


def _asked(
    rows: Examples,
    request: int,
    mine: NDArray[np.int64],
    at: int,
    models: dict[str, str],
    rates: Path | None,
    brought: dict[str, list[float | None]],
) -> Asked:
    one = rows.requests.columns.slice(request, 1)
    for place, column in enumerate(one.schema):
        if pa.types.is_timestamp(column.type):
            one = one.set_column(place, column.name, one.column(place).cast(pa.timestamp("us")).cast(pa.int64()))
    candidates = rows.candidate.take(pa.array(mine)).to_pylist()
    return Asked(at, one.to_pylist()[0], candidates, models, None if rates is None else str(rates), brought)


def _models(job: Job, rows: Examples, retrievers: Mapping[str, Result], at: int) -> dict[str, str]:
    """Name the folder of each retriever as it was fitted for the cut of a moment, where it was."""
    if not retrievers:
        return {}
    times, _ = cuts_of(job, rows.requests)
    cut = int(np.searchsorted(times, at, side="right")) - 1
    folders = {name: result.folder / f"cut-{cut}" for name, result in retrievers.items()}
    return {name: str(folder) for name, folder in folders.items() if folder.exists()}


def _plain(column: Column) -> list[float | None]:
    return [None if value != value else float(value) for value in np.asarray(column).tolist()]


def _saved(folder: Path, rated: Rated, at: int) -> Path | None:
    """Write the tables of target rates as of a moment; nothing where they are not counted any more."""
    tables = rated.at(at)
    if tables is None:
        return None
    for place, table in zip(rated.places, tables, strict=True):
        rates_folder(folder, place).mkdir(parents=True)
        table.save(rates_folder(folder, place))
    return folder


def _summed(
    job: Job,
    rows: Examples,
    trained: Values,
    served: _Served,
    resting: Resting,
    rated: set[str],
    events: int,
) -> Parity:
    exact = exact_columns(job.design)
    every = np.arange(len(served.rows))
    some = np.flatnonzero(np.array(served.rated, bool))
    found = []
    for part, these in (
        ([name for name in [*trained.request, *trained.row] if name not in rated], every),
        ([name for name in [*trained.request, *trained.row] if name in rated], some),
    ):
        order = np.array(served.rows, np.int64)[these]
        columns = []
        for name in part:
            training = taken(trained.at_rows(name, rows.group), order)
            columns.append((name, training, _like(training, [served.columns[name][row] for row in these.tolist()])))
        said = {(name, int(np.searchsorted(these, row))): told for (name, row), told in resting.said.items()}
        found.append(summarise(columns, exact, [served.places[row] for row in these.tolist()], said))
    summed = excused(together(found), job.design.serving.approximate)
    return msgspec.structs.replace(summed, events=events)


def _like(training: Column, values: list[Any]) -> Column:
    """Give served values as a column of training's kind, where they are of it."""
    if isinstance(training, np.ndarray) and training.dtype.kind == "M":
        return np.array(["NaT" if value is None else value for value in values], "datetime64[us]")
    if all(value is None or isinstance(value, str) for value in values) and not isinstance(training, np.ndarray):
        return text(pa.array(values, pa.string()))
    return np.array([np.nan if value is None else value for value in values], np.float64)
