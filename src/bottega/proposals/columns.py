"""What the columns of a table look like: kinds, gaps, how many values, and which of them are times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.time_text import guess_format
from bottega.data.times import beyond, parse, unit_of
from bottega.errors import DataError
from bottega.proposals.words import names_something

_SOME = 2_000  # values by which a text is held to be a time
_FEW, _CODES = 12, 100_000  # values of a whole number that is a category, and of one that is not said to be an id
_NAMES = re.compile(r"(?i)time|date|stamp|_at$|when|epoch|ts$")  # that speak of a time
_DAY = re.compile(r"(?i)time|date|day|stamp|when")
_NAMING = (
    "id ids code uuid guid zip zipcode postcode postal plz cc iban phone tel mobile msisdn imei sku ean isbn upc ssn "
    "vin ip asn bin mcc pin account acct card kontonummer"
)
_IDS = frozenset(_NAMING.split())
_NUMBERED = {"nbr", "no", "num", "nr", "number", "nummer"}  # such as an account's, and not how many there are
_LARGE, _LONG = 1_000, 10**9  # least value of what is numbered so; from which on no number is a count or a measure
_COMMA = re.compile(r"[-+]?\d+(\.\d{3})*(,\d+)*")
_YEARS = 30.0  # that an unnamed column of times spans at most
_FULL = 0.98  # of the filled values that must be times


@dataclass(frozen=True)
class Column:
    """One column.

    kind: `number`, `whole`, `flag` (truth values, and numbers that are 0 or 1), `time`, `text`, `bytes`, `empty`,
    `other`. form: of a time, as `Table.time_format` has it; nothing: it needs none; of a flag `truth` where it holds
    truth values.
    """

    name: str
    kind: str
    values: pa.ChunkedArray
    form: str | None = None
    other: str | None = None
    """Another form by which all of its texts are times too: the month and the day may stand the other way round."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.values)

    @cached_property
    def gaps(self) -> int:
        """How many rows have nothing there."""
        empty = self.values.is_null(nan_is_null=True).to_numpy()
        if self.kind == "text":
            empty = empty | pc.equal(self.values, "").fill_null(True).to_numpy()
        return int(np.count_nonzero(empty))

    @cached_property
    def distinct(self) -> int:
        """How many different values there are, nothing not counted."""
        return int(pc.count_distinct(self.values, mode="only_valid").as_py()) if self.kind != "other" else 0

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """The number of each row's value, (n,), from 0 in the order of coming; −1 where there is none."""
        found = pc.dictionary_encode(self.values).combine_chunks()
        indices = found.indices if isinstance(found, pa.DictionaryArray) else found.chunk(0).indices
        return np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The values as numbers, (n,); NaN where there is none."""
        return np.asarray(self.values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(), np.float64)

    @cached_property
    def time(self) -> NDArray[np.int64]:
        """The values of a time, (n,) microseconds since 1970 UTC; the smallest integer where there is none, and where
        ingestion refuses it."""
        found = parse(self.values, self.name, form=self.form)
        return np.where(found.valid & ~beyond(found), found.values, np.iinfo(np.int64).min)

    @property
    def is_number(self) -> bool:
        """Whether the table holds it as a number, and not as a truth value."""
        return self.kind in ("number", "whole", "flag") and self.form != "truth"

    @cached_property
    def is_category(self) -> bool:
        """Whether its values are names: texts, ids, and whole numbers that are few or far apart."""
        if self.kind == "text" or self.is_id:
            return True
        if self.kind != "whole" or self.distinct > _CODES:
            return False
        filled = self.numbers[np.isfinite(self.numbers)]
        sparse = bool(np.ptp(filled) + 1 > 3 * self.distinct)  # codes of one space for all columns
        return self.distinct <= _FEW or (sparse and self.distinct <= _FEW * 10 and not self.gaps)

    @cached_property
    def is_id(self) -> bool:
        """Whether whole numbers name something, and measure nothing: their name says so, or they have ten digits and
        come again."""
        if self.kind != "whole" or self.distinct <= 2:
            return False
        filled = self.numbers[np.isfinite(self.numbers)]
        low = float(np.abs(filled).min())
        numbered = len(self.words) > 1 and self.words[-1] in _NUMBERED and low >= _LARGE
        named = self.words[-1:] != [] and (self.words[-1] in _IDS or numbered)
        return named or names_something(self.name) or (low >= _LONG and self.distinct < 0.5 * len(filled))

    @cached_property
    def is_words(self) -> bool:
        """Whether it holds sentences."""
        if self.kind != "text":
            return False
        some = [text for text in self.values.slice(0, 500).to_pylist() if text]
        return bool(some) and float(np.mean([len(text.split()) for text in some])) > 2.5

    @cached_property
    def is_comma_number(self) -> bool:
        """Whether its texts are numbers with a comma."""
        if self.kind != "text":
            return False
        some = [text for text in self.values.slice(0, 500).to_pylist() if text]
        return any("," in text for text in some) and all(_COMMA.fullmatch(text.strip()) for text in some)

    @cached_property
    def has_hours(self) -> bool:
        """Whether a time says the hour: not all of them are midnights."""
        known = self.time[self.time > np.iinfo(np.int64).min]
        return bool((known % 86_400_000_000 != 0).any())

    @property
    def words(self) -> list[str]:
        """The words of the name: `TX_FraudScenario` is tx, fraud, scenario."""
        parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", self.name)
        return [word for word in re.split(r"[\W_]+", parted.lower()) if word]


def columns_of(table: pa.Table) -> list[Column]:
    """Look at each column of a table."""
    return [_looked_at(name, table.column(name)) for name in table.column_names]


def _looked_at(name: str, values: pa.ChunkedArray) -> Column:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        values, kind = values.cast(pa.float64()), pa.float64()
    if values.null_count == len(values):
        return Column(name, "empty", values)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column(name, "time", values)
    if pa.types.is_boolean(kind):
        return Column(name, "flag", values.cast(pa.int8()), "truth")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _number(name, values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        forms = _forms(values)
        return Column(name, "time" if forms else "text", values, *[form or None for form in forms])
    return Column(name, "bytes" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else "other", values)


def _number(name: str, values: pa.ChunkedArray) -> Column:
    numbers = Column(name, "number", values).numbers
    filled = numbers[np.isfinite(numbers)]
    if not len(filled):
        return Column(name, "empty", values)
    if np.isin(filled, (0.0, 1.0)).all():
        return Column(name, "flag", values)
    whole = bool((filled == np.floor(filled)).all())
    form = _count_form(Column(name, "whole", values), filled) or (_day_form(name, values, filled) if whole else None)
    if form is not None:
        return Column(name, "time", values, form)
    return Column(name, "whole" if whole else "number", values)


def _count_form(column: Column, filled: NDArray[np.float64]) -> str | None:
    """Give what numbers count since 1970: they lie in our days, and their name says so, or their spread does."""
    form = unit_of(filled)
    if form is None or _NAMES.search(column.name):
        return form
    span = float(np.ptp(filled)) / {"%s": 1, "epoch_ms": 1e3}.get(form, np.inf)  # finer ones could be ids
    some = filled[:_SOME]
    spread = len(np.unique(some)) > len(some) / 2 and 3600 < span < _YEARS * 365 * 86_400
    return form if spread and not set(column.words) & (_IDS | _NUMBERED) else None


def _day_form(name: str, values: pa.ChunkedArray, filled: NDArray[np.float64]) -> str | None:
    """Give the form of days that are written as whole numbers: 20240131."""
    if not _DAY.search(name) or filled.min() < 19_000_101 or filled.max() > 21_000_000:
        return None
    days = pa.chunked_array([pa.array(np.unique(filled)[:_SOME].astype(np.int64))])
    return "%Y%m%d" if pa.types.is_integer(values.type) and _all_times(days, "%Y%m%d") else None


def _all_times(values: pa.ChunkedArray, form: str) -> bool:
    try:
        return bool(parse(values, "time", form=form).valid.mean() >= _FULL)
    except DataError:
        return False


def as_time(column: Column) -> Column:
    """Read a column as times because a person says so. Errors: `DataError` that says why it cannot be one."""
    if column.kind == "time":
        return column
    where, allowed = f"--time {column.name}", "timestamps, dates, text that holds them, or seconds since 1970 and finer"
    if column.kind in ("number", "whole", "flag") and column.form != "truth":
        filled = column.numbers[np.isfinite(column.numbers)]
        form = unit_of(filled) or _day_form("date", column.values, filled)
        if form is None:
            low, high = float(filled.min()), float(filled.max())
            found = f"numbers from {low:,.10g} to {high:,.10g}: by no unit are all of them times of 1990 to 2099"
            raise DataError(where, found, allowed, "write them as dates, such as 2024-01-31T08:00:00, or name another")
        return Column(column.name, "time", column.values, form)
    if column.kind == "text":
        parse(column.values, where)  # tells what is wrong where none is a time
        return Column(column.name, "time", column.values)
    raise DataError(where, f"a column of {column.values.type}", allowed, "name another column")


def _forms(values: pa.ChunkedArray) -> list[str]:
    """Give by which forms texts are times, two at most: empty for ISO 8601; none: they are none."""
    filled = values.filter(pc.not_equal(values, "").fill_null(False))
    some = pc.unique(filled.slice(0, 20 * _SOME))
    if not len(some):
        return []
    some = some.take(np.unique(np.linspace(0, len(some) - 1, _SOME).astype(np.int64)))
    texts = some.to_pylist()
    if not any(letter.isdigit() for letter in str(texts[0])):
        return []
    try:
        found = parse(pa.chunked_array([some]), "time")
    except DataError:
        return guess_format(texts)
    return [""] if found.valid.mean() >= _FULL and all(len(text) >= 8 for text in texts) else []
