"""The main job on tables of Spark's catalog: windows, look-ups and the store's records are computed there."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_shop import Built, tiny_design

import bottega as bt
from bottega.features.engine import Engine

pytestmark = [
    pytest.mark.skipif(find_spec("pyspark") is None, reason="the extra `spark` is not there"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and there is no `java` here"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # PySpark leaves those of its answers open
]
SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # small data: compiling well costs more than it saves
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(tmp_path / "tables"))
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    yield found
    found.stop()
    gc.collect()


@pytest.mark.usefixtures("quick")
def test_a_run_on_sparks_tables_is_the_run_on_files(
    built: Built, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("windows", "lookups", "tiles"):
        plain = getattr(Engine, name)
        monkeypatch.setattr(
            Engine, name, lambda *given, _plain=plain, _name=name, **more: asked.append(_name) or _plain(*given, **more)
        )
    source = built.data / "online_retail" / "online_retail.parquet"
    session.read.parquet(str(source)).coalesce(1).createOrReplaceTempView("orders")
    card = bt.run(tiny_design(), warehouse="pyspark://", workspace=tmp_path / "w").scorecard
    assert {"windows", "tiles"} <= set(asked)
    for part in ("data", "champions", "funnel"):
        assert card[part] == built.card[part], part
    assert card["parity"]["compared"] > 0
    assert card["parity"]["mismatches"] == 0
    for ours, theirs in zip(card["models"], built.card["models"], strict=True):
        for metric, found in ours["metrics"].items():  # sums are added up in another order
            assert found["value"] == pytest.approx(theirs["metrics"][metric]["value"], abs=0.02), (ours["name"], metric)
    session.range(1).count()  # whoever has a session keeps it
    assert not list((tmp_path / "w" / "tiny" / "steps").glob(".*"))
