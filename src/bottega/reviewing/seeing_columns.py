"""Looking at columns beside the label: codes that collide, columns that know it, places that bring it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.data.telling import drawn, told
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import Categories, Cross, Given, Lookup
from bottega.errors import BottegaError
from bottega.features.entities import by_columns
from bottega.features.hashing import NULL, hashes, paired
from bottega.features.lookups import lookup_columns, lookup_names
from bottega.reviewing.looking import table_of
from bottega.reviewing.seen import Coded, Places

Rows = NDArray[np.int64]
Marks = NDArray[np.bool_]

_PLACES = ("position", "rank", "slot", "place")
_ENOUGH = 200  # rows of a place


def coded(design: Design, logs: Mapping[str, Log]) -> dict[str, Coded]:
    """Count, for each feature that hashes, the rows whose value shares its code; those seen once teach nothing."""
    found: dict[str, Coded] = {}
    for place, feature in enumerate(design.features):
        if isinstance(feature, Cross):
            sides = [_column(design, logs, name, None) for name in (feature.left, feature.right)]
            named = f"{feature.left} × {feature.right}"
            one = _crossed(named, sides[0], sides[1], feature.buckets) if None not in sides else None
        elif isinstance(feature, Categories):
            columns = {name: _column(design, logs, name, None) for name in feature.columns}
            every = [_shared(name, column, feature) for name, column in columns.items() if column is not None]
            one = max(every, key=lambda each: each.rows, default=None)
        else:
            continue
        if one is not None:
            found[f"features[{place}]"] = one
    return found


def alone(design: Design, logs: Mapping[str, Log], rows: Rows, positive: Marks) -> dict[str, float]:
    """Give for each column that a model reads as it stands the ROC-AUC of what it says of the label by itself.

    rows: of the log that have a label; positive: (rows,) whether it is above 0. Windows and rates are held back in
    time, and are not looked at.
    """
    some = drawn(positive)
    if not len(some):
        return {}
    rows, positive = rows[some], positive[some]
    found: dict[str, float] = {}
    for name, source in _read_as_they_stand(design):
        column = _column(design, logs, name, rows)
        tells = None if column is None else told(column, positive)
        if column is not None:
            found[source] = max(found.get(source, 0.5), 0.5 if tells is None else tells.auc)
    return found


def places(design: Design, log: Log, rows: Rows, positive: Marks) -> Places | None:
    """Give the rate in the first and the last place, where a log of candidates has a column that is named as one."""
    examples = design.data.examples
    name = next((name for name in _PLACES if name in log.rows.column_names), None)
    if name is None or getattr(examples, "candidate", None) is None or design.data.position is not None:
        return None
    column = log.rows.column(name)
    if not pa.types.is_integer(column.type) or column.null_count:
        return None
    place = column.to_numpy()[rows]
    if not len(place) or place.min() < 1 or place.max() > 1000:
        return None
    many, hits = np.bincount(place), np.bincount(place, positive)
    enough = np.flatnonzero(many >= _ENOUGH)
    if len(enough) < 2:
        return None
    rate = hits[enough] / many[enough]
    return Places(name, float(rate[0]), float(rate[-1]))


def _read_as_they_stand(design: Design) -> Iterator[tuple[str, str]]:
    """Name the columns that models read, and each as its table calls it; labels have a rule of their own."""
    examples, labels = design.data.examples, {label.name for label in design.data.labels}
    if isinstance(examples, Logged):
        yield from ((name, name) for name in examples.request if name not in labels)
    for feature in design.features:
        if isinstance(feature, (Given, Categories)):
            yield from ((name, name) for name in feature.columns if name not in labels)
        elif isinstance(feature, Lookup) and table_of(design, feature.table).time is None:
            yield from zip(lookup_names(feature), feature.columns, strict=True)


def _column(design: Design, logs: Mapping[str, Log], name: str, rows: Rows | None) -> pa.Array | None:
    """Give a column of the examples, or of what a static table tells of them; nothing for what has to be computed."""
    log = logs[design.data.examples.table]
    if name in log.rows.column_names:
        column = log.rows.column(name)
        return (column if rows is None else column.take(pa.array(rows))).combine_chunks()
    for feature in design.features:
        if isinstance(feature, Lookup) and name in lookup_names(feature):
            table = table_of(design, feature.table)
            if table.time is not None or not set(by_columns(feature.by)) <= set(log.rows.column_names):
                return None
            keys = {key: _column(design, logs, key, rows) for key in by_columns(feature.by)}
            at = np.zeros(len(next(iter(keys.values()))), np.int64)  # type: ignore[arg-type]
            try:
                made = lookup_columns(feature, table, logs[feature.table], _as_texts(keys), at)[name]
            except BottegaError:  # refused with its place when the design is run
                return None
            return made if isinstance(made, pa.Array) else pa.array(made, from_pandas=True)
    return None


def _as_texts(keys: Mapping[str, pa.Array | None]) -> dict[str, pa.Array]:
    return {name: as_text(column) for name, column in keys.items() if column is not None}


def _crossed(name: str, left: pa.Array, right: pa.Array, buckets: int) -> Coded:
    (a, words_a), (b, words_b) = encode(left), encode(right)
    pair = (a.astype(np.int64) + 1) * (len(words_b) + 1) + b + 1
    _, first, counts = np.unique(pair, return_index=True, return_counts=True)
    often = counts > 1
    ends = [np.append(hashes(words), np.uint64(NULL)) for words in (words_a, words_b)]  # the last one stands for null
    code = paired(ends[0][a[first[often]]], ends[1][b[first[often]]]) % np.uint64(buckets)
    return _counted(name, code, counts[often], len(pair))


def _shared(name: str, column: pa.Array, feature: Categories) -> Coded:
    codes, words = encode(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    rare = np.flatnonzero((counts < feature.own_from) & (counts > 1))
    code = hashes(words.take(pa.array(rare))) % np.uint64(feature.hashed)
    return _counted(name, code, counts[rare], len(codes))


def _counted(name: str, code: NDArray[np.uint64], counts: Rows, rows: int) -> Coded:
    _, which, held = np.unique(code, return_inverse=True, return_counts=True)
    shared = held[which] > 1
    return Coded(name, len(code), float(counts[shared].sum()) / rows if rows else 0.0)
