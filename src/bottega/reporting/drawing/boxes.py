"""Boxes and labels with their words broken into lines, before and after they have a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bottega.reporting.drawing.chart import Edge, Node
from bottega.reporting.drawing.widths import widest, width, wrapped

SIZE, TITLE, SMALL = 12.0, 13.0, 11.0
"""Of the words in a box, its title, and the words on an edge, in pixels."""
LINE = 15.0
"""From one line to the next."""
PAD = 8.0
"""Between a box and its words."""
BEND = 6.0
"""How far the round top of a box goes up and down."""
_ROUND = ("source", "kept")
_BROAD, _HIGHEST, _HIGHEST_NARROW = 250.0, 24, 12  # a box that is broad; lines of it, and of another one
_CHIP = 4.0  # around the words on an edge


@dataclass(frozen=True)
class Box:
    """A box with its place. title, lines: what stands in it, each line with whether it is bold."""

    node: Node
    width: float
    height: float
    title: Sequence[str]
    lines: Sequence[tuple[str, bool]]
    x: float = 0.0
    y: float = 0.0

    def at(self, x: float, y: float, height: float) -> Box:
        """The same at a place, as high as its row."""
        return replace(self, x=x, y=y, height=height)

    @property
    def top(self) -> float:
        """Where its words begin."""
        return self.y + PAD + (BEND if self.node.kind in _ROUND else 0.0)


@dataclass(frozen=True)
class Label:
    """Words on an edge, with their place."""

    lines: Sequence[str]
    bold: bool
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    def at(self, x: float, y: float) -> Label:
        """The same at a place."""
        return replace(self, x=x, y=y)


def boxed(node: Node, wide: float, least: float = 0.0) -> Box:
    """Break a box's words so that they fit its width, and give it the height that they need.

    least: height below which it may not fall.
    """
    room = wide - 2 * PAD
    title = wrapped(node.title, room, TITLE, bold=True, most=2)
    highest = _HIGHEST if wide >= _BROAD else _HIGHEST_NARROW
    entries = [(entry, place == node.starred) for place, entry in enumerate(node.lines)]
    needed = [len(wrapped(entry, room, SIZE, bold, highest)) for entry, bold in entries]
    most = highest  # of each entry: the longest ones are cut first
    while most > 1 and sum(min(each, most) for each in needed) > highest:
        most -= 1
    lines = [(line, bold) for entry, bold in entries for line in wrapped(entry, room, SIZE, bold, most) if line]
    if len(lines) > highest:
        lines = [*lines[: highest - 1], (f"… {len(lines) - highest + 1} more", False)]
    bend = 2 * BEND if node.kind in _ROUND else 0.0
    height = 2 * PAD + LINE * (len(title) + len(lines)) + bend
    return Box(node, wide, max(height, least), title, lines)


def least_width(node: Node) -> float:
    """Say how wide a box must be so that none of its words is broken."""
    words = [widest(node.title, TITLE, bold=True)]
    words += [widest(entry, SIZE, place == node.starred) for place, entry in enumerate(node.lines)]
    return max(words) + 2 * PAD


def labelled(edge: Edge, wide: float) -> Label | None:
    """Break the words of an edge so that they fit; nothing where it has none."""
    if not edge.words:
        return None
    room = wide - 2 * _CHIP
    lines = [line for entry in edge.words for line in wrapped(entry, room, SMALL, edge.slowest, 2)]
    broad = max(width(line, SMALL, edge.slowest) for line in lines)
    return Label(lines, edge.slowest, broad + 2 * _CHIP, LINE * len(lines) + 2)
