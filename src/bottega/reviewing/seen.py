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


class Dated(msgspec.Struct, frozen=True):
    """A column of times that no part of the design names."""

    begin: int
    """The earliest, microseconds since 1970."""
    end: int
    """The latest."""
    form: str = ""
    """How they are written, as `time_format` says it; nothing: as timestamps, dates or ISO 8601."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """The examples of an hour, of a long log those of a day."""

    begin: int
    """Microseconds since 1970."""
    rows: int
    least: float
    """The smallest value of the main label among them."""
    most: float
    """The largest."""


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
    unnamed: dict[str, Dated] = {}
    """Columns of times that nearly every row has, the earliest first; looked for where examples have no time."""
    spacing: tuple[int, int] | None = None
    """Time from one moment with rows to the next, microseconds: what nine of ten are no shorter than, and no longer
    than; of a table with ten moments or more."""


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
    """How a feature's values share codes; of several columns the one whose rows share most."""

    column: str
    """The column, or both of a cross."""
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


class Unit(msgspec.Struct, frozen=True):
    """What has several rows that a random split would part."""

    column: str
    """The column that names it."""
    values: int
    """How many of them there are."""
    rows: float
    """Rows of each, in the mean."""
    counter: str | None = None
    """The column that numbers the rows of each; nothing: the design itself says that they belong together."""


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
    moments: tuple[Moment, ...] = ()
    """When examples whose label counts were asked; of examples from positives, when those were."""
    unit: Unit | None = None
    split: Compared | None = None
    overlap: float | None = None
    """Share of the rows meant for training that lie after the begin of those meant for the test."""
    rates: dict[str, float] = {}
    """What a model of rates alone reaches under a split in time: metric → value."""
    scorecard: dict[str, float] = {}
    """Of the design's last run: `ms`, the mean time that a request keeps a process busy; `p99_ms` and `rate`, at which
    it was measured."""
