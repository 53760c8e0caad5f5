"""Parts of a design in words: what a table holds, what an example is, how it is parted, what a stage does."""

from __future__ import annotations

from bottega.design.data import GivenSplit, GroupSplit, Label, RandomSplit, TimeSplit
from bottega.design.evaluation import Goal
from bottega.design.examples import Each, FromPositives, Judged, Logged, Retrieved, SameValue
from bottega.design.tables import Allowed, MonotoneTime, Pattern, Range, Table
from bottega.reporting import numbers

AT_ONCE = "0s"
"""A span of no time."""


def table(part: Table) -> str:
    """Say what a table holds, when its rows count, and what they must meet.

    >>> table(Table("orders", time="paid_at", available_after="1h"))
    'a row an event, at its paid_at, known 1h later; nothing is checked but its types'
    >>> table(Table("orders", checks=[MonotoneTime(), Range("price", above=0), Range("pieces", above=0)]))
    'as it stands, without a time; refused where it fails MonotoneTime or Range of price and pieces'
    """
    told = f"a row an event, at its {part.time}" if part.time is not None else "as it stands, without a time"
    if part.key is not None:
        told += f", one for each {part.key if isinstance(part.key, str) else ' and '.join(part.key)}"
    if part.available_after != AT_ONCE or part.created is not None:
        since = f"from {part.created} on" if part.created is not None else "known"
        told += f", {since}{f' {part.available_after} later' if part.available_after != AT_ONCE else ''}"
    if part.optional:
        told += ", and may be missing"
    checked: dict[str, list[str]] = {}
    for each in part.checks:
        columns = checked.setdefault(type(each).__name__, [])
        if isinstance(each, (Range, Allowed, Pattern)):
            columns.append(each.column)
        else:
            columns += each.by if isinstance(each, MonotoneTime) else each.columns
    names = [f"{name}{f' of {numbers.enumerated(dict.fromkeys(of))}' if of else ''}" for name, of in checked.items()]
    told += (
        f"; refused where it fails {numbers.enumerated(names, 'or')}" if names else "; nothing is checked but its types"
    )
    if part.personal:
        told += f"; personal: {', '.join(part.personal)}"
    return told


def examples(part: Logged | FromPositives | Judged | SameValue) -> str:
    """Say what one example is.

    >>> examples(Logged("shows", request=["user"], candidate="ad"))
    'a row of the table shows: one ad for one request, known by its user'
    """
    asked = numbers.enumerated(getattr(part, "request", ()))
    if isinstance(part, Logged):
        if part.candidate is None:
            return f"a row of the table {part.table}: one event to decide on, known by its {asked}"
        return f"a row of the table {part.table}: one {part.candidate} for one request, known by its {asked}"
    if isinstance(part, SameValue):
        return f"two rows of {part.table}, alike where their {part.column} is the same"
    if isinstance(part, Judged):
        told = f"one {part.candidate} of {part.catalogue} for one request of {part.requests}"
        return f"{told}, right where {part.table} says so"
    when = f"at every first {part.candidate}" if isinstance(part.requests, Each) else "at fixed moments"
    rule = f" with {part.where}" if part.where is not None else ""
    until = "at that moment" if part.horizon == AT_ONCE else f"within {part.horizon}"
    beside = "what the path retrieves" if isinstance(part.candidates, Retrieved) else "others drawn at random"
    told = f"one {part.candidate} for one {asked} who asks {when}: right where {part.table} has it{rule} {until}, "
    return f"{told}wrong among {beside}"


def label(part: Label) -> str:
    """Say what is predicted, and when it is known.

    >>> label(Label("fraud", matures_after="7d"))
    'final 7d after the event'
    """
    told = "known at once" if part.matures_after == AT_ONCE else f"final {part.matures_after} after the event"
    if part.observed_at is not None:
        told += f", or from {part.observed_at} on"
    if part.window is not None:
        told += f"; learnt from what came within {part.window}, corrected for the rest"
    told += f"; 1 where it is {part.positive!r}" if part.positive is not None else ""
    told += f"; only where {part.given} is above 0" if part.given is not None else ""
    told += f"; where {part.when}" if part.when is not None else ""
    return told + (f"; never known where {part.censored_when}" if part.censored_when is not None else "")


def split(part: TimeSplit | GroupSplit | GivenSplit | RandomSplit) -> str:
    """Say how examples are parted.

    >>> split(TimeSplit(test="7d"))
    "in time: test 7d, validation as long before it, between them the label's maturity"
    """
    if isinstance(part, TimeSplit):
        validate = (
            f"validation {part.validate} before it" if part.validate is not None else "validation as long before it"
        )
        gap = part.embargo if part.embargo is not None else "the label's maturity"
        return f"in time: test {part.test}, {validate}, between them {gap}"
    if isinstance(part, GivenSplit):
        return f"as the column {part.column} says"
    shares = f"{100 * part.test:g} % for the test, {100 * part.validate:g} % for validation"
    return f"whole groups of {part.by}: {shares}" if isinstance(part, GroupSplit) else f"rows at random: {shares}"


def goal(part: Goal) -> str:
    """Say what a goal promises.

    >>> goal(Goal("ndcg@20", above="Popularity", slices=["cold"]))
    'NDCG@20 above Popularity, and for each cold'
    """
    limits = {"at least": part.at_least, "at most": part.at_most, "above": part.above, "below": part.below}
    told = next((f"{name} {value}" for name, value in limits.items() if value is not None), "")
    if part.within is not None:
        told = f"within {part.within[0]:g} to {part.within[1]:g}"
    where = "".join(f", {name}" for name in (part.ladder, part.view) if name)
    return f"{numbers.title(part.metric)} {told}{where}" + (
        f", and for each {', '.join(part.slices)}" if part.slices else ""
    )
