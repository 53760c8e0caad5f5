"""Pictures for the HTML page: each row is an inline SVG in per cent of its width, so that words never shrink."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bottega.reporting import numbers
from bottega.reporting.blocks import Bar, Bars, Dot, Dots
from bottega.reporting.markup import Markup, element

_HEIGHT = 26  # pixels of a row
_MIDDLE = _HEIGHT / 2
_SCALES: dict[str, Callable[[float], str]] = {
    "amount": numbers.setting,
    "difference": lambda value: ("+" if value > 0 else "") + numbers.setting(value),
    "milliseconds": lambda value: f"{numbers.setting(value)} ms",
}


def dots(block: Dots) -> Markup:
    """Draw values with whiskers, one row each, above one axis."""
    low, high, marks = span(block)

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    scale = _SCALES[block.scale]
    rows = [_dot_row(dot, marks, block.reference, at, scale) for dot in block.dots]
    ticks = [element("text", scale(mark), x=at(mark), y=14, class_="tick") for mark in marks]
    axis = element("svg", *ticks, class_="axis", height=20, aria_hidden="true")
    legend = None
    if block.reference is not None:
        name = block.reference[1]
        legend = element("p", element("span", class_="line-key"), f" {name}", class_="legend")
    return _figure(block.caption, [*rows, element("span"), axis, element("span")], legend, "dots")


def bars(block: Bars) -> Markup:
    """Draw shares as bars from 0 to 100 %."""
    rows = [_bar_row(bar) for bar in block.bars]
    places = {0: "tick first", 50: "tick", 100: "tick last"}
    ticks = [element("text", f"{mark} %", x=f"{mark}%", y=14, class_=place) for mark, place in places.items()]
    axis = element("svg", *ticks, class_="axis", height=20, aria_hidden="true")
    keys = [("bar", block.name)]
    keys += [("inner", "found by this source alone")] if any(bar.inner is not None for bar in block.bars) else []
    lost = any(bar.until is not None and bar.until > bar.share for bar in block.bars)
    keys += [("outline", "lost at this stage")] if lost else []
    signs = [element("span", element("span", class_=f"key {name}"), f" {told}") for name, told in keys]
    return _figure(
        block.caption, [*rows, element("span"), axis, element("span")], element("p", *signs, class_="legend"), "bars"
    )


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Give round values inside a range.

    wanted: about how many, from 1.

    >>> ticks(0.08, 0.41), ticks(-0.003, 0.26)
    ([0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.2])
    """
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def span(block: Dots) -> tuple[float, float, list[float]]:
    """Give the ends of the axis and its round values: all whiskers, the reference, and some room at both sides."""
    ends = [end for dot in block.dots for end in (dot.value, dot.low, dot.high) if end is not None]
    ends += [0.0] if block.zero else []
    ends += [block.reference[0]] if block.reference is not None else []
    low, high = min(ends), max(ends)
    if 0 < low < 0.5 * high:
        low = 0.0
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    return low, high, ticks(low, high)


def _dot_row(
    dot: Dot,
    marks: Sequence[float],
    reference: tuple[float, str] | None,
    at: Callable[[float], str],
    scale: Callable[[float], str],
) -> Markup:
    told = f"{dot.label}: {dot.told}"
    if dot.low is not None and dot.high is not None:
        told += f", from {scale(float(f'{dot.low:.4g}'))} to {scale(float(f'{dot.high:.4g}'))}"
    parts = [element("title", told)]
    parts += [element("line", x1=at(mark), x2=at(mark), y1=0, y2=_HEIGHT, class_="grid") for mark in marks]
    if reference is not None:
        parts.append(element("line", x1=at(reference[0]), x2=at(reference[0]), y1=0, y2=_HEIGHT, class_="reference"))
    if dot.low is not None and dot.high is not None:
        parts.append(element("line", x1=at(dot.low), x2=at(dot.high), y1=_MIDDLE, y2=_MIDDLE, class_="whisker"))
        for end in (dot.low, dot.high):
            parts.append(element("line", x1=at(end), x2=at(end), y1=_MIDDLE - 4, y2=_MIDDLE + 4, class_="whisker"))
    parts.append(_sign(dot, at))
    svg = element("svg", *parts, class_=f"plot {dot.kind}", height=_HEIGHT, role="img", aria_label=told)
    strong = " strong" if dot.kind == "champion" else ""
    return Markup(
        element("span", dot.label, class_=f"label{strong}") + svg + element("span", dot.told, class_=f"value{strong}")
    )


def _sign(dot: Dot, at: Callable[[float], str]) -> Markup:
    """A full square for the champion, a dashed ring for a bound, a ring for the others: told apart without colour."""
    if dot.kind == "champion":
        inner = element("rect", x=-5.5, y=-5.5, width=11, height=11, transform="rotate(45)")
        return element("svg", inner, x=at(dot.value), y=_MIDDLE, overflow="visible", class_="sign")
    return element("circle", cx=at(dot.value), cy=_MIDDLE, r=5, class_="sign")


def _bar_row(bar: Bar) -> Markup:
    told = f"{bar.label}: {bar.told}"
    parts = [element("title", told)]
    parts += [element("line", x1=f"{mark}%", x2=f"{mark}%", y1=0, y2=_HEIGHT, class_="grid") for mark in (0, 50, 100)]
    if bar.until is not None and bar.until > bar.share:
        parts.append(_bar(bar.share, bar.until, "outline"))
    parts.append(_bar(0, bar.share, "bar"))
    if bar.inner is not None:
        parts.append(_bar(0, bar.inner, "inner"))
    svg = element("svg", *parts, class_="plot", height=_HEIGHT, role="img", aria_label=told)
    return Markup(element("span", bar.label, class_="label") + svg + element("span", bar.told, class_="value"))


def _bar(start: float, end: float, kind: str) -> Markup:
    start, end = (min(max(each, 0.0), 1.0) for each in (start, end))
    return element(
        "rect",
        x=f"{100 * start:.2f}%",
        width=f"{100 * max(end - start, 0):.2f}%",
        y=5,
        height=_HEIGHT - 10,
        class_=kind,
    )


def _figure(caption: str, rows: Sequence[Markup], legend: Markup | None, kind: str) -> Markup:
    grid = element("div", *rows, class_="rows")
    return element("figure", element("figcaption", caption), grid, legend, class_=kind)
