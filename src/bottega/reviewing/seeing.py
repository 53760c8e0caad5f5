"""Looking at the tables of a design, as a run reads them, for what rules on data go by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.data.log import Log
from bottega.design.data import RandomSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Logged
from bottega.design.features import Categories, Lookup
from bottega.design.tables import Table
from bottega.errors import BottegaError
from bottega.files import read_json, write_bytes
from bottega.reviewing import seeing_columns, seeing_labels, seeing_splits, seeing_times, seeing_units
from bottega.reviewing.seen import TELLS, ColumnSeen, Delay, Seen, TableSeen
from bottega.runs.runner import Runner
from bottega.runs.steps.fitting import to_tables, without_missing
from bottega.runs.steps.job import Job
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.units import with_units

SEEN = "seen.json"
_CODE = (
    "seeing", "seeing_columns", "seeing_labels", "seeing_splits", "seeing_times", "seeing_units", "seen", "looking",
)  # fmt: skip


def look(runner: Runner, job: Job, served: Path) -> Seen:
    """Look at a design's tables, or find what was seen: the steps are those of a run, and are kept in its workspace.

    job: of the design and the place of its tables; they are ingested where they are not yet. served: the folder that
    holds the scorecard of its last run. A million rows take seconds the first time. Errors: `DataError` for tables that
    cannot be read.
    """
    job.design, _ = without_missing(job.design, job.place)
    job.design, _ = with_units(job.design, job.place)
    ingest_tables(job)
    judged = job.design.evaluation
    watched = {"primary": judged.primary, "goals": [goal.metric for goal in judged.goals], "unit": judged.unit}

    def work(folder: Path, *_: object) -> str:
        job.design, _said = to_tables(job.design, job.logs())
        found = see(job.design, job.logs())
        write_bytes(folder / SEEN, msgspec.json.encode(found))
        return f"{sum(table.rows for table in found.tables.values()):,} rows"

    done = runner.step(
        "seen",
        work,
        inputs={
            "data": job.design.data,
            "features": job.design.features,
            "retrain": job.design.monitoring.retrain,
            "evaluation": watched,
        },
        needs=list(job.ingested.values()),
        code=(*(f"bottega.reviewing.{name}" for name in _CODE), "bottega.data", "bottega.metrics"),
        libraries=("numpy", "pyarrow"),
        note="what rules on data go by",
    )
    seen = msgspec.json.decode((done.folder / SEEN).read_bytes(), type=Seen)
    return msgspec.structs.replace(seen, scorecard=measured(served / "scorecard.json"))


def see(design: Design, logs: Mapping[str, Log]) -> Seen:
    """Look at tables that are in memory.

    design: after `to_tables`, which names what a design leaves open. logs: of all its tables.
    """
    there = [table for table in design.data.tables if table.name in logs]
    tables = {table.name: _table(table, logs[table.name], _categories(design, table.name)) for table in there}
    examples = design.data.examples
    coded = seeing_columns.coded(design, logs) if examples.table in logs else {}
    found = Seen(tables, catalogue=_catalogue(design, logs), coded=coded)
    log = logs.get(examples.table)
    if isinstance(examples, FromPositives) and log is not None and log.time is not None:
        asked = seeing_times.moments(log.time, np.ones(len(log.time), np.float32))
        return msgspec.structs.replace(found, moments=asked)
    if not isinstance(examples, Logged) or log is None:
        return found
    unit, overlap = seeing_units.unit(design, log), seeing_splits.overlap(design, log)
    if log.time is None:
        unnamed, log = seeing_times.unnamed(design, log)
        own = msgspec.structs.replace(tables[examples.table], unnamed=unnamed)
        found = msgspec.structs.replace(found, tables={**tables, examples.table: own})
    try:
        known = seeing_labels.values(design, log)
    except BottegaError as error:
        return msgspec.structs.replace(found, refused=(error.where, str(error.found)))
    label = known[design.data.labels[0].name]
    rows = np.flatnonzero(~np.isnan(label))
    positive = label[rows] > 0
    rare = any(name.partition("@")[0] == "roc_auc" for name in _metrics(design))
    at_random = isinstance(design.data.split, RandomSplit)
    alone = seeing_columns.alone(design, logs, rows, positive)
    honest = [name for name, tells in alone.items() if tells < TELLS]
    return msgspec.structs.replace(
        found,
        labels=seeing_labels.labels(design, log, known),
        alone=alone,
        places=seeing_columns.places(design, log, rows, positive),
        moments=() if log.time is None else seeing_times.moments(log.time[rows], label[rows]),
        unit=unit,
        overlap=overlap,
        split=seeing_splits.compared(design, log, rows, positive, honest) if at_random else None,
        rates=seeing_splits.reached(design, log, rows, positive, honest) if rare else {},
    )


def measured(scorecard: Path) -> dict[str, float]:
    """Read what the last run measured of the service; nothing where there was none, or of another kind."""
    try:
        service = read_json(scorecard)["serving"]
        busy = sum(float(ms) for ms in service["stages_ms"].values())
        return {"ms": busy, "p99_ms": float(service["p99_ms"]), "rate": float(service["rate"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _metrics(design: Design) -> list[str]:
    return [design.evaluation.primary, *(goal.metric for goal in design.evaluation.goals)]


def _categories(design: Design, table: str) -> set[str]:
    """Name the columns of a table that features make categories of, or look up."""
    examples = design.data.examples.table
    return {
        name
        for feature in design.features
        if isinstance(feature, (Lookup, Categories)) and getattr(feature, "table", examples) == table
        for name in feature.columns
    }


def _table(table: Table, log: Log, counted: Collection[str]) -> TableSeen:
    named = {table.time, table.created}
    columns = {name: _column(log.rows.column(name), name in counted) for name in log.rows.column_names}
    found = TableSeen(log.rows.num_rows, columns)
    if log.time is None or not len(log.time):
        return found
    times = [name for name, seen in columns.items() if seen.kind == "time" and name not in named]
    later = {name: delay for name in times if (delay := _delay(log, name)) is not None}
    repeated = equal_rows(log.rows) if table.event_id is None else 0
    apart = seeing_times.spacing(log.time)
    return msgspec.structs.replace(
        found, begin=int(log.time.min()), end=int(log.time.max()), later=later, repeated=repeated, spacing=apart
    )


def _column(column: pa.ChunkedArray, counted: bool) -> ColumnSeen:
    kind, rows = column.type, len(column)
    nulls = column.null_count / rows if rows else 0.0
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return ColumnSeen("other", nulls)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    named = "text" if text else "time" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else "number"
    some = counted and column.null_count < rows  # Arrow counts no column of nulls alone
    distinct = pc.count_distinct(column, mode="only_valid").as_py() if some else 0 if counted else None
    return ColumnSeen(named, nulls, distinct)  # type: ignore[arg-type]


def _delay(log: Log, name: str) -> Delay | None:
    """Say how far a column of times lies after the event, where nearly every row has it, and not before."""
    column = log.rows.column(name)
    gaps = column.null_count > (1 - seeing_times.NEARLY) * len(column)
    if not pa.types.is_timestamp(column.type) or log.time is None or gaps:
        return None
    valid = column.is_valid().to_numpy()
    other = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).fill_null(0).to_numpy()
    after = (other - log.time)[valid]
    if not (after > 0).mean() >= seeing_times.NEARLY:
        return None
    return Delay(int(np.quantile(after, 0.5)), int(np.quantile(after, 0.9)))


def equal_rows(rows: pa.Table) -> int:
    """Count the rows that equal an earlier one in every column."""
    import duckdb

    flat = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
    with duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": "false"}) as engine:
        names = [f"c{place}" for place in range(len(flat))]  # which SQL takes whatever the columns are called
        engine.register("events", rows.select(flat).rename_columns(names))
        told = engine.sql(f"SELECT count(DISTINCT hash({', '.join(names)})) FROM events").fetchone()
    return rows.num_rows - int(told[0]) if told else 0


def _catalogue(design: Design, logs: Mapping[str, Log]) -> int | None:
    """Count the candidates that there are, by the log or by the tables that have a row for each."""
    examples = design.data.examples
    candidate = getattr(examples, "candidate", None)
    if candidate is None:
        return None
    named = [getattr(examples, "catalogue", None) or examples.table, examples.table]
    named += [table.name for table in design.data.tables if table.key == candidate]
    counts = [
        pc.count_distinct(logs[name].rows.column(candidate)).as_py()
        for name in named
        if name in logs and candidate in logs[name].rows.column_names
    ]
    return max(counts, default=None)
