"""Step: the bundle is served by its own workers, and 2,000 requests measure the path as a caller sees it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bottega.design.serving import Auction
from bottega.files import read_json, write_json
from bottega.runs.step import Result
from bottega.runs.steps.asking import requests_to_ask
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.serving.load import load
from bottega.serving.load_report import LoadResult
from bottega.serving.requests import bodies_of
from bottega.serving.service import Settings
from bottega.serving.workers import running

REQUESTS, RATE, WARM_UP = 2_000, 200.0, 200


def measure(job: Job, judged: Result, bundle: Result, parity: Result) -> Result:
    """Serve the bundle on a free local port, and load it with requests of the test's people, open loop.

    It reads nothing of parity, but is the last step, whose key names the build: a build has one verdict on parity.
    """

    def work(folder: Path, evaluation: Result, built: Result, _: Result) -> str:
        fields = list(read_json(built.folder / BUNDLE / "serving.json")["fields"])
        asked = requests_to_ask(job.design, fields, evaluation.folder / "predictions.parquet")
        found, stages, sold = serve_and_load(job, asked, built.folder / BUNDLE, folder / "service")
        told = summary(found, job.design.serving.workers, job.design.scope.limits.p99_ms)
        candidates = float(np.mean([len(one["candidates"]) for one in asked])) if "candidates" in asked[0] else None
        traffic = job.design.scope.traffic
        told["limit"]["candidates"] = None if traffic is None else traffic.candidates
        write_json(folder / "serving.json", {**told, "stages_ms": stages, "candidates": candidates, "sold": sold})
        return (
            f"p50 {found.p50.value:.1f} ms   p95 {found.p95.value:.1f} ms   p99 {found.p99.value:.1f} ms   "
            f"at {RATE:g} requests/s"
        )

    return job.runner.step(
        "measure",
        work,
        inputs={"requests": REQUESTS, "rate": RATE, "workers": job.design.serving.workers, "seed": job.seed},
        needs=[judged, bundle, parity],
        code=("bottega.serving", "bottega.runs.steps.measuring", "bottega.runs.steps.asking"),
        libraries=("granian",),
        note=f"{REQUESTS:,} requests",
    )


def serve_and_load(
    job: Job, asked: Sequence[dict[str, Any]], bundle: Path, folder: Path
) -> tuple[LoadResult, dict[str, float], int | None]:
    """Give what the load found, each stage's mean milliseconds, and how many slots an auction sold, where there is one.

    The service works in `folder`, which goes.
    """
    with served(folder, bundle, job.design.serving.workers) as url:
        bodies = bodies_of(asked)
        load(f"{url}/rank", bodies(job.seed + 1), RATE, WARM_UP, seed=job.seed + 1)
        found = load(f"{url}/rank", bodies(job.seed), RATE, REQUESTS, seed=job.seed)
        lines = metrics_of(url)
    sells = any(isinstance(stage, Auction) for stage in job.design.serving.path)
    return found, stage_times(lines), slots_sold(lines) if sells else None


@contextmanager
def served(folder: Path, bundle: Path, workers: int = 1, log: bool = True) -> Iterator[str]:
    """Serve a bundle from a new folder, which goes afterwards, and give the address; log: whether it logs decisions."""
    (folder / "builds").mkdir(parents=True)
    (folder / "builds" / BUNDLE).symlink_to(bundle.absolute())
    with running(Settings(folder, workers=workers, port=0, build=BUNDLE, log=log)) as url:
        yield url
    shutil.rmtree(folder)


def metrics_of(url: str) -> list[str]:
    """Read the lines of a service's own metrics."""
    from urllib.request import urlopen

    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return lines


def slots_sold(lines: Sequence[str]) -> int:
    """Give how many slots the auctions sold, from a service's metrics."""
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("bottega_sales_total "))


def stage_times(lines: Sequence[str]) -> dict[str, float]:
    """Give the mean time of each stage in milliseconds, from a service's metrics."""
    told: dict[str, dict[str, float]] = {}
    for line in lines:
        if line.startswith("bottega_stage_"):
            stage = line.split('stage="')[1].split('"')[0]
            told.setdefault(stage, {})[line.split("{")[0]] = float(line.rpartition(" ")[2])
    seconds, answers = "bottega_stage_seconds_total", "bottega_stage_answers_total"
    return {stage: 1e3 * found[seconds] / found[answers] for stage, found in told.items() if found.get(answers)}


def summary(found: LoadResult, workers: int, limit: float | None) -> dict[str, Any]:
    """Give a load's result as the scorecard has it."""
    return {
        "p50_ms": found.p50.value,
        "p95_ms": found.p95.value,
        "p99_ms": found.p99.value,
        "requests_per_s": found.requests_per_s,
        "requests": found.requests,
        "rate": found.rate,
        "errors": found.failed,
        "degraded": found.degraded,
        "degradations": dict(found.degradations),
        "shortfalls": dict(found.shortfalls),
        "unasked": dict(found.unasked),
        "workers": workers,
        "saturated": found.saturated,
        "intervals": {
            f"{name}_ms": [quantile.low, quantile.high]
            for name, quantile in (("p50", found.p50), ("p95", found.p95), ("p99", found.p99))
        },
        "limit": {"p99_ms": limit, "met": None if limit is None or found.saturated else found.p99.value <= limit},
    }
