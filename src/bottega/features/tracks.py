"""Tracks: what is kept of an entity's events, so that a window or a look-up can be read at any later moment.

A window over a suffix of time needs no events: their partial aggregates by hop are enough, since its tail lies on a hop
(`Span.tail`), and partial aggregates of one hop merge, whoever counted them: a batch, another engine, or the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.design.part import microseconds
from bottega.features.aggregates import Aggregate, Function, parse_aggregate
from bottega.features.entities import by_columns
from bottega.features.expression_tree import Kind
from bottega.features.expressions import parse
from bottega.features.lookups import lookup_names
from bottega.features.spans import Span, spans
from bottega.features.windows import window_names

EVERY = 0
"""The hop of a track with one tile for all time."""


class Cell(msgspec.Struct, frozen=True):
    """One column that is read from a track: a function of one argument over one span."""

    column: str
    """The feature's name."""
    function: Function
    """`last` for each column of a look-up."""
    argument: int
    """Place among the track's arguments; −1: the rows themselves."""
    length: int | None = None
    """Microseconds that the span looks back: at time t its tail is `floor(t − length, hop)`; nothing: everything
    before t. Of a look-up the time to live less 1, since a row at exactly t − ttl is too old."""
    hop: int = 1
    """Microseconds of which the tail is a multiple."""
    half_life: int | None = None
    """Microseconds, of `decayed_sum`."""


class Track(msgspec.Struct, frozen=True):
    """What is kept together of the rows of one table, for one kind of key."""

    kind: Literal["tiles", "distinct", "newest", "row"]
    """`tiles`: partial sums, counts and extremes by hop. `distinct`: each value with the newest time at which it came.
    `newest`: the newest row whose argument is no null, by (time, known, arrival). `row`: the newest row with all of its
    columns, which is what a look-up reads."""
    table: str
    hop: int
    """Of tiles, the microseconds that one spans, 1 for single events; `EVERY`: one tile for all time, as for others."""
    arguments: tuple[str, ...]
    """Expressions in SQL over the table's columns; of a look-up its columns."""
    kinds: tuple[Kind, ...]
    """`number`, `time` or `text` of each argument."""
    cells: tuple[Cell, ...]
    where: str | None = None
    """Only rows that meet it are kept."""
    labels: tuple[str, ...] = ()
    """The labels that it reads: a row counts at the time when the last of them is known."""

    @property
    def keep(self) -> int | None:
        """Give how far back anything of it is read, in microseconds; nothing: for ever."""
        spans = [(cell.length, cell.hop) for cell in self.cells]
        known = [length + hop - 1 for length, hop in spans if length is not None]
        return max(known) if len(known) == len(spans) else None


class Group(msgspec.Struct, frozen=True):
    """One kind of record of the store: all that is kept for one kind of key."""

    name: str
    by: tuple[str, ...]
    tracks: tuple[Track, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that are read from it, track by track."""
        return tuple(cell.column for track in self.tracks for cell in track.cells)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Give the kind of each column."""
        return tuple(
            track.kinds[cell.argument] if cell.function in ("min", "max", "last") else "number"
            for track in self.tracks
            for cell in track.cells
        )


KindOf = Callable[[str, str], Kind]
"""From the name of a table and an expression over its columns to the kind of what it gives."""


def groups_of(design: Design, kind_of: KindOf) -> list[Group]:
    """Lay out what the store keeps for a design: a group for each kind of key, in the order of the features.

    kind_of: says what an expression over a table gives.
    """
    found: dict[tuple[str, ...], list[Track]] = {}
    for feature in design.features:
        if isinstance(feature, Window):
            labels = design.data.labels if feature.table == design.data.examples.table else ()
            found.setdefault(by_columns(feature.by), []).extend(window_tracks(feature, labels, kind_of))
        elif isinstance(feature, Lookup):
            found.setdefault(by_columns(feature.by), []).append(lookup_track(feature, kind_of))
    return [Group("_".join(by), by, tuple(tracks)) for by, tracks in found.items()]


def lookup_track(lookup: Lookup, kind_of: KindOf) -> Track:
    """Give the track of a look-up.

    >>> lookup_track(Lookup("prices", "item", ["price"], ttl="1d"), lambda table, text: "number").cells
    (Cell(column='item_price', function='last', argument=0, length=86399999999, hop=1, half_life=None),)
    """
    length = None if lookup.ttl is None else microseconds(lookup.ttl) - 1
    cells = [Cell(name, "last", place, length) for place, name in enumerate(lookup_names(lookup))]
    arguments = tuple(lookup.columns)
    quoted = tuple('"' + name.replace('"', '""') + '"' for name in arguments)
    kinds = tuple(kind_of(lookup.table, text) for text in quoted)
    return Track("row", lookup.table, EVERY, arguments, kinds, tuple(cells))


def window_tracks(window: Window, labels: Sequence[Label], kind_of: KindOf) -> list[Track]:
    """Give the tracks of a window: one for each hop, kind of aggregate, and set of labels that aggregates read.

    labels: those that the window's table holds.

    >>> window = Window("sales", "item", {"n": "count(*)", "paid": "sum(price)"}, over=["1d", "7d", "all"])
    >>> [(track.kind, track.hop, len(track.cells)) for track in window_tracks(window, (), lambda *_: "number")]
    [('tiles', 3600000000, 4), ('tiles', 0, 2)]
    """
    condition = frozenset[str]() if window.where is None else parse(window.where).columns
    made: dict[tuple[str, int, tuple[str, ...], str], list[tuple[str, Aggregate, Span]]] = {}
    columns = iter(window_names(window))
    for text in window.values.values():
        aggregate = parse_aggregate(text)
        parsed = aggregate.parsed()
        read = condition | (frozenset[str]() if parsed is None else parsed.columns)
        touched = tuple(label.name for label in labels if read & {label.name, label.observed_at})
        for span in spans(window):
            kind = {"distinct": "distinct", "last": "newest"}.get(aggregate.function, "tiles")
            hop = EVERY if span.length is None or kind != "tiles" else span.hop
            own = "" if kind == "tiles" else aggregate.argument
            made.setdefault((kind, hop, touched, own), []).append((next(columns), aggregate, span))
    return [_track(window, key, items, kind_of) for key, items in made.items()]


def _track(
    window: Window,
    key: tuple[str, int, tuple[str, ...], str],
    items: Sequence[tuple[str, Aggregate, Span]],
    kind_of: KindOf,
) -> Track:
    kind, hop, touched, _ = key
    arguments = list(dict.fromkeys(item.argument for _, item, _ in items if item.argument != "*"))
    cells = tuple(
        Cell(
            column, item.function, -1 if item.argument == "*" else arguments.index(item.argument), span.length,
            span.hop, item.half_life,
        )
        for column, item, span in items
    )  # fmt: skip
    kinds = tuple(kind_of(window.table, text) for text in arguments)
    return Track(kind, window.table, hop, tuple(arguments), kinds, cells, window.where, touched)  # type: ignore[arg-type]


def tables_of(groups: Sequence[Group]) -> Mapping[str, list[tuple[int, int]]]:
    """Give for each table the tracks that its rows go to: places of group and track."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, group in enumerate(groups):
        for number, track in enumerate(group.tracks):
            found.setdefault(track.table, []).append((place, number))
    return found
