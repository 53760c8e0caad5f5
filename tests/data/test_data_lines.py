"""JSON lines and tab-separated files read as what was written, and one error for each way in which they cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.lines import read_json_lines, read_tsv
from bottega.data.source import Place, fingerprint, read
from bottega.errors import DataError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.one_of(st.none(), WORDS, st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False))
ROWS = st.lists(st.dictionaries(WORDS, st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=4), min_size=1)


def naive(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Each column by the types of its values alone."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if any(isinstance(value, list) for value in values):
            continue
        kinds = {type(value) for value in values if value is not None}
        large = any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in values)
        mixed = len(kinds) > 1 and kinds != {int, float}
        as_text = mixed or (large and kinds == {int})
        found[name] = [None if value is None else str(value) if as_text else value for value in values]
    return found


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, packed=st.booleans())
def test_objects_are_read_as_they_were_written(tmp_path_factory: Any, rows: Any, packed: bool) -> None:
    text = "\n\n".join(json.dumps(row, ensure_ascii=packed) for row in rows).encode()
    path = tmp_path_factory.mktemp("lines") / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(text) if packed else text)
    table, right = read_json_lines(path), naive(rows)
    assert table.column_names == list(right)
    for name, values in right.items():
        numbers = {type(value) for value in values} - {type(None)} == {int, float}
        if numbers and pa.types.is_string(table.schema.field(name).type):  # whole numbers that no float holds
            values = [None if value is None else str(value) for value in values]
        assert table[name].to_pylist() == values


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.from_regex(r"[0-9]{1,5}", fullmatch=True), st.text("ab \"é,'", min_size=1)), min_size=1)
)
def test_tabs_part_values_and_quotes_are_letters(tmp_path_factory: Any, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.tsv"
    path.write_text("id\tname\n" + "".join(f"{key}\t{name}\n" for key, name in rows))
    table = read_tsv(path, ["id", "name", "absent"])
    assert list(zip(*table.to_pydict().values(), strict=True)) == rows


def test_a_table_is_read_by_what_its_files_are_called(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"_id": "07", "text": "x", "when": "2020-01-01"}\n')
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"_id\tn\n07\t3\n08\t\n"))
    table = bt.Table("a", "a", key="id", columns={"id": "id|_id"})
    assert read(table, Place(tmp_path)).to_pylist() == [{"id": "07", "text": "x", "when": "2020-01-01"}]
    other = bt.Table("b", "b", key="id", columns={"id": "id|_id"})
    assert read(other, Place(tmp_path)).to_pylist() == [{"id": "07", "n": 3}, {"id": "08", "n": None}]
    before = fingerprint(table, Place(tmp_path))
    (tmp_path / "a.jsonl").write_text('{"_id": "8"}\n')
    assert fingerprint(table, Place(tmp_path)) != before


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        (b"", "", "an empty file"),
        (b'{"a": 1}\n{"a": \n', ":2", "no JSON: "),
        (b"null\n", ":1", "NoneType, no object"),
        (b"\n[1]\n", ":2", "list, no object"),
        (b'{"a": "\xff"}\n', ":1", "no JSON: "),
        (b'{"a": "\\ud83d\\ude00"}\n{"a": "\\uD800"}\n', ":2", "no JSON: 'utf-8' codec"),
        (b'{"\\udfff": 1}\n', ":1", "no JSON: 'utf-8' codec"),
        (b"[" * 100_000, ":1", "no JSON: "),
    ],
)
def test_json_that_is_none_is_named_with_its_line(tmp_path: Path, content: bytes, line: str, found: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_json_lines(path)
    assert error.value.where == f"{path}{line}"
    assert error.value.found.startswith(found)
    assert error.value.allowed


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"a\tb\n1\t2\t3\n", "no tab-separated file: "),
        (b"a\tb\n\xff\t2\n", "UTF"),
    ],
)
def test_lines_that_no_tabs_part_are_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    for text in ([], ["a"]):
        with pytest.raises(DataError) as error:
            read_tsv(path, text)
        assert error.value.where == str(path)
        assert found in error.value.found


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.tsv.gz"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    text = "".join(f'{{"a": {place * 7919 % 10_007}}}\n' for place in range(3_000))
    (tmp_path / name).write_bytes(gzip.compress(text.encode())[:-200])
    with pytest.raises(DataError, match="truncated or damaged gzip file"):
        read(bt.Table("a", "a"), Place(tmp_path))
