"""What rows of a table mean to the tracks of a group: whose they are, when they count, and which values they bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.errors import BuildError, DesignError
from bottega.features.arguments import Values, computed, filled, kind_of, label_time
from bottega.features.entities import match
from bottega.features.expressions import parse
from bottega.features.hashing import hashes
from bottega.features.records import Events, TrackEvents
from bottega.features.stores.keys import keys
from bottega.features.tracks import Group, Track, groups_of

_NEVER = np.iinfo(np.int64).min
_NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Places:
    """Where in the stream rows came from: (m,) each; without it they come from a batch."""

    partition: NDArray[np.int64]
    offset: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Places:
        """Give those of some rows."""
        return Places(self.partition[rows], self.offset[rows])


@dataclass(frozen=True)
class Tracked:
    """The rows of one table as events of one group's entities."""

    keys: list[bytes]
    """Of the entities that have an event, each once."""
    events: Events


def tracked(group: Group, log: Log, design: Design, places: Places | None = None) -> Tracked:
    """Say what each row of a log means to a group's tracks: the batch and the stream both ask here.

    log: rows of one table, of which some tracks of the group are made. places: of its rows.
    Errors: `DesignError`, `DataError` for what does not fit the table.
    """
    named = match(columns := [log.column(name) for name in group.by], columns).events
    there = np.flatnonzero(named >= 0)
    _, first, entity = np.unique(named[there], return_index=True, return_inverse=True)
    whose = np.full(len(named), -1, np.int64)
    whose[there] = entity
    texts: dict[int, str] = {}
    made = [
        _events(track, log, design, whose, texts) if track.table == log.name else _nothing(track)
        for track in group.tracks
    ]
    if places is None:
        nowhere = np.full(len(whose), -1, np.int64)
        places = Places(nowhere, nowhere)
    rows = pa.array(there[first])
    names = keys([as_text(column.take(rows)) for column in columns]) if len(rows) else []
    return Tracked(names, Events(whose, places.partition, places.offset, made, texts))


def _nothing(track: Track) -> TrackEvents:
    return TrackEvents(_NOBODY, _NOBODY, _NOBODY, np.zeros((0, len(track.arguments))))


def _events(track: Track, log: Log, design: Design, whose: NDArray[np.int64], texts: dict[int, str]) -> TrackEvents:
    table = next(item for item in design.data.tables if item.name == log.name)
    applies = whose >= 0
    if track.where is not None:
        applies &= _holds(track.where, log, table.timezone)
    rows = np.flatnonzero(applies)
    if track.kind == "row":
        arguments = [computed(log, parse(_quoted(name), table.timezone)) for name in track.arguments]
    else:
        arguments = [computed(log, parse(text, table.timezone)) for text in track.arguments]
    values = np.empty((len(rows), len(arguments)))
    for place, (argument, kind, text) in enumerate(zip(arguments, track.kinds, track.arguments, strict=True)):
        if kind_of(argument) != kind:
            found = f"{text!r} gives a {kind_of(argument)}"
            raise BuildError(f"data.tables[{log.name}]", found, f"a {kind}, as when the design was built")
        values[:, place] = _numbers(argument, rows, texts, finite=track.kind != "row")
    time, known = _times(log, [label for label in design.data.labels if label.name in track.labels])
    return TrackEvents(rows, time[rows], known[rows], values)


def _times(log: Log, labels: Sequence[Label]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if log.time is None:  # a table that holds for ever: of equal keys the last to come counts
        always = np.full(log.rows.num_rows, _NEVER)
        return always, always
    return label_time(log, labels), log.time if log.known is None else log.known


def _numbers(values: Values, rows: NDArray[np.int64], texts: dict[int, str], finite: bool) -> NDArray[np.float64]:
    """Give an argument as what records hold: numbers, times as microseconds, texts as their hashes' bits.

    finite: whether infinity is null, as to aggregates.
    """
    if isinstance(values, pa.Array):
        chosen = values.take(pa.array(rows)).dictionary_encode()
        words = chosen.dictionary
        named = hashes(words)
        texts.update(zip(named.tolist(), words.to_pylist(), strict=True))
        places = chosen.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        bits = np.append(named, np.uint64(0)).view(np.float64)
        found: NDArray[np.float64] = bits[places]
        return found
    chosen = values[rows]
    if chosen.dtype.kind == "M":
        whole = chosen.astype("datetime64[us]")
        return np.where(np.isnat(whole), np.nan, whole.view(np.int64).astype(np.float64))
    numbers: NDArray[np.float64] = chosen.astype(np.float64)
    return np.where(filled(numbers), numbers, np.nan) if finite else numbers


def _holds(text: str, log: Log, zone: str) -> NDArray[np.bool_]:
    place = f"features: Window over {log.name}"
    values = computed(log, parse(text, zone, place))
    if isinstance(values, pa.Array) or values.dtype.kind != "f":
        raise DesignError(place, f"where={text!r} is a {kind_of(values)}", "a condition", "where=\"device = 'phone'\"")
    holds: NDArray[np.bool_] = filled(values) & (values != 0)
    return holds


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def layout(design: Design, logs: Mapping[str, Log]) -> list[Group]:
    """Lay out the store's records for a design over some tables; their rows do not matter, the types of columns do."""
    blank = {name: log.take(slice(0, 0)) for name, log in logs.items()}
    zones = {table.name: table.timezone for table in design.data.tables}
    return groups_of(design, lambda table, text: kind_of(computed(blank[table], parse(text, zones[table]))))
