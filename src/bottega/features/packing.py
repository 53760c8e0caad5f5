"""What the store keeps for each key: the windows and look-ups that share a key, packed in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.errors import DataError
from bottega.features.batch import compute
from bottega.features.entities import by_columns
from bottega.features.frame import Column, Frame, Values, codes, dictionary, taken, text
from bottega.features.lookups import lookup_entities
from bottega.features.stores.keys import key, keys
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Store, mark
from bottega.features.windows import window_entities
from bottega.features.words import TextColumn, Words

_BETWEEN = key(["", ""])  # what stands between two parts of a key


class Packed(msgspec.Struct, frozen=True):
    """One kind of row of the store: the key's columns, and the columns that are kept under it."""

    name: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    """`number`, `time` or `text` for each column."""
    empty: tuple[float | None, ...]
    """The value of each column for a key without a row; null where it is null."""


def layout(design: Design, logs: Mapping[str, Log]) -> list[Packed]:
    """Lay out the store's rows for a design: one kind for each key, in the order of the features.

    The kind and the empty value of a column are what an unknown key gets over an empty log, so that they cannot
    differ from what the batch computes.
    """
    blank = {name: log.before(np.iinfo(np.int64).min) for name, log in logs.items()}
    found: dict[tuple[str, ...], list[tuple[str, str, float | None]]] = {}
    for feature in design.features:
        if not isinstance(feature, (Window, Lookup)):
            continue
        by = by_columns(feature.by)
        unknown = text(pa.array([""]))
        frame = Frame(dict.fromkeys(by, unknown), np.zeros(1, np.int64), np.zeros(1, np.int32), {})
        made = compute(feature, design, blank, frame, Values()).request
        found.setdefault(by, []).extend((name, *_kind(column)) for name, column in made.items())
    return [
        Packed("_".join(by), by, *(tuple(item) for item in zip(*columns, strict=True))) for by, columns in found.items()
    ]


def fill(store: Store, design: Design, logs: Mapping[str, Log], groups: Sequence[Packed], at: int) -> dict[str, int]:
    """Write every key's row as it is at one moment into the store, and say how many rows each kind has.

    at: the moment, int64 microseconds since 1970 UTC.
    """
    counts = {}
    for group in groups:
        features = _features(design, group)
        entities = _entities(features, design, logs, group, at)
        rows = len(entities[group.by[0]])
        values, marks = _rows(features, design, logs, group, entities, np.full(rows, at))
        store.write(group.name, keys([entities[name] for name in group.by]), pack(values), marks)
        counts[group.name] = rows
    mark(store, "as_of", str(at).encode())
    return counts


def fill_moments(
    design: Design, logs: Mapping[str, Log], groups: Sequence[Packed], frame: Frame
) -> dict[int, MemoryStore]:
    """Give a store in memory for each moment of a frame, holding the rows of the keys that are asked for there.

    It is `fill` for many moments at once, where a whole store for each would take too long.
    """
    stores = {int(at): MemoryStore() for at in np.unique(frame.time)}
    for group in groups:
        of_request = all(name in frame.requests for name in group.by)
        columns = {name: _texts(_at_level(frame, name, of_request)) for name in group.by}
        asked = pa.table({**columns, "_at": frame.time if of_request else frame.time[frame.group]})
        distinct = asked.group_by([*group.by, "_at"], use_threads=False).aggregate([])
        at = distinct["_at"].to_numpy()
        entities = {name: distinct[name].combine_chunks() for name in group.by}
        values, marks = _rows(_features(design, group), design, logs, group, entities, at)
        named = np.array(keys([entities[name] for name in group.by]), object)
        for moment, store in stores.items():
            here = at == moment
            store.write(group.name, named[here].tolist(), pack(values[here]), marks)
    for moment, store in stores.items():
        mark(store, "as_of", str(moment).encode())
    return stores


def _at_level(frame: Frame, name: str, of_request: bool) -> Column:
    if name not in frame.requests:
        return frame.candidates[name]
    return frame.requests[name] if of_request else taken(frame.requests[name], frame.group)


def _features(design: Design, group: Packed) -> list[Window | Lookup]:
    return [item for item in design.features if isinstance(item, (Window, Lookup)) and by_columns(item.by) == group.by]


