"""`bottega new`: from a bundled system, a table, a folder of either; nothing that is there is replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bottega import systems
from bottega.design.reading import load
from bottega.errors import BottegaError, DataError, DesignError
from bottega.verbs.new import new
from bottega.worlds import search


def orders(count: int = 900) -> pa.Table:
    rng = np.random.default_rng(0)
    time = np.datetime64("2024-01-01T00", "us") + np.arange(count) * np.timedelta64(1, "h")
    columns = {"customer": rng.integers(0, 40, count), "product": rng.integers(0, 30, count), "time": time}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


@pytest.mark.parametrize("system", systems.names())
def test_a_bundled_system_under_a_name_of_ones_own(tmp_path: Path, system: str) -> None:
    begun = new("mine", like=system, out=tmp_path)
    made = load(begun.path)
    assert made.name == "mine"
    assert made.data == systems.find(system).data
    assert begun.data is None
    assert new(system, out=tmp_path).path.name == f"{system.replace('-', '_')}.py"


def test_nothing_is_replaced_and_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("kept")
    with pytest.raises(DesignError, match="is there already"):
        new("mine", like="news-feed", out=tmp_path)
    assert (tmp_path / "mine.py").read_text() == "kept"
    pq.write_table(orders(10), tmp_path / "few.parquet")
    with pytest.raises(DataError, match="10 rows"):
        new("other", table=tmp_path / "few.parquet", out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.parquet", "mine.py"]


def test_a_table_and_a_folder_with_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    pq.write_table(orders(), data / "orders.parquet")
    said: list[str] = []
    begun = new("mine", table=data / "orders.parquet", out=tmp_path, say=said.append)
    assert begun.data == data.absolute()
    assert begun.told == said
    assert load(begun.path).data.tables[0].source == "orders.parquet"
    assert new("beside", table=data, out=data).data is None  # the design's own folder needs no name
    assert load(new("same", table=data, out=tmp_path).path).data == load(begun.path).data
    pq.write_table(orders(), data / "more.parquet")  # with the same columns: parts of one table
    assert load(new("parts", table=data, out=tmp_path).path).data.tables[0].source == "*.parquet"
    pq.write_table(orders().rename_columns(["a", "b", "c"]), data / "others.parquet")
    with pytest.raises(DataError, match=r"(?s)3 tables: more.parquet, orders.parquet.*--from .*parquet"):
        new("several", table=data, out=tmp_path)


def test_tables_of_a_bundled_system_get_its_file(tmp_path: Path) -> None:
    search.SearchWorld(rows=2000).write(tmp_path / "set")
    begun = new("mine", table=tmp_path / "set", out=tmp_path)
    assert begun.data == (tmp_path / "set").absolute()
    assert begun.told == ["tables    those of the bundled system search-ranking"]
    assert load(begun.path).features == systems.find("search-ranking").features


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "Mine"}, "lower-case letters"),
        ({"name": "shop-recomendation"}, "did you mean 'shop-recommendation'"),
        ({"name": "mine"}, "--from TABLE"),
        ({"name": "mine", "like": "news-fed"}, "did you mean 'news-feed'"),
        ({"name": "mine", "like": "news-feed", "table": "x"}, "one of the two"),
        ({"name": "mine", "table": "nowhere.parquet"}, "no such file"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: dict[str, str], said: str) -> None:
    with pytest.raises(BottegaError, match=said):
        new(**arguments, out=tmp_path)
    assert list(tmp_path.iterdir()) == []
