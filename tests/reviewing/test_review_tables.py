"""Tables that are not as a design thinks: each a clear result, and never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from review_tables import write

import bottega as bt
from bottega.design.design import Design
from bottega.design.reading import load
from bottega.errors import DataError
from bottega.reviewing.judging import Review
from bottega.verbs.review import review

DESIGNS = Path(__file__).parent / "designs"


@pytest.fixture
def ads(monkeypatch: pytest.MonkeyPatch) -> Design:
    """The small design of ads."""
    monkeypatch.chdir(DESIGNS)
    return load("R704.py")


def looked(design: Design, folder: Path, change: Callable[[pa.Table], pa.Table]) -> Review:
    """Review a design whose log was changed."""
    write(folder)
    path = folder / "shown.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    return review(design, data=folder, workspace=folder / "w")


def column(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """Replace a column by one value in every row."""
    return lambda rows: rows.set_column(rows.column_names.index(name), name, pa.array([value] * rows.num_rows))


def wide(rows: pa.Table) -> pa.Table:
    """A thousand columns more."""
    draw = np.random.default_rng(0)
    more = {f"c{place}": draw.random(rows.num_rows) for place in range(1_000)}
    return pa.table({**{name: rows.column(name) for name in rows.column_names}, **more})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: rows.slice(0, 1), "R217"),
        (column("clicked", None), "R217"),
        (column("clicked", 0), "R217"),
        (column("clicked", 1), "R217"),
        (column("clicked", "yes"), "R217"),
        (lambda rows: rows.drop_columns(["clicked"]), "R217"),
        (lambda rows: rows.drop_columns(["user"]), "R218"),
        (lambda rows: rows.drop_columns(["position"]), "R218"),
        (column("device", None), "R315"),
    ],
)
def test_a_table_that_cannot_do_is_a_finding(ads: Design, tmp_path: Path, change: object, code: str) -> None:
    found = looked(ads, tmp_path, change)  # type: ignore[arg-type]
    assert code in [finding.code for finding in found.open]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop_columns(["at"]), "column 'at' is not in shown.parquet"),
        (column("at", None), "all 12,000 rows are refused: time: missing"),
        (lambda rows: rows.slice(0, 0), "no row"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(ads: Design, tmp_path: Path, change: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        looked(ads, tmp_path, change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        wide,
        column("position", float("nan")),
        lambda rows: rows.append_column("lists", pa.array([[1, 2]] * rows.num_rows)),
        lambda rows: rows.append_column('a "quoted" name', pa.array([b"x"] * rows.num_rows)),
        lambda rows: rows.append_column("day", rows.column("at").cast(pa.date32())),
        lambda rows: rows.append_column("whole", rows.column("at").cast(pa.timestamp("ns"))),
    ],
)
def test_columns_of_any_kind_are_borne(ads: Design, tmp_path: Path, change: object) -> None:
    assert looked(ads, tmp_path, change).findings == ()  # type: ignore[arg-type]


def test_names_of_other_scripts(ads: Design, tmp_path: Path) -> None:
    names = {"user": "使用者", "device": "جهاز"}
    design = replace(
        ads,
        data=replace(ads.data, examples=bt.Logged("shown", request=list(names.values()), candidate="ad")),
        features=[bt.Categories(["使用者", "ad"], own_from=5), *ads.features[1:]],
        evaluation=replace(ads.evaluation, slices=["جهاز"]),
    )
    found = looked(design, tmp_path, lambda rows: rows.rename_columns([names.get(n, n) for n in rows.column_names]))
    assert found.findings == ()