def _rows(
    features: Sequence[Window | Lookup],
    design: Design,
    logs: Mapping[str, Log],
    group: Packed,
    entities: Mapping[str, pa.StringArray],
    at: np.ndarray,
) -> tuple[np.ndarray, dict[str, bytes]]:
    """Compute the rows of some keys, each at its own time, and the marks with the words that texts stand for."""
    frame = Frame({name: text(column) for name, column in entities.items()}, at, np.zeros(0, np.int32), {})
    values = np.empty((len(at), len(group.columns)))
    words: dict[str, list[str]] = {}
    for feature in features:
        for name, column in compute(feature, design, logs, frame, Values()).request.items():
            values[:, group.columns.index(name)], words[name] = _numbers(column)
    marks = {f"words:{name}": msgspec.json.encode(words[name]) for name, kind in _kinds(group) if kind == "text"}
    return values, marks


def _kinds(group: Packed) -> list[tuple[str, str]]:
    return list(zip(group.columns, group.kinds, strict=True))


def _entities(
    features: Sequence[Window | Lookup], design: Design, logs: Mapping[str, Log], group: Packed, at: int
) -> dict[str, pa.StringArray]:
    tables = {item.name: item for item in design.data.tables}
    parts = [
        window_entities(item, logs[item.table], at)
        if isinstance(item, Window)
        else lookup_entities(item, tables[item.table], logs[item.table], at)
        for item in features
    ]
    together = pa.concat_tables([pa.table({name: part[name] for name in group.by}) for part in parts])
    distinct = together.group_by(list(group.by), use_threads=False).aggregate([])
    return {name: distinct[name].combine_chunks() for name in group.by}


def _kind(column: Column) -> tuple[str, float | None]:
    if not isinstance(column, np.ndarray):
        return "text", None
    if column.dtype.kind == "M":
        return "time", None
    value = float(column[0])
    return "number", None if np.isnan(value) else value


def _numbers(column: Column) -> tuple[np.ndarray, list[str]]:
    """Give a column as the numbers that a row holds: times as microseconds, texts as places in their list of words."""
    if not isinstance(column, np.ndarray):
        texts = dictionary(column)
        places = codes(texts).astype(np.float64)
        return np.where(places < 0, np.nan, places), texts.dictionary.to_pylist()
    if column.dtype.kind == "M":
        whole = column.astype("datetime64[us]")
        return np.where(np.isnat(whole), np.nan, whole.view(np.int64).astype(np.float64)), []
    return column, []


def pack(values: np.ndarray) -> list[bytes]:
    """Give each row of numbers, (n, width), as the bytes that the store keeps: float64, little-endian.

    >>> unpack(pack(np.array([[1.0, 2.0]])) + [None], np.zeros(2))
    array([[1., 2.],
           [0., 0.]])
    """
    whole, size = np.ascontiguousarray(values, "<f8").tobytes(), 8 * values.shape[1]
    return [whole[at : at + size] for at in range(0, len(whole), size)] if size else [b""] * len(values)


def unpack(rows: Sequence[bytes | None], empty: np.ndarray) -> np.ndarray:
    """Give rows that `pack` made as numbers again, (n, width); one that is not there has the values of `empty`.

    Errors: `ValueError` for rows of another width.
    """
    nothing = empty.astype("<f8").tobytes()
    whole = bytearray().join([nothing if row is None else row for row in rows])
    return np.frombuffer(whole, "<f8").reshape(len(rows), len(empty))


