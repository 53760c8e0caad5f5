"""What a load test found: latencies with intervals, the rate, the errors, and whether the generator itself kept up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

_BLOCKS = 100
_RESAMPLES = 300


@dataclass(frozen=True)
class Quantile:
    """A latency in milliseconds, with the interval that holds it with 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LoadResult:
    """One load test; each latency counts from the moment when the request was *meant* to be sent."""

    rate: float
    """Requests a second that were asked for."""
    requests: int
    """Requests that were sent."""
    seconds: float
    """From the first intended sending to the last answer."""
    requests_per_s: float
    """Answers of status 200 a second."""
    p50: Quantile
    p95: Quantile
    p99: Quantile
    """Milliseconds; a request that failed counts with the time it took to fail."""
    errors: Mapping[str, int]
    """How many requests failed: by HTTP status, or `closed`, `refused`, `timeout`, `unreadable`."""
    degraded: float
    """Share of the answers for which something was unknown, left out or late."""
    degradations: Mapping[str, int]
    """How often each was named, its numbers written as n."""
    versions: Mapping[str, int]
    """How many answers each build gave."""
    max_lateness: float
    """The longest time, in milliseconds, by which the generator itself was late to send while a connection was free."""
    lateness_p99: float
    """99 % of the requests were sent at most so many milliseconds late by the generator's own doing."""
    generator_cpu: float
    """Share of one core that the generator used, 0 to 1."""
    shortfalls: Mapping[str, int] = field(default_factory=dict)
    """How many answers had less to show than was asked for, by name; no degradation."""
    unasked: Mapping[str, int] = field(default_factory=dict)
    """How many requests were sent without a column, by its name: what a log lacks is no degradation of the service."""

    @property
    def failed(self) -> int:
        """Requests without an answer of status 200."""
        return sum(self.errors.values())

    @property
    def saturated(self) -> bool:
        """Whether the generator, and not the server, set the pace: the figures then say nothing about the server."""
        return self.generator_cpu > 0.9 or self.lateness_p99 > max(5.0, 0.25 * self.p99.value)

    def holds(self, p99_ms: float) -> bool:
        """Whether it kept a p99 limit, in milliseconds, without a failed request.

        A server that falls behind the rate does not: the wait of each request counts.
        """
        return self.p99.value <= p99_ms and self.failed == 0

    def as_dict(self) -> dict[str, Any]:
        """Give all of it as plain values, for JSON."""
        return {**asdict(self), "failed": self.failed, "saturated": self.saturated}


def quantiles(latencies: np.ndarray, seed: int = 0) -> tuple[Quantile, Quantile, Quantile]:
    """Give p50, p95 and p99 with their 95 % intervals, from a bootstrap over blocks of time.

    A slow moment makes its neighbours slow too, so whole stretches of consecutive requests are drawn (a hundredth of
    them each) rather than single requests, which would make the interval too narrow. Wrong (too narrow still) when
    slow periods last longer than a block.

    latencies: (n,) milliseconds in the order of sending, n >= 1. seed: of the draws.
    Source: Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.

    >>> quantiles(np.full(200, 3.0))[2]
    Quantile(value=3.0, low=3.0, high=3.0)
    """
    levels = (0.5, 0.95, 0.99)
    rng = np.random.default_rng(seed)
    length = max(1, len(latencies) // _BLOCKS)
    starts = rng.integers(0, len(latencies) - length + 1, (_RESAMPLES, -(-len(latencies) // length)))
    drawn = np.empty((_RESAMPLES, 3))
    steps = np.arange(length)
    for row, chosen in enumerate(starts):
        drawn[row] = np.quantile(latencies[(chosen[:, None] + steps).ravel()], levels)
    values = np.quantile(latencies, levels)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    found = [Quantile(float(v), float(min(a, v)), float(max(b, v))) for v, a, b in zip(values, low, high, strict=True)]
    return found[0], found[1], found[2]
