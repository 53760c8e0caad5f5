"""Rules on step 1, scope: what is asked, what must not get worse, and the limits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bottega.design.design import Design
from bottega.design.serving import Decide
from bottega.metrics.names import FAMILIES
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import family, goals, shown, stages, watch_of
from bottega.reviewing.rule import rule
from bottega.reviewing.rules_experiment import experiment_that_finds
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import having, of


@rule("R101", "warn")
def no_objective(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Nothing says which quantity of the business should move.

    Why. A metric of a model stands in for something else. Where that is not written down, nobody can tell whether a
    better model made anything better, and the experiment has nothing to compare.

    Example.

        bt.Scope(question="Which ads do we show?")

    Fix. Name one quantity with its unit, and its direction: `objective=bt.Objective("revenue per visit", "up")`.

    Source. M. Zinkevich, Rules of Machine Learning, rules 2 and 13, https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    if design.scope.objective is None:
        yield Claim(
            "scope",
            "the scope has no objective.",
            "Whether a better model helps anybody cannot be said: no quantity is meant to move.",
            'objective=bt.Objective("revenue per visit", "up")',
        )


@rule("R102", "warn")
def no_latency_limit(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Nothing limits how long an answer may take.

    Why. The slowest answers are what people feel, and a page that asks several services waits for the slowest of them.
    Without a limit the champion is chosen by quality alone, however slow it is, and a load test has nothing to hold.

    Example.

        bt.Scope(question="…", limits=bt.Limits(availability=0.999))

    Fix. Promise a 99th percentile, `limits=bt.Limits(p99_ms=50)`, and give the stages of the path their parts of it.

    Source. J. Dean and L. A. Barroso, The Tail at Scale, Communications of the ACM 56(2), 2013.
    """
    if design.scope.limits.p99_ms is None:
        yield Claim(
            "scope.limits",
            "the design promises no p99.",
            "A slow model is never refused, and `bottega load` searches at a limit that nobody chose.",
            "limits=bt.Limits(p99_ms=50)",
        )


@rule("R103", "warn")
def no_traffic(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Nothing says how much will be asked.

    Why. Replicas, memory, the length of an experiment and the peak that must be carried all follow from how many people
    ask how often. A figure that is wrong by half is better than none: it can be put right.

    Example.

        bt.Scope(question="…", limits=bt.Limits(p99_ms=50))

    Fix. `traffic=bt.Traffic(daily_users=100_000, requests_per_user=3, peak_factor=4, candidates=300)`

    Source. B. Beyer et al. (eds.), Site Reliability Engineering, O'Reilly 2016, chapter 18, https://sre.google/sre-book/software-engineering-in-sre/
    """
    if design.scope.traffic is None:
        yield Claim(
            "scope",
            "the scope has no traffic.",
            "Neither the service can be sized, nor the length of an experiment be told.",
            "traffic=bt.Traffic(daily_users=100_000, requests_per_user=3, peak_factor=4)",
        )


@rule("R104", "warn", about=having(lambda design: design.scope.guardrails))
def unmeasured_guardrail(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A guardrail stands there, and nothing measures it.

    Why. A guardrail is what must not get worse while the objective moves. What people do is measured where they are
    assigned to an arm, in the experiment; a metric of the model, such as `coverage`, is there before that, and has to
    be held by a goal or a watch as well: an experiment ends, and releases go on. A sentence in a document guards
    nothing. An experiment compares what its metric says; every other guardrail is taken to be read in its arms, and
    the report says so in the plan, for whoever runs it to hold: the rule cannot see whether that is done.

    Example.

        bt.Scope(…, guardrails=["ad hides per thousand searches"])
        bt.Evaluation(primary="log_loss")                             # and no experiment

    Fix. Plan the experiment that reads it, `experiment=bt.Experiment("revenue per visit", unit="user",
    minimum_effect=0.01)`; of a metric of the model `bt.Goal("coverage@10", at_least=0.2)` or a watch.

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapters 6 and 21.
    """
    read = {watch.metric.partition("@")[0] for watch in design.monitoring.watches}
    read |= {goal.metric.partition("@")[0] for _, goal in goals(design)}
    planned = design.evaluation.experiment is not None
    for place, guardrail in enumerate(design.scope.guardrails):
        named = _named(guardrail)
        if named & read or (planned and not named):
            continue
        metric = _with_cut(min(named, default=""), design)
        why = f"no goal and no watch reads {metric}" if named else "no experiment is planned, and no watch reads it"
        objective = design.scope.objective.name if design.scope.objective is not None else "what should move"
        yield Claim(
            f"scope.guardrails[{place}]",
            f"nothing measures {guardrail!r}: {why}.",
            "It may get worse at every release, and nobody is told.",
            watch_of(design, metric)
            if named
            else experiment_that_finds(design, seen, objective)
            or "more traffic for an experiment that reads it, or a guardrail that a watch can read",
        )


@rule("R105", "warn", about=of(Decide))
def no_error_costs(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A path decides, and the scope does not say what its errors cost.

    Why. The best threshold follows from the costs of the two errors and from nothing else. Where they stand in the
    stage alone, a reader cannot check them against the business, and they grow old there.

    Example.

        bt.Scope(question="Is this payment fraud?")
        bt.Serving(path=[bt.Score(), bt.Decide(["approve", "block"], costs={"approve": (0, 40), "block": (1, 0)})])

    Fix. `error_costs={"false alarm": 1, "missed fraud": 40}`

    Source. C. Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001.
    """
    if stages(design, Decide) and not design.scope.error_costs:
        yield Claim(
            "scope",
            "the path decides, and the scope names no costs of errors.",
            "The threshold hangs on numbers that nobody of the business has agreed to.",
            'error_costs={"false alarm": 1, "missed fraud": 40}',
        )


def _with_cut(metric: str, design: Design) -> str:
    """Write a metric's name with as many places as are shown, where it has to have a number of them."""
    found, last = family(metric), shown(design)
    return f"{metric}@{last[1] if last else 10}" if found is not None and found.cut == "must" else metric


def _named(guardrail: str) -> set[str]:
    """Give the metrics that a guardrail speaks of by their own names."""
    words = set(re.findall(r"[a-z_]+", guardrail.lower()))
    return {name for name in FAMILIES if name in words}


RULES = (no_objective, no_latency_limit, no_traffic, unmeasured_guardrail, no_error_costs)
