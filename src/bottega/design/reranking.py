"""Step 6, serving: what changes an order after ranking: diversity, quotas, duplicates, business rules, exploration.

Each stage takes the order of the one before; where two disagree, what stands later in the path wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bottega.design.part import Choice
from bottega.errors import DesignError


class Diversify(Choice, frozen=True):
    """Fill the first places with items that are good and unlike each other.

    One place after another takes the item with the largest value. `mmr`: (1 − weight) · relevance − weight · (the
    largest similarity to an item above). `dpp`: (1 − weight) · relevance + weight · ln(the share of the item that those
    above do not explain), which sees what several of them explain together. Relevance is the score, from 0 for the
    lowest of the candidates to 1 for the highest. Similarity is the mean of 1 or 0 for each feature (equal or not; null
    equals nothing) and of the cosine of the items' vectors.
    """

    method: Literal["mmr", "dpp"] = "mmr"
    """`mmr` looks at the likest item above alone, `dpp` (determinantal point process) at all above together."""
    weight: float = 0.3
    """How much unlikeness counts beside relevance, 0 to 1; 0 changes nothing in a list ordered by score."""
    by: Sequence[str] = ()
    """Features whose equal values make two items alike: `["seller", "category"]`."""
    vectors: bool = False
    """Whether the items' vectors are compared too: those of the first source that has some, `Dense`, `TwoTower`, or
    `Factorization` by `als`."""
    first: int | None = None
    """How many places are filled so, at least 1; nothing: all that are shown. The others keep their order."""
    name: str | None = None
    """How an explanation calls it; nothing: its method."""

    def check(self) -> None:
        self.check_range("weight", 0, 1)
        self.check_range("first", 1, 1e6)
        if not self.by and not self.vectors:
            raise self.refuse("by", "nothing to compare items by", "features, or vectors", 'by=["category"]')


class Quota(Choice, frozen=True):
    """Keep the number of some items among the first places within bounds, with the smallest change of the order.

    Of all orders that meet it, the one with the fewest pairs of items turned round (Kendall's tau). Quotas that follow
    one another are met together; where not all can be met, the one written first goes first, what is missed is as small
    as it can be, and the answer names it. No item is dropped. A condition that is null does not hold, and a value that
    is null is never counted.
    """

    where: str | None = None
    """A condition in SQL over features, for which items are counted: `age_hours < 24`."""
    by: str | None = None
    """A feature, each value of which is counted by itself, instead of a condition: `seller`, with at_most."""
    at_least: int | None = None
    """How many of the first places they take at least, 1 or more; larger lifts more of them."""
    at_most: int | None = None
    """How many of the first places they take at most, 0 or more; smaller pushes more of them down."""
    first: int = 10
    """How many places count as the first ones, at least 1."""
    name: str | None = None
    """How answers and explanations call it; nothing: its condition or feature."""

    def check(self) -> None:
        self.check_range("first", 1, 1000)
        self.check_range("at_least", 1, self.first)
        self.check_range("at_most", 0, self.first)
        if (self.where is None) == (self.by is None):
            found = "neither where nor by" if self.by is None else "both where and by"
            raise self.refuse("where", found, "one of them", 'where="age_hours < 24"')
        if self.at_least is None and self.at_most is None:
            raise self.refuse("at_least", "no bound", "at_least, at_most, or both", "at_least=2")
        if self.by is not None and self.at_least is not None:
            raise self.refuse("at_least", f"{self.at_least} with by", "at_most: values are not known beforehand")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise self.refuse("at_least", f"{self.at_least}", f"up to at_most, {self.at_most}")


class Deduplicate(Choice, frozen=True):
    """Keep the best placed of the items that have the same value; null is never a duplicate."""

    by: str
    """The feature whose equal values make items duplicates: `series`."""
    name: str | None = None
    """How an explanation calls it; nothing: its feature."""


class Rule(Choice, frozen=True):
    """A rule of the business: lift, lower, pin or drop the items for which a condition holds.

    Items for which it does not hold keep their order among themselves.
    """

    where: str
    """The condition in SQL over features; null does not hold: `margin > 0.3`."""
    multiply: float | None = None
    """What their scores are multiplied by, above 0: more than 1 lifts an item past those directly above it with a lower
    score, less than 1 lowers it likewise. A score below 0 is divided instead, so that more than 1 always lifts."""
    place: int | None = None
    """The place, from 1, where the best placed of them stands from then on; in a shorter list, the last."""
    drop: bool = False
    """Whether they are left out."""
    name: str | None = None
    """How an explanation calls it; nothing: its condition."""

    def check(self) -> None:
        self.check_range("multiply", 0, 1e6, low_open=True)
        self.check_range("place", 1, 1e6)
        if (self.multiply is not None) + (self.place is not None) + bool(self.drop) != 1:
            raise self.refuse("multiply", "not one action", "one of multiply, place and drop", "multiply=1.5")


class Explore(Choice, frozen=True):
    """Show now and then what the order would not, with known chances, so that later models learn from it fairly.

    `epsilon`: each of the first places is filled with chance epsilon by a uniform draw from those of the pool that do
    not stand above, else by the best of them. `thompson`: each item of the pool draws a value from what is believed of
    it, and the pool is ordered by these values. An answer carries the chance of each item in its place. It is the last
    that changes an order: whatever came after would make the chances untrue.
    """

    method: Literal["epsilon", "thompson"] = "epsilon"
    """`epsilon` explores everything alike, `thompson` whatever may turn out to be good."""
    pool: int = 100
    """How many of the best may be shown at all, 1 to 1000; larger explores farther, and costs more."""
    epsilon: float = 0.1
    """For `epsilon`, the chance of a draw in each place, 0 to 1; larger learns more and shows worse items."""
    first: int | None = None
    """For `epsilon`, how many places explore, at least 1; nothing: all that are shown."""
    successes: str | None = None
    """For `thompson`, the feature that counts an item's successes, as its clicks; with trials."""
    trials: str | None = None
    """For `thompson`, the feature that counts how often an item was tried: it draws a rate from
    Beta(prior[0] + successes, prior[1] + trials − successes); null counts as 0."""
    prior: Sequence[float] = (1.0, 1.0)
    """The Beta belief about an item that was never tried, two numbers of 0.1 to 1e6: successes and failures. (1, 1)
    expects a rate of 1/2, and so shows every new item; (1, 50) is nearer to clicks."""
    std: float | None = None
    """For `thompson` without counts: it draws from a Normal around the score with this standard deviation, above 0;
    larger explores more. A score that is no finite number is not drawn, and its item comes after those that are."""
    name: str | None = None
    """How an explanation calls it; nothing: its method."""

    def check(self) -> None:
        self.check_range("pool", 1, 1000)
        self.check_range("epsilon", 0, 1)
        self.check_range("first", 1, 1e6)
        self.check_range("std", 0, 1e300, low_open=True)
        if len(self.prior) != 2 or not all(0.1 <= number <= 1e6 for number in self.prior):
            raise self.refuse("prior", f"{tuple(self.prior)}", "two numbers of 0.1 to 1e6", "prior=(1, 50)")
        counts = self.successes is not None and self.trials is not None
        if (self.successes is None) != (self.trials is None):
            raise self.refuse("trials", "one of successes and trials alone", "both, or neither")
        if self.method == "thompson" and counts == (self.std is not None):
            found = "both counts and std" if counts else "nothing to draw from"
            raise self.refuse("std", found, "successes and trials, or std", 'successes="clicks", trials="shows"')
        if self.method == "epsilon" and (counts or self.std is not None):
            raise self.refuse("method", "'epsilon' with a belief", "method='thompson', or neither counts nor std")


Reranking = Diversify | Quota | Deduplicate | Rule | Explore


def check_exploring_last(stages: Sequence[object]) -> None:
    """Refuse a path in which something changes the order that an `Explore` drew.

    stages: of a path, of whatever kind. Errors: `DesignError`.

    >>> check_exploring_last([Rule(where="margin > 0.3", multiply=1.5), Explore()])
    """
    order = [stage for stage in stages if isinstance(stage, Reranking)]
    after = [type(stage).__name__ for stage, above in zip(order[1:], order, strict=False) if isinstance(above, Explore)]
    if after:
        found, allowed = f"{after[0]} after Explore", "Explore as the last stage that changes the order"
        raise DesignError("serving.path", found, allowed, f"put {after[0]} before Explore")
