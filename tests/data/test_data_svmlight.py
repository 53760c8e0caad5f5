"""Ranking sets in svmlight's form read as what was written, and one error for each way in which they cannot be."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

import bottega as bt
from bottega.data.ingest import ingest
from bottega.data.source import Place, files, fingerprint, read
from bottega.data.svmlight import MOST_FEATURES, part_of, read_svmlight
from bottega.errors import DataError

TEXT = "2 1:0.5 3:-1\n0 0:3 # nothing else\n\n1\n"
VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def rows(source: str = "rank.*", **fields: Any) -> bt.Table:
    return bt.Table("rows", source, **{"format": "svmlight", **fields})


def features(table: pa.Table) -> np.ndarray:
    """The features by their numbers; those numbered from 1 have a first column of 0."""
    names = [name for name in table.column_names if name[0] == "f"]
    first = 0 if names[0] == "f0" else 1
    assert names == [f"f{index}" for index in range(first, first + len(names))]
    assert {table.schema.field(name).type for name in names} <= {pa.float32()}
    found = np.stack([table[name].to_numpy() for name in names], axis=1)
    return np.pad(found, ((0, 0), (first, 0)))


def test_numbers_begin_where_the_files_begin(tmp_path: Path) -> None:
    texts = {"train.svm": "2 1:0.5 3:-1\n", "test.svm": "1 2:1\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    table = read(bt.Table("rows", "*.svm"), Place(tmp_path))
    assert [name for name in table.column_names if name[0] == "f"] == ["f1", "f2", "f3"]
    assert [row["f1"] for row in table.to_pylist()] == [0, 0.5]
    (tmp_path / "test.svm").write_text("1 0:0 2:1\n")  # one file is enough: all are numbered alike
    table = read(bt.Table("rows", "*.svm"), Place(tmp_path))
    assert [name for name in table.column_names if name[0] == "f"] == ["f0", "f1", "f2", "f3"]


@st.composite
def matrices(draw: Callable[..., Any]) -> tuple[np.ndarray, list[float], list[int]]:
    n, width = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    cells = st.one_of(st.just(0.0), VALUES)
    values = np.array(draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=n, max_size=n)))
    return (
        values,
        draw(st.lists(VALUES, min_size=n, max_size=n)),
        draw(st.lists(st.integers(-(2**40), 2**40), min_size=n, max_size=n)),
    )


@settings(max_examples=60, deadline=None)
@given(matrix=matrices(), grouped=st.booleans(), packed=st.booleans())
def test_what_another_library_writes_is_read(tmp_path_factory: Any, matrix: Any, grouped: bool, packed: bool) -> None:
    values, label, query = matrix
    path = tmp_path_factory.mktemp("rank") / "rank.test.svm"
    with path.open("wb") as file:
        dump_svmlight_file(values, label, file, query_id=query if grouped else None, comment="é")
    if packed:
        other = path.with_name("rank.test.svm.gz")
        other.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        path = other
    table = read_svmlight([path])
    found = features(table)
    width = found.shape[1]
    np.testing.assert_array_equal(found, values.astype(np.float32)[:, :width])
    assert not values[:, width:].any()
    np.testing.assert_allclose(table["label"].to_numpy(), label, rtol=1e-12)
    assert table["row"].to_pylist() == [f"test-{place}" for place in range(1, len(label) + 1)]
    assert "part" not in table.column_names
    assert ("query" in table.column_names) == grouped
    if grouped:
        assert table["query"].to_pylist() == [f"test-{number}" for number in query]


def naive(text: str) -> list[tuple[float, dict[int, float]]]:
    """A line after the other, by the form's own words."""
    found = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words:
            pairs = (word.split(":") for word in words[1:] if not word.startswith("qid"))
            found.append((float(words[0]), {int(index): float(value) for index, value in pairs}))
    return found


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**9), swaps=st.integers(0, 3))
def test_a_changed_file_is_read_as_it_stands_or_refused(tmp_path_factory: Any, seed: int, swaps: int) -> None:
    luck = random.Random(seed)
    letters = list("2 qid:1 1:0.5 4:-3e2 # x\n0 qid:1 0:3\n1 qid:22 5:nan\n")
    for _ in range(swaps):
        letters[luck.randrange(len(letters))] = luck.choice("0123456789 :-.eqd#\n\t\x00é")
    path = tmp_path_factory.mktemp("rank") / "rank.train"
    path.write_text("".join(letters), newline="")
    try:
        table = read_svmlight([path])
    except DataError:  # any other error is a fault of the reader
        return
    expected = naive("".join(letters))
    assert table["label"].to_pylist() == [label for label, _ in expected]
    for found, (_, pairs) in zip(features(table), expected, strict=True):
        np.testing.assert_array_equal(found, [np.float32(pairs.get(index, 0)) for index in range(len(found))])
        assert max(pairs, default=0) < len(found)


