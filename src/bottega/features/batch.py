"""Features in a batch: one declared feature at a time, for every request and candidate at its own time."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import Categories, Cross, Expression, Feature, Given, Image, Lookup, TargetRate, Window
from bottega.errors import BuildError, DesignError, nearest
from bottega.features.entities import by_columns
from bottega.features.expressions import Parsed, evaluate, parse
from bottega.features.frame import Column, Frame, Values, category, codes, dictionary, objects, taken, text
from bottega.features.hashing import cross
from bottega.features.keyed import with_keys
from bottega.features.lookups import lookup_columns, lookup_names
from bottega.features.target_rates import rate_names
from bottega.features.windows import window_columns, window_names

if TYPE_CHECKING:
    from bottega.features.engine import Engine

_LARGEST = 2**62  # numbers of pairs stay below it
_CHUNK = 262_144  # rows evaluated at once: an expression's intermediate columns stay in the cache of the processor


@lru_cache(maxsize=4096)
def parsed_once(source: str) -> Parsed:
    """Read an expression, and remember it: serving evaluates the same ones for every request."""
    return parse(source)


def names(feature: Feature) -> list[str]:
    """Give the names of the columns that a feature makes."""
    if isinstance(feature, Window):
        return window_names(feature)
    if isinstance(feature, Lookup):
        return lookup_names(feature)
    if isinstance(feature, Expression):
        return list(feature.values)
    if isinstance(feature, Cross):
        return [f"{feature.left}_x_{feature.right}"]
    if isinstance(feature, (Categories, Given)):
        return list(feature.columns)
    if isinstance(feature, TargetRate):
        return rate_names(feature)
    return []


def given_columns(features: Sequence[Feature]) -> list[str]:
    """Name the numbers that come with the candidates of a request."""
    return [name for part in features if isinstance(part, Given) for name in part.columns]


def needs(feature: Feature) -> frozenset[str]:
    """Give the names of the columns of the frame, or of other features, that a feature is made from."""
    if isinstance(feature, (Window, Lookup)):
        return frozenset(by_columns(feature.by))
    if isinstance(feature, Expression):
        made = frozenset(feature.values)
        return frozenset().union(*(parsed_once(item).columns for item in feature.values.values())) - made
    if isinstance(feature, Cross):
        return frozenset({feature.left, feature.right})
    if isinstance(feature, (Categories, TargetRate)):
        return frozenset(feature.columns)
    return frozenset()


def hanging(feature: Feature, columns: Collection[str]) -> list[str]:
    """Name the columns of a feature that are made from some others; of an expression also through its own values.

    >>> hanging(Expression({"a": "x + 1", "b": "y", "c": "a * 2"}), {"x"})
    ['a', 'c']
    """
    if not isinstance(feature, Expression):
        return [] if needs(feature).isdisjoint(columns) else names(feature)
    found: list[str] = []
    for name, source in feature.values.items():
        if parsed_once(source).columns & {*columns, *found}:
            found.append(name)
    return found


def time_name(design: Design) -> str | None:
    """Give the other name by which expressions know the request's time: that of the logged examples' own column."""
    examples = design.data.examples
    if not isinstance(examples, Logged):
        return None
    return next(table.time for table in design.data.tables if table.name == examples.table)


def score_name(rung: str) -> str:
    """Name the column that holds a retriever's score: `CoPurchase` gives `co_purchase_score`.

    >>> score_name("CoPurchase"), score_name("EASE")
    ('co_purchase_score', 'ease_score')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", rung).lower() + "_score"


def compute(
    feature: Feature,
    design: Design,
    logs: Mapping[str, Log],
    frame: Frame,
    values: Values,
    engine: Engine | None = None,
) -> Values:
    """Compute one feature for a frame, from the logs as they could be known at each request's time.

    values: the columns of the features that this one needs; expressions and crosses read them, and windows by what was
    looked up. engine: computes windows and look-ups; nothing: the embedded one does.
    Errors: `DesignError` where a needed column is neither in the frame nor a feature.
    """
    if isinstance(feature, (Window, Lookup)):
        return _by_key(feature, design, logs, frame, values, engine)
    if isinstance(feature, TargetRate):
        raise BuildError(
            "features", "TargetRate", "any other feature", "rates need labels: target_rates.rates_before, rates_by_fold"
        )
    if isinstance(feature, Given):
        raise BuildError("features", "Given", "any other feature", "it stands in the log, or comes with a request")
    if isinstance(feature, Image):
        raise BuildError("features", "Image", "any other feature", "nothing builds Image yet")
    return derive(feature, frame, values, time_name(design))


def _dictionary(texts: np.ndarray) -> Column:
    return text(pa.array(texts, pa.string()))


