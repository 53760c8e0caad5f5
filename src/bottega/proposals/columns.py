"""What a column of a table looks like: its kind, its gaps, how many values it has, and whether they are names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.times import beyond, parse
from bottega.proposals.words import names_measure, names_something, names_thing

_FEW, _CODES = 12, 100_000  # values of a whole number that is a category, and of one that is not said to be an id
_NAMING = (
    "id ids code uuid guid zip zipcode postcode postal plz cc iban phone tel mobile msisdn imei sku ean isbn upc ssn "
    "vin ip asn bin mcc pin account acct card kontonummer"
)
IDS = frozenset(_NAMING.split())
NUMBERED = {"nbr", "no", "num", "nr", "number", "nummer"}  # such as an account's, and not how many there are
_LARGE, _LONG = 1_000, 10**9  # least value of what is numbered so; from which on no number is a count or a measure
_COMMA = re.compile(r"[-+]?\d+(\.\d{3})*(,\d+)*")


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
    coded: bool = field(default=False, kw_only=True)
    """Whether its whole numbers are codes of one space that several columns share."""

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
        """Whether its values are names: texts, ids, and whole numbers that are few or far apart, unless they are called
        as a measure is."""
        if self.kind == "text" or self.is_id:
            return True
        if self.kind != "whole" or self.distinct > _CODES or names_measure(self.words):
            return False
        filled = self.numbers[np.isfinite(self.numbers)]
        sparse = bool(np.ptp(filled) + 1 > 3 * self.distinct)  # codes of one space for all columns
        return self.distinct <= _FEW or (sparse and self.distinct <= _FEW * 10 and not self.gaps)

    @cached_property
    def is_id(self) -> bool:
        """Whether whole numbers name something, and measure nothing: their name says so, they have ten digits and
        come again, or they are codes of one space."""
        if self.kind != "whole" or self.distinct <= 2:
            return self.coded
        filled = self.numbers[np.isfinite(self.numbers)]
        low = float(np.abs(filled).min())
        numbered = len(self.words) > 1 and self.words[-1] in NUMBERED and low >= _LARGE
        named = self.words[-1:] != [] and (self.words[-1] in IDS or numbered)
        called = named or names_thing(self.words) or names_something(self.name)
        return called or self.coded or (low >= _LONG and self.distinct < 0.5 * len(filled))

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

    def is_read_as(self, other: Column) -> bool:
        """Whether its times are read by the form of another's, as they are in one table."""
        kind = self.values.type
        return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or self.form == other.form

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
