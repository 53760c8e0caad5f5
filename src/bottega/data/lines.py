"""JSON lines and tab-separated files as Arrow tables, as search collections of the BEIR kind come."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from bottega.data.svmlight import opened
from bottega.errors import DataError

_PLAIN = (str, int, float, bool, type(None))


def read_json_lines(path: Path, text: Collection[str] = ()) -> pa.Table:
    """Read a file with one JSON object in each line; `.gz` is unpacked, empty lines are passed over.

    Columns come in the order in which they are first named; what an object does not name is null. Columns that hold an
    object or a list somewhere are left out. A column of `text`, or one of several types, becomes text.

    path: the file, in UTF-8. text: columns to keep as text.
    Raises `DataError`, with the line where there is one: no JSON, no object, an empty or truncated file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "corpus.jsonl"
    >>> _ = path.write_text('{"_id": "7", "text": "a cat", "metadata": {}}\\n{"_id": "8"}\\n')
    >>> read_json_lines(path).to_pylist()
    [{'_id': '7', 'text': 'a cat'}, {'_id': '8', 'text': None}]
    """
    rows: list[dict[str, Any]] = []
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                rows.append(_object(line, f"{path}:{number}"))
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if all(isinstance(value, _PLAIN) for value in values):
            columns[name] = _column(values, name in text)
    return pa.table(columns)


def read_tsv(path: Path, text: Collection[str] = ()) -> pa.Table:
    """Read a file of values parted by tabs, with one line of names; `.gz` is unpacked, quotes are letters.

    The types are inferred as those of CSV files are, and empty is null.

    path: the file, in UTF-8. text: columns to keep as text.
    Raises `DataError`: an empty or truncated file, lines of several lengths, bytes that are not UTF-8.
    """
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(text, pa.string()), null_values=[""], strings_can_be_null=True
    )
    with opened(path) as file:
        try:
            table = pacsv.read_csv(
                file, parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False), convert_options=convert
            )
        except pa.ArrowInvalid as error:
            found, allowed = f"no tab-separated file: {error}", "UTF-8, as many values a line as names"
            raise DataError(str(path), found, allowed, "mend the line, or write the file again") from None
    if wrong := [field.name for field in table.schema if pa.types.is_binary(field.type)]:
        raise DataError(str(path), f"bytes in {wrong[0]!r} that are not UTF-8", "text in UTF-8", "write the file again")
    return table


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8-sig"))
        if b"\\ud" in line.lower():  # half a character may be written so, which no UTF-8 can hold
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(where, f"no JSON: {error}", "an object in each line", "mend the line") from None
    if not isinstance(found, dict):
        raise DataError(where, f"{type(found).__name__}, no object", 'an object in each line: {"_id": "7", …}')
    return found


def _column(values: list[Any], is_text: bool) -> pa.Array:
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if not is_text and (len(kinds) == 1 or kinds == {int, float}):
            return pa.array(values)
    except OverflowError:  # whole numbers beyond 64 bits
        pass
    return pa.array([None if value is None else str(value) for value in values], pa.string())
