"""Step: pictures are sent to the service as events, and asked for until it finds them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bottega.errors import ServeError
from bottega.files import write_json
from bottega.runs.step import Result
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.freshness import ARRIVAL, PATIENCE_S, SENT, post, said, served, summary
from bottega.runs.steps.job import Job
from bottega.runs.steps.pictures.items import picture_of, same_value


def measure_arrival(job: Job, judged: Result, bundle: Result) -> Result:
    """Measure the seconds from an event's acknowledgement until the picture in it is found."""

    def work(folder: Path, evaluation: Result, built: Result) -> str:
        asked = requests_to_ask(job.design, (), evaluation.folder / "predictions.parquet")[:SENT]
        spec, picture = same_value(job.design), picture_of(job.design)
        key = str(job.tables[spec.table].key)
        with served(folder / "service", built.folder / BUNDLE) as url:
            took = [
                _seconds(url, {"table": spec.table, key: f"new-{number}", picture.column: one["image"]})
                for number, one in enumerate(asked)
            ]
        told = summary(took)
        write_json(folder / ARRIVAL, told)
        return said(told)

    return job.runner.step(
        "arrival",
        work,
        inputs={"sent": SENT},
        needs=[judged, bundle],
        code=("bottega.serving", "bottega.runs.steps.pictures.arriving", "bottega.runs.steps.freshness"),
        libraries=("granian",),
        note=f"{SENT} pictures",
    )


def _seconds(url: str, event: dict[str, Any]) -> float:
    """Send a picture, and give the seconds until it is found by its id."""
    name = next(value for field, value in event.items() if field != "table")
    post(f"{url}/events", event)
    begin = time.perf_counter()
    while "id: unknown" in post(f"{url}/rank", {"id": name, "k": 1})["degradations"]:
        if time.perf_counter() - begin > PATIENCE_S:
            raise ServeError(
                "service", f"a picture is not found {PATIENCE_S:g} s after it was sent", "", "read its log"
            )
        time.sleep(0.002)
    return time.perf_counter() - begin
