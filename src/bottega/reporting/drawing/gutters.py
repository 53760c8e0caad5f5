"""The space between two lanes: every edge through it has a track of its own, and its words a place at one end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bottega.reporting.drawing.boxes import Box, Label, labelled
from bottega.reporting.drawing.chart import Edge

Point = tuple[float, float]

_TRACK = 10.0  # from one track to the next
_ARROW = 14.0  # kept free for the head of an arrow
_WIDEST = 66.0  # of words on an edge
_PORT = 16.0  # height that an edge needs at the side of a box
_AIR = 8.0  # between the words of two edges
_CLOSE, _ASIDE = 5.0, 6.0  # lines nearer than this look like one, and how far one of them moves
_EDGE = 5.0  # of a box's side, where no edge ends


@dataclass(frozen=True)
class Route:
    """An edge with its corners, and its words with their place."""

    edge: Edge
    points: Sequence[Point]
    label: Label | None


@dataclass
class _Run:
    """An edge through the gutter: its box on each side, and where it leaves and comes."""

    edge: Edge
    left: str
    right: str
    label: Label | None
    y_left: float = 0.0
    y_right: float = 0.0

    @property
    def straight(self) -> bool:
        return self.y_left == self.y_right


class Gutter:
    """The edges between two lanes. words_left: whether words stand at the left side, else at the right one.

    `settle` tells where edges leave and come, and with it how many need a track: `width` is known from then on.
    """

    def __init__(self, edges: Sequence[Edge], lane_of: Mapping[str, int], words_left: bool) -> None:
        self._words_left = words_left
        self._runs = []
        for edge in edges:
            left, right = sorted((edge.start, edge.end), key=lambda key: lane_of[key])
            self._runs.append(_Run(edge, left, right, labelled(edge, _WIDEST)))
        self._words = max([run.label.width for run in self._runs if run.label is not None] or [0.0])
        self.width = 0.0

    @property
    def least(self) -> dict[str, float]:
        """How high each box must be for the edges at its side."""
        found: dict[str, float] = {}
        for run in self._runs:
            for key, left in ((run.left, True), (run.right, False)):
                found[key] = found.get(key, 2 * _EDGE) + self._needed(run, left)
        return found

    def settle(self, boxes: Mapping[str, Box]) -> None:
        """Choose the heights at which edges leave and come, and the width that they need."""
        self._leave(boxes)
        self._straighten(boxes)
        self._part(boxes)
        self.width = 2 * _ARROW + self._words + _TRACK * (sum(not run.straight for run in self._runs) + 1)

    def routes(self, start: float, end: float) -> Iterator[Route]:
        """Give every edge its corners. start, end: where the gutter begins and ends."""
        first = start + _ARROW + (self._words if self._words_left else 0.0) + _TRACK
        bent = sorted((run for run in self._runs if not run.straight), key=_order)
        tracks = {id(run): first + place * _TRACK for place, run in enumerate(bent)}
        for run in self._runs:
            points: list[Point] = [(start, run.y_left)]
            if not run.straight:
                points += [(tracks[id(run)], run.y_left), (tracks[id(run)], run.y_right)]
            points.append((end, run.y_right))
            label = None
            if run.label is not None:
                x = start + _ARROW if self._words_left else end - _ARROW - run.label.width
                y = run.y_left if self._words_left else run.y_right
                label = run.label.at(x, y - run.label.height / 2)
            yield Route(run.edge, tuple(points if run.edge.start == run.left else points[::-1]), label)

    def _needed(self, run: _Run, left: bool) -> float:
        worded = run.label is not None and left == self._words_left
        return max(_PORT, run.label.height + _AIR) if worded and run.label is not None else _PORT

    def _leave(self, boxes: Mapping[str, Box]) -> None:
        """Spread the ends over each side, in the order of where they come from."""
        for left in (True, False):
            for key in dict.fromkeys(run.left if left else run.right for run in self._runs):
                here = [run for run in self._runs if (run.left if left else run.right) == key]
                here.sort(key=lambda run: _middle(boxes[run.right if left else run.left]))
                box = boxes[key]
                needed = [self._needed(run, left) for run in here]
                spare = (box.height - 2 * _EDGE - sum(needed)) / len(here)
                y = box.y + _EDGE
                for run, each in zip(here, needed, strict=True):
                    setattr(run, "y_left" if left else "y_right", y + (each + spare) / 2)
                    y += each + spare

    def _straighten(self, boxes: Mapping[str, Box]) -> None:
        """Where an edge is alone at one side, let it leave as high as it comes, if its box is there."""
        for run in self._runs:
            alone_left = sum(other.left == run.left for other in self._runs) == 1
            alone_right = sum(other.right == run.right for other in self._runs) == 1
            if alone_right and _within(boxes[run.right], run.y_left):
                run.y_right = run.y_left
            elif alone_left and _within(boxes[run.left], run.y_right):
                run.y_left = run.y_right

    def _part(self, boxes: Mapping[str, Box]) -> None:
        """Move ends apart that lie at one height on opposite sides, so that their lines are not taken for one."""
        for run in self._runs:
            if run.straight:
                continue
            taken = [other.y_left for other in self._runs if other is not run]
            box = boxes[run.right]
            for aside in (0, 1, -1, 2, -2):
                y = run.y_right + aside * _ASIDE
                if _within(box, y) and all(abs(y - other) >= _CLOSE for other in taken):
                    run.y_right = y
                    break


def gutters(edges: Sequence[Edge], lane_of: Mapping[str, int]) -> list[Gutter]:
    """Give the two spaces between the three lanes, with the edges that go through each."""
    found = []
    for left in (0, 1):
        through = [edge for edge in edges if {lane_of[edge.start], lane_of[edge.end]} == {left, left + 1}]
        found.append(Gutter(through, lane_of, words_left=left == 0))
    return found


def _order(run: _Run) -> tuple[int, float]:
    """Which track: those that rise turn late if they leave high, those that fall turn late if they leave low."""
    rises = run.y_right < run.y_left
    return (0, run.y_left) if rises else (1, -run.y_left)


def _middle(box: Box) -> float:
    return box.y + box.height / 2


def _within(box: Box, y: float) -> bool:
    return box.y + _EDGE <= y <= box.y + box.height - _EDGE
