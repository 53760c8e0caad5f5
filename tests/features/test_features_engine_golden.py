"""The SQL of BigQuery and Snowflake for the bundled designs: kept as files, and run as far as it can be without them.

No account was at hand: what the files say was compiled, never run there. Here each statement is translated for DuckDB
by sqlglot, a reader of those dialects that is not ours, and its answer is the embedded engine's.

`python tests/features/test_features_engine_golden.py` writes the files anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from ibis.formats.pyarrow import PyArrowSchema
from test_features_engine import MOMENT, ROWS, START, alike, bundled_logs

from bottega import systems
from bottega.data.log import Log
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.features.arguments import column
from bottega.features.engine_lookups import lookup_expression
from bottega.features.entities import by_columns
from bottega.features.ibis_tiles import state_expression, waiting_expression
from bottega.features.ibis_windows import AT, ROW, events_table, window_expression
from bottega.features.lookups import lookup_columns
from bottega.features.tracked import layout
from bottega.features.windows import window_columns

FOLDER = Path(__file__).parent / "golden"
DESIGNS, DIALECTS = ("shop-recommendation", "sponsored-search"), ("bigquery", "snowflake")
QUESTIONS = 60
BETWEEN = "\n\n-- "


def tables(design: Design) -> dict[str, Any]:
    """The design's tables as Ibis knows them without an engine."""
    found = {table.name: bundled_logs()[table.name] for table in design.data.tables}
    return {name: ibis.table(PyArrowSchema.to_ibis(events_table(log, ()).schema), name) for name, log in found.items()}


def expressions(design: Design) -> Iterator[tuple[str, Any]]:
    """All windows and look-ups of training, then what the store holds of each track, and what waits for each group."""
    known, labels = tables(design), design.data.labels
    for feature in design.features:
        if not isinstance(feature, (Window, Lookup)):
            continue
        asked = {ROW: "int64", AT: "int64", **dict.fromkeys(by_columns(feature.by), "string")}
        questions, events = ibis.table(asked, "questions"), known[feature.table]
        of_label = labels if feature.table == design.data.examples.table else ()
        if isinstance(feature, Window):
            made = window_expression(feature, events, questions, labels=of_label)
        else:
            made = lookup_expression(feature, events, questions)
        yield f"feature: {type(feature).__name__} of {feature.table} by {', '.join(by_columns(feature.by))}", made
    for group in layout(design, bundled_logs()):
        for place, track in enumerate(group.tracks):
            given = (track, group.by, known[track.table], MOMENT)
            what = f"{group.name}, track {place}, {track.kind} of {track.table}"
            yield f"state: {what}", state_expression(*given, labels=labels)
            if place == 0:
                yield f"waiting: {what}", waiting_expression(*given, labels=labels)


def compiled(name: str, dialect: str) -> dict[str, str]:
    made = expressions(systems.find(name))
    return {f"{place}. {what}": str(ibis.to_sql(each, dialect=dialect)) for place, (what, each) in enumerate(made)}


def path_of(name: str, dialect: str) -> Path:
    return FOLDER / f"{name}.{dialect}.sql"


def kept(name: str, dialect: str) -> dict[str, str]:
    _, *parts = path_of(name, dialect).read_text("utf-8").split(BETWEEN)
    return {what: sql.removesuffix(";\n").removesuffix(";") for what, sql in (part.split("\n", 1) for part in parts)}


def write(name: str, dialect: str) -> None:
    start = f"-- {name}, for {dialect}: compiled, never run there. The tables are as `events_table` gives them."
    parts = [f"{what}\n{sql};" for what, sql in compiled(name, dialect).items()]
    path_of(name, dialect).write_text(BETWEEN.join([start, *parts]) + "\n", "utf-8")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", DESIGNS)
def test_what_is_compiled_is_what_is_kept(name: str, dialect: str) -> None:
    made, wanted = compiled(name, dialect), kept(name, dialect)
    assert list(made) == list(wanted)
    for what, sql in made.items():  # as trees: how a version of sqlglot breaks lines does not matter
        assert sqlglot.parse_one(sql, read=dialect) == sqlglot.parse_one(wanted[what], read=dialect), what


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", DESIGNS)
def test_what_is_kept_gives_the_embedded_engines_answers(name: str, dialect: str) -> None:
    design, random, engine = systems.find(name), np.random.default_rng(2), duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'; CREATE MACRO ieee_divide(a, b) AS a / b")
    specs = {table.name: table for table in design.data.tables}
    for table in specs:
        engine.register(table, events_table(bundled_logs()[table], ()))
    features = [feature for feature in design.features if isinstance(feature, (Window, Lookup))]
    found = {True: 0, False: 0}
    for (what, sql), (_, made) in zip(kept(name, dialect).items(), expressions(design), strict=True):
        here = sqlglot.transpile(sql, read=dialect, write="duckdb")[0]
        if "feature: " not in what:
            wanted = engine.sql(str(ibis.to_sql(made, dialect="duckdb"))).to_arrow_table()
            found[False] += equal(engine.sql(here).to_arrow_table(), wanted)
            continue
        feature = features.pop(0)
        log = bundled_logs()[feature.table]
        some = log.rows.take(pa.array(random.integers(0, ROWS, QUESTIONS)))
        keys = {by: some[by].combine_chunks() for by in by_columns(feature.by)}
        at = random.integers(0, 45 * 86_400_000_000, QUESTIONS) + START
        engine.register("questions", pa.table({ROW: np.arange(QUESTIONS), AT: at, **keys}))
        answers = Log("answers", engine.sql(here).to_arrow_table().sort_by(ROW), None, None)
        if isinstance(feature, Window):
            labels = design.data.labels if feature.table == design.data.examples.table else ()
            columns = window_columns(feature, log, keys, at, labels=labels)
        else:
            columns = lookup_columns(feature, specs[feature.table], log, keys, at)
        found[True] += alike({each: column(answers, each) for each in columns}, columns)
    engine.close()
    assert features == []
    assert min(found.values()) > 100


def equal(ours: pa.Table, theirs: pa.Table) -> int:
    """Hold two tables against each other, whatever the order of their rows; count these."""
    assert ours.column_names == theirs.column_names
    exact = [name for name in ours.column_names if not pa.types.is_floating(theirs[name].type)]
    places = [(name, "ascending") for name in exact]
    ours, theirs = ours.sort_by(places), theirs.sort_by(places)
    assert ours.select(exact).to_pylist() == theirs.select(exact).to_pylist()
    for name in set(ours.column_names) - set(exact):
        np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-9, atol=1e-12)
    return ours.num_rows


if __name__ == "__main__":
    for design_name in DESIGNS:
        for dialect_name in DIALECTS:
            write(design_name, dialect_name)
