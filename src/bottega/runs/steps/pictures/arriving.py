"""Step: pictures are sent to the service as events, and asked for until it finds them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np

from bottega.errors import ServeError
from bottega.files import write_json
from bottega.runs.step import Result
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.runs.steps.pictures.items import picture_of, same_value
from bottega.serving.service import Settings
from bottega.serving.workers import running

ARRIVAL = "arrival.json"
_SENT = 20  # pictures
_PATIENCE_S = 30.0


def measure_arrival(job: Job, judged: Result, bundle: Result) -> Result:
    """Measure the seconds from an event's acknowledgement until the picture in it is found."""

    def work(folder: Path, evaluation: Result, built: Result) -> str:
        asked = requests_to_ask(job.design, (), evaluation.folder / "predictions.parquet")[:_SENT]
        service = folder / "service"
        (service / "builds").mkdir(parents=True)
        (service / "builds" / BUNDLE).symlink_to((built.folder / BUNDLE).absolute())
        spec, picture = same_value(job.design), picture_of(job.design)
        key = str(job.tables[spec.table].key)
        with running(Settings(service, workers=1, port=0, build=BUNDLE, log=False)) as url:
            took = [
                _seconds(url, {"table": spec.table, key: f"new-{number}", picture.column: one["image"]})
                for number, one in enumerate(asked)
            ]
        shutil.rmtree(service)
        told = {"median": float(np.median(took)), "longest": max(took), "n": len(took)}
        write_json(folder / ARRIVAL, told)
        return f"found after {1e3 * told['median']:.0f} ms, {1e3 * told['longest']:.0f} ms at most"

    return job.runner.step(
        "arrival",
        work,
        inputs={"sent": _SENT},
        needs=[judged, bundle],
        code=("bottega.serving", "bottega.runs.steps.pictures.arriving"),
        libraries=("granian",),
        note=f"{_SENT} pictures",
    )


def _seconds(url: str, event: dict[str, Any]) -> float:
    """Send a picture, and give the seconds until it is found by its id."""
    name = next(value for field, value in event.items() if field != "table")
    _post(f"{url}/events", event)
    begin = time.perf_counter()
    while "id: unknown" in _post(f"{url}/rank", {"id": name, "k": 1})["degradations"]:
        if time.perf_counter() - begin > _PATIENCE_S:
            raise ServeError(
                "service", f"a picture is not found {_PATIENCE_S:g} s after it was sent", "", "read its log"
            )
        time.sleep(0.002)
    return time.perf_counter() - begin


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    with urlopen(Request(url, json.dumps(body).encode(), {"content-type": "application/json"}), timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
