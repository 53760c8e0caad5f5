"""Reading features from the store: what the service does for every request, and the parity gate for every example."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.errors import DataError, ServeError
from bottega.features.entities import by_columns
from bottega.features.filling import AS_OF
from bottega.features.frame import Column, Frame, Values, dictionary, text
from bottega.features.keyed import key_lookups, with_columns
from bottega.features.lookups import lookup_names
from bottega.features.records import Columns
from bottega.features.remembered import Read, Remembered
from bottega.features.stores.keys import key, keys
from bottega.features.stores.protocol import Store
from bottega.features.tracks import Group
from bottega.features.words import TextColumn

_SLOW_S, _AWAY_S = 0.05, 1.0  # a store that fails after so long is not asked again for so long
_BETWEEN = key(["", ""])  # what stands between two parts of a key


class Reader:
    """Reads the columns of all windows and look-ups for a frame, each row at the time of its request.

    store: filled by a batch. groups: what it keeps.
    Errors: `DataError` for a store that was filled by halves, or by another design.
    """

    def __init__(self, store: Store, groups: Sequence[Group]) -> None:
        self.store, self.groups = store, tuple(groups)
        self.as_of = _filled(store)
        """The moment of which the batch told that filled the store, microseconds since 1970 UTC."""
        self._parts = [Remembered(store, group) for group in groups]
        self._away_until = 0.0

    def read(self, frame: Frame) -> Values:
        """Give the columns; a key without a record has the values of one without events.

        So have all keys of a kind whose records cannot be read, because the store is away: `unread` names it.
        """
        result = Values()
        missing: dict[str, NDArray[np.bool_]] = {}
        for part in self._parts:
            by = part.group.by
            own = all(name in frame.requests or name in frame.candidates for name in by)
            frame = frame if own else frame.having(by, result)  # a key that was looked up
            of_request = all(name in frame.requests for name in by)
            try:
                read = self._asked(part, frame, of_request)
            except ServeError:
                result.unread.append(part.group.name)
                read = part.nothing(len(frame.time) if of_request else frame.rows)
            level = result.request if of_request else result.row
            for place, (name, kind) in enumerate(zip(part.group.columns, part.codec.kinds, strict=True)):
                level[name] = _column(read.columns, place, name, kind)
            if own and len(by) == 1 and part.group.name not in result.unread:
                nowhere = ~read.known
                missing[by[0]] = missing[by[0]] & nowhere if by[0] in missing else nowhere
        result.unknown = {name: count for name, rows in missing.items() if (count := int(np.count_nonzero(rows)))}
        return result

    def _asked(self, part: Remembered, frame: Frame, of_request: bool) -> Read:
        began = time.monotonic()
        if began < self._away_until:
            raise ServeError("store", "away a moment ago", "a store that answers", "")
        try:
            return _read(part, frame, of_request)
        except ServeError:
            if time.monotonic() - began > _SLOW_S:  # else each group of each request would wait for as long
                self._away_until = time.monotonic() + _AWAY_S
            raise


def _read(part: Remembered, frame: Frame, of_request: bool) -> Read:
    by, at = part.group.by, _moments(frame, of_request)
    if len(by) == 1 and isinstance(at, int):
        column = frame.requests[by[0]] if of_request else frame.candidates.get(by[0])
        if isinstance(column, TextColumn):
            return part.of_words(column, at)
    return part.of_keys(_keys(frame, by, of_request), at)


def _moments(frame: Frame, of_request: bool) -> int | NDArray[np.int64]:
    """Give the time of each row: one for all where there is one request."""
    if len(frame.time) == 1:
        return int(frame.time[0])
    return frame.time if of_request else frame.time[frame.group]


def _column(found: Columns, place: int, name: str, kind: str) -> Column:
    if kind == "text":
        return found.texts[name]
    values = found.numbers[:, place]
    if kind == "number":
        return values
    missing = np.isnan(values)
    moments = np.where(missing, 0, values).astype(np.int64).view("datetime64[us]")
    moments[missing] = np.datetime64("NaT")
    return moments


def _keys(frame: Frame, by: Sequence[str], of_request: bool) -> Sequence[bytes]:
    """Give the key of each request or row."""
    columns = []
    for name in by:
        asked = name in frame.requests
        column = frame.requests[name] if asked else frame.candidates[name]
        part = column.of(_named).tolist() if isinstance(column, TextColumn) else keys([_texts(column)])
        if asked and not of_request:
            part = [part[0]] * frame.rows if len(part) == 1 else [part[row] for row in frame.group.tolist()]
        columns.append(part)
    return columns[0] if len(columns) == 1 else list(map(_BETWEEN.join, zip(*columns, strict=True)))


def _named(texts: list[str | None]) -> NDArray[np.object_]:
    return np.array(keys([texts]), object)


def _texts(column: Column) -> pa.StringArray:
    return as_text(pa.array(column, from_pandas=True) if isinstance(column, np.ndarray) else dictionary(column))


def _filled(store: Store) -> int:
    if (value := store.marked(AS_OF)) is None:
        found = f"no mark {AS_OF!r}"
        raise DataError("store", found, "a store that was filled whole", "fill it again: bottega run")
    return int(value)


class KeyReader:
    """Tells the keys of events that look-ups know, from the records of the store that the events go to.

    store: filled by a batch. groups: what it keeps. design: whose features they are.
    """

    def __init__(self, store: Store, groups: Sequence[Group], design: Design) -> None:
        by = {group.by: group for group in groups}
        self._asked = {
            table.name: [
                (part, Reader(store, [by[by_columns(part.by)]])) for part in key_lookups(design.features, table.name)
            ]
            for table in design.data.tables
        }

    def with_keys(self, log: Log) -> Log:
        """Give the rows of a table with what `keyed.with_keys` adds to them, by what the records tell of their times.

        Errors: `ServeError` where the store cannot be read.
        """
        for part, reader in self._asked[log.name]:
            if log.time is None or not len(log.time):
                continue
            asked = {name: text(as_text(log.column(name))) for name in by_columns(part.by)}
            found = reader.read(Frame({}, log.time, np.arange(len(log.time)), asked))
            if found.unread:
                raise ServeError("store", "no answer", "a store that answers", "")
            log = with_columns(log, {name: _texts(found.row[name]) for name in lookup_names(part)})
        return log
