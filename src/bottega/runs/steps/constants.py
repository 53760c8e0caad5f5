"""Constants: numbers that a design names and leaves to the table, written into its expressions once they are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.features import Window
from bottega.design.tables import TOLD, Table
from bottega.errors import DataError
from bottega.features.arguments import computed
from bottega.features.expressions import evaluate, parse

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\W\d]\w*""")  # texts and quoted names stand for themselves
_CALLED = re.compile(r"\s*\(")
_SHARE = re.compile(r"(.+),\s*(0?\.\d+|[01](?:\.0*)?)\s*", re.DOTALL)
_OF: Mapping[str, Callable[..., Any]] = {"min": np.nanmin, "max": np.nanmax, "avg": np.nanmean}


def with_constants(design: Design, logs: Mapping[str, Log]) -> tuple[Design, list[str]]:
    """Write each table's constants, as its rows give them, into the windows over it and the conditions on its rows.

    Gives the design, and what is to be told. Errors: `DataError` for a column that is not there, or that has no number,
    and for a constant that has the name of a column or label, which it would take the place of.

    >>> from bottega.runs.steps.constants import written
    >>> written("avg(case when rating >= good then 'good' end)", {"good": 8.0})
    "avg(case when rating >= 8.0 then 'good' end)"
    """
    told: list[str] = []
    replace = msgspec.structs.replace
    examples, labels, features = design.data.examples, design.data.labels, list(design.features)
    for table in design.data.tables:
        _check_free(design, table, logs)
        found = {name: _value(table, name, text, logs[table.name]) for name, text in table.constants.items()}
        told += [f"{table.name}: {name} is {value:g}, {table.constants[name]}" for name, value in found.items()]
        if not found:
            continue
        for place, part in enumerate(features):
            if isinstance(part, Window) and part.table == table.name:
                values = {name: written(text, found) for name, text in part.values.items()}
                features[place] = replace(part, values=values, where=_maybe(part.where, found))
        if getattr(examples, "table", None) == table.name:
            if hasattr(examples, "where"):
                examples = replace(examples, where=_maybe(examples.where, found))
            labels = [
                replace(each, when=_maybe(each.when, found), censored_when=_maybe(each.censored_when, found))
                for each in labels
            ]
    return replace(design, features=features, data=replace(design.data, examples=examples, labels=labels)), told


def written(text: str, constants: Mapping[str, float]) -> str:
    """Give an expression with numbers in place of the names of constants."""

    def number(found: re.Match[str]) -> str:
        value = constants.get(found[0])
        if value is None or _CALLED.match(text, found.end()):  # a function of that name
            return found[0]
        return repr(value) if value >= 0 else f"({value!r})"

    return _WORD.sub(number, text)


def _maybe(text: str | None, constants: Mapping[str, float]) -> str | None:
    return None if text is None else written(text, constants)


def _check_free(design: Design, table: Table, logs: Mapping[str, Log]) -> None:
    """Refuse a constant that has the name of a column, or of a label, of the table."""
    columns = set(logs[table.name].rows.column_names) if table.constants else set()
    of_examples = getattr(design.data.examples, "table", None) == table.name
    labels = {label.name for label in design.data.labels} if of_examples else set()
    for name in table.constants:
        if name in columns | labels:
            raise DataError(
                f"data.tables[{table.name}].constants[{name}]",
                f"a {'column' if name in columns else 'label'} of the table is called {name!r} too",
                "a name of its own: the constant would stand in its place",
                f"another name for the constant, as {name}_value"
                + (f", or for the column: columns={{'their_{name}': {name!r}, …}}" if name in columns else ""),
            )


def _value(table: Table, name: str, text: str, log: Log) -> float:
    """Compute `0.8 * max(rating)` over all rows."""
    where = f"data.tables[{table.name}].constants[{name}]"

    def over_rows(found: re.Match[str]) -> str:
        over, aggregate = _aggregate(found, where)
        column = computed(log, parse(over, table.timezone, where))
        numbers = np.zeros(0) if not isinstance(column, np.ndarray) or column.dtype.kind == "M" else column
        finite = np.where(np.isfinite(floats := numbers.astype(np.float64)), floats, np.nan)
        if np.isnan(finite).all():
            raise DataError(where, f"{over} has no number in {log.rows.num_rows:,} rows", "a column of numbers")
        return repr(float(aggregate(finite)))

    parsed = parse(TOLD.sub(over_rows, text), table.timezone, where)
    if parsed.columns:
        found, inside = (
            f"{sorted(parsed.columns)[0]!r} for all rows, in {text}",
            "min, max, avg or quantile of each column",
        )
        raise DataError(where, found, inside, "0.8 * max(rating)")
    value = float(evaluate(parsed, {}, 1)[0])
    if not np.isfinite(value):
        raise DataError(where, f"{text} is no number over these rows", "a number")
    return value


def _aggregate(found: re.Match[str], where: str) -> tuple[str, Callable[..., Any]]:
    """Give what an aggregate goes over, and how it is worked out."""
    if found[1] != "quantile":
        return found[2], _OF[found[1]]
    said = _SHARE.fullmatch(found[2])
    if said is None:
        raise DataError(where, found[0], "a column, and a share from 0 to 1", "quantile(rating, 0.99)")
    return said[1], partial(np.nanquantile, q=float(said[2]), method="inverted_cdf")
