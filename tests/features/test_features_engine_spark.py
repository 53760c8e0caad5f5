"""Features and tiles on Spark: the oracle's answers, and those of the embedded engine on real logs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Event, length
from test_features_engine import SEEN, alike, asked_logs, hold_kinds, hold_lookups, hold_records, hold_windows
from test_features_tiles import Case, same, state, tracks, waiting
from test_features_windows import DAY, logs, make_log
from test_features_windows_ibis import CALM

from bottega import systems
from bottega.data.ingest import ingest, read_log
from bottega.data.keys import as_text, identifiers
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.design.tables import Table
from bottega.features.engine import Engine
from bottega.features.entities import by_columns
from bottega.features.lookups import lookup_columns
from bottega.features.windows import window_columns
from spark_session import NEEDED, spark_session

DATA = os.environ.get("BOTTEGA_DATA")

pytestmark = NEEDED
SOME = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("spark")
    with spark_session(folder):
        engine = Engine("pyspark://", folder)
        yield engine
        engine.close()


def drawn(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Draw some examples, to ask for all of them at once."""
    found: list[Any] = []

    @SOME
    @given(strategy)
    def draw(example: Any) -> None:
        found.append(example)

    draw()
    return found


def test_answers_are_the_oracles(spark: Engine) -> None:
    events, asked = drawn(asked_logs(14, 1))[-1]
    assert len(events) > 50
    assert len(asked) > 20
    hold_windows(spark, events, asked, ("k",), ["1h", "7d", "all"])
    hold_windows(spark, events, asked, ("k",), ["7d"], names=["n", "mean", "newest"], many=-1)
    hold_lookups(spark, [event for event in events if event.row["x"] != float("inf")], asked, ("k",), "1d")
    hold_kinds(spark)


def test_tiles_are_the_oracles(spark: Engine) -> None:
    events = [
        Event((str(place), *event.key), event.time, event.known, event.row)
        for place, some in enumerate(drawn(logs(values=CALM)))
        for event in some
    ]
    punctual = sorted(event.time for event in events if event.known == event.time)
    at = punctual[2 * len(punctual) // 3]  # that one waits
    made = tracks(("k", "l"), [SEEN], ["7d", "all"], None, None, None)
    case = Case(events, ("k", "l"), at, length("5min"), [SEEN], made)
    log, table = make_log(events, case.by), Table("events", time="moment", available_after="5min")
    late = 0
    for track in made:
        held, later = spark.tiles(track, case.by, table, log, at, case.labels)
        same(track, case, held.to_pylist(), state(track, case))
        assert later.to_pylist() == waiting(track, case)
        late += later.num_rows
    assert late > 0


def test_real_orders_give_the_same_features_and_records(spark: Engine, shop: tuple[Design, Log]) -> None:
    design, log = shop
    (table,) = design.data.tables
    drawn_rows = np.random.default_rng(7).integers(0, log.rows.num_rows, 400)
    some = log.rows.take(pa.array(drawn_rows))
    at = log.time[drawn_rows] + np.tile([0, 1, 40 * DAY, 400 * DAY], 100)
    values = 0
    for feature in design.features:
        keys = {name: as_text(some[name]) for name in by_columns(getattr(feature, "by", ()))}
        if isinstance(feature, Window):
            values += alike(spark.windows(feature, log, keys, at), window_columns(feature, log, keys, at))
        elif isinstance(feature, Lookup):
            made = spark.lookups(feature, table, log, keys, at)
            values += alike(made, lookup_columns(feature, table, log, keys, at))
    assert values > 400 * 20
    few = log.take(slice(0, 20_000))
    assert hold_records(spark, design, {table.name: few}, few.end() - 2 * DAY) > 200_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Design, Log]:
    if DATA is None or not (Path(DATA) / "online_retail").is_dir():
        pytest.skip("BOTTEGA_DATA names no folder with online_retail")
    design, folder = systems.find("shop-recommendation"), tmp_path_factory.mktemp("shop")
    (table,) = design.data.tables
    ingest(table, Place(Path(DATA)), folder, sorted(identifiers(design)))
    return design, read_log(table, folder)