def test_files_of_counts_beside_give_the_queries(tmp_path: Path) -> None:
    for part, counts in (("train", "1\n2\n"), ("test", "3")):
        (tmp_path / f"rank.{part}.gz").write_bytes(gzip.compress(TEXT.encode()))
        (tmp_path / f"rank.{part}.{'query' if part == 'train' else 'group'}").write_text(counts)
    for source in ("rank.*.gz", "rank.*"):
        assert [path.name for path in files(rows(source), Place(tmp_path))] == ["rank.test.gz", "rank.train.gz"]
        table = read(rows(source), Place(tmp_path))
        assert table.column_names == ["row", "query", "part", "label", "f0", "f1", "f2", "f3"]
        assert table["query"].to_pylist() == ["test-1"] * 3 + ["train-1", "train-2", "train-2"]
        assert table["part"].to_pylist() == ["test"] * 3 + ["train"] * 3
        assert len(set(table["row"].to_pylist())) == 6
        assert features(table)[3:].tolist() == [[0, 0.5, 0, -1], [3, 0, 0, 0], [0, 0, 0, 0]]


def test_the_widest_file_says_how_many_features_there_are(tmp_path: Path) -> None:
    (tmp_path / "train.svm").write_text("1 0:1\n")
    (tmp_path / "vali.svm").write_text("1 4:2\n")
    (tmp_path / "notes.txt").write_text("none of the table's")
    table = read(bt.Table("rows", str(tmp_path)), Place())
    assert features(table).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 2]]
    assert table["part"].to_pylist() == ["train", "validate"]


def test_ids_stay_apart_where_parts_do_not(tmp_path: Path) -> None:
    for name in ("Fold1/train.txt", "Fold2/train.txt", "Fold1/test.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1 qid:7 1:1\n")
    table = read(rows("Fold*/*.txt"), Place(tmp_path))
    assert table["query"].to_pylist() == ["Fold1/test-7", "Fold1/train-7", "Fold2/train-7"]
    assert table["row"].to_pylist() == ["Fold1/test-1", "Fold1/train-1", "Fold2/train-1"]
    assert table["part"].to_pylist() == ["test", "train", "train"]


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["mine.svm"], None),
        (["train.svm"], None),
        (["may.svm", "june.svm"], None),
        (["train_0.svm", "train_1.svm"], None),
        (["train.svm", "vali.svm"], ["train", "validate"]),
        (["extra.svm", "train.svm"], ["extra", "train"]),
    ],
)
def test_files_that_part_nothing_have_no_part(tmp_path: Path, names: list[str], parts: list[str] | None) -> None:
    for name in names:
        (tmp_path / name).write_text("1 qid:7 1:1\n")
    table = read(bt.Table("rows", "*.svm"), Place(tmp_path))
    assert len(set(table["row"].to_pylist())) == len(names) == len(set(table["query"].to_pylist()))
    assert (table["part"].to_pylist() if "part" in table.column_names else None) == parts


def test_rows_of_one_query_need_not_stand_together(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text("1 qid:7 1:1\n2 qid:3 1:1\n0 qid:7 1:1\n")
    assert read(bt.Table("rows", "a"), Place(tmp_path))["query"].to_pylist() == ["a-7", "a-3", "a-7"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("rank.train.gz", "train"),
        ("MSLR-WEB10K-vali.txt", "validate"),
        ("dev_0.svm", "validate"),
        ("latest.svm.gz", "latest"),
        ("trainset.libsvm", "trainset"),
        ("rank.TEST", "test"),
    ],
)
def test_names_say_parts(name: str, part: str) -> None:
    assert part_of(Path(name)) == part


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("1 1:2\ngood 1:2\n", 2, "the label 'good'"),
        ("nan 1:2\n", 1, "the label 'nan'"),
        ("1,2 1:2\n", 1, "the label '1,2'"),
        ("1 1:2\n# so\n1 -1:2\n", 3, "the index -1: negative"),
        ("1 1:2\n1 65536:2\n", 2, "the index '65536': above 65,535"),
        (f"1 {'9' * 60}:2\n", 1, f"the index '{'9' * 40}': above 65,535"),
        ("1 4294967297:2\n", 1, "the index '4294967297': above 65,535"),
        ("1 3:2 1:2\n", 1, "the index 1 after 3"),
        ("1 3:2 3:2\n", 1, "the index 3 after 3"),
        ("1 3:two\n", 1, "the pair '3:two'"),
        ("1 3\n", 1, "the pair '3'"),
        ("1 3.0:1\n", 1, "the pair '3.0:1'"),
        ("1 :1\n", 1, "the pair ':1'"),
        ("1 3:1e39\n", 1, "the value '3:1e39': too large for float32"),
        ("1 3:inf\n", 1, "the value '3:inf': too large for float32"),
        ("1 qid:one 3:1\n", 1, "the query 'qid:one'"),
        (f"1 qid:{2**63} 3:1\n", 1, f"the query 'qid:{2**63}'"),
        ("1 3:1 qid:1\n", 1, "the pair 'qid:1'"),
        ("1 qid:1 3:1\n1 3:1\n", 2, "no qid, where the first row has one"),
        ("1 3:1\n1 qid:1 3:1\n", 2, "a qid, where the first row has none"),
        ("1\t0.2\t0.4\n", 1, "the pair '0.2'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, found: str) -> None:
    (tmp_path / "rank.train").write_text(text)
    with pytest.raises(DataError) as caught:
        read(rows("rank.train"), Place(tmp_path))
    assert (caught.value.where, caught.value.found) == (f"{tmp_path / 'rank.train'}:{line}", found)
    assert caught.value.allowed
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "counts", "found"),
    [
        ("", None, "an empty file"),
        ("# nothing\n\n", None, "no row"),
        (TEXT, "1\n1\n", "the counts add up to 2"),
        (TEXT, "3\n1\n", "the counts add up to 4"),
        (TEXT, "3\n-1\n", "'-1'"),
        (TEXT, "3\n\n", "''"),
        (TEXT, "0\n3\n", "'0'"),
        (TEXT, "1.5\n", "'1.5'"),
        (TEXT, "", "an empty file"),
        ("1 qid:1 1:1\n", "1\n", "each row has a qid, and rank.train.query says queries too"),
    ],
)
def test_files_and_counts_that_cannot_be_are_refused(tmp_path: Path, text: str, counts: str | None, found: str) -> None:
    (tmp_path / "rank.train").write_text(text)
    if counts is not None:
        (tmp_path / "rank.train.query").write_text(counts)
    with pytest.raises(DataError) as caught:
        read(rows("rank.train"), Place(tmp_path))
    assert caught.value.found == found
    assert caught.value.allowed


