"""Parts of the scorecard of a design that searches by vectors: what serves, and where relevant items are lost."""

from __future__ import annotations

import msgspec

from bottega.reporting.measured import Measured


class Loss(msgspec.Struct, frozen=True):
    """A metric by one way of search, and what that loses against the way before it; the first one, against the best
    order that there is."""

    name: str = ""
    metric: str = ""
    value: Measured | None = None
    lost: Measured | None = None


class Arrival(msgspec.Struct, frozen=True):
    """Seconds until an item that was sent to the service is found by it."""

    median: float | None = None
    longest: float | None = None
    n: int = 0
    """Items that were sent and found."""
    sent: int = 0
    """Items that were sent; none: no source can know an item before the next build."""
    retrieved: int = 0
    """Requests after which a new item was among the candidates, of those that were `asked`."""
    asked: int = 0
    by: dict[str, int] = {}
    """Source to how many of them it found."""


class Search(msgspec.Struct, frozen=True):
    """How the gallery is searched."""

    asked: str = ""
    """The way that the design asks for: `64 bits`, `ivf`, `exact`."""
    served: str = ""
    """The way that is served."""
    accepted: bool = True
    reason: str = ""
    difference: Measured | None = None
    """Of the primary metric on validation, the way that is asked for less comparing all vectors, paired."""
    items: int | None = None
    """Of the gallery that was judged."""
    served_items: int | None = None
    """Of the gallery that is served; nothing: the same."""
    held_out: int = 0
    """Of those that are served, how many were not among those that were searched when it was judged."""
    left_out: int = 0
    """Of the test, how many are questions alone and are not served."""
    questions: int | None = None
    """Of the test."""
    recall: Measured | None = None
    """Of the index, against comparing all vectors, on queries that were held out when it was built."""
    losses: list[Loss] = []
