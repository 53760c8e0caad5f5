"""Proposals: what is written loads as what was meant, says its reasons, runs, and is refused where nothing fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from tables import BEGIN, clicks, takings, times

import bottega as bt
from bottega.design.reading import load
from bottega.design.writing import to_python
from bottega.errors import DataError
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles
from bottega.runs.steps import measuring
from bottega.runs.steps.naming import check_names
from bottega.verbs.review import review


def written(folder: Path, table: pa.Table, name: str = "rows") -> Path:
    path = folder / f"{name}.parquet"
    pq.write_table(table, path)
    return path


def proposed(path: Path, said: Roles | None = None) -> tuple[bt.Design, str, list[str]]:
    lines: list[str] = []
    made = propose("mine", path, said, lines.append)
    text = to_python(made.design, made.notes, "Proposed.")
    beside = path.parent / "mine.py"
    beside.write_text(text, "utf-8")
    assert load(beside) == made.design
    check_names(made.design)
    found = review(beside, data=path.parent, workspace=path.parent / "review").open
    assert [f"{one.code} {one.found}" for one in found] == []
    return made.design, text, [*lines, *made.told]


def comments(text: str) -> str:
    """The reasons of a design as one text."""
    return " ".join(line.strip()[2:] for line in text.splitlines() if line.strip().startswith("# "))


def graded_rows() -> pa.Table:
    rng = np.random.default_rng(0)
    right = rng.normal(size=3000)
    return pa.table({
        "query_id": np.repeat(np.arange(300), 10), "doc_id": np.tile(np.arange(10), 300), "bm25": right,
        "length": rng.integers(1, 900, 3000),
        "relevance": np.clip(np.round(right + 0.3 * rng.normal(size=3000)), 0, 4).astype(np.int64),
    })  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the service by few requests."""
    monkeypatch.setattr(measuring, "REQUESTS", 60)
    monkeypatch.setattr(measuring, "WARM_UP", 10)
    monkeypatch.setattr("bottega.runs.steps.freshness.SENT", 2)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("table", [takings(), clicks(), graded_rows()], ids=["takings", "clicks", "grades"])
def test_what_is_proposed_runs(tmp_path: Path, table: pa.Table) -> None:
    design, _, _ = proposed(written(tmp_path, table))
    card = bt.run(tmp_path / "mine.py", data=tmp_path, workspace=tmp_path / "space").scorecard
    assert card["parity"]["mismatches"] == 0
    assert card["serving"]["errors"] == 0
    assert card["champions"]["rank"] in ("BoostedTrees", "Logistic", "HistoricalRate")
    assert card["data"]["tables"][design.data.tables[0].name]["accepted"] == table.num_rows


def test_takings_become_a_recommendation(tmp_path: Path) -> None:
    design, text, lines = proposed(written(tmp_path, takings()))
    assert isinstance(design.data.examples, bt.FromPositives)
    assert [type(rung).__name__ for rung in design.models["retrieve"]] == [
        "Popularity",
        "PersonalHistory",
        "CoPurchase",
    ]
    assert "# In time: the log has 42 days." in text
    assert lines[:2] == ["table     3,000 rows, 3 columns", "time      time, 42 days"]
    assert design.scope.traffic is not None
    assert design.scope.traffic.daily_users == pytest.approx(33, abs=6)  # of forty people, 72 takings a day


def test_returns_took_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = takings().append_column(
        "Quantity", pa.array(np.where(rng.random(3000) < 0.05, -1, rng.integers(1, 9, 3000)))
    )
    design, text, _ = proposed(written(tmp_path, table))
    assert bt.Range("quantity", above=0) in design.data.tables[0].checks
    assert "Rows whose Quantity is not above 0 took nothing" in comments(text)


@pytest.mark.parametrize("said", [Roles(item="price"), Roles(person="user", item="user")])
def test_what_names_nothing_is_no_item(tmp_path: Path, said: Roles) -> None:
    table = takings().append_column("price", pa.array(np.random.default_rng(0).random(3000)))
    with pytest.raises(DataError, match="--item"):
        propose("mine", written(tmp_path, table), said)


def test_things_that_fade_become_a_feed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    born = np.arange(3000) // 10
    table = pa.table(
        {"person": rng.integers(0, 50, 3000), "content": born - rng.integers(0, 3, 3000), "time": times(3000)}
    )
    design, text, _ = proposed(written(tmp_path, table))
    assert isinstance(design.data.examples, bt.FromPositives)
    assert isinstance(design.data.examples.requests, bt.Each)
    assert "each is a request at its own time" in comments(text)


