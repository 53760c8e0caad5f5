"""Step 1, scope: what hangs on the question."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Bullets, Facts, Heading, Section, Words
from bottega.reporting.scorecard import Scorecard

_DAY = 86_400  # seconds


def scope(design: Design, card: Scorecard) -> Section:  # noqa: ARG001
    """Tell the decision, what should move, the traffic, the limits and what is assumed."""
    part = design.scope
    facts: list[tuple[str, Words]] = []
    if part.decision:
        facts.append(("Decision", part.decision))
    if part.objective is not None:
        facts.append(("Objective", f"{part.objective.name}, {part.objective.direction}"))
    if part.guardrails:
        facts.append(("Must not get worse", "; ".join(part.guardrails)))
    if (traffic := part.traffic) is not None:
        peak = traffic.daily_users * traffic.requests_per_user * traffic.peak_factor / _DAY
        each = numbers.with_noun(f"{traffic.requests_per_user:g}", "request")
        facts.append(
            (
                "Traffic",
                f"{numbers.count(traffic.daily_users)} people a day, {each} each, "
                f"{traffic.peak_factor:g} times the average at the peak: {numbers.amount(peak)} requests/s; "
                f"{numbers.several(traffic.candidates, 'candidate')} a request",
            )
        )
    limits = part.limits
    told = [
        f"p99 at most {limits.p99_ms:g} ms" if limits.p99_ms is not None else "",
        f"memory at most {limits.memory_gb:g} GB" if limits.memory_gb is not None else "",
        f"availability at least {100 * limits.availability:g} %" if limits.availability is not None else "",
    ]
    if any(told):
        facts.append(("Limits", "; ".join(filter(None, told))))
    if part.error_costs:
        facts.append(("Cost of an error", "; ".join(f"{name}: {cost:g}" for name, cost in part.error_costs.items())))
    blocks: list[Block] = [Facts(facts)] if facts else []
    if part.assumptions:
        blocks += [Heading("Taken for granted"), Bullets(list(part.assumptions))]
    return Section("scope", "Scope", blocks, 1)
