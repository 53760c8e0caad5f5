"""Parts of the scorecard that any build may have: data, path, goals, parity, service, release."""

from __future__ import annotations

from typing import Any

import msgspec

from bottega.errors import several
from bottega.reporting.measured import Measured, Metrics


class TableCount(msgspec.Struct, frozen=True):
    """What became of a table's rows."""

    offered: int | None = None
    accepted: int | None = None
    quarantined: int | None = None
    reasons: dict[str, int] = {}
    """Rows refused, by reason."""


class DataCount(msgspec.Struct, frozen=True):
    """What became of the rows of all tables."""

    offered: int | None = None
    accepted: int | None = None
    quarantined: int | None = None
    tables: dict[str, TableCount] = {}


class Stage(msgspec.Struct, frozen=True):
    """What a source or stage of the path holds of the relevant, as `bottega.evaluation.funnel` says."""

    stage: str
    name: str = ""
    view: str | None = None
    kept: Measured | None = None
    lost: Measured | None = None
    alone: Measured | None = None
    unavoidable: Measured | None = None
    candidates: float | None = None


class Removed(msgspec.Struct, frozen=True):
    """The path without one of its sources or stages, or the whole of it, as `bottega.evaluation.ablation` says."""

    kind: str
    name: str
    metric: str = ""
    value: Measured | None = None
    difference: Measured | None = None
    undefined: str = ""


class Promise(msgspec.Struct, frozen=True):
    """A goal, judged; `met` is None where there was nothing to judge."""

    metric: str
    slice: str | None = None
    view: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    limit: str = ""
    met: bool | None = None
    reason: str = ""
    ladder: str | None = None
    """The ladder whose champion it is about, where several are judged."""
    clear: bool | None = None
    """Whether the whole interval says the same as the value that decided; None where the interval decided."""


class Difference(msgspec.Struct, frozen=True):
    """One value that serving reads otherwise than training had it."""

    feature: str
    request: dict[str, Any] = {}
    candidate: str | None = None
    training: float | str | None = None
    serving: float | str | None = None


class Parity(msgspec.Struct, frozen=True):
    """What the parity gate compared."""

    compared: int | None = None
    mismatches: int | None = None
    by_feature: dict[str, int] = {}
    worst: list[Difference] = []


class Limit(msgspec.Struct, frozen=True):
    """The promise on latency."""

    p99_ms: float | None = None
    met: bool | None = None
    candidates: float | None = None
    """Of a request, as the scope states them."""


class Service(msgspec.Struct, frozen=True):
    """The path under load: latencies in milliseconds from the moment a request was meant to be sent."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    requests_per_s: float | None = None
    """Answers a second."""
    requests: int | None = None
    """Requests sent."""
    rate: float | None = None
    """Requests a second that were asked for."""
    errors: int | dict[str, int] | None = None
    """Requests without an answer of status 200, or their numbers by kind."""
    degraded: float | None = None
    """Share of the answers for which something was unknown, left out or late, 0 to 1."""
    degradations: dict[str, int] = {}
    """How many answers named each degradation."""
    shortfalls: dict[str, int] = {}
    """How many answers had less to show than was asked for, by name."""
    unasked: dict[str, int] = {}
    """How many requests were sent without a column, by its name, as the log has them."""
    sold: int | None = None
    """Slots that the auction sold meanwhile, where there is one."""
    candidates: float | None = None
    """Of a request on average, where requests bring them."""
    saturated: bool | None = None
    """Whether the generator of the load, and not the service, set the pace."""
    workers: int | None = None
    intervals: dict[str, list[float | None] | None] = {}
    """`p50_ms`, `p95_ms`, `p99_ms` to the two ends of the interval."""
    stages_ms: dict[str, float | None] = {}
    """Stage of the path to milliseconds."""
    limit: Limit | None = None

    @property
    def fewer(self) -> str:
        """With how many candidates it was measured where the scope states more, else nothing.

        >>> Service(candidates=61.4, limit=Limit(10, True, 200)).fewer, Service(candidates=200).fewer
        ('measured with 61 candidates a request, and the scope states 200', '')
        """
        stated = None if self.limit is None else self.limit.candidates
        if stated is None or self.candidates is None or round(self.candidates) >= stated:
            return ""
        found = several(round(self.candidates), "candidate")
        return f"measured with {found} a request, and the scope states {stated:,.0f}"

    @property
    def unjudged(self) -> str:
        """Why nothing can be said of the service's latency, else nothing.

        >>> Service(saturated=True).unjudged, Service(saturated=False).unjudged
        ('not judged: the generator of the load was late', '')
        """
        return "not judged: the generator of the load was late" if self.saturated else ""

    @property
    def failed(self) -> int | None:
        """Requests without an answer of status 200."""
        return sum(self.errors.values()) if isinstance(self.errors, dict) else self.errors


class StepTime(msgspec.Struct, frozen=True):
    """A step of the run."""

    name: str
    seconds: float | None = None
    cached: bool = False


class GateResult(msgspec.Struct, frozen=True):
    """One condition of a release."""

    name: str
    passed: bool = False
    detail: str = ""


class Release(msgspec.Struct, frozen=True):
    """Whether the build became current."""

    released: bool = False
    current: str | None = None
    gates: list[GateResult] = []


class Ceiling(msgspec.Struct, frozen=True):
    """The best possible ranking or prediction, known only in a simulated world."""

    metrics: Metrics = {}
    views: dict[str, Metrics] = {}
    gap: dict[str, float | None] = {}
    """Metric to the champion's value over the best possible one, less 1."""


class Source(msgspec.Struct, frozen=True):
    """Where the tables came from: `data`, or a `world`."""

    kind: str = ""
    text: str = ""


class Begun(msgspec.Struct, frozen=True):
    """Where one fit of a ladder's champion began, in a run that was to go on from a release."""

    fit: str = ""
    """`train`, for the choice on validation, or `refit`, for the test and for serving."""
    rung: str = ""
    release: str = msgspec.field(default="", name="from")
    """The release that it went on from; nothing: from scratch."""
    until: str = ""
    """What the release had learnt until."""
    new_rows: int | None = None
    rows: int | None = None
    """All that it would have learnt from scratch, the new ones among them."""
    reason: str = ""
    """Why it learnt from scratch."""


class Warm(msgspec.Struct, frozen=True):
    """Where the fits of a ladder's champion began."""

    fits: list[Begun] = []
