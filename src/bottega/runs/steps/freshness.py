"""Step: items that no build knows are sent to the service as events, and asked for until it knows and brings them."""

from __future__ import annotations

import json
import string
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.data.positives import positive_rows
from bottega.data.streams.writing import events_of
from bottega.design.examples import FromPositives, Judged
from bottega.design.models import rung_name, texts_read
from bottega.design.serving import Retrieve
from bottega.design.tables import Table
from bottega.files import read_json, write_json
from bottega.models.making import retriever_class
from bottega.runs.step import Result
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.runs.steps.measuring import served
from bottega.serving.bundle import load_bundle
from bottega.serving.path import Path as RequestPath

ARRIVAL = "arrival.json"
SENT = 20  # items
PATIENCE_S = 30.0
_ASKED, _TRIES, _MISSES = 10, 1000, 1
_Event = dict[str, Any]


class _Item(NamedTuple):
    """What became of a new item. seconds: until the service knew it; 0 where it never did. by: the sources that brought
    it. retrieved: for how many of the requests that were asked it was among the candidates."""

    seconds: float
    by: frozenset[str]
    retrieved: int
    asked: int


def measure_freshness(job: Job, judged: Result, bundle: Result) -> Result | None:
    """Measure the seconds from an event's acknowledgement until a worker knows the item in it, and who brings it then.

    An item counts as found where a source brings it among the candidates of one request at least: what it says itself,
    who took it, or one of the test. Nothing where the path retrieves nothing.
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
        found = _sent(job, folder / "service", built.folder / BUNDLE, asked) if sources else []
        took = [one.seconds for one in found if one.by]
        by = Counter(name for one in found for name in one.by)
        told = {**summary(took, by), "sent": len(found), "asked": sum(one.asked for one in found)}
        told["retrieved"] = sum(one.retrieved for one in found)
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


def _sent(job: Job, folder: Path, bundle: Path, asked: Sequence[_Event]) -> list[_Item]:
    """Send new items to a service of a bundle, and seek each."""
    examples, found = job.design.data.examples, list[_Item]()
    table = str(getattr(examples, "catalogue", None) or getattr(examples, "table", ""))
    with served(folder, bundle, log=False) as url:
        path = RequestPath(load_bundle(folder / "builds" / BUNDLE))
        arriving = path.arriving()
        for event, key in _events(job, table):
            post(f"{url}/events", event)
            seconds = known_after(url, {**asked[0], "candidates": [str(event[key])]})
            arriving.look()
            found.append(_sought(path, str(event[key]), _requests(job, event, asked), seconds))
            if sum(not one.seconds for one in found) > _MISSES:
                break
    return found


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
    """Give events of new items, and the column that names them."""
    log, examples, key = job.log(table), job.design.data.examples, str(job.candidate)
    if isinstance(examples, FromPositives) and table == examples.table:  # what is no positive takes nothing
        log = log.take(positive_rows(examples, log))
    known = set(job.vocabulary.to_pylist())
    return ((event, key) for event in renamed(log.rows, job.tables[table], key, known, job.seed))


def renamed(rows: pa.Table, table: Table, key: str, known: set[str], seed: int) -> Iterator[_Event]:
    """Give the last rows of a table as events of now, each of an item with a name that is not known."""
    rng = np.random.default_rng(seed)
    rows = rows.filter(pc.is_valid(rows[key]))
    for body in events_of(rows.slice(max(0, rows.num_rows - SENT)), table):
        event = {name: value for name, value in json.loads(body).items() if name not in ("time", table.created)}
        for column in (key, table.event_id):
            if column is not None and column in event:
                event[column] = _other(event[column], known, rng)
        known.add(str(event[key]))
        yield event


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


def known_after(url: str, probe: _Event, unknown: str = "candidates: 1 unknown") -> float:
    """Ask a service about an item until it knows it, and give the seconds; 0 where it never does.

    unknown: what its answer names as long as it does not.
    """
    begin = time.perf_counter()
    while unknown in post(f"{url}/rank", probe)["degradations"]:
        if time.perf_counter() - begin > PATIENCE_S:
            return 0.0
        time.sleep(0.002)
    return time.perf_counter() - begin


def _sought(path: RequestPath, name: str, requests: Sequence[_Event], seconds: float) -> _Item:
    """Ask for candidates, and see for which requests an item is among them, and who brings it."""
    by: set[str] = set()
    retrieved = 0
    for request in requests:
        found = path.find(msgspec.convert(request, path.request_type))
        if name in found.ids:
            retrieved += 1
            by.update(found.sources(found.ids.index(name)))
    return _Item(seconds, frozenset(by) if seconds else frozenset(), retrieved, len(requests))
