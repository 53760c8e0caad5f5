"""The plan as a picture: SVG that stands by itself or in a page, for light and dark, for screen and paper."""

from __future__ import annotations

from bottega.reporting.drawing.boxes import BEND, LINE, PAD, SIZE, SMALL, TITLE, Box
from bottega.reporting.drawing.chart import Chart, Way
from bottega.reporting.drawing.gutters import Route
from bottega.reporting.drawing.layout import HEAD, MARGIN, Picture, layout
from bottega.reporting.drawing.widths import width
from bottega.reporting.markup import Markup, element

_LIGHT = {
    "paper": "#ffffff", "ink": "#1d1f21", "soft": "#5b6068", "rule": "#c9c5bb", "seam": "#0060a0", "slow": "#a33c00",
}  # fmt: skip
_DARK = {
    "paper": "#16181b", "ink": "#e8e6e1", "soft": "#a3a8b0", "rule": "#4a4f57", "seam": "#7cc4f5", "slow": "#ff9d66",
}  # fmt: skip
_RULES = (
    ".flow-lane{fill:none;stroke:%(rule)s}.flow-box{fill:%(paper)s;stroke:%(ink)s;stroke-width:1.25}"
    ".flow-box.flow-refused{stroke-dasharray:2 3}"
    ".flow-box.flow-seam{stroke:%(seam)s;stroke-width:2.5}.flow-line{fill:none;stroke:%(ink)s;stroke-width:1.25}"
    ".flow-line.flow-seam{stroke:%(seam)s;stroke-width:4.5}.flow-core{fill:none;stroke:%(paper)s;stroke-width:1.75}"
    ".flow-line.flow-loop{stroke-dasharray:7 4}.flow-line.flow-refused{stroke-dasharray:2 3}"
    ".flow-line.flow-slow{stroke:%(slow)s;stroke-width:4}"
    ".flow-line.flow-seam.flow-slow{stroke-width:6.5}"
    ".flow-head{fill:%(ink)s}.flow-head.flow-seam{fill:%(seam)s}.flow-head.flow-slow{fill:%(slow)s}.flow-chip{fill:%(paper)s}"
    ".flow text{fill:%(ink)s}.flow .flow-soft{fill:%(soft)s}.flow .flow-slow-words{fill:%(slow)s}"
)
_LEGEND: tuple[tuple[Way | None, str], ...] = (
    ("flow", "becomes"),
    ("seam", "seam: the same for training and serving"),
    ("loop", "comes back"),
    ("refused", "goes no further"),
    (None, "where a request waits longest"),
)
_FONT = 'font-family:Helvetica,Arial,"Liberation Sans","DejaVu Sans",sans-serif'
_HEAD, _HALF = 8.0, 4.5  # of an arrow: its length, and half its breadth


def svg(chart: Chart) -> str:
    """Draw a plan, the same bytes for the same plan.

    Kinds of boxes and edges differ by shape and stroke, so that it is read without colour and on paper; on a screen it
    follows the reader's choice of light or dark. Text is text: it can be searched and read aloud.

    >>> from bottega.reporting.drawing.plan import plan
    >>> from bottega.systems.news_feed import design
    >>> svg(plan(design))[:4]
    '<svg'
    """
    picture = layout(chart)
    slow = any(edge.slowest for edge in chart.edges)
    legend, below = _legend(picture, slow)
    height = picture.height + below
    parts = [
        element("title", chart.title, id="flow-title"),
        element("desc", chart.summary, id="flow-desc"),
        element("style", Markup(_style())),
        element("rect", width=picture.width, height=height, class_=_named("chip")),
        *_lanes(picture),
        *(_line(route) for route in picture.routes),
        *(_box(box) for box in picture.boxes.values()),
        *(words for route in picture.routes if (words := _words(route)) is not None),
        *legend,
    ]
    return element(
        "svg", *parts, xmlns="http://www.w3.org/2000/svg", class_="flow", role="img",
        aria_labelledby="flow-title", aria_describedby="flow-desc", width=picture.width, height=height,
        viewBox=f"0 0 {picture.width:.6g} {height:.6g}",
    )  # fmt: skip


def _style() -> str:
    """Rules that reach nothing outside the picture; dark ones hold on screens alone."""

    words = f".flow text{{{_FONT};font-size:{SIZE:g}px}}.flow .flow-title{{font-size:{TITLE:g}px;font-weight:700}}"
    words += f".flow .flow-bold{{font-weight:700}}.flow .flow-small{{font-size:{SMALL:g}px}}"
    words += ".flow .flow-middle{text-anchor:middle}"
    return f"{words}{_RULES % _LIGHT}@media screen and (prefers-color-scheme:dark){{{_RULES % _DARK}}}"


def _lanes(picture: Picture) -> list[Markup]:
    found = []
    for frame in picture.frames:
        size = {"y": MARGIN, "width": frame.width, "height": picture.height - 2 * MARGIN, "rx": 6}
        found.append(element("rect", x=frame.x, **size, class_=_named("lane")))
        found.append(_text(frame.title, frame.x + 10, MARGIN + HEAD - 11, "title soft"))
    return found


