"""Labels of words, of two numbers, of grades and of amounts: what counts as 1 is said, or what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import clicks

import bottega as bt
from bottega.data.ingest import ACCEPTED, ingest
from bottega.data.labels import label_columns
from bottega.data.source import Place
from bottega.errors import DataError
from bottega.proposals.kinds import columns_of
from bottega.proposals.marks import mark
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles

TRUTH = np.arange(90) % 3 == 0


def marked(one: Any, other: Any, name: str = "left", said: str | None = None) -> str | None:
    """The value that counts as 1, of a column that has `one` in a third of its rows."""
    (column,) = columns_of(pa.table({name: [one if true else other for true in TRUTH]}))
    found = mark(column, said, "t")
    assert found.positive is None or (found.column.numbers == [value == 1 for value in found.column.numbers]).all()
    return found.positive


@pytest.mark.parametrize(
    ("one", "other", "positive"),
    [
        ("Yes", "No", "Yes"),
        ("No", "Yes", "Yes"),
        ("n", "y", "y"),
        ("false", "true", "true"),
        ("0", "1", "1"),
        ("ja", "nein", "ja"),
        ("nein", "ja", "ja"),
        ("bad", "good", "good"),
        ("not churned", "churned", "churned"),
        ("unpaid", "paid", "paid"),
        ("red", "blue", "red"),  # the rarer one
        ("blue", "red", "blue"),
        (1, 2, "2"),
        (-1, 1, "1"),
        (True, False, None),
        (1, 0, None),
    ],
)
def test_of_two_values_one_counts_as_1(one: Any, other: Any, positive: str | None) -> None:
    assert marked(one, other) == positive


def test_a_name_speaks_of_its_value_and_a_person_decides() -> None:
    assert marked("stay", "churned", name="churn") == "churned"
    assert marked("Yes", "No", said="No") == "No"
    assert marked(True, False, said="false") == "false"
    with pytest.raises(DataError, match=r"(?s)'Maybe', which no row holds.*one of 'Yes', 'No'"):
        marked("Yes", "No", said="Maybe")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            np.where(TRUTH, "a", np.where(np.arange(90) % 2, "b", "c")),
            r"holds 3 values(?s:.*)--label left=\w, for which",
        ),
        (np.arange(90) * 0.5, r"'left' is a quantity: 90 numbers from 0 to 44.5(?s:.*)estimates no amounts"),
        (np.arange(90) * 100, r"'left' is a quantity(?s:.*)says 1 where left is high enough"),
        (np.zeros(90), "'left' is never positive"),
        (np.arange(90) < 5, "5 of 90 rows are of one kind of 'left'(?s:.*)at least 15 of each"),
        ([["a"]] * 90, "a column of list"),
    ],
)
def test_what_is_no_label_is_told_with_what_to_type(values: Any, said: str) -> None:
    (column,) = columns_of(pa.table({"left": values}))
    with pytest.raises(DataError, match=said):
        mark(column, None, "t")


def test_a_label_of_words_is_what_the_run_learns(tmp_path: Path) -> None:
    """The design that is proposed reads the same 1 and 0 as the table meant."""
    table = clicks(1200)
    truth = table.column("clicked").to_numpy() > 0
    words = pa.array(np.where(truth, "Yes", "No"))
    pq.write_table(table.set_column(5, "clicked", words), tmp_path / "rows.parquet")
    lines: list[str] = []
    made = propose("mine", tmp_path / "rows.parquet", None, lines.append)
    (label,) = made.design.data.labels
    assert (label.name, label.positive) == ("clicked", "Yes")
    assert made.notes["data.labels"].startswith("'Yes' counts as 1, all else as 0. 'Yes' says yes")
    assert [line for line in lines if line.startswith("label")] == [
        f"label     clicked, {truth.mean():.2%} positive ('Yes')"
    ]
    (rows,) = made.design.data.tables
    ingest(rows, Place(tmp_path), tmp_path / "out", labels=label_columns(made.design, rows.name))
    assert (pq.read_table(tmp_path / "out" / ACCEPTED).column("clicked").to_numpy() == truth).all()
    other = propose("mine", tmp_path / "rows.parquet", Roles(label="clicked=No"))
    assert other.design.data.labels[0].positive == "No"
    assert bt.to_yaml(other.design).count("positive: 'No'") == 1


def test_grades_without_a_query_belong_to_persons_or_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grade = rng.integers(0, 5, 600)
    columns = {"x": rng.random(600), "z": rng.random(600), "grade": grade}
    pq.write_table(pa.table({"user_id": rng.integers(0, 40, 600), **columns}), tmp_path / "rows.parquet")
    made = propose("mine", tmp_path / "rows.parquet").design
    assert isinstance(made.data.examples, bt.Logged)
    assert list(made.data.examples.request) == ["user_id"]
    assert made.evaluation.primary.startswith("ndcg@")
    pq.write_table(pa.table(columns), tmp_path / "alone.parquet")
    with pytest.raises(DataError, match=r"(?s)nothing says which rows belong together.*--label grade=VALUE"):
        propose("mine", tmp_path / "alone.parquet")
    assert propose("mine", tmp_path / "alone.parquet", Roles(label="grade=4")).design.data.labels[0].positive == "4"


@pytest.mark.parametrize(
    ("name", "matures"),
    [
        ("readmitted_30d", "30d"),
        ("churned_within_7_days", "7d"),
        ("returned_2_weeks", "14d"),
        ("churn_next_month", "30d"),
        ("fraud", "7d"),
        ("label", "1h"),
        ("clicked_400d", "30d"),  # the log has no room for more
    ],
)
def test_how_long_a_label_takes_may_stand_in_its_name(tmp_path: Path, name: str, matures: str) -> None:
    rows = 600
    rng = np.random.default_rng(0)
    at = [datetime(2023, 1, 1) + timedelta(days=place) for place in range(rows)]
    table = pa.table(
        {"at": at, "user_id": rng.integers(0, 90, rows), "age": rng.random(rows), name: rng.integers(0, 2, rows)}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    found = propose("mine", tmp_path / "rows.parquet")
    assert found.design.data.labels[0].matures_after == matures
    told = "400d until" if "400" in name else "as its name says" if "_" in name else "is a guess"
    assert told in found.notes["data.labels"]


def test_what_names_a_person_is_no_amount(tmp_path: Path) -> None:
    rows = 600
    rng = np.random.default_rng(0)
    at = [datetime(2023, 1, 1) + timedelta(days=place) for place in range(rows)]
    patient, dose = rng.integers(1, 200, rows), rng.integers(1, 200, rows)
    pq.write_table(
        pa.table({"at": at, "patient_nbr": patient, "dose": dose, "relapsed": rng.integers(0, 2, rows)}),
        tmp_path / "rows.parquet",
    )
    windows = [
        part for part in propose("mine", tmp_path / "rows.parquet").design.features if isinstance(part, bt.Window)
    ]
    assert "avg(dose)" in str(windows)
    assert "avg(patient_nbr)" not in str(windows)
