"""Windows: aggregates over the events of an entity before each request's own time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.log import Log
from bottega.design.data import Label
from bottega.design.features import Window
from bottega.errors import DesignError
from bottega.features.aggregates import parse_aggregate
from bottega.features.arguments import Values, computed, filled, kind_of, label_time
from bottega.features.entities import by_columns, distinct_keys, match
from bottega.features.expressions import parse
from bottega.features.measures import FITTING, Measure, measure
from bottega.features.spans import spans
from bottega.features.timeline import Questions, Timeline

_FEW = 8  # with so many times fewer questions than rows, rows of other keys are left out before sorting


def window_names(window: Window) -> list[str]:
    """Give the names of a window's columns: `{by or name}_{value}_{span}`, values first, spans within them.

    >>> window_names(Window("sales", ["who", "item"], {"n": "count(*)"}, over=["7d", "all"]))
    ['who_item_n_7d', 'who_item_n_all']
    """
    start = window.name or "_".join(by_columns(window.by))
    return [f"{start}_{value}_{span}" for value in window.values for span in window.over]


def window_entities(window: Window, log: Log, at: int) -> dict[str, pa.StringArray]:
    """Give the distinct keys with any usable row before a moment, one array for each column of `by`.

    at: microseconds since 1970 UTC; larger gives more. All other keys have the values of an empty window.
    """
    return distinct_keys(log, window.by, at)


def window_columns(
    window: Window,
    log: Log,
    keys: Mapping[str, pa.Array],
    at: NDArray[np.int64],
    *,
    labels: Sequence[Label] = (),
    zone: str = "UTC",
) -> dict[str, Values]:
    """Compute a window for questions, each at its own time: what was known then, and no more.

    A row counts for a question (key, t) when the keys are equal, its event time lies in `[floor(t − span, hop), t)`
    and it was known at t or before. An aggregate that reads a label's column goes by the time at which the label was
    known instead, for membership, order and age. A label that is not in `labels` is read as any column is: it leaks.

    log: the table's rows. keys: the columns of `by`, (n,) ids each; a null meets no row. at: (n,) microseconds since
    1970 UTC. labels: the labels that this table holds. zone: where parts of times are read.
    Gives each name of `window_names` with (n,) values: float64 with NaN for null, datetime64[us] with NaT for min, max
    and last of times, texts for last of texts. Errors: `DesignError`, `DataError` for what does not fit the table.

    >>> log = Log("sales", pa.table({"item": ["a", "a"]}), np.array([0, 9]), np.array([0, 9]))
    >>> window = Window("sales", "item", {"n": "count(*)"})
    >>> window_columns(window, log, {"item": pa.array(["a", "a", "b"])}, np.array([9, 10, 10]))["item_n_all"].tolist()
    [1.0, 2.0, 0.0]
    """
    place = f"features: Window over {window.table}"
    if log.time is None:
        raise DesignError(place, "a table without time", "a table of events", "say which column holds it: time=…")
    by = by_columns(window.by)
    at = np.asarray(at, np.int64)
    found = match([log.column(name) for name in by], [keys[name] for name in by])
    codes, read = found.events, frozenset[str]()
    if window.where is not None:
        holds, read = _condition(window.where, log, zone, place)
        codes = np.where(holds, codes, np.int32(-1))
    if len(at) * _FEW < len(codes):
        wanted = np.zeros(found.size + 1, np.bool_)
        wanted[found.asked] = True
        wanted[-1] = False  # the key −1
        codes = np.where(wanted[codes], codes, np.int32(-1))
    groups: dict[tuple[bool, ...], list[Measure]] = {}
    seen: dict[str, Values] = {}
    for index, text in enumerate(window.values.values()):
        made, reads = _measure(text, log, zone, place, index * len(window.over), seen)
        touched = tuple(bool((reads | read) & {label.name, label.observed_at}) for label in labels)
        groups.setdefault(touched, []).append(made)
    asked = Questions(found.asked, at, found.size)
    columns: dict[int, Values] = {}
    out = np.empty((len(window.values) * len(window.over), len(at))).T  # each column in one piece
    for touched, measures in groups.items():
        time = label_time(log, [label for label, flag in zip(labels, touched, strict=True) if flag])
        line = Timeline(codes, time, log.time if log.known is None else log.known, found.size)
        columns |= measure(measures, spans(window), line, asked, out)
    return {name: columns.get(index, out[:, index]) for index, name in enumerate(window_names(window))}


def _condition(text: str, log: Log, zone: str, place: str) -> tuple[NDArray[np.bool_], frozenset[str]]:
    parsed = parse(text, zone, place)
    values = computed(log, parsed)
    if isinstance(values, pa.Array) or values.dtype.kind != "f":
        raise DesignError(place, f"where={text!r} is a {kind_of(values)}", "a condition", "where=\"device = 'phone'\"")
    return filled(values) & (values != 0), parsed.columns


def _measure(
    text: str, log: Log, zone: str, place: str, column: int, seen: dict[str, Values]
) -> tuple[Measure, frozenset[str]]:
    """Read a measure, and what columns it reads. seen: arguments that are computed already, by their texts."""
    aggregate = parse_aggregate(text, place)
    parsed = aggregate.parsed(zone, place)
    if parsed is None:
        return Measure(aggregate, None, column), frozenset()
    if aggregate.argument not in seen:
        seen[aggregate.argument] = computed(log, parsed)
    values = seen[aggregate.argument]
    fitting = FITTING[aggregate.function]
    if kind_of(values) not in fitting:
        fix = "count its values, take the last one, or look the column up with a Lookup"
        raise DesignError(place, f"{text!r} is of {kind_of(values)}s", f"a {' or a '.join(fitting)}", fix)
    return Measure(aggregate, values, column), parsed.columns
