"""The main job on tables of Spark's catalog: windows, look-ups and the store's records are computed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_shop import Built, tiny_design

import bottega as bt
from bottega.features.engine import Engine
from spark_session import NEEDED, spark_session

pytestmark = NEEDED


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Any]:
    with spark_session(tmp_path) as found:
        yield found


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
