"""Rules on step 6, serving: budgets, fallbacks, and what the service carries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bottega.design.design import Design
from bottega.design.serving import Decide, Rank, Score
from bottega.errors import several
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import stages
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, having_seen, of

_PROCESSES = 100


@rule("R601", "stop", about=having(lambda design: design.scope.limits.p99_ms))
def budgets_over_the_limit(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The budgets of the stages add up to more than the limit.

    Why. Stages follow one another: what each may take adds up. Where the sum is above the promised p99, every stage may
    keep its budget and the service still breaks its promise.

    Example.

        limits=bt.Limits(p99_ms=20)
        path=[bt.Retrieve(budget_ms=15), bt.Rank(budget_ms=15), bt.Show()]

    Fix. Smaller budgets, with something left for reading features and writing the answer; or a larger limit.

    Source. J. Dean and L. A. Barroso, The Tail at Scale, Communications of the ACM 56(2), 2013.
    """
    limit = design.scope.limits.p99_ms
    budgets = [(place, ms) for place, stage in enumerate(design.serving.path) if (ms := _budget(stage)) is not None]
    total = sum(ms for _, ms in budgets)
    if limit is not None and total > limit:
        parts = " + ".join(f"{ms:g}" for _, ms in budgets)
        several = len(budgets) > 1
        told = f"the stages may take {parts} = {total:g} ms" if several else f"a stage may take {total:g} ms"
        kept = "every stage keeps its budget" if several else "it keeps its budget"
        yield Claim(
            f"serving.path[{budgets[-1][0]}].budget_ms",
            f"{told}, and the limit is {limit:g} ms.",
            f"Where {kept}, answers may still come {total - limit:g} ms too late.",
            f"{_smaller(budgets, limit)}, or p99_ms={math.ceil(total * 1.25)}",
        )


