"""What was seen in the tables of a design: counts, spans and shares that rules on data go by."""

from __future__ import annotations

from typing import Literal

import msgspec

TELLS = 0.98
"""ROC-AUC from which one column alone knows the label."""


class ColumnSeen(msgspec.Struct, frozen=True):
    """One column."""

    kind: Literal["text", "number", "time", "other"]
    nulls: float
    """Share of the rows without a value."""
    distinct: int | None = None
    """Different values; counted of the columns that categories are made of."""


class Delay(msgspec.Struct, frozen=True):
    """How far after its event a row's other time lies, microseconds."""

    median: int
    most: int
    """Which nine rows of ten do not exceed."""


class TableSeen(msgspec.Struct, frozen=True):
    """One table, as it was accepted."""

    rows: int
    columns: dict[str, ColumnSeen] = {}
    begin: int | None = None
    """Of the first event, microseconds since 1970; nothing: the table has no time."""
    end: int | None = None
    """Of the last event."""
    repeated: int = 0
    """Rows that are equal to an earlier one in every column; counted where the table has a time and no event id."""
    later: dict[str, Delay] = {}
    """Columns of times that nearly every row has, and that lie after its event."""


class LabelSeen(msgspec.Struct, frozen=True):
    """The label of logged examples, where its question arises."""

    rows: int
    positives: int
    late: float = 0.0
    """Share of the positives that were observed after `matures_after`."""
    slow: int = 0
    """The delay that nine positives of ten do not exceed, microseconds."""
    weekdays: tuple[float, float] | None = None
    """The smallest and the largest rate of a weekday, where they differ by more than chance."""
    moved: float | None = None
    """How far the rate moves from one span of `retrain.every` to the next, as a share of it, where that is more than
    chance."""

    @property
    def rate(self) -> float:
        """Share of positives."""
        return self.positives / self.rows if self.rows else 0.0


class Coded(msgspec.Struct, frozen=True):
    """How a feature's values share codes."""

    values: int
    """Different values, or pairs of them, that stand in more than one row."""
    rows: float
    """Share of the rows whose value shares its code with another one."""


class Places(msgspec.Struct, frozen=True):
    """How the label hangs on the place in which a candidate was shown."""

    column: str
    first: float
    """Rate in the best place."""
    last: float
    """Rate in the lowest place with enough rows."""


class Compared(msgspec.Struct, frozen=True):
    """One metric of a model of rates alone under two splits of equal size."""

    metric: str
    at_random: float
    by_time: float
    chance: float = 0.0
    """How far they may lie apart by chance, nineteen times of twenty."""


class Seen(msgspec.Struct, frozen=True):
    """All that was seen."""

    tables: dict[str, TableSeen]
    labels: dict[str, LabelSeen] = {}
    refused: tuple[str, str] | None = None
    """Where the labels of examples cannot be read, and what was found there."""
    catalogue: int | None = None
    """Different candidates that can be found."""
    coded: dict[str, Coded] = {}
    """By the place of a feature: `features[3]`."""
    alone: dict[str, float] = {}
    """By the column: the ROC-AUC of what it says of the label by itself, 0.5 to 1."""
    places: Places | None = None
    split: Compared | None = None
    overlap: float | None = None
    """Share of the rows meant for training that lie after the begin of those meant for the test."""
    rates: dict[str, float] = {}
    """What a model of rates alone reaches under a split in time: metric → value."""
    scorecard: dict[str, float] = {}
    """Of the design's last run: `ms`, the mean time that a request keeps a process busy; `p99_ms` and `rate`, at which
    it was measured."""
