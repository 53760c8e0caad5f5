"""Where a design's tables are looked for, and when its world stands in for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_shop import changed, tiny_design

import bottega as bt
from bottega.data.source import Place
from bottega.errors import DataError
from bottega.verbs.finding import find_place

LOG = Path("online_retail") / "online_retail.parquet"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A design that names a world, in a file of its own without tables beside it."""
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    path = tmp_path / "my_design.py"
    path.write_text(bt.to_python(tiny_design()))
    assert tiny_design().data.world == "shop"
    return path


def log_in(folder: Path) -> Path:
    (folder / LOG).parent.mkdir(parents=True)
    (folder / LOG).write_bytes(b"")
    return folder


def test_a_file_without_tables_beside_it_falls_back_on_its_world(written: Path) -> None:
    assert find_place(written, bt.load_design(written)) is None
    assert find_place("a name", tiny_design()) is None


def test_tables_beside_the_file_come_before_its_world(written: Path) -> None:
    log_in(written.parent)
    assert find_place(written, bt.load_design(written)) == Place(written.parent)


def test_one_table_of_several_is_not_mixed_with_a_world(written: Path) -> None:
    data = tiny_design().data
    two = tiny_design(data=changed(data, tables=[*data.tables, bt.Table("goods", "goods.csv", key="id")]))
    (written.parent / "goods.csv").write_text("id\n1\n")
    assert find_place(written, two) == Place(written.parent)


def test_a_folder_that_is_named_is_taken_though_nothing_is_in_it(written: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert find_place(written, bt.load_design(written), data=empty) == Place(empty)
    with pytest.raises(DataError, match="no file 'online_retail"):
        bt.run(written, data=empty, workspace=tmp_path / "w")
    with pytest.raises(DataError, match="not a folder"):
        find_place(written, bt.load_design(written), data=tmp_path / "none")


def test_the_folder_of_the_environment_may_be_without_the_tables(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("BOTTEGA_DATA", str(named))
    assert find_place(written, bt.load_design(written)) is None
    log_in(named)
    assert find_place(written, bt.load_design(written)) == Place(named)


def test_without_a_world_the_place_is_the_files_folder_or_where_one_stands(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tiny_design(data=changed(tiny_design().data, world=None))
    monkeypatch.chdir(written.parent.parent)
    assert find_place(written, plain) == Place(written.parent)
    assert find_place("a name", plain) == Place(Path.cwd())
