"""The two levels at which features live: one row a request, and one row a candidate of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.data.keys import as_text
from bottega.features.words import TextColumn

Column: TypeAlias = "np.ndarray | pa.DictionaryArray"
"""Numbers are float64 with NaN for null, times datetime64[us] with NaT, texts a dictionary array; what a service reads
for a request has a `TextColumn` for one, which costs a tenth."""


@dataclass(frozen=True)
class Frame:
    """What is asked: requests with their time, and below each of them its candidates.

    requests: the request's columns, (r,) each, texts as dictionary arrays.
    time: the requests' times, (r,) int64, microseconds since 1970 UTC.
    group: for each candidate the row of its request, (n,), ascending.
    candidates: the candidates' columns, (n,) each: the candidate's id, and scores of retrievers.
    """

    requests: Mapping[str, Column]
    time: np.ndarray  # (r,)
    group: np.ndarray  # (n,)
    candidates: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """Give the number of candidates over all requests."""
        return len(self.group)

    def having(self, names: Sequence[str], values: Values) -> Frame:
        """Give the frame with some columns more, of those that were computed; one that is there stays as it is."""
        more = [name for name in names if name not in self.requests and name not in self.candidates]
        of_request = {name: values.request[name] for name in more if name in values.request}
        of_row = {name: values.row[name] for name in more if name in values.row}
        if not of_request and not of_row:
            return self
        return replace(self, requests={**self.requests, **of_request}, candidates={**self.candidates, **of_row})


@dataclass
class Values:
    """Columns by name at their level; a name is at one level only.

    unknown: of a request, how many values of an asked column are not in the store at all, where there are some. unread:
    the kinds of keys whose records could not be read: their columns are those of entities without events.
    """

    request: dict[str, Column] = field(default_factory=dict)  # (r,) each
    row: dict[str, Column] = field(default_factory=dict)  # (n,) each
    unknown: dict[str, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def at_rows(self, name: str, group: np.ndarray) -> Column:
        """Give a column with one value for each candidate, whatever its level."""
        return self.row[name] if name in self.row else taken(self.request[name], group)

    def update(self, other: Values) -> None:
        """Add the other one's columns."""
        self.request.update(other.request)
        self.row.update(other.row)


def taken(column: Column, rows: np.ndarray) -> Column:
    """Take rows of a column, whatever its kind."""
    if isinstance(column, (np.ndarray, TextColumn)):
        return column[rows]
    return pa.DictionaryArray.from_arrays(column.indices.take(pa.array(rows)), column.dictionary)


def text(values: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Make a dictionary array of texts, nulls kept as nulls."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.DictionaryArray):
        return values
    return pc.cast(values, pa.string()).dictionary_encode()


def category(column: Column) -> pa.DictionaryArray:
    """Give a column as texts: numbers as ids are written, so that 5 and 5.0 are one category, NaN as null."""
    return text(as_text(pa.array(column, from_pandas=True))) if isinstance(column, np.ndarray) else column


def objects(column: Column) -> np.ndarray:
    """Give texts as an array of Python objects with None for null; other kinds as they are."""
    if isinstance(column, np.ndarray):
        return column
    if isinstance(column, TextColumn):
        return column.of(_objects)
    if len(column) < len(column.dictionary):
        return np.asarray(column.dictionary_decode().to_numpy(zero_copy_only=False))
    words = np.empty(len(column.dictionary) + 1, object)
    words[:-1] = column.dictionary.to_numpy(zero_copy_only=False)  # the last one stands for null
    return np.asarray(words[codes(column)])


def codes(column: pa.DictionaryArray) -> np.ndarray:
    """Give the place of each text in the dictionary, (n,) int64, -1 for null."""
    if isinstance(column, TextColumn):
        return column.places - 1
    return np.asarray(column.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def dictionary(column: Column) -> pa.DictionaryArray:
    """Give a column as texts in the form of a batch, a dictionary array; see `category`."""
    texts = category(column)
    return text(pa.array(objects(texts), pa.string())) if isinstance(texts, TextColumn) else texts


def _objects(texts: list[str | None]) -> np.ndarray:
    made = np.empty(len(texts), object)
    made[:] = texts
    return made
