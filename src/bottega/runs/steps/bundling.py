"""Steps: retrievers and the store are brought to the log's end, and everything that serves goes into one bundle."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bottega.data.cuts import last_midnight
from bottega.design.features import Lookup, TargetRate, Window
from bottega.design.models import Model, rung_name
from bottega.design.writing import to_json
from bottega.features.filling import come_of, fill
from bottega.features.stores.snapshot import SnapshotStore
from bottega.features.tracked import layout
from bottega.features.tracks import Group
from bottega.files import read_json, write_json
from bottega.models.dense import encoder_hash
from bottega.models.inputs import Kind
from bottega.models.making import make_retriever
from bottega.runs.step import Result
from bottega.runs.steps.compressing import SERVED
from bottega.runs.steps.examples import read_examples
from bottega.runs.steps.job import Job, slug
from bottega.runs.steps.learnt import CODES, keep_champion
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.rated import Rated
from bottega.runs.steps.tabling import WORDS
from bottega.runs.steps.training import Trained, read_columns
from bottega.serving.bundle import (
    FORMAT,
    SCHEMAS,
    Facts,
    Ranked,
    fields_of,
    model_folder,
    rates_folder,
    texts_asked,
    words_folder,
    write_schemas,
)  # fmt: skip
from bottega.serving.manifest import write_manifest
from bottega.serving.online import ROWS

BUNDLE = "bundle"


def refresh(job: Job) -> dict[str, Result]:
    """Fit each retriever once more on the whole log: serving answers from its end."""
    done = {}
    for setting in job.design.models.get("retrieve", ()):
        name = rung_name(setting)

        def work(folder: Path, *_: Result, setting: Model = setting) -> None:
            at = end(job)
            model = make_retriever(setting)
            model.fit(job.interactions(at), at)
            model.save(folder / "model")

        done[name] = job.runner.step(
            f"refresh-{slug(name)}",
            work,
            inputs={"setting": setting, "encoder": encoder_hash(setting), "examples": job.design.data.examples},
            needs=job.learnt_from(),
            code=("bottega.models", "bottega.runs.steps.bundling"),
            libraries=("numpy", "scipy", "implicit"),
            note=name,
        )
    return done


def fill_store(job: Job) -> Result:
    """Write the record of every entity, as of the log's end, as plain files from which any store is filled."""

    def work(folder: Path, *_: Result) -> str:
        logs = job.logs()
        groups = layout(job.design, logs)
        counts = fill(SnapshotStore(folder / ROWS), job.design, logs, groups, end(job), job.engine())
        write_json(folder / "layout.json", msgspec.to_builtins(groups))
        write_schemas(folder, {name: log.rows.schema for name, log in logs.items()})
        return ", ".join(f"{count:,} {name}" for name, count in counts.items())

    kept = [feature for feature in job.design.features if isinstance(feature, (Window, Lookup))]
    return job.runner.step(
        "store",
        work,
        inputs={
            "features": kept,
            "labels": job.design.data.labels,
            "tables": job.design.data.tables,
            **job.computed_by(),
        },
        needs=list(job.ingested.values()),
        code=("bottega.features", "bottega.runs.steps.bundling"),
        libraries=("numpy", "numba", "pyarrow"),
    )


def count_rates(job: Job, examples: Result) -> Result | None:
    """Count rows and labels of each value, as of the log's end, for the target rates of the design, if it has some."""
    rated = [place for place, part in enumerate(job.design.features) if isinstance(part, TargetRate)]
    if not rated:
        return None

    def work(folder: Path, made: Result) -> str:
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        tables = Rated(job, rows).end(end(job))
        for place, table in zip(rated, tables, strict=True):
            rates_folder(folder, place).mkdir(parents=True)
            table.save(rates_folder(folder, place))
        return ", ".join(f"{len(table):,} keys" for table in tables)

    return job.runner.step(
        "rates",
        work,
        inputs={"features": [job.design.features[place] for place in rated], "labels": job.design.data.labels},
        needs=[examples],
        code=("bottega.features", "bottega.runs.steps.bundling", "bottega.runs.steps.rated"),
        libraries=("numpy", "numba"),
    )


def make_bundle(
    job: Job,
    examples: Result,
    refreshed: Mapping[str, Result],
    trained: Trained,
    judged: Result,
    compressed: Result | None,
    store: Result,
    rates: Result | None,
) -> Result:
    """Put champions, retrievers, store, rates and the design into `bundle/`: plain files and their hashes."""

    def work(step: Path, made: Result, evaluation: Result, filled: Result, *_: Result) -> str:
        folder = step / BUNDLE
        folder.mkdir()
        champions = read_json(evaluation.folder / "evaluation.json")["champions"]
        rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
        groups = msgspec.convert(read_json(filled.folder / "layout.json"), tuple[Group, ...])
        ranked = {}
        for ladder in job.ladders:
            champion = champions[ladder.name]
            source = trained[ladder.name, champion, FINAL].folder
            names, kinds = read_columns(source)
            ranked[ladder.name] = Ranked(champion, tuple(names), msgspec.convert(kinds, tuple[Kind, ...]))
            served = None if compressed is None else compressed.folder / SERVED / ladder.name
            model = source if served is None or not served.exists() else served
            shutil.copytree(model / "model", model_folder(folder, ladder.name, ladder.rung(champion)))
            shutil.copytree(source / "background", folder / "background" / ladder.name)
            keep_champion(folder, job, ladder, champion, source, compressed=model is not source)
            shutil.copytree(source / WORDS, words_folder(folder, ladder.name))
        facts = Facts(ranked, fields_of(rows.requests.columns.schema, texts_asked(job.design)), groups, FORMAT)
        (folder / "design.json").write_bytes(to_json(job.design))
        write_json(folder / "serving.json", msgspec.to_builtins(facts))
        for setting in job.design.models.get("retrieve", ()):
            shutil.copytree(refreshed[rung_name(setting)].folder / "model", model_folder(folder, "retrieve", setting))
        for name in (ROWS, SCHEMAS):
            shutil.copytree(filled.folder / name, folder / name)
        if rates is not None:
            shutil.copytree(rates.folder / "rates", folder / "rates")
        write_manifest(folder, {"build": BUNDLE, "created": "", "design": job.design.name})
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return f"{size / 1e6:,.0f} MB"

    return job.runner.step(
        "bundle",
        work,
        inputs={"design": job.design, "ladders": [(ladder.name, ladder.rungs) for ladder in job.ladders]},
        needs=[
            *(examples, judged, store),
            *refreshed.values(),
            *trained.values(),
            *(result for result in (compressed, rates) if result is not None),
        ],
        code=(
            *("bottega.serving.bundle", "bottega.runs.steps.bundling", "bottega.runs.steps.learnt", "bottega.design"),
            *CODES,
        ),
    )


def end(job: Job) -> int:
    """Give the moment of which a build tells, microseconds since 1970 UTC: the midnight that ends the log's last day.

    Of a log whose last day is not over yet it is the moment after the last row of any table that has come: events that
    come from then on are the stream's. A log without a time stands at 0, as its examples do.
    """
    return job.once(("end",), lambda: _end(job, time.time_ns() // 1000))


def _end(job: Job, now: int) -> int:
    log = job.log(job.design.data.examples.table)
    if log.time is None:
        return 0
    midnight = last_midnight(log)
    if midnight <= now:
        return midnight
    came = [log.end()]
    for name, table in job.tables.items():
        if job.log(name).time is not None:
            arrived = come_of(job.log(name), table.available_after)
            came.append(int(arrived[arrived < now].max(initial=0)) + 1)
    return min(max(came), now)
