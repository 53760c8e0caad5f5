"""What several rules ask of a design, and how they write numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bottega.design.design import Design
from bottega.design.evaluation import Goal
from bottega.design.examples import FromPositives
from bottega.design.features import Window
from bottega.design.models import Model, rung_name
from bottega.design.part import microseconds
from bottega.design.serving import Nearest, Rank, Score, Show
from bottega.design.tables import Table
from bottega.errors import DesignError
from bottega.features.aggregates import parse_aggregate
from bottega.features.expressions import parse
from bottega.metrics.names import FAMILIES, Family

DAY = 86_400_000_000
_UNITS = {"d": DAY, "h": DAY // 24, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}


def table_of(design: Design, name: str) -> Table:
    """Give a table by its name."""
    return next(table for table in design.data.tables if table.name == name)


def table_place(design: Design, name: str) -> str:
    """Give the path of a table in the design."""
    return f"data.tables[{next(n for n, table in enumerate(design.data.tables) if table.name == name)}]"


def examples_table(design: Design) -> Table:
    """Give the table of the examples."""
    return table_of(design, design.data.examples.table)


def maturity(design: Design) -> int:
    """Give the longest time until a label is final, or its horizon ends, in microseconds."""
    horizon = microseconds(design.data.examples.horizon) if isinstance(design.data.examples, FromPositives) else 0
    return max([horizon, *(microseconds(label.matures_after) for label in design.data.labels)])


def columns_read(window: Window) -> set[str]:
    """Name the columns of its table that a window's aggregates and its condition read."""
    read: set[str] = set()
    try:
        for text in window.values.values():
            parsed = parse_aggregate(text).parsed()
            read |= set(parsed.columns) if parsed is not None else set()
        if window.where is not None:
            read |= set(parse(window.where).columns)
    except DesignError:  # what is no expression is refused with its place when the design is run
        return set()
    return read


def stages(design: Design, *kinds: type) -> list[tuple[str, Any]]:
    """Give the stages of some kinds, each with its path in the design."""
    path = enumerate(design.serving.path)
    return [(f"serving.path[{place}]", stage) for place, stage in path if isinstance(stage, kinds)]


def judged(design: Design) -> list[str]:
    """Name the ladders whose champions order, score or encode."""
    found = [stage for _, stage in stages(design, Rank, Score, Nearest)]
    return [stage.encoder if isinstance(stage, Nearest) else stage.ladder for stage in found]


def rungs(design: Design, *ladders: str) -> Iterator[tuple[str, Model, str]]:
    """Give the rungs of some ladders, each with its path in the design and its name."""
    for ladder in ladders:
        for place, rung in enumerate(design.models.get(ladder, ())):
            yield f"models.{ladder}[{place}]", rung, rung_name(rung)


def shown(design: Design) -> tuple[str, int] | None:
    """Give where the path says how many are shown, and how many; nothing where it does not."""
    return next(((place, stage.k) for place, stage in stages(design, Show)), None)


def goals(design: Design) -> Iterator[tuple[str, Goal]]:
    """Give the goals, each with its path in the design."""
    for place, goal in enumerate(design.evaluation.goals):
        yield f"evaluation.goals[{place}]", goal


def family(metric: str) -> Family | None:
    """Give what a metric's name means, without its cut; nothing for a name that means none."""
    return FAMILIES.get(metric.partition("@")[0])


def cut(metric: str) -> int | None:
    """Give how many places a metric reads: 20 of `ndcg@20`; nothing where its name does not say."""
    number = metric.partition("@")[2]
    return int(number) if number.isdigit() else None


def watch_of(design: Design, metric: str) -> str:
    """Write a watch of a metric with the limit of its goal; where that is a model, say what limit to choose.

    >>> from bottega import systems
    >>> watch_of(systems.find("shop-recommendation"), "log_loss")
    'a watch of log_loss, with the largest value that you would still serve as at_most'
    """
    for _, goal in goals(design):
        for name in ("at_least", "at_most", "within"):
            limit = getattr(goal, name)
            if goal.metric == metric and limit is not None:
                return f'bt.Watch("{metric}", {name}={limit!r})'
    found = family(metric)
    if found is None or found.direction not in ("up", "down"):
        return f'bt.Watch("{metric}", within=(0.9, 1.1))'
    word, name = ("smallest", "at_least") if found.direction == "up" else ("largest", "at_most")
    return f"a watch of {metric}, with the {word} value that you would still serve as {name}"


def asks_probability(design: Design) -> bool:
    """Say whether some metric of evaluation or monitoring, or a stage, reads a score as a probability."""
    read = [design.evaluation.primary, *(goal.metric for goal in design.evaluation.goals)]
    read += [watch.metric for watch in design.monitoring.watches]
    sold = any(type(stage).__name__ in ("Auction", "Decide") for stage in design.serving.path)
    return sold or any(found is not None and found.reads == "probability" for found in map(family, read))


def spelled(span: int) -> str:
    """Write microseconds as a design does, in the largest unit that is even.

    >>> spelled(7 * DAY), spelled(5_400_000_000)
    ('7d', '90min')
    """
    unit = next(unit for unit, size in _UNITS.items() if span % size == 0)
    return f"{span // _UNITS[unit]}{unit}"


def about(span: float) -> str:
    """Write microseconds for reading: two figures, in the largest unit that gives 1 or more.

    >>> about(5_400_000_000), about(2.34 * DAY)
    ('1.5 h', '2.3 d')
    """
    unit = next((unit for unit, size in _UNITS.items() if span >= size), "us")
    return f"{span / _UNITS[unit]:.2g} {unit}" if span < 100 * _UNITS[unit] else f"{span / _UNITS[unit]:,.0f} {unit}"


def percent(share: float) -> str:
    """Write a share in per cent, with two figures.

    >>> percent(0.00412), percent(0.731), percent(1.0)
    ('0.41 %', '73 %', '100 %')
    """
    number = 100 * share
    digits = 0 if number >= 10 or number == 0 else 1 if number >= 1 else 2
    return f"{number:.{digits}f} %"


def listed(names: list[str], most: int = 3) -> str:
    """Join names, the first few of them.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more} more"
