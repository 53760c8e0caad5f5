"""Where everything of a plan stands: boxes in their lanes, and the edges that join them, in pixels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bottega.reporting.drawing.boxes import LINE, Box, boxed, labelled, least_width
from bottega.reporting.drawing.chart import Chart, Edge, Lane, Node
from bottega.reporting.drawing.gutters import Gutter, Route, gutters

_WIDTHS, _WIDEST = (320.0, 156.0, 172.0), 440.0  # of the three lanes; of one with long words side by side
MARGIN, HEAD = 16.0, 30.0
_BESIDE = 8.0  # between boxes of a row
_GAP = 22.0  # between rows, and a line more for each line of words
_AROUND = 16.0  # of a track on the outer side
_INSET = 10.0  # of boxes in the frame of their lane


@dataclass(frozen=True)
class Frame:
    """A lane: its title above its boxes."""

    title: str
    x: float
    width: float


@dataclass(frozen=True)
class Picture:
    """A plan with a place for everything; `height` leaves room for a legend to whoever draws it."""

    chart: Chart
    width: float
    height: float
    frames: Sequence[Frame]
    boxes: Mapping[str, Box]
    routes: Sequence[Route]


def layout(chart: Chart) -> Picture:
    """Lay a plan out: rows below each other, edges straight down or through the space between two lanes.

    No two boxes overlap, no word leaves its box, and no edge crosses a box: every edge between two lanes has a track of
    its own between them. When it is wrong: lines cross each other where the plan asks for it, and widths are those that
    `bottega.reporting.drawing.widths` believes.

    >>> from bottega.reporting.drawing.plan import plan
    >>> from bottega.systems.news_feed import design
    >>> len(layout(plan(design)).boxes)
    24
    """
    lane_of = {node.key: place for place, lane in enumerate(chart.lanes) for row in lane.rows for node in row}
    around = [edge for edge in chart.edges if edge.around]
    between = gutters(chart.edges, lane_of)
    widths = [_width(lane, usual) for lane, usual in zip(chart.lanes, _WIDTHS, strict=True)]
    high = _placed(chart, widths, between)
    for gutter in between:
        gutter.settle(high)
    xs = _columns(len(around), between, widths)
    boxes = {key: replace(box, x=xs[lane_of[key]] + box.x) for key, box in high.items()}
    straight = [edge for edge in chart.edges if lane_of[edge.start] == lane_of[edge.end] and not edge.around]
    routes = [_down(edge, boxes) for edge in straight]
    routes += [_beside(edge, boxes, xs[0] - (place + 1) * _AROUND) for place, edge in enumerate(around)]
    for gutter, (left, right) in zip(between, itertools.pairwise(range(3)), strict=True):
        routes += gutter.routes(xs[left] + widths[left], xs[right])
    order = {id(edge): place for place, edge in enumerate(chart.edges)}
    routes.sort(key=lambda route: order[id(route.edge)])
    frames = [
        Frame(lane.title, x - _INSET, width + 2 * _INSET)
        for lane, x, width in zip(chart.lanes, xs, widths, strict=True)
    ]
    bottom = max(box.y + box.height for box in boxes.values())
    return Picture(chart, xs[2] + widths[2] + _INSET + MARGIN, bottom + _INSET + MARGIN, frames, boxes, routes)


def _width(lane: Lane, usual: float) -> float:
    """How wide a lane is: more where boxes side by side hold words that would be broken."""
    needed = [len(row) * (max(map(least_width, row)) + _BESIDE) - _BESIDE for row in lane.rows if len(row) > 1]
    return max([usual, *(min(each, _WIDEST) for each in needed)])


def _columns(around: int, between: Sequence[Gutter], widths: Sequence[float]) -> list[float]:
    """Where the boxes of each lane begin."""
    xs = [MARGIN + _INSET + around * _AROUND]
    for gutter, width in zip(between, widths, strict=False):
        xs.append(xs[-1] + width + gutter.width)
    return xs


def _placed(chart: Chart, widths: Sequence[float], between: Sequence[Gutter]) -> dict[str, Box]:
    """Boxes from the top down, one that stands beside another lane's not above it; x from where its lane begins."""
    least: dict[str, float] = {}
    for gutter in between:
        for key, height in gutter.least.items():
            least[key] = max(least.get(key, 0.0), height)
    found: dict[str, Box] = {}
    for place in (0, 2, 1):
        y = MARGIN + HEAD
        lane = chart.lanes[place]
        for before, row in zip([(), *lane.rows], lane.rows, strict=False):
            width = _share(widths[place], row)
            boxes = [boxed(node, width, least.get(node.key, 0.0)) for node in row]
            tall = max(box.height for box in boxes)
            if before:
                y += _gap(chart, before, row, min(width, _share(widths[place], before)))
            partner = found.get(row[0].beside or "")
            if partner is not None:
                y = max(y, partner.y + (partner.height - tall) / 2)
            for number, box in enumerate(boxes):
                found[box.node.key] = box.at(number * (width + _BESIDE), y, tall)
            y += tall
    return found


def _gap(chart: Chart, before: Sequence[Node], row: Sequence[Node], wide: float) -> float:
    """The room between two rows: more where words stand on the edges between them."""
    above, below = {node.key for node in before}, {node.key for node in row}
    told = [
        label.height
        for edge in chart.edges
        if edge.start in above and edge.end in below and (label := labelled(edge, wide)) is not None
    ]
    return _GAP + max([*told, 0.0])


def _share(width: float, row: Sequence[Node]) -> float:
    """How wide each box of a row is."""
    return (width - _BESIDE * (len(row) - 1)) / len(row)


def _down(edge: Edge, boxes: Mapping[str, Box]) -> Route:
    """Straight down, from the narrower of the two boxes or to it, the words in the middle."""
    start, end = boxes[edge.start], boxes[edge.end]
    narrow = start if start.width <= end.width else end
    x = narrow.x + narrow.width / 2
    top, bottom = start.y + start.height, end.y
    label = labelled(edge, narrow.width)
    placed = None
    if label is not None:
        room = bottom - top - label.height
        placed = label.at(x - label.width / 2, top + min(room / 2, LINE / 2))
    return Route(edge, ((x, top), (x, bottom)), placed)


def _beside(edge: Edge, boxes: Mapping[str, Box], x: float) -> Route:
    """Around what lies between, on the outer side."""
    start, end = boxes[edge.start], boxes[edge.end]
    one, other = start.y + start.height / 2, end.y + end.height / 2
    return Route(edge, ((start.x, one), (x, one), (x, other), (end.x, other)), None)
