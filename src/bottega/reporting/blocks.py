"""What a page is made of: plain blocks that say what is shown, and nothing of how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bottega.reporting.drawing.chart import Chart

STAR = "★"
"""What marks the champion."""


@dataclass(frozen=True)
class Code:
    """Words as a person types them."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words that stand out."""

    text: str


@dataclass(frozen=True)
class Status:
    """A judgement in words, with its sign: good, bad (false), or neither (None)."""

    good: bool | None
    text: str

    @property
    def sign(self) -> str:
        """What says the same without colour."""
        return "–" if self.good is None else "✓" if self.good else "✗"


Inline = str | Code | Strong | Status
Words = Inline | tuple[Inline, ...]


def parts_of(words: Words) -> tuple[Inline, ...]:
    """Give words as their parts, one or several.

    >>> parts_of("one"), parts_of(("one", Strong("two")))
    (('one',), ('one', Strong(text='two')))
    """
    return words if isinstance(words, tuple) else (words,)


@dataclass(frozen=True)
class Paragraph:
    """One paragraph. quiet: whether it is an aside."""

    words: Words
    quiet: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[Words]


@dataclass(frozen=True)
class Facts:
    """Names and what stands for them."""

    items: Sequence[tuple[str, Words]]


@dataclass(frozen=True)
class Notice:
    """What a reader must not miss. good: as in `Status`."""

    good: bool | None
    words: Words


@dataclass(frozen=True)
class Grid:
    """A table. left: how many columns from the left hold text; the others hold numbers. strong: rows that stand out."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Words]]
    left: int = 1
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Dot:
    """A value with its interval on a line. told: the same in words. kind: `dot`, `champion`, or `best` for a bound."""

    label: str
    value: float
    low: float | None
    high: float | None
    told: str
    kind: str = "dot"


@dataclass(frozen=True)
class Dots:
    """Values with whiskers above one axis, for the eye; a `Grid` beside it holds the same numbers.

    reference: a value with a line and its name. scale: how ticks are written: `amount`, `difference`, `milliseconds`.
    zero: whether the axis begins at 0.
    """

    caption: str
    dots: Sequence[Dot]
    reference: tuple[float, str] | None = None
    scale: str = "amount"
    zero: bool = False


@dataclass(frozen=True)
class Bar:
    """A share as a bar, 0 to 1. inner: a part of it, darker. until: where the bar before ended, drawn as an outline."""

    label: str
    share: float
    told: str
    inner: float | None = None
    until: float | None = None


@dataclass(frozen=True)
class Bars:
    """Shares of one whole, for the eye; a `Grid` beside it holds the same numbers. name: what a bar is."""

    caption: str
    bars: Sequence[Bar]
    name: str = "kept"


@dataclass(frozen=True)
class Spot:
    """A point of a plane, with the interval of y where there is one. told: the same in words."""

    x: float
    y: float
    told: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one kind: `champion` (full squares), `dot` (rings) or `column`. joined: by a line, in their order."""

    name: str
    spots: Sequence[Spot]
    kind: str = "champion"
    joined: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis of a plane. scale: `amount` or `percent`. ends: where it begins and ends. marks: its ticks; none: round
    values."""

    name: str
    ends: tuple[float, float]
    scale: str = "amount"
    log: bool = False
    marks: Sequence[float] = ()


@dataclass(frozen=True)
class Plane:
    """Points over two axes, for the eye; a `Grid` beside it holds the same numbers.

    reference: a straight line, from and to, and its name. square: whether both axes are equally long.
    """

    caption: str
    series: Sequence[Series]
    across: Axis
    up: Axis
    reference: tuple[tuple[float, float], tuple[float, float], str] | None = None
    square: bool = False


Plot = Dots | Bars | Plane


@dataclass(frozen=True)
class Flow:
    """The flowchart of the design."""

    caption: str
    chart: Chart


Block = Paragraph | Heading | Bullets | Facts | Notice | Grid | Plot | Flow


@dataclass(frozen=True)
class Section:
    """A chapter of the page. step: its number among the seven, 0 for those after them."""

    key: str
    title: str
    blocks: Sequence[Block]
    step: int = 0


@dataclass(frozen=True)
class Tile:
    """One of the few figures at the head of the page."""

    label: str
    value: str
    detail: str
    good: bool | None = None


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    question: str
    verdict: Status
    tiles: Sequence[Tile]
    origin: Sequence[str]
    doubts: str
    """How little the intervals can tell, in plain words; empty where they tell enough."""
    sections: Sequence[Section]
