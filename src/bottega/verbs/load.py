"""`bottega load`: an open-loop load test, and the highest rate that holds the limit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from bottega.design.design import Design
from bottega.files import read_json
from bottega.runs.releases import current_build
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.workspace import Workspace
from bottega.serving.load import highest_rate
from bottega.serving.load import load as load_once
from bottega.serving.load_report import LoadResult
from bottega.serving.requests import bodies_of
from bottega.serving.service import Settings
from bottega.serving.workers import running
from bottega.verbs.finding import check_seed, find_design, find_workspace

DEFAULT_LIMIT = 20.0  # milliseconds, for a design that promises none


def load(
    design: str | Path | Design,
    *,
    workspace: str | Path | None = None,
    url: str | None = None,
    rate: float | None = None,
    requests: int = 20_000,
    connections: int = 32,
    workers: int | None = None,
    seed: int = 0,
    say: Callable[[LoadResult], None] = lambda _: None,
) -> dict[str, Any]:
    """Load a service with requests of the test's people, at random moments that do not wait for answers.

    With a rate it is one test. Without, rates are tried for the highest at which p99 keeps the design's limit.
    Who asks is drawn by a Zipf law; latency counts from the moment at which a request was meant to be sent.

    url: of a running service, `http://127.0.0.1:8000`; nothing: the current release is served for the test.
    rate: requests a second. requests: behind the p99 that is told, 20,000 or more for a steady one. connections: that
    may wait for an answer at once. workers: of the service that is started here. seed: of moments and people.
    Gives the result as plain values: `rate`, `requests_per_s`, `p50`, `p95`, `p99` {value, low, high}, `errors`, …,
    `limit_ms`, and `tried`. Errors: `ServeError` when nothing listens, `BuildError` without a release.
    """
    check_seed(seed)
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    bodies = bodies_of(asked(space))
    limit = found.scope.limits.p99_ms or DEFAULT_LIMIT
    service: AbstractContextManager[str] = (
        nullcontext(url.rstrip("/"))
        if url
        else running(Settings(space.folder, workers=workers or found.serving.workers, port=0, log=found.serving.log))
    )
    with service as address:
        target = f"{address}/rank"
        if rate is not None:
            result = load_once(target, bodies(seed), rate, requests, connections, seed)
            return {**result.as_dict(), "limit_ms": limit, "tried": []}
        best, tried = highest_rate(
            target, bodies, limit, requests=requests, connections=connections, seed=seed, say=say
        )
    shown = best or tried[-1]
    told = [{"rate": test.rate, "p99_ms": test.p99.value, "holds": test.holds(limit)} for test in tried]
    return {**shown.as_dict(), "holds": best is not None, "limit_ms": limit, "tried": told}


def asked(space: Workspace) -> list[dict[str, Any]]:
    """Give the requests of the current release's test."""
    build = current_build(space)
    design = msgspec.json.decode((build.folder / "design.json").read_bytes(), type=Design)
    fields = list(read_json(build.folder / "serving.json")["fields"])
    return requests_to_ask(design, fields, build.folder / "predictions.parquet")
