"""What a design leaves to the table: columns that are taken as they come, and what the table need not have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec

import msgspec
import pyarrow as pa

from bottega.data.cuts import shortened
from bottega.data.labels import holds
from bottega.data.log import Log
from bottega.data.source import Place, is_there, read
from bottega.design.data import GivenSplit, GroupSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Logged
from bottega.design.features import Feature, Given, Lookup, Window
from bottega.design.models import Model, rung_name, texts_read
from bottega.design.retrievers import TwoTower
from bottega.design.scorers import MultiTask
from bottega.design.serving import Candidates
from bottega.design.tables import Table
from bottega.errors import DataError
from bottega.features.batch import names, needs, parsed_once
from bottega.runs.steps.constants import with_constants
from bottega.runs.steps.leaving import without_columns, without_retrievers


def to_tables(design: Design, logs: Mapping[str, Log]) -> tuple[Design, list[str]]:
    """Name what a design leaves open by the table of its examples; gives the design, and what is to be told.

    Constants of tables become numbers. `Given()` takes every column of numbers that nothing else names; a position
    that is optional goes where there is no such column; a further label goes, with its objective, where no row meets
    its condition; the spans of a split that may shrink do so on a short log. Errors: `DataError` where no column is
    left, and for a condition that the columns do not carry.
    """
    design, told = with_constants(design, logs)
    examples = design.data.examples
    if isinstance(examples, FromPositives):
        shorter, few = shortened(design, logs[examples.table])
        found, empty = _without_empty(shorter, logs[examples.table])
        return found, [*told, *few, *empty]
    if not isinstance(examples, Logged):
        return design, told
    rows = logs[examples.table].rows
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


def _without_empty(design: Design, log: Log) -> tuple[Design, list[str]]:
    """Leave out the labels that no event has."""
    first, *further = design.data.labels
    empty = {
        label.name: label.when
        for place, label in enumerate(further, start=1)
        if label.when and log.rows.num_rows and not holds(log.rows, label.when, f"data.labels[{place}].when").any()
    }
    if not empty:
        return design, []
    replace = msgspec.structs.replace

    def less(rung: Model) -> Model | None:
        if not isinstance(rung, MultiTask):
            return rung
        kept = {name: weight for name, weight in rung.objectives.items() if name not in empty}
        losses = {name: weight for name, weight in rung.losses.items() if name in kept}
        return replace(rung, objectives=kept, losses=losses) if any(kept.values()) else None

    labels = [first, *(label for label in further if label.name not in empty)]
    models = {
        ladder: [rung for rung in map(less, rungs) if rung is not None] for ladder, rungs in design.models.items()
    }
    told = [f"{name}: {when!r} holds for no row, the label is left out" for name, when in empty.items()]
    return replace(design, data=replace(design.data, labels=labels), models=models), told


def without_missing(design: Design, place: Place) -> tuple[Design, list[str]]:
    """Leave out the optional tables that a data folder does not have, and columns of them, with all made from them.

    Look-ups and windows over them go, features that read those, conditions of views and stages that do, retrievers that
    read their texts (a `TwoTower` does without), and the catalogue if it is one of them. Gives the design, and what is
    to be told.
    """
    missing = [table.name for table in design.data.tables if table.optional and not is_there(table, place)]
    lacking = _lacking(design, place, missing)
    if not missing and not lacking:
        return design, []
    gone: set[str] = set()
    features: list[Feature] = []
    for part in design.features:
        lost = set(getattr(part, "columns", ())) & lacking.get(getattr(part, "table", ""), set())
        if isinstance(part, (Window, Lookup)) and part.table in missing:
            gone |= set(names(part))
        elif isinstance(part, Lookup) and lost:
            gone |= {name for name, column in zip(names(part), part.columns, strict=True) if column in lost}
            kept = [column for column in part.columns if column not in lost]
            features += [msgspec.structs.replace(part, columns=kept)] if kept else []
        else:
            features.append(part)
    examples, replace = design.data.examples, msgspec.structs.replace
    found, more, told = without_columns(replace(design, features=features), gone)
    if isinstance(examples, FromPositives) and examples.catalogue in missing:
        examples = replace(examples, catalogue=None)
    tables = [
        _without_times(table, lacking.get(table.name, ())) for table in design.data.tables if table.name not in missing
    ]
    found = replace(found, data=replace(design.data, tables=tables, examples=examples))
    found, blind, scores = _without_texts(found, design, missing, lacking)
    many = len(gone) + len(more)
    several = "1 feature" if many == 1 else f"{many} features"
    left = f", and {several} of {'it' if len(missing) == 1 else 'them'}" if many else ""
    left += f", and {', '.join(blind)}, which read{'s' if len(blind) == 1 else ''} its texts" if blind else ""
    parts = [*missing, *(f"{', '.join(sorted(columns))} of {table}" for table, columns in lacking.items())]
    return found, [f"{', '.join(parts)}: not there, left out{left}", *told, *scores]


def _lacking(design: Design, place: Place, missing: Sequence[str]) -> dict[str, set[str]]:
    """Name the columns that optional tables may be without, and are without, by table."""
    found: dict[str, set[str]] = {}
    for table in design.data.tables:
        may = {our for our, theirs in table.columns.items() if theirs.endswith("|")}
        if not (table.optional and may) or table.name in missing:
            continue
        if lost := may - set(read(_without_times(table, may), place).column_names):
            found[table.name] = lost
    return found


def _without_times(table: Table, lost: Collection[str]) -> Table:
    """Give a table whose times are none of these columns."""
    kept = {name: None if getattr(table, name) in lost else getattr(table, name) for name in ("time", "created")}
    return msgspec.structs.replace(table, **kept)


def _without_texts(
    found: Design, design: Design, missing: Sequence[str], lacking: Mapping[str, set[str]]
) -> tuple[Design, list[str], list[str]]:
    """Leave out the retrievers of a design that read texts of what is missing, by what the whole design says of it.

    Gives the design, these retrievers, and what is to be told of what reads their scores.
    """
    texts = {our for table in design.data.tables if table.name in missing for our in table.columns}
    lookups = [part for part in design.features if isinstance(part, Lookup) and part.table in missing]
    texts |= {column for part in lookups for column in part.columns}
    texts -= {our for table in found.data.tables for our in table.columns}
    texts |= {column for columns in lacking.values() for column in columns}
    replace, rungs = msgspec.structs.replace, found.models.get("retrieve", ())
    kept = [replace(rung, text=None) if isinstance(rung, TwoTower) and rung.text in texts else rung for rung in rungs]
    blind = [rung_name(rung) for rung in kept if texts & set(texts_read(rung))]
    found = replace(found, models={**found.models, "retrieve": kept}) if kept else found
    found, told = without_retrievers(found, blind)
    return found, blind, told


def without_uninstalled(design: Design) -> tuple[Design, list[str]]:
    """Leave out the retrievers that this installation cannot train, with what reads their scores; and say so."""
    lacks = [name for name in ("torch",) if find_spec(name) is None]
    rungs = design.models.get("retrieve", ())
    gone = [rung_name(rung) for rung in rungs if isinstance(rung, TwoTower)] if lacks else []
    if not gone or len(gone) == len(rungs):
        return design, []
    told = f"{', '.join(gone)}: left out, {', '.join(lacks)} not installed: pip install 'bottega[deep]'"
    design, more = without_retrievers(design, gone)
    return design, [told, *more]


def _named(design: Design) -> set[str]:
    """Name the columns of the examples' table that stand for something else than a feature."""
    data, examples = design.data, design.data.examples
    if not isinstance(examples, Logged):
        raise TypeError("only logged examples are rows of a table")
    table = next(table for table in data.tables if table.name == examples.table)
    found = {*examples.request, examples.candidate, examples.propensity, table.time, table.created, table.event_id}
    found |= {table.key} if isinstance(table.key, str) else set(table.key or ())
    for label in data.labels:
        found |= {label.name, label.observed_at, label.given}
        for condition in (label.censored_when, label.when):
            found |= set() if condition is None else parsed_once(condition).columns
    if isinstance(data.split, GivenSplit):
        found.add(data.split.column)
    if isinstance(data.split, GroupSplit):
        found.add(data.split.by)
    if data.position is not None:
        found.add(data.position.column)
    for part in design.features:
        found |= needs(part) | set(names(part))
    for stage in design.serving.path:
        found |= set(stage.columns) if isinstance(stage, Candidates) else set()
    return {name for name in found if name is not None}


def _numbers(rows: pa.Table, without: set[str]) -> list[str]:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    fields = [field for field in rows.schema if field.name not in {*without, "id"} and field.name.isidentifier()]
    return [field.name for field in fields if any(kind(field.type) for kind in kinds)]