@rule("R602", "warn", about=having(lambda design: design.scope.limits.p99_ms or design.scope.limits.availability))
def no_fallback(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A stage has no budget, and so no fallback.

    Why. A stage that runs over its budget is left out: the order of the stage before stands, and the answer says so. A
    stage without a budget is waited for, and one slow model holds up every answer.

    Example.

        bt.Serving(path=[bt.Retrieve(), bt.Rank(), bt.Show()])       # with limits=bt.Limits(p99_ms=50)

    Fix. `bt.Rank(budget_ms=25)`

    Source. B. Beyer et al. (eds.), Site Reliability Engineering, O'Reilly 2016, chapter 22 (graceful degradation),
    https://sre.google/sre-book/addressing-cascading-failures/
    """
    limits = design.scope.limits
    if limits.p99_ms is None and limits.availability is None:
        return
    for place, stage in stages(design, Rank, Score):
        if stage.budget_ms is None:
            promised = (
                f"{limits.p99_ms:g} ms" if limits.p99_ms is not None else f"{100 * (limits.availability or 0):g} %"
            )
            yield Claim(
                place,
                f"{type(stage).__name__}({stage.ladder!r}) has no budget, and the service promises {promised}.",
                "When the model is slow there is no other answer: people wait, or get none.",
                f"budget_ms={(limits.p99_ms or 50) / 2:g}",
            )


@rule(
    "R605",
    "warn",
    needs_data=True,
    about=both(having(lambda design: design.scope.traffic), having_seen(lambda seen: seen.scorecard)),
)
def more_than_it_carries(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The traffic is more than the measured service carries.

    Why. What a request keeps a process busy, times the requests of the busiest second, is the number of processes that
    are needed. The last run measured the first; the scope says the second.

    Example.

        traffic=bt.Traffic(daily_users=50_000_000, requests_per_user=20)       # at 12 ms a request

    Fix. Fewer candidates, a smaller model (`compress=[…]`), or more machines.

    Source. N. Gunther, Guerrilla Capacity Planning, Springer 2007 (utilisation law: U = X · S).
    """
    traffic, card = design.scope.traffic, seen.scorecard if seen is not None else {}
    if traffic is None or "ms" not in card:
        return
    peak = traffic.daily_users * traffic.requests_per_user * traffic.peak_factor / 86_400
    needed = peak * card["ms"] / 1000
    limit = design.scope.limits.p99_ms
    late = limit is not None and card.get("p99_ms", 0.0) > limit and peak > card.get("rate", 0.0)
    if needed > _PROCESSES or late:
        slow = f"; at {card['rate']:g} requests/s its p99 was {card['p99_ms']:.1f} ms already" if late else ""
        yield Claim(
            "scope.traffic",
            f"{peak:,.0f} requests come in the busiest second, and one keeps a process busy for {card['ms']:.1f} ms.",
            f"That is the work of {several(math.ceil(needed), 'process', 'processes')} (measured by the last run); the "
            f"design says {design.serving.workers}{slow}.",
            "fewer candidates, a smaller model, or as many machines",
        )


@rule("R609", "warn", about=having(lambda design: design.scope.limits.availability))
def one_process(design: Design, _: Seen | None) -> Iterator[Claim]:
    """One process answers, and the design promises to be there.

    Why. A process is restarted at each deployment, and dies now and then. Alone, every restart is an outage; 99.9 % of
    a month leaves 43 minutes.

    Example.

        limits=bt.Limits(availability=0.999)
        bt.Serving(path=[…], workers=1)

    Fix. `workers=2` or more, on two machines or more.

    Source. B. Beyer et al. (eds.), Site Reliability Engineering, O'Reilly 2016, chapter 3 (embracing risk),
    https://sre.google/sre-book/embracing-risk/
    """
    promised = design.scope.limits.availability
    if promised is not None and promised >= 0.999 and design.serving.workers == 1:
        yield Claim(
            "serving.workers",
            f"one process answers, and {100 * promised:g} % of the requests are promised an answer.",
            f"A month leaves {43_200 * (1 - promised):.0f} minutes for every restart, deployment and fault.",
            "workers=2",
        )


@rule("R610", "warn", about=having(lambda design: design.serving.compress))
def compressed_beyond_the_choice(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A compression may lose more than what decides between two models.

    Why. The champion is the simplest rung that loses no more than `evaluation.tolerance` of the primary metric against
    the best one. A compression that may lose more than that can make it worse than the rungs that it was preferred to,
    and what is served is no longer what was chosen.

    Example.

        bt.Evaluation(primary="log_loss", tolerance=0.0005)
        bt.Serving(path=[…], compress=[bt.Quantize(tolerance=0.002)])

    Fix. The same tolerance for both, `bt.Quantize(tolerance=0.0005)`: a compression that may lose more is then refused,
    and the scorecard says by how much.

    Source. D. Sculley et al., Hidden Technical Debt in Machine Learning Systems, NeurIPS 2015 (what changes one part
    changes the whole).
    """
    allowed = design.evaluation.tolerance
    for place, each in enumerate(design.serving.compress):
        if each.tolerance > allowed:
            named, primary = type(each).__name__, design.evaluation.primary
            yield Claim(
                f"serving.compress[{place}]",
                f"{named} may lose {each.tolerance:g} of {primary}, and {allowed:g} decides which rung is champion.",
                "After it the champion may be worse than a rung that it was preferred to, and is served all the same.",
                f"tolerance={allowed:g}",
            )


@rule("R611", "warn", about=of(Decide))
def action_without_use(design: Design, _: Seen | None) -> Iterator[Claim]:
    """An action is never the cheapest, whatever the probability.

    Why. The action of least expected cost is taken, (1 − p) · cost where the label is 0 + p · cost where it is 1. One
    that another always undercuts is never taken. Mostly the two numbers of a pair were exchanged, or the middle action
    of three costs nearly as much as the strict one.

    Example.

        bt.Decide(["approve", "block"], costs={"approve": (0, 1), "block": (1, 40)})    # the second pair is exchanged

    Fix. `costs={"approve": (0, 40), "block": (1, 0)}`: the cost when the label is 0 first, that when it is 1 second.

    Source. C. Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001 (reasonableness of cost matrices).
    """
    for place, stage in stages(design, Decide):
        if stage.capacity:  # where one is used up the next best is taken
            continue
        for action in stage.actions:
            others = {name: pair for name, pair in stage.costs.items() if name != action}
            if not others:
                continue
            at, own, least, winner = _at_best(stage.costs[action], others)
            if own >= least:
                yield Claim(
                    f"{place}.costs",
                    f"{action!r} is never the cheapest action.",
                    f"Where it comes nearest, at a probability of {at:.2g}, it costs {own:.3g}, and {winner!r} costs "
                    f"{least:.3g}.",
                    f"costs of {action!r} as (when the label is 0, when it is 1), or leave it out of actions",
                )


def _at_best(own: Sequence[float], others: Mapping[str, Sequence[float]]) -> tuple[float, float, float, str]:
    """Give the probability at which an action does best against the cheapest other one, both costs, and that one.

    What the cheapest other one costs is bent where others cross: there, or at an end, lies the best.
    """
    pairs = list(others.values())
    crossings = [
        (a[0] - b[0]) / ((a[0] - a[1]) - (b[0] - b[1])) for a in pairs for b in pairs if a[0] - a[1] != b[0] - b[1]
    ]

    def found(p: float) -> tuple[float, float, float, str]:
        costs = {name: (1 - p) * pair[0] + p * pair[1] for name, pair in others.items()}
        winner = min(costs, key=costs.__getitem__)
        return p, (1 - p) * own[0] + p * own[1], costs[winner], winner

    return min((found(p) for p in (0.0, 1.0, *crossings) if 0 <= p <= 1), key=lambda one: one[1] - one[2])


def _smaller(budgets: Sequence[tuple[int, float]], limit: float) -> str:
    """Guess budgets under the limit, with a fifth of it left for reading features and writing the answer."""
    if len(budgets) == 1:
        return f"budget_ms={0.8 * limit:.3g}"
    return f"budgets that add up to at most {0.8 * limit:.3g}"


def _budget(stage: object) -> float | None:
    return getattr(stage, "budget_ms", None)


RULES = (
    budgets_over_the_limit,
    no_fallback,
    more_than_it_carries,
    one_process,
    compressed_beyond_the_choice,
    action_without_use,
)
