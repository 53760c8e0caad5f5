"""Step 5, evaluation: the metrics, the goals, the views under which they are read, and the experiment to run."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.design.part import Part


class View(Part, frozen=True):
    """A second reading of the same ranked lists, with some candidates left out."""

    name: str
    """How the scorecard calls it: `new items`."""
    where: str
    """The candidates that stay, a condition in SQL over features: `coalesce(customer_product_times_all, 0) = 0`."""


class Goal(Part, frozen=True):
    """A promise about a metric on the test, judged by the value, with the interval shown beside it."""

    metric: str
    """The metric: `ndcg@20`, `recall@100`, `pr_auc`, `normalized_entropy`, `predicted_over_observed`…"""
    at_least: float | None = None
    """Smallest value that meets the goal; larger is harder."""
    at_most: float | None = None
    """Largest value that meets the goal; larger is easier."""
    within: Sequence[float] | None = None
    """Smallest and largest value that meet the goal."""
    above: str | None = None
    """A model of the ladders; met where the interval of the paired difference to it lies above zero."""
    below: str | None = None
    """A model of the ladders; met where the interval of the paired difference to it lies below zero."""
    slices: Sequence[str] = ()
    """Columns whose every value with enough requests must meet the goal as well, or the slice `cold`."""
    smallest: int = 100
    """Requests that are enough, at least 1; a value with fewer carries no promise. Larger promises less."""
    view: str | None = None
    """The view that it is read under; nothing: all candidates."""
    ladder: str | None = None
    """The ladder whose champion it is about; nothing: the first that the path ranks by."""

    def check(self) -> None:
        self.check_range("smallest", 1, 1e12)
        bounds = [self.at_least, self.at_most, self.within, self.above, self.below]
        if sum(bound is not None for bound in bounds) != 1:
            raise self.refuse(
                "metric",
                f"{self.metric!r} with {sum(b is not None for b in bounds)} limits",
                "exactly one of at_least, at_most, within, above, below",
            )
        if self.within is not None and (len(self.within) != 2 or self.within[0] > self.within[1]):
            raise self.refuse("within", f"{tuple(self.within)}", "the smaller and the larger limit")


class Experiment(Part, frozen=True):
    """The test to run on real traffic before everybody gets the system."""

    metric: str
    """What is compared, in words."""
    unit: str
    """What is assigned to an arm: `customer`."""
    minimum_effect: float
    """Smallest relative effect worth finding, above 0; smaller needs more traffic."""
    power: float = 0.8
    """Chance to find that effect, 0.5 to under 1; larger needs more traffic."""
    level: float = 0.95
    """Confidence of the interval, 0.5 to under 1."""

    def check(self) -> None:
        self.check_range("minimum_effect", 0, 1e3, low_open=True)
        self.check_range("power", 0.5, 0.9999)
        self.check_range("level", 0.5, 0.9999)


class Evaluation(Part, frozen=True):
    """How models are judged, and what the whole must reach."""

    primary: str
    """The metric by which champions are chosen: `ndcg@20`."""
    metrics: Sequence[str] = ()
    """Further metrics to report."""
    goals: Sequence[Goal] = ()
    """The promises."""
    slices: Sequence[str] = ()
    """Columns or categories of the request by whose values metrics are reported as well; `cold` is people with at
    most five events before the request, `warm` the others."""
    views: Sequence[View] = ()
    """Further readings of the same lists."""
    unit: str | None = None
    """The column of the request whose rows belong together, and are resampled together for intervals: a person;
    `request`: each request stands for itself. Nothing: the first column of the request."""
    tolerance: float = 0.002
    """How much of the primary metric a simpler rung may lose against the best one, 0 or more; larger prefers
    simpler."""
    experiment: Experiment | None = None
    """The test on real traffic."""

    def check(self) -> None:
        self.check_range("tolerance", 0, 1e6)
        known = {view.name for view in self.views}
        for goal in self.goals:
            if goal.view is not None and goal.view not in known:
                raise self.refuse("goals", f"view {goal.view!r}", f"one of the views {sorted(known)}")
