"""Parts that a column gives, or the hash of a name where it does not: what is held out, and that it stays so."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.data.ingest import ingest, read_log
from bottega.data.keys import encode
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.data.source import Place
from bottega.data.splits import by_chance, chances, given, held_out
from bottega.errors import DataError, DesignError

names = st.lists(st.none() | st.text(max_size=4), max_size=30)
parts = st.sampled_from(["train", "validate", "test", "other", None])


def chance(name: str | None) -> float:
    """The first 56 bits of the hash as a share of 1, by the formula."""
    return int(hashlib.sha256((name or "").encode()).hexdigest()[:14], 16) / 2**56


@given_by(names, st.floats(0.01, 0.4))
def test_parts_by_the_hash_of_each(some: list[str | None], share: float) -> None:
    column = pa.array(some, pa.string())
    assert chances(column).tolist() == [chance(name) for name in some]
    wanted = [TEST if chance(name) < share else VALIDATE if chance(name) < 2 * share else TRAIN for name in some]
    assert by_chance(share, column).tolist() == wanted


@given_by(st.lists(st.tuples(st.text(max_size=3), parts), max_size=30), st.floats(0.01, 0.9))
def test_a_share_of_training_is_held_out(rows: list[tuple[str, str | None]], share: float) -> None:
    split = bt.GivenSplit("part", validate=share)
    named = pa.array([name for name, _ in rows], pa.string())
    found = held_out(split, given(split, pa.array([part for _, part in rows], pa.string())), named)
    numbers = {"train": TRAIN, "test": TEST}
    wanted = [
        VALIDATE if part == "train" and chance(name) < share else numbers.get(part or "", UNUSED) for name, part in rows
    ]
    assert found.tolist() == wanted


@settings(max_examples=50)
@given_by(st.lists(st.tuples(st.text(max_size=3), parts), max_size=30), st.none() | st.floats(0.01, 0.4))
def test_what_the_column_names_stays(rows: list[tuple[str, str | None]], otherwise: float | None) -> None:
    split = bt.GivenSplit("part", otherwise=otherwise)
    named = pa.array([name for name, _ in rows], pa.string())
    found = held_out(split, given(split, pa.array([part for _, part in rows], pa.string())), named)
    given_one = any(part == "validate" for _, part in rows)
    for (name, part), number in zip(rows, found.tolist(), strict=True):
        out = otherwise is not None and not given_one and part == "train" and chance(name) < otherwise
        wanted = {"train": TRAIN, "validate": VALIDATE, "test": TEST}.get(part or "", UNUSED)
        assert number == (VALIDATE if out else wanted)


def test_shares_are_about_what_is_asked_and_more_rows_move_nobody() -> None:
    some = pa.array([f"query {number}" for number in range(20_000)])
    found = by_chance(0.2, some)
    for number in (TEST, VALIDATE):
        assert 0.19 < np.mean(found == number) < 0.21
    assert by_chance(0.2, some.slice(500, 100)).tolist() == found[500:600].tolist()


@pytest.mark.parametrize("fields", [{"validate": 0.0}, {"validate": 0.95}, {"otherwise": 0.0}, {"otherwise": 0.5}])
def test_shares_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(DesignError):
        bt.GivenSplit("part", **fields)


def log_of(part: list[str] | None) -> Log:
    """40 requests of two people each asked for, with two candidates."""
    number = np.arange(160)
    columns = {
        "query": pa.array([f"q{place // 4}" for place in number]),
        "device": pa.array(["ab"[place // 2 % 2] for place in number]),
        "item": pa.array([f"i{place % 2}" for place in number]),
        "good": pa.array((number % 2).astype(np.float64)),
    }
    table = pa.table(columns if part is None else {**columns, "part": pa.array(part)})
    return Log("log", table, None, None)


@pytest.mark.parametrize("column", [True, False])
def test_requests_of_one_name_stay_together(make_design, column: bool) -> None:
    examples = bt.Logged("log", request=["query", "device"], candidate="item")
    split = bt.GivenSplit("part", validate=0.3, otherwise=0.25)
    part = ["test" if place // 4 % 5 == 0 else "train" for place in range(160)] if column else None
    design = make_design(examples, split, labels=(bt.Label("good"),), table=bt.Table("log"))
    found = logged(design, log_of(part)).requests
    assert len(found) == 80
    for name, number in zip(found.columns["query"].to_pylist(), found.part.tolist(), strict=True):
        if not column:
            assert number == (TEST if chance(name) < 0.25 else VALIDATE if chance(name) < 0.5 else TRAIN)
        elif int(name[1:]) % 5 == 0:
            assert number == TEST
        else:
            assert number == (VALIDATE if chance(name) < 0.3 else TRAIN)


def test_a_column_that_is_not_there_is_refused_without_a_share(make_design) -> None:
    examples = bt.Logged("log", request=["query"], candidate="item")
    design = make_design(examples, bt.GivenSplit("part"), labels=(bt.Label("good"),), table=bt.Table("log"))
    with pytest.raises(DataError, match="part"):
        logged(design, log_of(None))


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.decimal128(20, 0), pa.decimal128(38, 0)], ids=str)
def test_whole_ids_keep_every_digit(kind: pa.DataType, tmp_path: Path) -> None:
    """Neighbours beyond 2^53 are one number in floating point; as ids they stay two."""
    ids = [2**53 + number for number in range(5)] + [None]
    table = pa.table({"id": pa.array(ids, pa.int64()).cast(kind), "n": pa.array([*range(5), 9])})
    pq.write_table(table, tmp_path / "rows.parquet")
    one = bt.Table("rows", key="id")
    ingest(one, Place(tmp_path), tmp_path / "out", text=["id"])
    log = read_log(one, tmp_path / "out")
    codes, known = encode(log.column("id"))
    assert sorted(known.to_pylist()) == sorted(str(number) for number in ids if number is not None)
    assert len(set(codes.tolist())) == 6
    assert log.column("n").to_pylist() == [*range(5), 9]


def test_small_ids_stay_as_they_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, -(2**53), 2**53], "n": [2**60, 1, 2]}), tmp_path / "rows.parquet")
    one = bt.Table("rows", key="id")
    ingest(one, Place(tmp_path), tmp_path / "out", text=["id"])
    log = read_log(one, tmp_path / "out")
    assert log.column("id").to_pylist() == [1, -(2**53), 2**53]
    assert log.column("n").to_pylist() == [2**60, 1, 2]  # not an id: it stays a number
