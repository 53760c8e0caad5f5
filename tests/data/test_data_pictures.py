"""What lies in a folder of pictures and is not read is told by what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

import bottega as bt
from bottega.data.source import Place, passed_over, read

TABLE = bt.Table("pictures", key="id")


def hold(folder: Path, *names: str) -> Place:
    for name in names:
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return Place(folder)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ((), ""),
        (("shoe/notes.txt",), "1 .txt"),
        (("a/3.heic", "b/4.HEIC", "readme.txt", "c/d/1.png"), "2 .heic, 1 .txt and 1 picture deeper than label/name"),
        (("c/d/1.png", "c/d/2.png", "Thumbs"), "2 pictures deeper than label/name and 1 without an ending"),
        ((".DS_Store", "_old/1.png", "shoe/.thumb.png", ".git/objects/a.txt"), ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [(), ("lies beside.png",)], ids=["", "beside"])
def test_what_is_not_read_is_told(tmp_path: Path, others: tuple[str, ...], told: str, beside: tuple[str, ...]) -> None:
    place = hold(tmp_path, "shoe/1.png", "bag/2.png", *others, *beside)
    assert passed_over(TABLE, place) == told
    assert read(TABLE, place).num_rows == 2 + len(beside)


def test_another_table_has_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_text("id,label\n1,2\n")
    (tmp_path / "notes.txt").write_text("x")
    assert passed_over(TABLE, Place(tmp_path)) == ""
