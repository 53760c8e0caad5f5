"""How much a design is asked, and what an experiment of four weeks can find with it."""

from __future__ import annotations

import math

from bottega.design.evaluation import Experiment
from bottega.design.scope import Traffic
from bottega.proposals.proposal import Seen
from bottega.reviewing.rules_experiment import DAYS, OF_REQUESTS, units_an_arm

_ROOM = 1.05  # over the least effect: rates of the final labels differ a little from those of all
_OF_USE, _LIKELY = 0.5, 0.1  # relative effects: beyond the first none is looked for; what a change may bring
_GUESS = Traffic(daily_users=10_000)  # where a table has no time


def traffic_of(seen: Seen, candidates: float, notes: dict[str, str]) -> Traffic:
    """Give the traffic that a table tells of, and say so; without a time a guess that is named one."""
    each, log = max(1, round(candidates)), seen.log
    if log is None:
        notes["scope.traffic"] = "The table has no time, and so nothing of its traffic: this is a guess."
        return Traffic(_GUESS.daily_users, candidates=each)
    busiest = "day over the mean one; hours are not in it" if log.daily else "hour over the mean one"
    asks = "requests" if seen.roles.person is None else "people, their requests"
    notes["scope.traffic"] = f"As the table has it: a day's {asks}, the busiest {busiest}."
    if log.snapshots:
        notes["scope.traffic"] += f" Times lie {log.step} days apart: its days in the mean, and not those that it has."
    return Traffic(log.people, log.requests, log.peak, each)


def experiment_of(
    metric: str, unit: str, traffic: Traffic, variance: float = 1.0
) -> tuple[Experiment | None, dict[str, str]]:
    """Plan the experiment whose effect four weeks can find; none where that is too large to be of any use: then give
    the finding of review that is silenced, and why.

    variance: of the quantity, over its squared mean; of a rate p it is (1 − p) ÷ p. Larger finds less.
    """
    daily = traffic.daily_users * (traffic.requests_per_user if unit in OF_REQUESTS else 1)
    unit_effect = Experiment(metric, unit, minimum_effect=1.0)
    effect = math.sqrt(2 * units_an_arm(unit_effect, variance) / (DAYS * daily))
    found = max(0.01, math.ceil(_ROOM * effect * 100) / 100)
    if found <= _OF_USE:
        return Experiment(metric, unit, minimum_effect=found), {}
    long = DAYS * (effect / _LIKELY) ** 2
    least = f"under {found:.0%}" if found < 1 else "that is smaller than the quantity itself"
    asked = f"With {daily:,.0f} of {unit!r} a day four weeks find no effect {least}"
    why = f"{asked}; one of {_LIKELY:.0%} takes {long:,.0f} days."
    return None, {"R511": f"No experiment is planned. {why}"}
