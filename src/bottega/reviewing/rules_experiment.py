"""Rules on step 5, evaluation: the experiment on real traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

from msgspec.structs import replace

from bottega.design.design import Design
from bottega.design.evaluation import Experiment
from bottega.design.examples import FromPositives, Logged
from bottega.design.scope import Traffic
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import percent
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import having

DAYS = 28
OF_USE = 0.5
"""The largest relative effect that is worth looking for: hardly a change moves anything by half."""

_USUAL = 0.02  # relative effect
OF_REQUESTS = ("request", "session", "query", "search", "impression", "view", "visit")


@rule("R511", "warn", about=having(lambda design: design.scope.objective))
def no_experiment(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """An objective should move, and no experiment is planned that would show it.

    Why. A test on a log says how well the past is predicted. Whether people do anything else when they are shown
    something else, only an experiment says; most changes that look good offline move nothing.

    Example.

        bt.Scope(…, objective=bt.Objective("revenue per visit"))
        bt.Evaluation(primary="ndcg@10")

    Fix. `experiment=bt.Experiment("revenue per visit", unit="user", minimum_effect=0.02)`, with an effect that four
    weeks can find; where they find none of use, silence the finding with that reason.

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapter 1.
    """
    objective = design.scope.objective
    if objective is not None and design.evaluation.experiment is None:
        yield Claim(
            "evaluation",
            f"{objective.name!r} should go {objective.direction}, and no experiment is planned.",
            "A better metric is taken for a better business, and nobody will know.",
            experiment_that_finds(design, seen, objective.name)
            or f'silenced={{"R511": "{_too_few(design, seen)}"}}, or more traffic',
        )


@rule("R512", "warn", about=having(lambda design: design.evaluation.experiment and design.scope.traffic))
def too_small_an_experiment(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The experiment cannot find its effect in four weeks, or looks for one that nothing brings.

    Why. With z of level and power, n = 2 · (z₁ + z₂)² · (σ/μ)² ÷ effect² units are needed in each of two arms. A test
    that is too small mostly finds nothing, and what it finds is mostly luck, and too large. σ/μ is that of the label
    where data were looked at, √((1 − p) ÷ p); else it is taken as 1, which is little for most quantities. An effect of
    more than half is no way out: hardly a change brings it, and no share falls by more than itself.

    Example.

        traffic=bt.Traffic(daily_users=2_000)
        experiment=bt.Experiment("revenue per visit", unit="user", minimum_effect=0.005)

    Fix. A larger effect, of half at most; a quantity that varies less, or more traffic.

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapter 17; J. Zhou, J. Lu and A. Shallah, All about Sample-Size Calculations for A/B Testing, CIKM 2023,
    https://doi.org/10.1145/3583780.3614779
    """
    planned, traffic = design.evaluation.experiment, design.scope.traffic
    if planned is None or traffic is None:
        return
    place = "evaluation.experiment.minimum_effect"
    if planned.minimum_effect > OF_USE:
        found = _least(design, seen, planned)
        yield Claim(
            place,
            f"an effect of {planned.minimum_effect:.0%} is looked for.",
            "Hardly a change moves anything by more than half, and no share falls by more than itself: such an "
            "experiment finds nothing, whatever is true.",
            f"minimum_effect={found:g}" if found <= OF_USE else _no_way(found),
        )
        return
    rate = _rate(design, seen)
    needed, daily = 2 * units_an_arm(planned, (1 - (rate or 0.5)) / (rate or 0.5)), _daily(traffic, planned.unit)
    if needed <= DAYS * daily:
        return
    found = _least(design, seen, planned)
    basis = f"of which {percent(rate)} are positive (measured)" if rate else "if it varies as much as its mean"
    yield Claim(
        place,
        f"an effect of {percent(planned.minimum_effect)} is looked for, with {daily:,.0f} of {planned.unit!r} a day.",
        f"Both arms together need {needed:,.0f}, {basis}: {needed / daily:,.0f} days, if nobody comes twice.",
        f"minimum_effect={found:g}, which four weeks can find" if found <= OF_USE else _no_way(found),
    )


def experiment_that_finds(design: Design, seen: Seen | None, metric: str) -> str:
    """Write an experiment by the design's own unit, with the usual effect or the least that four weeks can find.

    Nothing where they find none of use.
    """
    planned = Experiment(metric, unit_of(design), _USUAL)
    least = max(_USUAL, _least(design, seen, planned)) if design.scope.traffic is not None else _USUAL
    if least > OF_USE:
        return ""
    return f'experiment=bt.Experiment("{metric}", unit="{planned.unit}", minimum_effect={least:g})'


def unit_of(design: Design) -> str:
    """Give what the design assigns to an arm: who asks, or the request where nobody is named."""
    examples = design.data.examples
    named = examples.request[0] if isinstance(examples, (Logged, FromPositives)) and examples.request else "request"
    return design.evaluation.unit or named


def _rate(design: Design, seen: Seen | None) -> float | None:
    """Give the rate of the label, where it was measured and is neither 0 nor 1."""
    label = seen.labels.get(design.data.labels[0].name) if seen is not None and design.data.labels else None
    return label.rate if label is not None and 0 < label.rate < 1 else None


def _daily(traffic: Traffic, unit: str) -> float:
    return traffic.daily_users * (traffic.requests_per_user if unit in OF_REQUESTS else 1)


def _least(design: Design, seen: Seen | None, planned: Experiment) -> float:
    """Give the least effect that four weeks can find, rounded up to two figures; without traffic none."""
    traffic, rate = design.scope.traffic, _rate(design, seen) or 0.5
    if traffic is None:
        return math.inf
    whole = replace(planned, minimum_effect=1.0)
    least = math.sqrt(2 * units_an_arm(whole, (1 - rate) / rate) / (DAYS * _daily(traffic, planned.unit)))
    step = 10.0 ** (math.floor(math.log10(least)) - 1)
    return round(math.ceil(least / step) * step, 12)


def _too_few(design: Design, seen: Seen | None) -> str:
    """Say in words for a reason why four weeks show nothing."""
    least = _least(design, seen, Experiment("", unit_of(design), _USUAL))
    return f"four weeks of this traffic find no effect below {least:.0%}"


def _no_way(least: float) -> str:
    return f"more traffic, or a quantity that varies less: four weeks find no effect below {least:.0%}"


def units_an_arm(planned: Experiment, variance: float) -> float:
    """Give the units that each of two arms needs: 2 · (z₁ + z₂)² · variance ÷ effect².

    variance: of the quantity, over its squared mean; of a rate p it is (1 − p) ÷ p. Larger needs more.

    >>> round(units_an_arm(Experiment("revenue", "user", 0.02), 1.0))
    39244
    """
    normal = NormalDist()
    z = normal.inv_cdf(1 - (1 - planned.level) / 2) + normal.inv_cdf(planned.power)
    return 2 * z * z * variance / planned.minimum_effect**2


RULES = (no_experiment, too_small_an_experiment)
