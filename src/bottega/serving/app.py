"""The service as one RSGI application: it finds the route, reads the body, answers, and logs what it answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bottega.errors import BottegaError
from bottega.serving.answerer import Answerer, Served
from bottega.serving.body import read_body
from bottega.serving.clicks import read_click, unknown_click
from bottega.serving.decision_log import DecisionLog, line
from bottega.serving.events import EventLog, EventTopic, read_events
from bottega.serving.openapi import Accepted, document, page
from bottega.serving.prometheus import Meters, exposition
from bottega.serving.refusals import RefusalError, undecodable
from bottega.serving.request_ids import request_id, usable
from bottega.serving.wire import Answer, Auctioned, RequestError, Trace, Traced, counted

log = logging.getLogger("bottega.service")

JSON = "application/json"
Reply = tuple[int, str, bytes]  # status, content type, body


@dataclass
class Call:
    """One request: what the server knows of it, what reads its body, and its id."""

    scope: Any
    protocol: Any
    id: str


@dataclass(frozen=True)
class Current:
    """What answers now; replaced as a whole, so that a request sees one build only."""

    served: Served
    decoder: msgspec.json.Decoder[Any]
    openapi: bytes
    docs: bytes

    @classmethod
    def of(cls, served: Served) -> Current:
        """Prepare what depends on the build."""
        path: Answerer = served.path
        told = document(served.design, path.version, path.request_type, served.tables)
        openapi = msgspec.json.encode(told)
        return cls(served, msgspec.json.Decoder(path.request_type), openapi, page(told).encode())


class App:
    """Answers over HTTP with whatever `current` holds.

    worker: the number of this process. events, decisions: its logs; without `decisions` nothing is logged.
    meters: its counters. meter_files: gives the counters of all workers. all_ready: says whether every worker has
    loaded a build since the service was started.
    """

    def __init__(
        self,
        worker: int,
        meters: Meters,
        meter_files: Callable[[], list[Path]],
        events: EventLog | EventTopic,
        decisions: DecisionLog | None,
        all_ready: Callable[[], bool],
    ) -> None:
        self.current: Current | None = None
        self.fault: str | None = None
        self._worker, self._meters, self._meter_files = worker, meters, meter_files
        self._events, self._decisions, self._all_ready = events, decisions, all_ready
        self._encode = msgspec.json.Encoder().encode
        self._routes: dict[str, tuple[str, Callable[[Call], Awaitable[Reply]]]] = {
            "/rank": ("POST", self._rank),
            "/clicks": ("POST", self._charge_click),
            "/events": ("POST", self._take_events),
            "/health": ("GET", self._health),
            "/ready": ("GET", self._ready),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", self._openapi),
            "/docs": ("GET", self._docs),
        }

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Handle one request; every way out of it is a JSON answer."""
        began = time.perf_counter()
        given = scope.headers.get("x-request-id")
        call = Call(scope, protocol, given if given is not None and usable(given) else request_id())
        path = scope.path
        headers = []
        try:
            status, kind, body = await self._route(scope)(call)
        except RefusalError as refusal:
            status, kind, body = refusal.status, JSON, refusal.body()
            if status == 405:
                headers.append(("allow", refusal.fault.allowed))
        except Exception:  # a bug of ours: the caller hears of it, the log has the traceback
            log.exception("request %s to %s failed", call.id, path)
            told = RefusalError(500, "service", "a fault of the service", "", f"see its log for request {call.id}")
            status, kind, body = 500, JSON, told.body()
        headers += [("content-type", kind), ("x-request-id", call.id)]
        protocol.response_bytes(status, headers, body)
        labels = ("path", path if path in self._routes else "other")
        self._meters.add("bottega_requests_total", 1.0, labels, ("status", str(status)))
        self._meters.observe("bottega_request_seconds", time.perf_counter() - began, labels)

    def _route(self, scope: Any) -> Callable[[Call], Awaitable[Reply]]:
        if (found := self._routes.get(scope.path)) is None:
            paths = ", ".join(f"{method} {path}" for path, (method, _) in self._routes.items())
            raise RefusalError(404, "path", scope.path, paths, "see /docs")
        if found[0] != scope.method:
            raise RefusalError(405, "method", f"{scope.method} {scope.path}", found[0], f"curl -X {found[0]}")
        return found[1]

    def _loaded(self) -> Current:
        if (current := self.current) is None:
            raise RefusalError(503, "service", self.fault or "nothing is loaded yet", "a loaded build", "ask /ready")
        return current

    async def _rank(self, call: Call) -> Reply:
        body = await read_body(call.scope, call.protocol)
        current = self._loaded()
        request = self._decode(current, body)
        if (own := request.request_id) is not None:
            if not usable(own):
                raise RefusalError(422, "request_id", repr(own), "1 to 128 visible ASCII characters", "leave it out")
            call.id = own
        request.request_id = call.id
        try:
            answer = current.served.path.answer(request)
        except RequestError as error:
            raise RefusalError(422, error.field, error.found, error.allowed, f"change {error.field}") from None
        except BottegaError as error:
            log.error("request %s: %s", call.id, error)
            raise RefusalError(503, error.where, error.found, error.allowed, error.fix) from None
        answer.request_id = call.id
        await self._log(body, answer)
        self._count(answer)
        if isinstance(answer, Traced):
            answer.trace = msgspec.UNSET
        return 200, JSON, self._encode(answer)

    def _decode(self, current: Current, body: bytes) -> Any:
        try:
            return current.decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise undecodable(error, body, current.served.path.request_type) from None

    async def _log(self, body: bytes, answer: Answer) -> None:
        if (decisions := self._decisions) is None:
            return
        if decisions.trouble:
            answer.degradations.append(decisions.trouble)
        decisions.add(line(body, answer, time.time_ns() // 1000, self._worker))
        while not decisions.room:
            await asyncio.sleep(0.002)

    def _count(self, answer: Answer) -> None:
        add = self._meters.add
        for stage, milliseconds in answer.stage_ms.items():
            add("bottega_stage_seconds_total", milliseconds / 1e3, ("stage", stage))
            add("bottega_stage_answers_total", 1.0, ("stage", stage))
        degradations, shortfalls = counted(answer.degradations)
        if degradations:
            add("bottega_degraded_total")
        for name in degradations:
            add("bottega_degradations_total", 1.0, ("name", name))
        for name in shortfalls:
            add("bottega_shortfalls_total", 1.0, ("name", name))
        trace = answer.trace if isinstance(answer, Traced) else msgspec.UNSET
        if isinstance(trace, Trace) and isinstance(trace.auction, Auctioned):
            add("bottega_sales_total", len(answer.items))
            add("bottega_revenue_total", trace.auction.charged)

    async def _charge_click(self, call: Call) -> Reply:
        name, item = read_click(await read_body(call.scope, call.protocol))
        try:
            found = self._loaded().served.path.click(name, item)
        except BottegaError as error:
            log.error("click on %r of request %s: %s", item, name, error)
            raise RefusalError(503, error.where, error.found, error.allowed, error.fix) from None
        outcome = "unknown" if found is None else "charged" if found.charged else "again"
        self._meters.add("bottega_clicks_total", 1.0, ("outcome", outcome))
        if found is None:
            raise unknown_click(name, item)
        if found.charged:
            self._meters.add("bottega_revenue_total", found.price)
            self._meters.add("bottega_given_free_total", found.free)
        return 200, JSON, self._encode(found)

    async def _take_events(self, call: Call) -> Reply:
        body = await read_body(call.scope, call.protocol)
        served = self._loaded().served
        lines, counts = read_events(body, served.tables, served.now(), call.id)
        if counts:
            try:
                await self._events.add(lines)
            except OSError as error:
                log.error("events of request %s cannot be written: %s", call.id, error)
                raise RefusalError(503, "log", error.strerror, "room on the disk", "send them again later") from None
        for table, count in counts.items():
            self._meters.add("bottega_events_total", count, ("table", table))
        return 202, JSON, self._encode(Accepted(sum(counts.values()), call.id))

    async def _health(self, call: Call) -> Reply:
        del call
        return 200, JSON, b'{"status":"alive"}'

    async def _ready(self, call: Call) -> Reply:
        del call
        current = self._loaded()
        if not self._all_ready():  # the next request may come to a worker that cannot answer yet
            raise RefusalError(503, "service", "a worker is still loading", "a build in every worker", "ask again")
        told = {"status": "ready", "version": current.served.path.version, "fault": self.fault}
        return 200, JSON, self._encode(told)

    async def _metrics(self, call: Call) -> Reply:
        del call
        return 200, "text/plain; version=0.0.4; charset=utf-8", exposition(self._meter_files())

    async def _openapi(self, call: Call) -> Reply:
        del call
        return 200, JSON, self._loaded().openapi

    async def _docs(self, call: Call) -> Reply:
        del call
        return 200, "text/html; charset=utf-8", self._loaded().docs
