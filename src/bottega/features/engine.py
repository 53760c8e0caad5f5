"""Features in a warehouse's own engine: the same definitions, computed where a log is too large for one machine."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.data.warehouse import connect, fetch, release, told_by_name
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.design.part import microseconds
from bottega.design.tables import Table
from bottega.features.arguments import Values, column
from bottega.features.engine_lookups import lookup_expression
from bottega.features.entities import by_columns, match
from bottega.features.ibis_tiles import state_expression, waiting_expression
from bottega.features.ibis_tiles_windows import tiled_window_expression
from bottega.features.ibis_windows import AT, ROW, events_table, window_expression
from bottega.features.lookups import lookup_columns
from bottega.features.records import Codec
from bottega.features.records_tiles import records_from_tiles
from bottega.features.stores.keys import keys as named
from bottega.features.tracks import Group, Track
from bottega.features.windows import window_columns


class Engine:
    """Computes windows, look-ups and tiles in an engine that Ibis speaks to.

    A log's rows and the questions are handed over as Parquet files; what comes back has a row for each question. Each
    log goes over once. Sums are the engine's own, within 1e-5 of the sum of absolute values of the embedded ones.

    url: as `ibis.connect` takes it. folder: holds the files; an engine with workers on other machines must find them
    there under the same path. many: pairs of a row and a question of one key, beyond which windows are made from tiles;
    larger joins more rows, and makes fewer tiles.
    Errors: `DataError` for an engine that is not installed or cannot be reached.
    """

    def __init__(self, url: str, folder: Path, many: int = 100_000_000) -> None:
        self.many = many
        self._url = url
        self._connection = connect(url)
        self._folder = folder
        self._sent: dict[tuple[int, tuple[str, ...]], tuple[weakref.ref[Log], Any]] = {}
        self._files = 0

    @property
    def name(self) -> str:
        """Name the engine, as Ibis does."""
        return str(self._connection.name)

    def close(self) -> None:
        """Let go of the engine; a Spark session goes on, since others of this process may use it."""
        self._sent.clear()
        release(self._connection)

    def windows(
        self,
        window: Window,
        log: Log,
        keys: Mapping[str, pa.Array],
        at: NDArray[np.int64],
        *,
        labels: Sequence[Label] = (),
        zone: str = "UTC",
    ) -> dict[str, Values]:
        """Compute a window for questions: what `window_columns` gives, with the same parameters and errors."""
        nobody = {name: pa.array([], pa.string()) for name in keys}
        blank = window_columns(window, log.take(slice(0, 0)), nobody, at[:0], labels=labels, zone=zone)
        events, examples = self._events(log, window.by), self._examples(keys, at)
        by = by_columns(window.by)
        many = _pairs([log.column(name) for name in by], [keys[name] for name in by]) > self.many
        expression = tiled_window_expression if many else window_expression
        return self._answers(expression(window, events, examples, labels=labels, zone=zone), blank)

    def lookups(
        self, lookup: Lookup, table: Table, log: Log, keys: Mapping[str, pa.Array], at: NDArray[np.int64]
    ) -> dict[str, Values]:
        """Look up columns for questions: what `lookup_columns` gives, with the same parameters and errors."""
        nobody = {name: pa.array([], pa.string()) for name in keys}
        blank = lookup_columns(lookup, table, log.take(slice(0, 0)), nobody, at[:0])
        events, examples = self._events(log, lookup.by), self._examples(keys, at)
        return self._answers(lookup_expression(lookup, events, examples), blank)

    def tiles(
        self, track: Track, by: Sequence[str], table: Table, log: Log, at: int, labels: Sequence[Label] = ()
    ) -> tuple[pa.Table, pa.Table]:
        """Give what a track holds of each entity at a moment, and the rows that wait: see `state_expression`.

        table: of the track; its rows are `log`. at: microseconds since 1970 UTC; larger takes more rows.
        """
        events = self._events(log, by)
        state = state_expression(track, by, events, at, labels=labels, zone=table.timezone)
        waiting = waiting_expression(
            track, by, events, at, labels=labels, zone=table.timezone, delay=microseconds(table.available_after)
        )
        return self._fetched(state), self._fetched(waiting)

    def records(self, design: Design, logs: Mapping[str, Log], group: Group, at: int) -> dict[bytes, bytes]:
        """Give the record of each entity of a group: what `filling.records` gives, with the same parameters.

        logs: with rows that had not come at the moment, too; these are left out.
        """
        specs = {table.name: table for table in design.data.tables}
        tables = [
            self.tiles(track, group.by, specs[track.table], logs[track.table], at, design.data.labels)
            for track in group.tracks
        ]
        names, rows = records_from_tiles(Codec(group), tables, at)
        return dict(zip(named([names[name] for name in group.by]), rows, strict=True))

    def _events(self, log: Log, by: str | Sequence[str]) -> Any:
        """Hand a log over, or find it there; keys that are no texts need a copy in which they are."""
        changed = tuple(name for name in by_columns(by) if not pa.types.is_string(log.column(name).type))
        known, events = self._sent.get((id(log), changed), (None, None))
        if known is None or known() is not log:
            events = self._handed(events_table(log, changed))
            self._sent[id(log), changed] = weakref.ref(log), events
        return events

    def _examples(self, keys: Mapping[str, pa.Array], at: NDArray[np.int64]) -> Any:
        columns = {name: as_text(column) for name, column in keys.items()}
        return self._handed(pa.table({**columns, ROW: np.arange(len(at)), AT: np.asarray(at, np.int64)}))

    def _handed(self, rows: pa.Table) -> Any:
        path = self._folder / f"{self._files}.parquet"
        self._files += 1
        pq.write_table(rows, path, coerce_timestamps="us", compression="zstd", compression_level=1)
        with told_by_name(self._url):
            return self._connection.read_parquet(str(path.absolute()))

    def _answers(self, expression: Any, names: Iterable[str]) -> dict[str, Values]:
        """Give columns in the order of the questions, of the kinds that the batch gives."""
        rows = self._fetched(expression)
        answers = Log(self.name, rows.take(pc.array_sort_indices(rows[ROW])), None, None)
        return {name: column(answers, name) for name in names}

    def _fetched(self, expression: Any) -> pa.Table:
        with told_by_name(self._url):
            return fetch(self._connection, expression)


def _pairs(rows: Sequence[pa.ChunkedArray], asked: Sequence[pa.Array]) -> int:
    """Count the pairs of a row and a question that have one key."""
    found = match(rows, asked)
    counts = np.bincount(found.events[found.events >= 0], minlength=found.size)
    return int(counts[found.asked[found.asked >= 0]].sum())
