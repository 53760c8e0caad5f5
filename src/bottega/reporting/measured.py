"""A measured value: with the interval that holds it, and how much is behind it."""

from __future__ import annotations

import msgspec


class Measured(msgspec.Struct, frozen=True):
    """A value with the interval that holds it with 95 %, and the number of people (or rows) behind it."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None


Metrics = dict[str, Measured]


def as_measured(found: float | Measured | None) -> Measured:
    """Give a bare number as a value without interval.

    >>> as_measured(1.5).value, as_measured(None).value
    (1.5, None)
    """
    return found if isinstance(found, Measured) else Measured(found)