def derive(
    feature: Expression | Cross | Categories,
    frame: Frame,
    values: Values,
    time_name: str | None = None,
    as_texts: Callable[[np.ndarray], Column] = _dictionary,
) -> Values:
    """Compute a feature from columns that are there: the same code in a batch and in serving.

    time_name: what expressions may call the request's time beside `request_time`. A column of the frame stands before
    a feature of its name: categories are texts, and others still read the number. as_texts: makes a column of the texts
    of an expression, objects with None for null.
    """
    if isinstance(feature, Categories):
        return _categories(feature, frame)
    at = frame.time.view("datetime64[us]")
    every = Values(
        {"request_time": at, **({} if time_name is None else {time_name: at}), **values.request, **frame.requests},
        {**values.row, **frame.candidates},
    )
    result = Values()
    if isinstance(feature, Cross):
        left, right = (_found(name, every, feature) for name in (feature.left, feature.right))
        of_request = feature.left in every.request and feature.right in every.request
        if not of_request:
            left, right = (every.at_rows(name, frame.group) for name in (feature.left, feature.right))
        made = cross(_words(left, feature), _words(right, feature), feature.buckets).astype(np.float64)
        (result.request if of_request else result.row)[names(feature)[0]] = made
        return result
    spread: dict[str, np.ndarray] = {}  # inputs at the level of rows, where all fit into one chunk
    for name, source in feature.values.items():
        parsed = parsed_once(source)
        for column in parsed.columns:
            _found(column, every, feature)
        of_request = all(column in every.request for column in parsed.columns)
        rows = len(frame.time) if of_request else frame.rows
        pieces = []
        for start in range(0, max(rows, 1), _CHUNK):
            part = slice(start, min(start + _CHUNK, rows))
            inputs = {} if of_request or rows > _CHUNK else spread
            for column in parsed.columns:
                if column not in inputs:
                    inputs[column] = objects(_part(every, column, of_request, frame.group, part))
            pieces.append(evaluate(parsed, inputs, part.stop - part.start))
        out = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        kept = as_texts(out) if out.dtype == object else out
        (result.request if of_request else result.row)[name] = kept
        (every.request if of_request else every.row)[name] = kept  # a later expression may build on this one
        spread.pop(name, None)
    return result


@dataclass(frozen=True)
class _Asked:
    """Distinct (key, time) pairs, and for each row of the frame which of them it is."""

    keys: dict[str, pa.StringArray]
    at: np.ndarray
    inverse: np.ndarray | None


def _by_key(
    feature: Window | Lookup,
    design: Design,
    logs: Mapping[str, Log],
    frame: Frame,
    values: Values,
    engine: Engine | None,
) -> Values:
    log = with_keys(design, logs, feature.table) if isinstance(feature, Window) else logs[feature.table]
    table = next(item for item in design.data.tables if item.name == feature.table)
    by = by_columns(feature.by)
    frame = frame.having(by, values)
    of_request = all(name in frame.requests for name in by)
    asked = _asked(feature, by, of_request, frame)
    if isinstance(feature, Window):
        labels = design.data.labels if feature.table == design.data.examples.table else ()
        windows = window_columns if engine is None else engine.windows
        made = windows(feature, log, asked.keys, asked.at, labels=labels, zone=table.timezone)
    else:
        lookups = lookup_columns if engine is None else engine.lookups
        made = lookups(feature, table, log, asked.keys, asked.at)
    result = Values()
    level = result.request if of_request else result.row
    for name, column in made.items():
        kept: Column = column if isinstance(column, np.ndarray) else text(column)
        level[name] = kept if asked.inverse is None else taken(kept, asked.inverse)
    return result


def _categories(feature: Categories, frame: Frame) -> Values:
    """Give each column as texts at its level: numbers as ids are written, so that 5 and 5.0 are one category."""
    result = Values()
    every = Values(dict(frame.requests), dict(frame.candidates))
    for name in feature.columns:
        column = _found(name, every, feature)
        _no_time(column, feature, "a category", name)
        (result.request if name in every.request else result.row)[name] = category(column)
    return result


def _asked(feature: Window | Lookup, by: Sequence[str], of_request: bool, frame: Frame) -> _Asked:
    columns: dict[str, Column] = dict(frame.requests) if of_request else {**frame.requests, **frame.candidates}
    for name in by:
        _found(name, Values(columns, {}), feature)
    if of_request:
        return _Asked({name: _strings(columns[name]) for name in by}, frame.time, None)
    if any(name in frame.requests for name in by):  # a pair of request and candidate seldom comes twice
        keys = {
            name: _strings(taken(columns[name], frame.group) if name in frame.requests else columns[name])
            for name in by
        }
        return _Asked(keys, frame.time[frame.group], None)
    times, at = np.unique(frame.time, return_inverse=True)
    mixed, size = at[frame.group].astype(np.int64), len(times)
    for name in by:
        column = dictionary(columns[name])
        words = len(column.dictionary) + 1
        if size * words > _LARGEST:
            found, mixed = np.unique(mixed, return_inverse=True)
            size = len(found)
        mixed, size = mixed * words + codes(column) + 1, size * words
    _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
    keys = {name: _strings(taken(columns[name], first)) for name in by}
    return _Asked(keys, times[at[frame.group[first]]], inverse)


def _words(column: Column, feature: Cross) -> pa.DictionaryArray:
    """Give what a cross hashes: texts, and numbers as ids are written."""
    _no_time(column, feature, "a cross", names(feature)[0])
    return category(column)


def _no_time(column: Column, feature: Feature, what: str, name: str) -> None:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        raise DesignError(
            f"features: {type(feature).__name__} {name}",
            f"{what} of a time",
            "texts and numbers",
            "take a part of the time by an Expression, such as extract(hour from …)",
        )


def _strings(column: Column) -> pa.StringArray:
    return dictionary(column).dictionary_decode()


def _part(every: Values, name: str, of_request: bool, group: np.ndarray, part: slice) -> Column:
    if of_request:
        return every.request[name][part]
    if name in every.row:
        return every.row[name][part]
    column = every.request[name]
    if isinstance(column, np.ndarray) and len(column) == 1:
        return np.repeat(column, part.stop - part.start)  # one request, as in serving: quicker than by index
    return taken(column, group[part])


def _found(name: str, every: Values, feature: Feature) -> Column:
    column = every.request.get(name, every.row.get(name))
    if column is None:
        known = sorted([*every.request, *every.row])
        raise DesignError(
            f"features: {type(feature).__name__} {', '.join(names(feature)[:3])}",
            f"column {name!r} is not there",
            f"a column of the request or candidate, or a feature: {', '.join(known[:30])}",
            nearest(name, known),
        )
    return column
