"""Step 6, serving: the path, its latencies under load against the limits, and the gates of the release."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import (
    Block,
    Code,
    Dot,
    Dots,
    Facts,
    Grid,
    Heading,
    Notice,
    Paragraph,
    Section,
    Status,
    Words,
)
from bottega.reporting.chapters.auction import auction
from bottega.reporting.chapters.compression import compression
from bottega.reporting.drawing.online import about
from bottega.reporting.parts import Service
from bottega.reporting.reasons import empty, reasons
from bottega.reporting.scorecard import Scorecard
from bottega.reporting.search_parts import Arrival

SATURATED = "The generator of the load was late by itself: these figures say nothing of the service."
_QUANTILES = ("p50", "p95", "p99")


def serving(design: Design, card: Scorecard) -> Section:
    """Show the path, the auction, what was compressed, the latencies, the stages' milliseconds and the gates."""
    blocks: list[Block] = [_path(design), *auction(design, card)]
    blocks += compression(design, card)
    if not card.ran:
        return Section("serving", "Serving", blocks, 6)
    blocks.append(Heading("Latency"))
    service = card.serving
    if service is None or service.p50_ms is service.p95_ms is service.p99_ms is None:
        blocks.append(Paragraph("Not measured in this build.", quiet=True))
    else:
        blocks += _latency(service)
    if service is not None and service.fewer:
        blocks.append(Notice(None, f"{numbers.begun(service.fewer)}: with those it takes longer."))
    if service is not None and service.saturated:
        blocks.append(Notice(False, SATURATED))
    if service is not None and (facts := _load(service)):
        blocks.append(Facts(facts))
    if service is not None and service.stages_ms:
        rows: list[list[Words]] = [[name, numbers.milliseconds(ms)] for name, ms in service.stages_ms.items()]
        blocks.append(Grid("Where the time goes, stage by stage", ["stage", "time"], rows))
    if card.arrival is not None:
        told = arrived(card.arrival)
        blocks.append(Paragraph(f"{numbers.begun(told)}."))
    return Section("serving", "Serving", [*blocks, Heading("Release"), *_release(card)], 6)


def _path(design: Design) -> Grid:
    """Each stage: what it does, and the milliseconds that it has."""
    rows: list[list[Words]] = []
    for place, stage in enumerate(design.serving.path, 1):
        budget = getattr(stage, "budget_ms", None)
        told = f"{numbers.setting(budget)} ms" if budget is not None else "none set"
        rows.append([f"{place} {type(stage).__name__}", about(stage), Code(repr(stage)), told])
    return Grid("The path of a request", ["stage", "what it does", "as the design has it", "budget"], rows, left=4)


def arrived(found: Arrival) -> str:
    """Say how soon a new item is found."""
    if not found.sent:
        return "no source finds a new item before the next build"
    if found.median is None:
        return f"none of {numbers.count(found.sent)} new items was found"
    by = f" by {numbers.enumerated(found.by)}" if found.by else ""
    longest = None if found.longest is None else 1e3 * found.longest
    told = f"a new item is found{by} after {numbers.milliseconds(1e3 * found.median)}"
    told += f", {numbers.milliseconds(longest)} at most; {found.n} of {found.sent} were"
    often = numbers.share(found.retrieved / found.asked) if found.asked else ""
    return f"{told}, for {often} of the requests that were asked" if often else told


def _latency(service: Service) -> list[Block]:
    limit = service.limit.p99_ms if service.limit is not None else None
    dots, rows = [], []
    for name in _QUANTILES:
        value, interval = getattr(service, f"{name}_ms"), service.intervals.get(f"{name}_ms")
        if value is None:
            continue
        low, high = interval if interval is not None and len(interval) == 2 else (None, None)
        told = numbers.milliseconds(value, interval)
        dots.append(Dot(name, value, low, high, told, "champion" if name == "p99" else "dot"))
        row: list[Words] = [name, numbers.NONE, numbers.NONE, numbers.milliseconds(value)]
        if low is not None and high is not None:
            row[3:] = [f"{told}"]
        if name == "p99" and limit is not None:
            held = service.limit.met if service.limit is not None else None
            words = {True: "within", False: "over", None: "not judged"}[held]
            row[1:3] = [f"{numbers.setting(limit)} ms", Status(held, words)]
        rows.append(row)
    reference = (limit, f"limit {numbers.setting(limit)} ms") if limit is not None else None
    caption = "Latency from the moment a request was meant to be sent, with 95 % intervals"
    return [
        Dots(caption, dots, reference, "milliseconds", zero=True),
        Grid("Quantiles against the limit", ["quantile", "limit", "result", "latency"], rows, left=3),
    ]


def _load(service: Service) -> list[tuple[str, Words]]:
    facts: list[tuple[str, Words]] = []
    sent = [
        numbers.several(service.requests, "request") if service.requests is not None else "",
        f"{numbers.amount(service.rate)} a second asked for" if service.rate is not None else "",
        f"{numbers.amount(service.requests_per_s)} a second answered" if service.requests_per_s is not None else "",
        numbers.several(service.workers, "worker") if service.workers is not None else "",
        f"{numbers.with_noun(numbers.average(service.candidates), 'candidate')} a request"
        if service.candidates is not None
        else "",
    ]
    if any(sent):
        facts.append(("Load", ", ".join(filter(None, sent))))
    if service.failed is not None:
        kinds = f" ({numbers.listed(service.errors)})" if isinstance(service.errors, dict) and service.failed else ""
        facts.append(("Failed", f"{numbers.count(service.failed)}{kinds}"))
    if service.degraded is not None:
        told = f"{numbers.share(service.degraded)} of the answers"
        kinds = reasons(service.degradations)
        facts.append(("Degraded", f"{told}: {kinds}" if kinds else told))
    if service.sold is not None:
        facts.append(("Slots sold", numbers.count(service.sold)))
    if service.unasked:
        facts.append(("Asked without, as the log has it", empty(service.unasked)))
    if service.shortfalls:
        facts.append(("Fewer than asked for", reasons(service.shortfalls)))
    return facts


def _release(card: Scorecard) -> list[Block]:
    release = card.release
    if release is None:
        return [Paragraph("No gate was judged.", quiet=True)]
    blocks: list[Block] = []
    if release.released:
        blocks.append(Paragraph((Status(True, "Released"), f": build {release.current or card.build} is current.")))
    else:
        still = f"; {release.current} is still current" if release.current else "; nothing is current yet"
        blocks.append(Paragraph((Status(False, "Not released"), f"{still}.")))
    rows: list[list[Words]] = [
        [gate.name, Status(gate.passed, "passed" if gate.passed else "failed"), gate.detail] for gate in release.gates
    ]
    return [*blocks, Grid("Gates", ["gate", "result", "figure"], rows, left=3)] if rows else blocks
