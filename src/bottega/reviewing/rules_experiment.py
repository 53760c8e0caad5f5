"""Rules on step 5, evaluation: the experiment on real traffic."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

from bottega.design.design import Design
from bottega.design.evaluation import Experiment
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import percent
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import having

DAYS = 28
OF_REQUESTS = ("request", "session", "query", "search", "impression", "view", "visit")


@rule("R511", "warn", about=having(lambda design: design.scope.objective))
def no_experiment(design: Design, _: Seen | None) -> Iterator[Claim]:
    """An objective should move, and no experiment is planned that would show it.

    Why. A test on a log says how well the past is predicted. Whether people do anything else when they are shown
    something else, only an experiment says; most changes that look good offline move nothing.

    Example.

        bt.Scope(…, objective=bt.Objective("revenue per visit"))
        bt.Evaluation(primary="ndcg@10")

    Fix. `experiment=bt.Experiment("revenue per visit", unit="user", minimum_effect=0.02)`

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapter 1.
    """
    objective = design.scope.objective
    if objective is not None and design.evaluation.experiment is None:
        yield Claim(
            "evaluation",
            f"{objective.name!r} should go {objective.direction}, and no experiment is planned.",
            "A better metric is taken for a better business, and nobody will know.",
            f'experiment=bt.Experiment("{objective.name}", unit="user", minimum_effect=0.02)',
        )


@rule("R512", "warn", about=having(lambda design: design.evaluation.experiment and design.scope.traffic))
def too_small_an_experiment(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The experiment cannot find its effect in four weeks.

    Why. With z of level and power, n = 2 · (z₁ + z₂)² · (σ/μ)² ÷ effect² units are needed in each of two arms. A test
    that is too small mostly finds nothing, and what it finds is mostly luck, and too large. σ/μ is that of the label
    where data were looked at, √((1 − p) ÷ p); else it is taken as 1, which is little for most quantities.

    Example.

        traffic=bt.Traffic(daily_users=2_000)
        experiment=bt.Experiment("revenue per visit", unit="user", minimum_effect=0.005)

    Fix. A larger effect, a quantity that varies less, or more traffic.

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapter 17; J. Zhou, J. Lu and A. Shallah, All about Sample-Size Calculations for A/B Testing, CIKM 2023,
    https://doi.org/10.1145/3583780.3614779
    """
    planned, traffic = design.evaluation.experiment, design.scope.traffic
    if planned is None or traffic is None:
        return
    label = seen.labels.get(design.data.labels[0].name) if seen is not None else None
    measured = label is not None and 0 < label.rate < 1
    rate = label.rate if label is not None and measured else 0.5
    needed = 2 * units_an_arm(planned, (1 - rate) / rate)
    daily = traffic.daily_users * (traffic.requests_per_user if planned.unit in OF_REQUESTS else 1)
    if needed <= DAYS * daily:
        return
    bearable = planned.minimum_effect * (needed / (DAYS * daily)) ** 0.5
    basis = f"of which {percent(rate)} are positive (measured)" if measured else "if it varies as much as its mean"
    yield Claim(
        "evaluation.experiment.minimum_effect",
        f"an effect of {percent(planned.minimum_effect)} is looked for, with {daily:,.0f} of {planned.unit!r} a day.",
        f"Both arms together need {needed:,.0f}, {basis}: {needed / daily:,.0f} days, if nobody comes twice.",
        f"minimum_effect={bearable:.2g}, which four weeks can find",
    )


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
