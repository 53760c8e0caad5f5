"""How much a design is asked, and what an experiment of four weeks can find with it."""

from __future__ import annotations

import math

from bottega.design.evaluation import Experiment
from bottega.design.scope import Traffic
from bottega.proposals.proposal import Seen
from bottega.reviewing.rules_experiment import DAYS, OF_REQUESTS, units_an_arm

_ROOM = 1.05  # over the least effect: rates of the final labels differ a little from those of all
_GUESS = Traffic(daily_users=10_000)  # where a table has no time


def traffic_of(seen: Seen, candidates: float, notes: dict[str, str]) -> Traffic:
    """Give the traffic that a table tells of, and say so; without a time a guess that is named one."""
    each, log = max(1, round(candidates)), seen.log
    if log is None:
        notes["scope.traffic"] = "The table has no time, and so nothing of its traffic: this is a guess."
        return Traffic(_GUESS.daily_users, candidates=each)
    busiest = "day over the mean one; hours are not in it" if log.daily else "hour over the mean one"
    notes["scope.traffic"] = f"As the table has it: a day's people, their requests, the busiest {busiest}."
    return Traffic(log.people, log.requests, log.peak, each)


def experiment_of(metric: str, unit: str, traffic: Traffic, variance: float = 1.0) -> Experiment:
    """Plan the experiment whose effect four weeks can find.

    variance: of the quantity, over its squared mean; of a rate p it is (1 − p) ÷ p. Larger finds less.
    """
    daily = traffic.daily_users * (traffic.requests_per_user if unit in OF_REQUESTS else 1)
    unit_effect = Experiment(metric, unit, minimum_effect=1.0)
    effect = math.sqrt(2 * units_an_arm(unit_effect, variance) / (DAYS * daily))
    return Experiment(metric, unit, minimum_effect=max(0.01, math.ceil(_ROOM * effect * 100) / 100))