def test_a_truncated_or_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    luck = random.Random(1)
    whole = gzip.compress("".join(f"1 1:{luck.random()}\n" for _ in range(5_000)).encode())
    for damaged in (whole[: len(whole) // 2], whole[:-4], whole[:1_000] + bytes(1_000) + whole[2_000:], b"1 1:1\n"):
        (tmp_path / "rank.train.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="truncated or damaged gzip file"):
            read(rows("rank.train.gz"), Place(tmp_path))


def test_memory_is_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    path.write_text(f"1 {MOST_FEATURES - 1}:1\n" * 3)
    assert features(read_svmlight([path], most_values=3 * MOST_FEATURES)).sum() == 3
    with pytest.raises(DataError, match="3 rows × 65,536 features"):
        read_svmlight([path], most_values=3 * MOST_FEATURES - 1)


def test_queries_in_some_files_only_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.svm").write_text("1 qid:1 1:1\n")
    (tmp_path / "test.svm").write_text("1 1:1\n")
    with pytest.raises(DataError, match=r"no query(?s:.*)test\.svm\.query"):
        read(bt.Table("rows", "*.svm"), Place(tmp_path))


def test_kinds_do_not_mix_and_formats_are_known(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text("1 1:1\n")
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match="files of csv and svmlight"):
        read(bt.Table("rows", str(tmp_path)), Place())
    assert read(rows(str(tmp_path)), Place()).num_rows == 1
    (tmp_path / "a.data").write_text("x\n1\n")
    assert read(rows("a.data", format="csv"), Place(tmp_path)).to_pydict() == {"x": [1]}
    with pytest.raises(DataError, match="format='svmlight'"):
        read(bt.Table("rows", "a.data"), Place(tmp_path))


def test_the_fingerprint_counts_the_queries(tmp_path: Path) -> None:
    (tmp_path / "rank.train").write_text(TEXT)
    found = [fingerprint(rows(), Place(tmp_path))]
    for counts in ("3\n", "1\n2\n"):
        (tmp_path / "rank.train.query").write_text(counts)
        found.append(fingerprint(rows(), Place(tmp_path)))
    assert len(set(found)) == 3


def test_rows_with_their_names_go_through_ingestion(tmp_path: Path) -> None:
    (tmp_path / "rank.train").write_text("2 qid:1 1:nan 2:3\n0 qid:1 2:1\n")
    table = rows("rank.train", columns={"grade": "label", "document": "row"}, checks=[bt.Range("grade", at_most=1)])
    done = ingest(table, Place(tmp_path), tmp_path / "made")
    assert (done.offered, done.accepted) == (2, 1)


@pytest.mark.skipif("BOTTEGA_DATA" not in os.environ, reason="BOTTEGA_DATA is not set: LightGBM's example lies there")
def test_lightgbms_example_is_what_its_authors_say() -> None:
    folder = Path(os.environ["BOTTEGA_DATA"])
    if not (folder / "lightgbm_rank").is_dir():
        pytest.skip(f"BOTTEGA_DATA={folder} holds no lightgbm_rank")
    table = read(rows("lightgbm_rank/rank.*.gz"), Place(folder))
    train = np.array(table["part"]) == "train"
    assert (train.sum(), (~train).sum()) == (3005, 768)
    assert [len(np.unique(np.array(table["query"])[chosen])) for chosen in (train, ~train)] == [201, 50]
    assert set(table["label"].to_pylist()) == {0, 1, 2, 3, 4}
    assert features(table).shape == (3773, 301)
