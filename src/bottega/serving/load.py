"""The load generator: an open loop, so that a slow server is met by the requests that would have come anyway."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec
import numpy as np

from bottega.errors import ServeError
from bottega.serving.load_report import LoadResult, quantiles
from bottega.serving.load_run import Run
from bottega.serving.load_wire import Target

MOST_CONNECTIONS = 512  # `select` knows 1,024 open files at most
_SHORTEST = 2.0  # seconds of a test


def load(
    url: str,
    make_request: Iterable[bytes],
    rate: float,
    requests: int = 20_000,
    connections: int = 32,
    seed: int = 0,
    timeout: float = 10.0,
) -> LoadResult:
    """Send requests at random moments that do not wait for the answers, and time each from when it was due.

    The moments are a Poisson process: the gaps are exponential with mean 1/rate. A request that finds every connection
    busy waits for one, and the wait counts. Wrong when the generator itself cannot keep up: see `LoadResult.saturated`.

    url: where each body is posted. make_request: the bodies, JSON, in order; at least `requests` of them.
    rate: requests a second, above 0; larger loads more. requests: how many, at least 1; 20,000 and more for a p99.
    connections: requests that may be in flight, 1 to 512; larger lets more of them wait inside the server.
    seed: of the moments. timeout: seconds after which a request counts as failed.
    Errors: `ServeError` when nothing listens, or there are too few bodies.
    """
    if not (rate > 0 and requests >= 1 and 1 <= connections <= MOST_CONNECTIONS):
        raise ServeError(
            "load",
            f"rate {rate}, requests {requests}, connections {connections}",
            f"rate above 0, requests from 1, connections 1 to {MOST_CONNECTIONS}",
        )
    bodies = list(islice(make_request, requests))
    if len(bodies) < requests:
        raise ServeError("load", f"{len(bodies)} bodies", f"{requests}, one for each request", "give more bodies")
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, requests))
    run = Run(Target(url), bodies, due.tolist(), connections, timeout)
    collecting = gc.isenabled()
    gc.disable()  # a pause of the collector would look like a slow server
    try:
        wall, cpu = time.perf_counter(), time.thread_time()
        run.go()
        share = (time.thread_time() - cpu) / (time.perf_counter() - wall)
    finally:
        run.close()
        if collecting:
            gc.enable()
    seconds = run.last
    p50, p95, p99 = quantiles(np.array(run.latency) * 1e3, seed)
    lateness = np.array(run.lateness) * 1e3
    return LoadResult(
        rate=rate,
        requests=requests,
        seconds=seconds,
        requests_per_s=run.answered / seconds,
        p50=p50,
        p95=p95,
        p99=p99,
        errors=dict(run.errors),
        degraded=run.degraded / max(1, run.answered),
        degradations=dict(run.degradations),
        versions=dict(run.versions),
        max_lateness=float(lateness.max()),
        lateness_p99=float(np.quantile(lateness, 0.99)),
        generator_cpu=share,
        shortfalls=dict(run.shortfalls),
        unasked=dict(run.unasked),
    )


def highest_rate(
    url: str,
    make_request: Callable[[int], Iterable[bytes]],
    p99_ms: float,
    start: float = 200.0,
    requests: int = 20_000,
    connections: int = 32,
    seed: int = 0,
    say: Callable[[LoadResult], None] = lambda _: None,
) -> tuple[LoadResult | None, list[LoadResult]]:
    """Search the highest rate at which p99 stays within a limit, and give it with all that was tried.

    Short tests (a tenth of `requests`, at least 200, and 2 s or longer, so that a queue has time to grow) double the
    rate until one fails, or halve it until one holds, then halve the gap five times; the rate found is confirmed with
    `requests` requests, 8 % less each time it does not hold. A short test that failed is tried once more. One in which
    the generator was saturated does not hold. Nothing when not even a tenth of `start` does.

    make_request: gives the bodies of a test, from a seed. p99_ms: the limit in milliseconds. start: the first rate.
    requests: behind the confirmed p99. say: is told each test.
    """
    tried: list[LoadResult] = []

    def test(rate: float, many: int) -> bool:
        number = seed + len(tried)
        found = load(url, make_request(number), rate, many, connections, number)
        tried.append(found)
        say(found)
        return found.holds(p99_ms) and not found.saturated

    def quick(rate: float) -> bool:
        many = max(short, math.ceil(_SHORTEST * rate))
        return test(rate, many) or test(rate, many)  # a pause of the machine is not the server's

    short = max(200, requests // 10)
    good, bad = 0.0, 0.0
    rate = start
    while not (good and bad) and rate > start / 20:
        good, bad = (rate, bad) if quick(rate) else (good, rate)
        rate = rate * 2 if good else rate / 2
    for _ in range(5 if good else 0):
        middle = (good * bad) ** 0.5
        good, bad = (middle, bad) if quick(middle) else (good, middle)
    while good > start / 20:
        if test(good, requests):
            return tried[-1], tried
        good *= 0.92
    return None, tried


def bodies(
    ids: Sequence[str], field: str, k: int | None = None, exponent: float = 1.0, seed: int = 0
) -> Iterator[bytes]:
    """Draw request bodies without end: ids by a Zipf law, the first of the list the most often.

    P(id at place r) ∝ r^−exponent.
    ids: at least one. field: the request's field that takes the id. k: how many items to ask for; nothing: the design's
    own number. exponent: 0 or more; larger asks more often for the first ids. seed: of the draws.

    >>> next(bodies(["17850"], "customer", k=3))
    b'{"customer":"17850","k":3}'
    """
    if not ids:
        raise ServeError("load", "no ids", "at least one id to ask for", "name ids that the design knows")
    weight = np.arange(1, len(ids) + 1, dtype=np.float64) ** -exponent
    border = np.cumsum(weight) / weight.sum()
    rng = np.random.default_rng(seed)
    rest = {} if k is None else {"k": k}
    while True:
        for place in np.searchsorted(border, rng.random(1024), side="right"):
            yield msgspec.json.encode({field: ids[min(int(place), len(ids) - 1)], **rest})
