"""Step 2, data: the tables, what their columns mean in time, and what is checked on the way in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from bottega.design.part import Choice, Part


class NotNull(Choice, frozen=True):
    """Refuse rows in which one of the columns is null, NaN, or an empty text."""

    columns: Sequence[str]
    """The columns that must be filled."""


class Unique(Choice, frozen=True):
    """Refuse rows whose values in these columns together were seen in an earlier row; the first one stays."""

    columns: Sequence[str]
    """The columns that together name a row."""


class Range(Choice, frozen=True):
    """Refuse rows whose value lies outside the bounds; a null passes (`NotNull` is for those)."""

    column: str
    """The column: a number or a time."""
    at_least: float | str | None = None
    """Smallest value allowed; larger refuses more. For a time column, an ISO date."""
    at_most: float | str | None = None
    """Largest value allowed; larger refuses less."""
    above: float | str | None = None
    """Values must lie above this, itself excluded."""
    below: float | str | None = None
    """Values must lie below this, itself excluded."""

    def check(self) -> None:
        if self.at_least is self.at_most is self.above is self.below is None:
            raise self.refuse("column", "no bound", "at_least, at_most, above or below", "Range(…, above=0)")


class Allowed(Choice, frozen=True):
    """Refuse rows whose value is not in the list; a null passes."""

    column: str
    """The column."""
    values: Sequence[str | int | float | bool]
    """The values allowed; more values refuse less."""


class Pattern(Choice, frozen=True):
    r"""Refuse rows whose text does not match a regular expression as a whole; a null passes."""

    column: str
    """The column, read as text."""
    regex: str
    r"""The expression, in the syntax of RE2: `\d{5}[A-Za-z]*`."""

    def check(self) -> None:
        try:
            re.compile(self.regex)
        except re.error as error:
            raise self.refuse("regex", f"{self.regex!r}: {error}", "a regular expression") from None


class MonotoneTime(Choice, frozen=True):
    """Refuse rows whose time lies before that of an earlier row in the order of arrival."""

    by: Sequence[str] = ()
    """Judge the order within each value of these columns; none: over the whole table."""


TOLD = re.compile(r"\b(min|max|avg|quantile)\(((?:[^()]|\([^()]*\))*)\)")
"""What a constant may be made of: an aggregate, and what it goes over."""
_SPOKEN = {
    *("and", "or", "not", "case", "when", "then", "else", "end", "between", "in", "is", "null", "true", "false"),
    *("as", "from", "text", "distinct", "year", "month", "day", "dow", "doy", "hour", "minute", "second"),
}
"""Words of the expressions themselves, which name nothing."""
Check = NotNull | Unique | Range | Allowed | Pattern | MonotoneTime


class Table(Part, frozen=True):
    """A batch table: where it is, what its columns mean in time, and what is checked on the way in."""

    name: str
    """The name by which the design speaks of it."""
    source: str = ""
    """A file, folder or glob below the data folder (`orders/*.parquet`, `.csv`, `.csv.gz`, `.tsv`, `.jsonl`, `.svm`,
    `…-idx3-ubyte.gz`; a folder of pictures, `label/name.png`, has the columns id, image and label), or the name of a
    table of the warehouse; nothing: the table's own name in the warehouse. Of several, parted by `|`, the first that is
    there."""
    time: str | None = None
    """The column with the event's time; nothing: the table is static."""
    key: str | Sequence[str] | None = None
    """The column or columns that name a row, for look-ups; of equal keys the last row counts."""
    row: str | None = None
    """The name of a column to add, with the number of each row from 1 on in the order of the files, where nothing in
    the table names one; nothing: none is added. When it is wrong: the numbers change when rows are put in between."""
    created: str | None = None
    """The column that says when the row became known; a row counts from the later of the two times."""
    event_id: str | None = None
    """The column that names an event: a repeated one is dropped. Without it equal rows all stay."""
    available_after: str = "0s"
    """How long after that a row can be used, as a span; larger hides more of the recent past."""
    timezone: str = "UTC"
    """The zone of times that carry none, as an IANA name: `Europe/London`."""
    time_format: str | None = None
    """How a time that is text is written, as in `strptime`: `%m/%d/%Y %H:%M`. ISO 8601 needs none. Of numbers, what
    they count since 1970 UTC: `%s` seconds, `epoch_ms`, `epoch_us`, `epoch_ns` milli-, micro- and nanoseconds, `epoch`
    whichever of them brings most of a table's times to the years 1990 to 2099."""
    encoding: str = "utf-8"
    """The encoding of CSV files: `latin-1` for many that a spreadsheet wrote. What parts their values, a comma, a
    semicolon, a tab or a bar, is seen in their first lines."""
    format: Literal["parquet", "csv", "svmlight", "idx"] | None = None
    """How the files are written where their names do not say: `svmlight` for ranking sets in `rank.train.gz`."""
    columns: Mapping[str, str] = {}
    """Names to use for columns of the source, `{ours: theirs}`; of several of theirs, parted by `|`, the first that is
    there; where their list ends in `|` there may be no such column. Columns not named keep theirs."""
    constants: Mapping[str, str] = {}
    """Numbers that hang on the whole table, such as where a scale of points is high, `{"good": "0.8 * max(rating)"}`:
    a formula of `min`, `max` and `avg` of its columns, and of `quantile(rating, 0.99)`, the least value that this share
    of the rows does not exceed, which a few odd rows do not move. They are read once, from all rows, and stand by their
    names, which are no column's, in the windows over the table and in the conditions on its rows."""
    checks: Sequence[Check] = ()
    """What a row must meet; a row that does not is kept in quarantine with its reason."""
    optional: bool = False
    """Whether a data folder may be without it: what is made from it, or from columns of it that may be missing, is then
    left out, and the run says so."""
    licence: str = ""
    """Under which terms the data are used, and on which ground personal ones are."""
    personal: Sequence[str] = ()
    """Columns that tell who somebody is, or what somebody does; `licence` says on which ground they are used."""

    def check(self) -> None:
        self.check_span("available_after")
        for name, text in self.constants.items():
            if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in self.columns:
                raise self.refuse("constants", f"the name {name!r}", "letters, digits and _, and no column's name")
            if name.lower() in _SPOKEN:
                raise self.refuse("constants", f"the name {name!r}", "no word of the expressions", f"{name}_value")
            if not TOLD.search(text):
                allowed = "min, max, avg or quantile of a column"
                raise self.refuse("constants", f"{text!r}", allowed, '"0.8 * max(rating)"')
        if not re.fullmatch(r"[A-Za-z_]\w*", self.name):
            raise self.refuse("name", f"{self.name!r}", "letters, digits and _, not beginning with a digit")
