"""Step: pictures are sent to the service as events, and asked for until it finds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from bottega.data.keys import as_text
from bottega.design.features import Image
from bottega.errors import DataError
from bottega.files import write_json
from bottega.models.images.decoding import decode_one
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.freshness import ARRIVAL, SENT, known_after, post, renamed, said, summary
from bottega.runs.steps.job import Job
from bottega.runs.steps.measuring import served
from bottega.runs.steps.pictures.items import picture_of, same_value


def measure_arrival(job: Job, judged: Result, bundle: Result) -> Result:
    """Measure the seconds from an event's acknowledgement until the picture in it is found."""

    def work(folder: Path, _: Result, built: Result) -> str:
        spec, picture = same_value(job.design), picture_of(job.design)
        key = str(job.tables[spec.table].key)
        with served(folder / "service", built.folder / BUNDLE, log=False) as url:
            every = [_seconds(url, event, key) for event in _events(job, spec.table, key, picture)]
        told = {**summary([seconds for seconds in every if seconds]), "sent": len(every)}
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


def _events(job: Job, table: str, key: str, picture: Image) -> Iterator[dict[str, Any]]:
    """Give the last rows with a picture that can be seen as events of now, each with a name of its own."""
    rows = job.log(table).rows
    rows = rows.filter(pc.is_valid(rows[key]))
    known = set(as_text(rows[key]).to_pylist())
    shown: list[int] = []
    for place in range(rows.num_rows - 1, -1, -1):
        if len(shown) == SENT:
            break
        if _can_be_seen(rows[picture.column][place].as_py(), picture):
            shown.insert(0, place)
    return renamed(rows.take(shown), job.tables[table], key, known, job.seed)


def _can_be_seen(image: bytes | None, picture: Image) -> bool:
    try:
        return image is not None and decode_one(image, picture.size, picture.channels) is not None
    except DataError:
        return False


def _seconds(url: str, event: dict[str, Any], key: str) -> float:
    """Send a picture, and give the seconds until it is found by its id; 0 where it never is."""
    post(f"{url}/events", event)
    return known_after(url, {"id": event[key], "k": 1}, "id: unknown")
