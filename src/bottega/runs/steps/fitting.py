"""What a design leaves to the table: columns that are taken as they come, and what the table need not have."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pyarrow as pa

from bottega.data.log import Log
from bottega.design.data import GivenSplit, GroupSplit
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import Feature, Given
from bottega.errors import DataError


def to_tables(design: Design, logs: Mapping[str, Log]) -> tuple[Design, list[str]]:
    """Name what a design leaves open by the table of its examples; gives the design, and what is to be told.

    `Given()` takes every column of numbers that nothing else names; a position that is optional goes where there is no
    such column. Errors: `DataError` where no column is left.
    """
    examples = design.data.examples
    if not isinstance(examples, Logged):
        return design, []
    rows, told = logs[examples.table].rows, []
    features: list[Feature] = []
    for part in design.features:
        if isinstance(part, Given) and not part.columns:
            columns = _numbers(rows, _named(design))
            if not columns:
                raise DataError(
                    f"data.tables[{examples.table}]",
                    "no column of numbers that nothing else names",
                    "at least one, for the feature Given()",
                    "name the columns: bt.Given([…])",
                )
            features.append(Given(columns))
            told.append(f"Given: {len(columns)} columns of numbers, {columns[0]} to {columns[-1]}")
        else:
            features.append(part)
    data, position = design.data, design.data.position
    if position is not None and getattr(position, "optional", False) and position.column not in rows.column_names:
        data = msgspec.structs.replace(data, position=None)
        told.append(f"{type(position).__name__}: {examples.table} has no column {position.column!r}, nothing is undone")
    return msgspec.structs.replace(design, features=features, data=data), told


def _named(design: Design) -> set[str]:
    """Name the columns of the examples' table that stand for something else than a feature."""
    data, examples = design.data, design.data.examples
    if not isinstance(examples, Logged):
        raise TypeError("only logged examples are rows of a table")
    table = next(table for table in data.tables if table.name == examples.table)
    found = {*examples.request, examples.candidate, examples.propensity, table.time, table.created, table.event_id}
    found |= {table.key} if isinstance(table.key, str) else set(table.key or ())
    for label in data.labels:
        found |= {label.name, label.observed_at}
    if isinstance(data.split, GivenSplit):
        found.add(data.split.column)
    if isinstance(data.split, GroupSplit):
        found.add(data.split.by)
    if data.position is not None:
        found.add(data.position.column)
    return {name for name in found if name is not None}


def _numbers(rows: pa.Table, without: set[str]) -> list[str]:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    fields = [field for field in rows.schema if field.name not in without and field.name.isidentifier()]
    return [field.name for field in fields if any(kind(field.type) for kind in kinds)]