def test_points_become_likes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = takings().append_column("rating", pa.array(rng.integers(1, 6, 3000)))
    design, text, _ = proposed(written(tmp_path, table))
    assert isinstance(design.data.examples, bt.FromPositives)
    assert design.data.examples.where == "rating >= 4"
    assert "Points go from 1 to 5" in text


def test_clicks_become_a_ranking_and_leaks_are_left_out(tmp_path: Path) -> None:
    table = clicks(
        paid=lambda rng, c: np.where(c > 0, rng.random(len(c)), 0),
        seen_at=lambda _, c: pa.array([BEGIN if one else None for one in c]),
        day=lambda _, c: np.arange(len(c)) // 72,
    )
    design, text, lines = proposed(written(tmp_path, table))
    assert isinstance(design.data.examples, bt.Logged)
    assert list(design.data.examples.request) == ["user_id", "device", "age"]
    assert "paid" not in repr(design.features)
    assert [line for line in lines if line.startswith("leak?")] == [
        "leak?     paid alone tells clicked with a ROC-AUC of 1.000: left out",
        "leak?     seen_at alone tells clicked with a ROC-AUC of 1.000: left out",
    ]
    assert "paid alone tells the label with a ROC-AUC of 1.000" in comments(text)
    assert isinstance(design.data.split, bt.TimeSplit)


def test_grades_become_a_ranking_of_numbers_that_come_along(tmp_path: Path) -> None:
    design, _, _ = proposed(written(tmp_path, graded_rows()))
    assert isinstance(design.features[0], bt.Given)
    assert design.evaluation.primary == "ndcg@5"
    assert isinstance(design.data.split, bt.GroupSplit)


def test_a_part_of_the_table_is_its_own_split(tmp_path: Path) -> None:
    part = np.where(np.arange(4000) % 5 == 0, "test", "train")
    table = clicks().drop_columns(["shown_at"]).append_column("split", pa.array(part))
    design, _, _ = proposed(written(tmp_path, table))
    assert design.data.split == bt.GivenSplit("split", validate=0.15)


def test_names_in_other_scripts_and_spaces(tmp_path: Path) -> None:
    table = takings(names=("用户", "Artikel Nr. (neu)", "время")).append_column(
        "Preis €", pa.array(np.random.default_rng(0).random(3000))
    )
    design, _, _ = proposed(written(tmp_path, table))
    assert {"person", "artikel_nr_neu", "preis"} <= set(design.data.tables[0].columns)
    assert design.data.tables[0].columns["person"] == "用户"


def test_a_thousand_columns_keep_those_that_tell(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    wide = {f"c{place}": rng.normal(size=400) + (label if place in (7, 500) else 0) for place in range(1000)}
    table = pa.table({"customer_id": rng.integers(0, 60, 400), **wide, "churned": label})
    design, _, lines = proposed(written(tmp_path, table))
    assert isinstance(design.data.examples, bt.Logged)
    assert {"c7", "c500"} <= set(design.data.examples.request)
    assert lines[-1] == "columns   of 1,000 others 40 are read: those that tell most alone, then the first"


WORDS = pa.array(["Yes", "No", "Yes", "Perhaps"] * 1000)
BAD: dict[str, tuple[Any, str]] = {
    "one row": (takings(1), r"1 row(?s:.*)at least 50"),
    "all nulls": (
        pa.table({"a": pa.nulls(80, pa.string())}),
        r"no column that looks like a label(?s:.*)--label COLUMN",
    ),
    "no time": (takings().drop_columns(["time"]), r"none like time(?s:.*)--time COLUMN"),
    "one moment": (takings().set_column(2, "time", pa.array([BEGIN] * 3000)), r"a log of 1 hours(?s:.*)two days"),
    "never": (clicks().set_column(5, "clicked", pa.array([0] * 4000)), "'clicked' is never positive"),
    "words": (
        clicks().set_column(5, "clicked", WORDS),
        "'clicked' holds 3 values(?s:.*)two words(?s:.*)--label clicked=Yes, for which",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_table_for_which_nothing_fits_is_told(tmp_path: Path, case: str) -> None:
    table, said = BAD[case]
    with pytest.raises(DataError, match=said):
        propose("mine", written(tmp_path, table))


def test_csv_is_read_as_parquet_is(tmp_path: Path) -> None:
    csv.write_csv(clicks(), tmp_path / "rows.csv")
    one, _, _ = proposed(tmp_path / "rows.csv")
    other, _, _ = proposed(written(tmp_path, clicks()))
    assert one.features == other.features
    assert one.data.split == other.data.split
