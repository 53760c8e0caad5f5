"""Pictures over two axes for the HTML page: inline SVG in per cent of its box, so that words never shrink."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from bottega.reporting import numbers
from bottega.reporting.blocks import Axis, Plane, Series, Spot
from bottega.reporting.figures import ticks
from bottega.reporting.markup import Markup, element

_SCALES: dict[str, Callable[[float], str]] = {
    "amount": numbers.setting,
    "percent": lambda value: f"{numbers.setting(round(100 * value, 6))} %",
}
_COLUMN = 0.8  # of the distance between columns
_MOST = 6  # ticks of a logarithmic axis


def plane(block: Plane) -> Markup:
    """Draw series of points over two axes, and the line that they are held against."""
    across, up = _Ruler(block.across), _Ruler(block.up)
    parts = [element("title", block.caption)]
    for mark in across.marks:
        parts.append(element("line", x1=across.at(mark), x2=across.at(mark), y1="0%", y2="100%", class_="grid"))
        parts.append(element("text", across.told(mark), x=across.at(mark), y="100%", dy=18, class_="tick"))
    for mark in up.marks:
        parts.append(element("line", x1="0%", x2="100%", y1=up.above(mark), y2=up.above(mark), class_="grid"))
        parts.append(element("text", up.told(mark), x=-8, y=up.above(mark), dy=4, class_="tick last"))
    if block.reference is not None:
        (x1, y1), (x2, y2), _ = block.reference
        ends = {"x1": across.at(x1), "x2": across.at(x2), "y1": up.above(y1), "y2": up.above(y2)}
        parts.append(element("line", **ends, class_="reference"))
    for series in block.series:
        parts += _series(series, across, up)
    svg = element("svg", *parts, class_="plot", role="img", aria_label=block.caption)
    named = element("p", f"{block.up.name} \N{UPWARDS ARROW}", class_="axis-name")
    below = element("p", f"{block.across.name} \N{RIGHTWARDS ARROW}", class_="axis-name across")
    field = element("div", svg, class_="field")
    caption = element("figcaption", block.caption)
    shape = "plane square" if block.square else "plane"
    return element("figure", caption, named, field, below, _legend(block), class_=shape)


class _Ruler:
    """Where values of an axis lie, in per cent of it, and which ones it names."""

    def __init__(self, axis: Axis) -> None:
        self._axis, self.told = axis, _SCALES[axis.scale]
        self._low, self._high = (math.log(end) if axis.log else end for end in axis.ends)
        self.marks = list(axis.marks) or (decades(*axis.ends) if axis.log else ticks(*axis.ends))

    def share(self, value: float) -> float:
        """From 0 to 1; what lies outside, and 0 on a logarithmic axis, stands at the edge."""
        if self._axis.log:
            value = math.log(value) if value > 0 else self._low
        return min(max((value - self._low) / (self._high - self._low), 0.0), 1.0)

    def at(self, value: float) -> str:
        """From the left."""
        return f"{100 * self.share(value):.2f}%"

    def above(self, value: float) -> str:
        """From the top."""
        return f"{100 * (1 - self.share(value)):.2f}%"


def decades(low: float, high: float) -> list[float]:
    """Give round values inside a range above 0, evenly spread by their logarithm.

    >>> decades(0.0008, 0.03), decades(0.2, 0.9), decades(1e-6, 1)
    ([0.001, 0.002, 0.005, 0.01, 0.02], [0.2, 0.5], [1e-06, 1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for times in ((1, 2, 5), (1, 3), (1,)):
        found = [round(each * 10.0**power, 12) for power in powers for each in times]
        found = [mark for mark in found if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
        if len(found) <= _MOST:
            break
    return found


def _series(series: Series, across: _Ruler, up: _Ruler) -> list[Markup]:
    parts = []
    if series.joined:
        for one, next_ in itertools.pairwise(series.spots):
            ends = {"x1": across.at(one.x), "x2": across.at(next_.x), "y1": up.above(one.y), "y2": up.above(next_.y)}
            parts.append(element("line", **ends, class_="line"))
    parts += [_spot(spot, series.kind, across, up) for spot in series.spots]
    return [element("g", *parts, class_=series.kind)]


def _spot(spot: Spot, kind: str, across: _Ruler, up: _Ruler) -> Markup:
    x, y = across.at(spot.x), up.above(spot.y)
    parts = [element("title", spot.told)]
    if kind == "column":
        left, right = (100 * across.share(spot.x + side * _COLUMN / 2) for side in (-1, 1))
        width, height = f"{right - left:.2f}%", f"{100 * up.share(spot.y):.2f}%"
        return element("g", *parts, element("rect", x=f"{left:.2f}%", y=y, width=width, height=height, class_="bar"))
    if spot.low is not None and spot.high is not None:
        parts.append(element("line", x1=x, x2=x, y1=up.above(spot.low), y2=up.above(spot.high), class_="whisker"))
    if kind == "champion":
        sign = element("rect", x=-4.5, y=-4.5, width=9, height=9, transform="rotate(45)")
        parts.append(element("svg", sign, x=x, y=y, overflow="visible", class_="sign"))
    else:
        parts.append(element("circle", cx=x, cy=y, r=4.5, class_="sign"))
    return element("g", *parts)


def _legend(block: Plane) -> Markup:
    named: Sequence[Series] = block.series if len(block.series) > 1 or block.reference is not None else ()
    keys = [element("span", element("span", class_=f"key {each.kind}"), f" {each.name}") for each in named]
    if block.reference is not None:
        keys.append(element("span", element("span", class_="key reference-line"), f" {block.reference[2]}"))
    return element("p", *keys, class_="legend") if keys else Markup("")
