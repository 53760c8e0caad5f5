"""The plan of a flowchart: boxes in three lanes and the edges between them; pure data, with nothing of how it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["source", "step", "refused", "seam", "kept", "end", "stage"]
"""source: rows come from it. step: work beforehand. refused: what is left out. seam: what training and serving share.
kept: what stands on a disk. end: a request or its answer. stage: work for a request."""
Way = Literal["flow", "seam", "loop", "refused"]
"""flow: what becomes what. seam: the same thing on both sides. loop: what comes back. refused: what goes no further."""


@dataclass(frozen=True)
class Node:
    """A box. key: its name among the boxes. lines: what stands under its title. starred: the line that is champion.

    beside: the box of another lane that it stands next to, where there is room.
    """

    key: str
    kind: Kind
    title: str
    lines: Sequence[str] = ()
    starred: int | None = None
    beside: str | None = None


@dataclass(frozen=True)
class Edge:
    """An edge from box to box. words: what stands on it, a line each. slowest: whether the request waits here longest.

    around: whether it leaves out boxes that lie between, on the lane's outer side.
    """

    start: str
    end: str
    way: Way = "flow"
    words: Sequence[str] = ()
    slowest: bool = False
    around: bool = False


@dataclass(frozen=True)
class Lane:
    """A column of the picture: rows from the top down, each of boxes side by side, three at most."""

    key: str
    title: str
    rows: Sequence[Sequence[Node]]


@dataclass(frozen=True)
class Chart:
    """A flowchart: title and summary for those who do not see it, three lanes from the left, and the edges."""

    title: str
    summary: str
    lanes: Sequence[Lane]
    edges: Sequence[Edge]

    @property
    def nodes(self) -> Iterator[Node]:
        """Every box, lane by lane from the top."""
        return (node for lane in self.lanes for row in lane.rows for node in row)
