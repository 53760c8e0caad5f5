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
from bottega.data.times import parse
from bottega.errors import DataError

_SOME = 2_000  # values by which a text is held to be a time
_FIRST, _LAST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970
_FEW, _CODES = 12, 100_000  # values of a whole number that is a category, and of any category
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
        """The values of a time, (n,) microseconds since 1970 UTC; the smallest integer where there is none."""
        found = parse(self.values, self.name, form=self.form)
        return np.where(found.valid, found.values, np.iinfo(np.int64).min)

    @property
    def is_number(self) -> bool:
        """Whether the table holds it as a number, and not as a truth value."""
        return self.kind in ("number", "whole", "flag") and self.form != "truth"

    @cached_property
    def is_category(self) -> bool:
        """Whether its values are names: texts, ids, and whole numbers that are few or far apart."""
        if self.kind == "text":
            return True
        if self.kind != "whole" or self.distinct > _CODES:
            return False
        filled = self.numbers[np.isfinite(self.numbers)]
        sparse = bool(np.ptp(filled) + 1 > 3 * self.distinct)  # codes of one space for all columns
        return (
            self.distinct <= _FEW
            or self.words[-1:] in (["id"], ["code"])
            or (sparse and self.distinct <= _FEW * 10 and not self.gaps)
        )

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
        form = _form(values)
        return Column(name, "text" if form is None else "time", values, form or None)
    return Column(name, "bytes" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else "other", values)


def _number(name: str, values: pa.ChunkedArray) -> Column:
    numbers = Column(name, "number", values).numbers
    filled = numbers[np.isfinite(numbers)]
    if not len(filled):
        return Column(name, "empty", values)
    if np.isin(filled, (0.0, 1.0)).all():
        return Column(name, "flag", values)
    whole = bool((filled == np.floor(filled)).all())
    if _is_epoch(name, filled):
        return Column(name, "time", values, "%s")
    return Column(name, "whole" if whole else "number", values)


def _is_epoch(name: str, filled: NDArray[np.float64]) -> bool:
    """Say whether numbers are seconds since 1970: they lie in our days, and their name or their spread says so."""
    inside = bool((filled > _FIRST).all() and (filled < _LAST).all())
    named = re.search(r"time|date|stamp|_at$|when|epoch|ts$", name.lower()) is not None
    some = filled[:_SOME]
    return inside and (named or (len(np.unique(some)) > len(some) / 2 and float(np.ptp(filled)) > 3600))


def _form(values: pa.ChunkedArray) -> str | None:
    """Give by which form texts are times: empty for ISO 8601; nothing: they are none."""
    filled = values.filter(pc.not_equal(values, "").fill_null(False))
    some = pc.unique(filled.slice(0, 20 * _SOME))
    if not len(some):
        return None
    some = some.take(np.unique(np.linspace(0, len(some) - 1, _SOME).astype(np.int64)))
    texts = some.to_pylist()
    if not any(letter.isdigit() for letter in str(texts[0])):
        return None
    try:
        found = parse(pa.chunked_array([some]), "time")
    except DataError:
        forms = guess_format(texts)
        return forms[0] if forms else None
    return "" if found.valid.mean() >= _FULL and all(len(text) >= 8 for text in texts) else None
