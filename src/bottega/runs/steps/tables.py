"""Step: each table is read, checked and parted into what is accepted and what is not."""

from __future__ import annotations

from pathlib import Path

from bottega.data.ingest import QUARANTINED, ingest, read_ingested
from bottega.data.keys import identifiers
from bottega.data.labels import label_columns
from bottega.data.source import fingerprint, passed_over
from bottega.runs.steps.job import Job, slug


def ingest_tables(job: Job) -> dict[str, dict[str, object]]:
    """Ingest every table of the design, and give the counts of each.

    Raises `DataError` for data that cannot be read or of which nothing is left.
    """
    text = sorted(identifiers(job.design))
    counts: dict[str, dict[str, object]] = {}
    for name, table in job.tables.items():
        labels = label_columns(job.design, name)

        def work(folder: Path, table=table, labels=labels) -> str:  # type: ignore[no-untyped-def]
            return ingest(table, job.place, folder, text, labels).told()

        job.ingested[name] = job.runner.step(
            f"data-{slug(name)}",
            work,
            inputs={"table": table, "text": text, "labels": labels, "data": fingerprint(table, job.place)},
            code=("bottega.data", "bottega.design.data", "bottega.files"),
            libraries=("pyarrow", "numpy"),
            note=name,
        )
        done = read_ingested(job.ingested[name].folder)
        if over := passed_over(table, job.place):
            job.runner.progress.say(f"    {name}: {over} left out")
        if alarm := done.alarm():
            job.runner.progress.say(f"warning: {name}: {alarm}; see {job.ingested[name].folder / QUARANTINED}")
        counts[name] = {
            "offered": done.offered,
            "accepted": done.accepted,
            "quarantined": done.quarantined,
            "reasons": done.reasons,
        }
    return counts
