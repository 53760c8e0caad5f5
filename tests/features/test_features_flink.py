"""Tiles by Flink: the SQL of the bundled designs, their jobs run for real, and what expressions mean there.

The runs need an environment with apache-flink and Java: BOTTEGA_FLINK_PYTHON names its Python.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from flink_sales import DESIGN, FLOAT, PART, SCHEMAS, START, TEXT, TIME, WHOLE, Row, Schemas, schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_features_expressions_engines import CASES, ROW, Plain, agree

import bottega as bt
from bottega.errors import DataError, DesignError
from bottega.features import flink_tiles_runner
from bottega.features.expression_tree import Kind
from bottega.features.expressions import parse
from bottega.features.flink_tiles import flink_job
from bottega.features.flink_tiles_expressions import finite, quoted, written
from bottega.features.flink_tiles_reading import flink_tables
from bottega.features.tracks import Group, groups_of
from bottega.systems import shop_recommendation, sponsored_search

GOLDEN = Path(__file__).parent / "golden" / "flink"
PYTHON = os.environ.get("BOTTEGA_FLINK_PYTHON", "")
RUNS = pytest.mark.skipif(
    not (PYTHON and shutil.which("java")),
    reason="needs apache-flink: BOTTEGA_FLINK_PYTHON=/path/to/python of an environment that has it, and java",
)
KINDS: dict[str, Kind] = dict.fromkeys("abif", "number") | {"s": "text", "u": "text", "t": "time", "v": "time"}
SQL = {"number": "DOUBLE", "text": "STRING", "time": "BIGINT"}


def groups(design: bt.Design, schemas: Schemas) -> list[Group]:
    def kind_of(table: str, text: str) -> Kind:
        kinds: dict[pa.DataType, Kind] = {TEXT: "text", TIME: "time"}
        return parse(text).kind({field.name: kinds.get(field.type, "number") for field in schemas[table]})

    return groups_of(design, kind_of)


def run(script: str, folder: Path) -> None:
    """Run a script as a person would: with the environment's own Python, and nothing of bottega's."""
    job = folder / "job.sql"
    job.write_text(script, "utf-8")
    runner = Path(flink_tiles_runner.__file__)
    made = subprocess.run([PYTHON, "-I", runner, job], capture_output=True, text=True, cwd=folder)
    assert made.returncode == 0, (made.stdout[-2000:], made.stderr[-6000:])


BUNDLED: dict[str, tuple[bt.Design, Schemas]] = {
    "sponsored-search": (
        sponsored_search.design,
        {
            "impressions": schema(
                shown_at=TIME, user_id=TEXT, query=TEXT, device=TEXT, ad_id=TEXT, position=WHOLE, clicked=WHOLE
            ),
            "ads": schema(ad_id=TEXT, advertiser=TEXT, topic=TEXT, bid=FLOAT),
            "users": schema(user_id=TEXT, age=TEXT, interest=TEXT),
        },
    ),
    "shop-recommendation": (
        shop_recommendation.design,
        {
            "orders": schema(
                invoice=TEXT, product=TEXT, description=TEXT, quantity=WHOLE, time=TIME, price=FLOAT, customer=TEXT,
                country=TEXT,
            )
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("source", ["file", "kafka"])
def test_the_job_of_a_bundled_design_is_the_one_that_was_read_last(name: str, source: str) -> None:
    design, schemas = BUNDLED[name]
    url = {"file": "file:/data/events", "kafka": "kafka://one:9092,two:9092/events?group=tiles"}[source]
    made = flink_job(design, groups(design, schemas), schemas, url, "file:///data/tiles")
    assert made == (GOLDEN / f"{name}-{source}.sql").read_text("utf-8")


def write(folder: Path, found: Sequence[Sequence[tuple[int, Row]]]) -> str:
    """Write an event log of two writers, a file for each part of the events, and give its URL."""
    folder.mkdir()
    for place, part in enumerate(found):
        lines = [json.dumps({"time": time, "request_id": "r", "event": event}) for time, event in part]
        (folder / f"events-{place % 2}-{place // 2}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "notes.txt").write_text("no event\n")
    return f"file:{folder}"


class Here(Plain):
    """The same reader in a zone of few offsets: one with many makes long SQL, which is slow to compile."""

    zone = "Asia/Singapore"

    def local(self, time: datetime.datetime | None) -> datetime.datetime | None:
        return None if time is None else time.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(self.zone))


WORDS: list[Row] = [
    {"a": 1.0, "b": None, "i": 1, "f": True, "s": left, "u": right, "t": None, "v": None}
    for left in ("ΟΔΟΣ", "İ", "～", "😀")
    for right in ("～", "😀", "it's", "")
]
"""Where Java has its own ways: a final sigma, a dotted I, an order by UTF-16."""


@RUNS
def test_expressions_mean_in_flink_what_they_mean_in_plain_python(tmp_path: Path) -> None:
    parsed = {text: parse(text, Here.zone) for text in CASES}
    rows = drawn() + WORDS
    lines = [json.dumps(wire(row) | {"n": n}) for n, row in enumerate(rows)]
    (tmp_path / "rows.json").write_text("\n".join(lines), "utf-8")
    columns = {name: finite(quoted(name)) for name in "abi"} | {"f": "CAST(`f` AS DOUBLE)"}
    said = [written(item, KINDS, lambda name: columns.get(name, quoted(name))) for item in parsed.values()]
    asked = ", ".join(f"`{name}` {'BOOLEAN' if name == 'f' else SQL[kind]}" for name, kind in KINDS.items())
    made = ", ".join(f"c{n} {SQL.get(item.kind(KINDS), 'DOUBLE')}" for n, item in enumerate(parsed.values()))
    files = "WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'file://{}')"
    script = [
        f"CREATE TABLE given (n INT, {asked}) " + files.format(tmp_path / "rows.json"),
        f"CREATE TABLE made (n INT, {made}) " + files.format(tmp_path / "made"),
        "INSERT INTO made SELECT n,\n" + ",\n".join(said) + "\nFROM given",
    ]
    run(";\n\n".join(script) + ";\n", tmp_path)
    answers = {row["n"]: row for row in jsons(tmp_path / "made")}
    assert answers.keys() == set(range(len(rows)))
    for n, row in enumerate(rows):
        for place, (text, oracle) in enumerate(CASES.items()):
            found, truth = answers[n].get(f"c{place}"), oracle(Here(row))
            if "lower" in text and row["s"] in ("ΟΔΟΣ", "İ"):
                truth = {"ΟΔΟΣ": "οδοσ", "İ": "i"}[row["s"]]
            truth = since(truth) if isinstance(truth, datetime.datetime) else truth
            close = any(name in text for name in ("ln", "log2", "exp", "sqrt", "epoch", "/"))
            assert agree(found, truth, close), (text, row, found, truth)


@RUNS
@pytest.mark.parametrize("name", BUNDLED)
def test_the_job_of_a_bundled_design_runs(tmp_path: Path, name: str) -> None:
    (design, schemas), kept = BUNDLED[name], groups(*BUNDLED[name])
    order = {"table": "orders", "invoice": "1", "product": "p", "quantity": 2, "price": 1.5, "country": "UK"}
    shown = {"table": "impressions", "user_id": "u", "query": "q", "device": "phone", "ad_id": "a"}
    found: list[tuple[int, Row]] = [(START + 50, {"table": "ads", "ad_id": "a", "advertiser": "x", "bid": 2.5})]
    for n in range(40):
        found.append((START + n, {**order, "customer": "ab"[n % 2], "time": START + n}))
        found.append((START + n, {**shown, "shown_at": START + n, "clicked": n % 2}))
    found = [event for event in found if event[1]["table"] in schemas]
    source, sink = write(tmp_path / "log", [found]), (tmp_path / "tiles").as_uri()
    run(flink_job(design, kept, schemas, source, sink), tmp_path)
    made = {group.name: flink_tables(tmp_path / "tiles", group, START // PART * PART + PART) for group in kept}
    assert all(state.num_rows or waiting.num_rows for tables in made.values() for state, waiting in tables[1:])
    if name == "sponsored-search":
        (ads, _), (shows, _), (clicks, waiting) = made["ad_id"]
        assert [ads[f"value_{place}"].to_pylist() for place in range(3)] == [["x"], [None], [2.5]]
        assert (shows["rows"].to_pylist(), clicks.num_rows) == ([40], 0)  # no label is known within the hour
        assert waiting["value_0"].to_pylist() == [n % 2 for n in range(40)]
    else:
        (sold,) = (state for state, _ in made["customer"] if "sum_0" in state.column_names)
        assert sorted(sold["sum_0"].to_pylist()) == [60.0, 60.0]


@RUNS
def test_flink_takes_the_tables_of_kafka(tmp_path: Path) -> None:
    design, schemas = BUNDLED["sponsored-search"]
    script = flink_job(design, groups(design, schemas), schemas, "kafka://one:9092/events", tmp_path.as_uri())
    tables = [part for part in script.split(";\n\n") if part.startswith(("SET", "CREATE TABLE"))]
    assert sum("'kafka'" in table and "WATERMARK" in table for table in tables) == 3
    run(";\n\n".join(tables) + ";\n", tmp_path)  # whatever reads them needs the connector


def jsons(folder: Path) -> list[Row]:
    return [json.loads(line) for file in folder.glob("part-*") for line in file.read_text("utf-8").splitlines()]


def drawn() -> list[Row]:
    """Rows that Hypothesis makes."""
    rows: list[Row] = []

    @settings(max_examples=1, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        rows.extend(data.draw(ROW) for _ in range(60))

    draw()
    return rows


def since(time: datetime.datetime) -> int:
    return (time.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)


def wire(row: Row) -> Row:
    """A row as JSON has it."""
    found = {name: since(value) if isinstance(value, datetime.datetime) else value for name, value in row.items()}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in found.items()
    }


def test_what_flink_cannot_say_is_refused_by_name() -> None:
    kept = groups(DESIGN, SCHEMAS)

    def refused(design: bt.Design = DESIGN, schemas: Schemas = SCHEMAS, **options: Any) -> str:
        with pytest.raises(DesignError) as error:
            flink_job(design, kept, schemas, **{"source": "file:/log", "sink": "file:///tiles", **options})
        return str(error.value)

    assert "whole seconds" in refused(every="0s")
    assert "99 days" in refused(apart="100d")
    assert "source" in refused(source="redis://one")
    assert "source" in refused(source="kafka://one:9092")
    assert "schemas[shops]" in refused(schemas={name: SCHEMAS[name] for name in ("sales", "visits")})
    assert "no column 'item'" in refused(schemas=SCHEMAS | {"sales": SCHEMAS["sales"].remove(2)})
    listed = {"shops": schema(shop=TEXT, city=pa.list_(TEXT), size=WHOLE)}
    assert "list<item: string>" in refused(schemas=SCHEMAS | listed)
    assert "sales].seen" in refused(schemas=SCHEMAS | {"sales": SCHEMAS["sales"].set(5, pa.field("seen", TEXT))})


@pytest.mark.parametrize(
    ("by", "values", "table", "said"),
    [
        ("until", "count(*)", bt.Table("visits", time="time"), "the key 'until'"),
        ("shop", "sum(" + "exp(" * 14 + "x" + ")" * 15, bt.Table("visits", time="time"), "letters in Flink's SQL"),
        ("shop", "count(*)", bt.Table("visits", time="time", time_format="%s"), "seconds"),
    ],
)
def test_a_design_that_flink_cannot_run_is_refused_by_name(by: str, values: str, table: bt.Table, said: str) -> None:
    schemas = {"visits": schema(shop=TEXT, until=TEXT, time=TIME, x=FLOAT)}
    design = bt.Design(
        name="visits",
        scope=bt.Scope(question="Who comes again?"),
        data=bt.Data(
            tables=[table], examples=bt.Logged("visits", request=[by]), labels=[bt.Label("x")], split=bt.TimeSplit("1d")
        ),
        features=[bt.Window("visits", by, {"n": values})],
        models={"rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="log_loss"),
        serving=bt.Serving(path=[bt.Score("rank")]),
    )
    with pytest.raises(DesignError) as error:
        flink_job(design, groups(design, schemas), schemas, "file:/log", "file:///tiles")
    assert said in str(error.value)


def test_parts_are_read_whole(tmp_path: Path) -> None:
    (group, *_) = groups(DESIGN, SCHEMAS)
    with pytest.raises(DataError, match="multiple"):
        flink_tables(tmp_path, group, START + 1)
    with pytest.raises(DataError, match="no such folder"):
        flink_tables(tmp_path, group, PART)
    (tmp_path / group.name).mkdir()
    assert [state.num_rows + waiting.num_rows for state, waiting in flink_tables(tmp_path, group, PART)] == [0] * len(
        group.tracks
    )