def _box(box: Box) -> Markup:
    name = f"box {box.node.kind}"
    told = "\n".join([box.node.title, *box.node.lines])
    parts = [element("title", told)]
    x, y, wide, high = box.x, box.y, box.width, box.height
    if box.node.kind in ("source", "kept"):
        side = f"V{y + high - BEND:.6g}A{wide / 2:.6g} {BEND:g} 0 0 1 {x:.6g} {y + high - BEND:.6g}V{y + BEND:.6g}"
        lid = f"A{wide / 2:.6g} {BEND:g} 0 0 1 {x + wide:.6g} {y + BEND:.6g}"
        rim = f"A{wide / 2:.6g} {BEND:g} 0 0 1 {x:.6g} {y + BEND:.6g}"
        start = f"M{x:.6g} {y + BEND:.6g}"
        parts.append(element("path", d=f"{start}{lid}{side}Z", class_=_named(name)))
        parts.append(element("path", d=f"M{x + wide:.6g} {y + BEND:.6g}{rim}", class_=_named("line")))
    else:
        corner = {"end": min(high / 2, 18.0), "stage": 0.0}.get(box.node.kind, 5.0)
        parts.append(element("rect", x=x, y=y, width=wide, height=high, rx=corner, class_=_named(name)))
    if box.node.kind == "stage":
        parts.append(element("path", d=f"M{x + 3.5:.6g} {y:.6g}v{high:.6g}", class_=_named("line")))
    at = box.top
    for line in box.title:
        parts.append(_text(line, x + PAD, at + 11.5, "title"))
        at += LINE
    for line, bold in box.lines:
        parts.append(_text(line, x + PAD, at + 11.5, "bold" if bold else ""))
        at += LINE
    return element("g", *parts)


def _line(route: Route) -> Markup:
    edge = route.edge
    points = list(route.points)
    (x1, y1), (x2, y2) = points[-2:]
    along = ((x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1))
    points[-1] = (x2 - along[0] * _HEAD, y2 - along[1] * _HEAD)  # a thick line would cover the point of its arrow
    path = "M" + "L".join(f"{x:.6g} {y:.6g}" for x, y in points)
    slow = " slow" if edge.slowest else ""
    parts = [element("path", d=path, class_=_named(f"line {edge.way}{slow}"))]
    if edge.way == "seam":
        parts.append(element("path", d=path, class_=_named("core")))
    parts.append(_head(x2, y2, along, f"head {edge.way}{slow}", edge.way == "refused"))
    return element("g", *parts)


def _head(x: float, y: float, along: tuple[int, int], name: str, crossed: bool) -> Markup:
    """The point of an arrow; a cross where nothing goes further."""
    back = (x - along[0] * _HEAD, y - along[1] * _HEAD)
    aside = (along[1] * _HALF, along[0] * _HALF)
    if crossed:
        ends = f"M{back[0] - aside[0]:.6g} {back[1] - aside[1]:.6g}L{x + aside[0]:.6g} {y + aside[1]:.6g}"
        ends += f"M{back[0] + aside[0]:.6g} {back[1] + aside[1]:.6g}L{x - aside[0]:.6g} {y - aside[1]:.6g}"
        return element("path", d=ends, class_=_named("line"))
    corners = [(x, y), (back[0] + aside[0], back[1] + aside[1]), (back[0] - aside[0], back[1] - aside[1])]
    return element("path", d="M" + "L".join(f"{one:.6g} {two:.6g}" for one, two in corners) + "Z", class_=_named(name))


def _words(route: Route) -> Markup | None:
    label = route.label
    if label is None:
        return None
    parts = [element("rect", x=label.x, y=label.y, width=label.width, height=label.height, class_=_named("chip"))]
    name = "small middle bold slow-words" if label.bold else "small middle"
    for place, line in enumerate(label.lines):
        parts.append(_text(line, label.x + label.width / 2, label.y + LINE * place + 12, name))
    return element("g", *parts)


def _legend(picture: Picture, slow: bool) -> tuple[list[Markup], float]:
    """What each stroke means, below the picture, in as many lines as it takes; and how high it is."""
    x, y, found = MARGIN, picture.height + 4, []
    for way, told in _LEGEND:
        if way is None and not slow:
            continue
        wide = 34 + width(told, SMALL)
        if x > MARGIN and x + wide > picture.width - MARGIN:
            x, y = MARGIN, y + 18
        name = way or "flow slow"
        path = f"M{x:.6g} {y:.6g}h18"
        found.append(element("path", d=path, class_=_named(f"line {name}")))
        if way == "seam":
            found.append(element("path", d=path, class_=_named("core")))
        if way != "refused":
            found.append(_head(x + 26, y, (1, 0), f"head {name}", False))
        else:
            found.append(_head(x + 26, y, (1, 0), "", True))
        found.append(_text(told, x + 32, y + 4, "small soft"))
        x += wide + 18
    return found, y + 16 - picture.height


def _text(words: str, x: float, y: float, name: str) -> Markup:
    return element("text", words, x=x, y=y, class_=_named(name) if name else None)


def _named(names: str) -> str:
    """Names of classes that no page has."""
    return " ".join(f"flow-{name}" for name in names.split())
