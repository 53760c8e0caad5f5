"""Step: the parity gate. A store is filled as of the test, and the serving code reads examples back from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as Folder

import msgspec
import numpy as np
import pyarrow as pa

from bottega.data.examples import TEST
from bottega.design.models import rung_name
from bottega.features.frame import Column, Frame, taken, text
from bottega.features.packing import Packed, Reader, fill, fill_moments, layout
from bottega.features.rate_table import RateTable
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Store
from bottega.files import write_json
from bottega.models.making import retriever_class
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import frame, load
from bottega.runs.steps.job import Job
from bottega.runs.steps.rated import Rated
from bottega.serving.bundle import Bundle, Facts, fields_of
from bottega.serving.parity import Parity, exact_columns, summarise, together
from bottega.serving.path import Path

ROWS = 1000


def check_parity(
    job: Job,
    examples: Result,
    retrievers: Mapping[str, Result],
    scores: Mapping[str, Result],
    features: Sequence[Result],
) -> Result:
    """Compare the features of test examples, as training has them, with what serving reads from the store."""

    def work(folder: Folder, made: Result, *_: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        found = compare(job, folder, rows, retrievers, scores, features)
        write_json(folder / "parity.json", msgspec.to_builtins(found))
        return f"{found.compared:,} values compared, {found.mismatches:,} differ"

    return job.runner.step(
        "parity",
        work,
        inputs={"rows": ROWS, "seed": job.seed, "features": job.design.features},
        needs=[examples, *retrievers.values(), *scores.values(), *features],
        code=("bottega.features", "bottega.serving.parity", "bottega.serving.path", "bottega.runs.steps.parity"),
        libraries=("numpy", "pyarrow", "lmdb"),
    )


def compare(
    job: Job,
    folder: Folder,
    rows: Examples,
    retrievers: Mapping[str, Result],
    scores: Mapping[str, Result],
    features: Sequence[Result],
) -> Parity:
    """Compare up to 1,000 test rows, drawn by the seed; retrievers' scores are compared as well.

    The store of the moment is filled whole where all requests were made at one; where they were made at many, the
    store of each holds the keys that are asked for there.
    """
    chosen = drawn(rows, job.seed)
    if not len(chosen):
        return Parity(0, 0, {}, [])
    offline = frame(rows, list(scores.items()))
    trained = load(features)
    trained.row.update({name: column for name, column in offline.candidates.items() if name != rows.name})
    rated = Rated(job, rows)
    names = [*trained.request, *trained.row]
    served: dict[str, list[Column]] = {name: [] for name in names}
    order: list[int] = []
    some: list[int] = []  # the rows at whose moments rates were counted
    places: dict[int, tuple[dict[str, object], str | None]] = {}
    for at, store, groups in _stores(job, offline, chosen):
        tables = rated.at(at)
        path = Path(_bundle(job, folder, at, rows, retrievers, Reader(store, groups), tables or ()))
        here = chosen[rows.requests.time[rows.group[chosen]] == at]
        for request in np.unique(rows.group[here]).tolist():
            mine = here[rows.group[here] == request].tolist()
            order += mine
            some += mine if tables is not None else []
            columns = rows.requests.columns.slice(request, 1).to_pylist()[0]
            candidates = rows.candidate.take(pa.array(mine)).to_pylist()
            values = path.features(columns, candidates, at)
            places |= {row: (columns, candidate) for row, candidate in zip(mine, candidates, strict=True)}
            group = np.zeros(len(mine), np.int32)
            for name in names:
                if tables is not None or name not in rated.names:
                    served[name].append(values.at_rows(name, group))
    exact = exact_columns(job.design)
    found = [
        summarise(
            [(name, taken(trained.at_rows(name, rows.group), np.array(these)), _joined(served[name])) for name in part],
            exact,
            [places[row] for row in these],
        )
        for part, these in (
            ([name for name in names if name not in rated.names], order),
            ([name for name in names if name in rated.names], some),
        )
    ]
    return together(found)


def drawn(rows: Examples, seed: int) -> np.ndarray:
    """Draw test rows that serving could have been asked for, up to 1,000, ascending."""
    able = np.flatnonzero((rows.part == TEST) & rows.retrieved)
    return np.sort(np.random.default_rng(seed).choice(able, min(ROWS, len(able)), replace=False))


def _stores(job: Job, offline: Frame, chosen: np.ndarray) -> Iterator[tuple[int, Store, list[Packed]]]:
    """Give each moment of the chosen rows with its store, in their order."""
    logs = job.logs()
    groups = layout(job.design, logs)
    asked, group = np.unique(offline.group[chosen], return_inverse=True)
    times = np.unique(offline.time[asked])
    if len(times) == 1:
        store = MemoryStore()
        fill(store, job.design, logs, groups, int(times[0]))
        yield int(times[0]), store, groups
        return
    part = Frame(
        {name: taken(column, asked) for name, column in offline.requests.items()},
        offline.time[asked],
        group,
        {name: taken(column, chosen) for name, column in offline.candidates.items()},
    )
    for at, store in fill_moments(job.design, logs, groups, part).items():
        yield at, store, groups


def _bundle(
    job: Job,
    folder: Folder,
    at: int,
    rows: Examples,
    retrievers: Mapping[str, Result],
    reader: Reader,
    rates: tuple[RateTable, ...],
) -> Bundle:
    cut = int(np.searchsorted(np.unique(rows.requests.time), at)) if retrievers else 0
    models = {
        rung_name(setting): retriever_class(setting).load(retrievers[rung_name(setting)].folder / f"cut-{cut}", setting)
        for setting in (job.design.models.get("retrieve", ()) if retrievers else ())
    }
    facts = Facts({}, fields_of(rows.requests.columns.schema), tuple(reader.groups))
    return Bundle("parity", folder, job.design, facts, models, {}, reader, rates)


def _joined(pieces: Sequence[Column]) -> Column:
    arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
    if arrays:
        return np.concatenate(arrays)
    return text(
        pa.concat_arrays([piece.dictionary_decode() for piece in pieces if isinstance(piece, pa.DictionaryArray)])
    )
