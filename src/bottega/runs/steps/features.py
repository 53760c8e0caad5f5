"""Steps: each declared feature is computed by itself for every example: a change computes only what hangs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.data.labels import numbers_of
from bottega.data.lessons import taught_parts
from bottega.design.features import Feature, Given, Lookup, TargetRate, Window
from bottega.errors import BuildError
from bottega.features.batch import compute, names, needs, score_name
from bottega.features.frame import Column, Frame, Values, text
from bottega.features.target_rates import check_shared, rates_before, rates_by_fold, row_keys
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.job import Job, slug
from bottega.runs.steps.lessons import FITS
from bottega.serving.bundle import fields_of

_CODE = ("bottega.features", "bottega.data.log", "bottega.data.keys", "bottega.runs.steps.features")
_LIBRARIES = ("numpy", "numba", "pyarrow", "sqlglot")


def compute_features(job: Job, examples: Result, scores: Mapping[str, Result]) -> dict[str, list[Result]]:
    """Compute each feature of the design for all examples; expressions wait for the features that they read.

    Gives for each fit its features: rates of the label without a time are made from what the fit learns from, all
    others are the same for both.
    """
    done: dict[str, list[Result]] = {fit: [] for fit in FITS}
    scored = {score_name(name): result for name, result in scores.items()}
    owner: dict[str, dict[str, Result]] = {fit: dict(scored) for fit in FITS}
    for feature in job.design.features:
        made: dict[tuple[str, ...], Result] = {}
        for fit in FITS:
            used = [owner[fit][name] for name in sorted(needs(feature)) if name in owner[fit]]
            key = tuple(item.key for item in used) + ((fit,) if _by_fold(job, feature) else ())
            if key not in made:
                made[key] = _compute(job, feature, fit, examples, scores, used, done[fit])
            done[fit].append(made[key])
            owner[fit].update(dict.fromkeys(names(feature), made[key]))
    return done


def _compute(
    job: Job,
    feature: Feature,
    fit: str,
    examples: Result,
    scores: Mapping[str, Result],
    used: Sequence[Result],
    done: Sequence[Result],
) -> Result:
    sources = [job.ingested[feature.table]] if isinstance(feature, (Window, Lookup)) else []
    if isinstance(feature, Given):
        sources = [job.ingested[job.design.data.examples.table]]
    suffix = f"-{fit}" if _by_fold(job, feature) else ""

    def work(folder: Path, made: Result, *others: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        before = [item for item in others if item in done]
        known = [(name, item) for name, item in scores.items() if item in others]
        asked = frame(rows, known)
        if isinstance(feature, TargetRate):
            (folder / "request").mkdir()
            (folder / "row").mkdir()
            for name, column in rates(job, feature, fit, asked, rows):
                np.save(folder / "row" / f"{name}.npy", column)
        elif isinstance(feature, Given):
            save(given(job, feature, rows), folder)
        else:
            engine = job.engine() if sources else None
            save(compute(feature, job.design, job.logs(), asked, load(before), engine), folder)
        return listed(names(feature))

    return job.runner.step(
        f"feature-{slug(names(feature)[0])}{suffix}",  # without its place, which others before it would change
        work,
        inputs={
            "feature": feature,
            "labels": job.design.data.labels,
            "tables": job.design.data.tables,
            **({"fit": fit, "seed": job.seed} if suffix else {}),
            **(job.computed_by() if sources and not isinstance(feature, Given) else {}),
        },
        needs=[examples, *{item.key: item for item in [*used, *sources]}.values()],
        code=_CODE,
        libraries=_LIBRARIES,
        note=listed(names(feature)),
    )


def rates(job: Job, feature: TargetRate, fit: str, asked: Frame, rows: Examples) -> Iterator[tuple[str, np.ndarray]]:
    """Give each column of target rates, (n,): by what was known before, or by fold where there is no time.

    Errors: `BuildError` for examples that are no rows of a log.
    """
    more = rows.more
    if more is None:
        raise BuildError(
            "features: TargetRate",
            f"examples from {type(job.design.data.examples).__name__}",
            "Logged examples, whose rows have labels of their own",
            "a Window with avg(label) over a table of events",
        )
    keys = row_keys(feature, asked)
    if not _by_fold(job, feature):
        name = job.design.data.labels[0].name
        return rates_before(feature, keys, rows.label, asked.time[rows.group], more.final[name])
    learn = np.isin(rows.part, taught_parts(job.design, FITS[fit][0], rows.given))
    group = rows.group if more.unit is None else more.unit[rows.group]
    check_shared(feature, keys, learn, group)
    return rates_by_fold(feature, keys, rows.label, learn, job.seed, group)


def given(job: Job, feature: Given, rows: Examples) -> Values:
    """Give the columns that stand in the log beside each example. Errors: `DataError` for one that holds no numbers."""
    log = job.log(job.design.data.examples.table)
    at = None if rows.more is None else rows.more.row
    if at is None:
        raise BuildError("features: Given", "examples that are no rows of a log", "Logged examples")
    where = "features: Given.columns"
    return Values(
        {}, {name: numbers_of(log, name, where, "numbers").astype(np.float64)[at] for name in feature.columns}
    )


def _by_fold(job: Job, feature: Feature) -> bool:
    """Say whether a feature is made anew for each fit: rates of the label where examples have no time."""
    return isinstance(feature, TargetRate) and job.tables[job.design.data.examples.table].time is None


def listed(made: Sequence[str], most: int = 3) -> str:
    """Name the first columns of a feature, and count the others.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(made) - most} more" if len(made) > most else ""
    return ", ".join(made[:most]) + more


def frame(rows: Examples, scores: Sequence[tuple[str, Result]]) -> Frame:
    """Give the examples as what features are computed for, with the scores of these retrievers beside them."""
    asked = {name: plain_column(rows.requests.columns.column(name)) for name in rows.requests.columns.column_names}
    candidates: dict[str, Column] = {} if rows.name is None else {rows.name: rows.candidate}
    for name, result in scores:
        candidates[score_name(name)] = np.load(result.folder / "scores.npy").astype(np.float64)
    return Frame(asked, rows.requests.time, rows.group, candidates)


def plain_column(column: pa.ChunkedArray) -> Column:
    """Give a request's column in the kind in which a service gets it: a number, a time, else a text."""
    kind = fields_of(pa.schema([("", column.type)]))[""]
    if kind == "number":
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    if kind == "time":
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy(), "datetime64[us]")
    return text(column)


def save(values: Values, folder: Path) -> None:
    """Write columns at their level, one file each."""
    for level, columns in (("request", values.request), ("row", values.row)):
        (folder / level).mkdir()
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                np.save(folder / level / f"{name}.npy", column)
            else:
                with pa.ipc.new_file(folder / level / f"{name}.arrow", pa.schema([(name, column.type)])) as file:
                    file.write(pa.record_batch([column], names=[name]))


def load(results: Sequence[Result]) -> Values:
    """Read the columns of several features; numbers stay on the disk and are mapped."""
    values = Values()
    for result in results:
        for level, columns in (("request", values.request), ("row", values.row)):
            for path in sorted((result.folder / level).iterdir()):
                if path.suffix == ".npy":
                    columns[path.stem] = np.load(path, mmap_mode="r")
                else:
                    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                        columns[path.stem] = file.get_batch(0).column(0)
    return values
