"""Step: items that no build knows are sent to the service as events, and asked for until a source has evidence."""

from __future__ import annotations

import json
import shutil
import string
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import numpy as np

from bottega.data.streams.writing import events_of
from bottega.design.examples import FromPositives, Judged
from bottega.design.models import rung_name, texts_read
from bottega.design.serving import Retrieve
from bottega.files import read_json, write_json
from bottega.models.making import retriever_class
from bottega.runs.step import Result
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.serving.service import Settings
from bottega.serving.workers import running

ARRIVAL = "arrival.json"
SENT = 20  # items
PATIENCE_S = 30.0
_ASKED, _TRIES = 10, 1000
_Event = dict[str, Any]


def measure_freshness(job: Job, judged: Result, bundle: Result) -> Result | None:
    """Measure the seconds from an event's acknowledgement until a source of the path has evidence of the item in it.

    Nothing where the path retrieves nothing.
    """
    examples = job.design.data.examples
    retrieves = any(isinstance(stage, Retrieve) for stage in job.design.serving.path)
    if not retrieves or not isinstance(examples, (FromPositives, Judged)):
        return None

    def work(folder: Path, evaluation: Result, built: Result) -> str:
        fields = list(read_json(built.folder / BUNDLE / "serving.json")["fields"])
        asked = requests_to_ask(job.design, fields, evaluation.folder / "predictions.parquet")[:_ASKED]
        sources = [
            rung_name(rung) for rung in job.design.models["retrieve"] if hasattr(retriever_class(rung), "with_arrived")
        ]
        table = str(examples.catalogue or getattr(examples, "table", ""))
        took: list[float] = []
        by: Counter[str] = Counter()
        with served(folder / "service", built.folder / BUNDLE) as url:
            for event, key in _events(job, table) if sources else ():
                post(f"{url}/events", event)
                seconds, found = _found(url, str(event[key]), _requests(job, event, asked), sources)
                if not found:
                    break
                took.append(seconds)
                by.update(found)
        told = summary(took, by)
        write_json(folder / ARRIVAL, told)
        return said(told)

    return job.runner.step(
        "freshness",
        work,
        inputs={"sent": SENT, "patience": PATIENCE_S},
        needs=[judged, bundle],
        code=("bottega.serving", "bottega.runs.steps.freshness"),
        libraries=("granian",),
        note=f"{SENT} new items",
    )


@contextmanager
def served(folder: Path, bundle: Path) -> Iterator[str]:
    """Serve a bundle by one worker, without a log of decisions, and give the address; `folder` goes with it."""
    (folder / "builds").mkdir(parents=True)
    (folder / "builds" / BUNDLE).symlink_to(bundle.absolute())
    with running(Settings(folder, workers=1, port=0, build=BUNDLE, log=False)) as url:
        yield url
    shutil.rmtree(folder)


def summary(took: Sequence[float], by: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Give seconds as the scorecard has them. by: how many items each source found."""
    known = {"median": float(np.median(took)), "longest": max(took)} if took else {}
    return {**known, "n": len(took), "by": dict(by or {})}


def said(told: Mapping[str, Any]) -> str:
    """Say in short how soon new items are found."""
    if not told["n"]:
        return "no source finds what the build does not know"
    by = f" by {', '.join(told['by'])}" if told["by"] else ""
    return f"found after {1e3 * told['median']:.0f} ms{by}, {1e3 * told['longest']:.0f} ms at most"


def post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send JSON to a service, and give its answer."""
    request = Request(url, msgspec.json.encode(body), {"content-type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _events(job: Job, table: str) -> Iterator[tuple[_Event, str]]:
    """Give the last rows of a table as events of now, each of an item with a name of its own, and the item's column."""
    log, part = job.log(table), job.tables[table]
    rng, key = np.random.default_rng(job.seed), str(job.candidate)
    known = set(job.vocabulary.to_pylist())
    last = log.take(slice(max(0, log.rows.num_rows - SENT), log.rows.num_rows))
    for body in events_of(last.rows, part):
        event = {name: value for name, value in json.loads(body).items() if name not in ("time", part.created)}
        if event.get(key) is None:
            continue
        for column in (key, part.event_id):
            if column is not None and column in event:
                event[column] = _other(event[column], known, rng)
        known.add(str(event[key]))
        yield event, key


def _other(name: str | int, known: set[str], rng: np.random.Generator) -> str | int:
    """Make a name of the same kind that nobody has: checks of the table hold for it as for the others."""
    text = str(name)
    for attempt in range(_TRIES):
        other = "".join(_letter(letter, rng) for letter in text + text[-1] * (attempt // 100))
        if other not in known and str(int(other) if isinstance(name, int) else other) == other:
            return int(other) if isinstance(name, int) else other
    return name


def _letter(letter: str, rng: np.random.Generator) -> str:
    kinds = string.digits, string.ascii_lowercase, string.ascii_uppercase
    kind = next((kind for kind in kinds if letter in kind), "")
    return str(rng.choice(list(kind))) if kind else letter


def _requests(job: Job, event: _Event, asked: Sequence[_Event]) -> list[_Event]:
    """Give requests that may find an item: what it says itself, who took it, and some of the test."""
    own: _Event = {}
    for rung in job.design.models["retrieve"]:
        if (query := getattr(rung, "query", None)) is not None:
            own[query] = " ".join(str(event[name]) for name in texts_read(rung) if name in event)[:500]
    person = {job.person: event[job.person]} if job.person in event else {}
    return [{**asked[0], **person, **own}, *({**one, **own} for one in asked)]


def _found(url: str, name: str, requests: Sequence[_Event], sources: Sequence[str]) -> tuple[float, list[str]]:
    """Ask until an item is known and a source has evidence; give the seconds, and the sources."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < PATIENCE_S:
        for request in requests:
            answer = post(f"{url}/rank", {**request, "candidates": [name]})
            if "candidates: 1 unknown" in answer["degradations"]:
                break
            seconds = time.perf_counter() - begin
            stages = answer["items"][0]["stages"] if answer["items"] else {}
            if found := [source for source in sources if (stages.get(source) or 0) > 0]:
                return seconds, found
        else:
            return 0.0, []
        time.sleep(0.002)
    return 0.0, []