class Reader:
    """Read features for a frame from the store: what the service does for every request.

    groups: the layout that the store was filled with.
    Errors: `DataError` for a store that was filled by halves, or by another layout.
    """

    def __init__(self, store: Store, groups: Sequence[Packed]) -> None:
        self.store, self.groups = store, groups
        _marked(store, "as_of")
        self._words: dict[str, Words] = {}
        self._remembered = {group.name: partial(self._of_texts, group) for group in groups}
        self._empty: dict[str, np.ndarray] = {}
        self._times: dict[str, list[int]] = {}
        self._texts: dict[str, list[int]] = {}
        for group in groups:
            self._empty[group.name] = np.array([np.nan if item is None else item for item in group.empty])
            self._times[group.name] = [place for place, kind in enumerate(group.kinds) if kind == "time"]
            self._texts[group.name] = [place for place, kind in enumerate(group.kinds) if kind == "text"]
            for name, kind in _kinds(group):
                if kind == "text":
                    self._words[name] = Words(msgspec.json.decode(_marked(store, f"words:{name}")))

    @property
    def as_of(self) -> int:
        """Give the moment of which the store tells, in microseconds since 1970 UTC."""
        return int(_marked(self.store, "as_of"))

    def read(self, frame: Frame) -> Values:
        """Give the columns of all windows and look-ups; a key without a row has the values of an empty one."""
        result = Values()
        missing: dict[str, np.ndarray] = {}
        for group in self.groups:
            of_request = all(name in frame.requests for name in group.by)
            level = result.request if of_request else result.row
            values = self._values(group, frame, of_request)
            if len(group.by) == 1:
                nowhere = values[:, -1] == 0
                missing[group.by[0]] = missing[group.by[0]] & nowhere if group.by[0] in missing else nowhere
            times = self._times[group.name]
            moments = _moments(values[:, times]) if times else None
            for place, (name, kind) in enumerate(zip(group.columns, group.kinds, strict=True)):
                if kind == "number":
                    level[name] = values[:, place]
                elif kind == "text":
                    level[name] = TextColumn(values[:, place].astype(np.intp), self._words[name])
                elif moments is not None:
                    level[name] = moments[:, times.index(place)]
        result.unknown = {name: count for name, rows in missing.items() if (count := int(np.count_nonzero(rows)))}
        return result

    def _values(self, group: Packed, frame: Frame, of_request: bool) -> np.ndarray:
        """Give a group's rows, texts as places in their words, 0 for null, and last whether the store has the row.

        Rows are remembered where nobody writes.
        """
        if len(group.by) == 1 and getattr(self.store, "settled", False):
            column = frame.requests[group.by[0]] if of_request else frame.candidates[group.by[0]]
            if isinstance(column, TextColumn):
                return column.of(self._remembered[group.name])
        return self._rows(group, _keys(frame, group.by, of_request))

    def _of_texts(self, group: Packed, texts: list[str | None]) -> np.ndarray:
        return self._rows(group, keys([texts]))

    def _rows(self, group: Packed, asked: Sequence[bytes]) -> np.ndarray:
        rows = self.store.read(group.name, asked)
        found = [row is not None for row in rows]
        empty, texts = self._empty[group.name], self._texts[group.name]
        try:
            values = unpack(rows, empty)
        except ValueError as error:
            raise DataError(
                f"store, group {group.name!r}",
                f"rows of {max(len(row) for row in rows if row is not None)} bytes",
                f"8 for each of {len(empty)} columns: {', '.join(group.columns)}",
                "fill the store by this design: bottega run",
            ) from error
        if texts:
            places = values[:, texts]
            values[:, texts] = np.where(np.isnan(places), 0, places + 1)
        return np.column_stack([values, found])


def _moments(values: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    whole = np.where(missing, 0, values).astype(np.int64).view("datetime64[us]")
    whole[missing] = np.datetime64("NaT")
    return whole


def _keys(frame: Frame, by: Sequence[str], of_request: bool) -> Sequence[bytes]:
    """Give the key of each request or row."""
    columns = []
    for name in by:
        asked = name in frame.requests
        column = frame.requests[name] if asked else frame.candidates[name]
        part = column.of(_part).tolist() if isinstance(column, TextColumn) else keys([_texts(column)])
        if asked and not of_request:
            part = [part[0]] * frame.rows if len(part) == 1 else [part[row] for row in frame.group.tolist()]
        columns.append(part)
    return columns[0] if len(columns) == 1 else list(map(_BETWEEN.join, zip(*columns, strict=True)))


def _part(texts: list[str | None]) -> np.ndarray:
    return np.array(keys([texts]), object)


def _texts(column: Column) -> pa.StringArray:
    return as_text(pa.array(column, from_pandas=True) if isinstance(column, np.ndarray) else dictionary(column))


def _marked(store: Store, name: str) -> bytes:
    value = store.marked(name)
    if value is None:
        raise DataError("store", f"no mark {name!r}", "a store that was filled whole", "fill it again: bottega run")
    return value
