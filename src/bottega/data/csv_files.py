"""CSV files as Arrow tables, and what is wrong with one that is none."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from bottega.errors import DataError

SIGNS = ",;\t|"
"""What may part values; where the line of names leaves it open, the earlier one."""

_DECIMAL = r"\A\s*-?\d+(,\d+)?\s*\z"  # as countries write it where semicolons part values
_NULLS = ["", "NULL", "null", "NaN", "nan", "NA", "N/A", "n/a", "#N/A"]


def read_csv(path: Path, text: Collection[str] = (), encoding: str = "utf-8") -> pa.Table:
    """Read a CSV file: one line of names, RFC 4180 quotes that may hold line breaks; `.gz` is unpacked.

    Values are parted by commas; by semicolons, tabs or bars where the line of names has no comma and one of these, and
    the line below as many. Then numbers may be written as `1,5`.
    The type of a column is the first that holds all of its values: nothing, whole numbers, truth values (`true`,
    `false`), dates, ISO timestamps, numbers, else text. Empty is null; in numbers `NULL`, `NaN`, `NA`, `N/A` are too,
    in text they are words. A column of `text` stays text, with its leading zeros; only where all its values are whole
    numbers that end in `.0`, as pandas writes whole numbers with gaps, the `.0` goes.

    path: the file; text: columns to keep as text; encoding: as Python names it.
    Raises `DataError`: an empty file, a line with too many or too few values (with its number), bytes that are not in
    the encoding (with the line), a truncated `.gz`, two columns of one name.
    """
    check_encoding(path, encoding)
    size = path.stat().st_size
    if size == 0:
        raise DataError(str(path), "an empty file", "a line of names and at least one row", "write the file again")
    with _named(path):
        sign = _sign(path, encoding)
        names = header(path, encoding)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(str(path), f"two columns named {repeated[0]!r}", "each column a name of its own")
    try:
        with _named(path):
            table = pacsv.read_csv(
                path,
                read_options=pacsv.ReadOptions(encoding=encoding),
                parse_options=pacsv.ParseOptions(delimiter=sign, newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.string() for name in names if name in text}, null_values=_NULLS
                ),
            )
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise _explain(path, encoding, sign, error) from None
    for place, field in enumerate(table.schema):
        if pa.types.is_binary(field.type):
            raise _explain(path, encoding, sign, None)
        column = table.column(place)
        if pa.types.is_null(field.type):
            table = table.set_column(place, field.name, column.cast(pa.string()))
        elif pa.types.is_string(field.type):
            column = _plain(column, field.name in text)
            if sign != "," and field.name not in text:
                column = _with_points(column)
            table = table.set_column(place, field.name, column)
    return table


def header(path: Path, encoding: str) -> list[str]:
    """Read the names in the first line."""
    return next(iter(_first(path, encoding, _sign(path, encoding))), [])


def check_encoding(path: Path, encoding: str) -> None:
    """Refuse the name of an encoding that Python does not know."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(
            str(path), f"the encoding {encoding!r} is unknown", "an encoding of Python", "encoding='utf-8' or 'latin-1'"
        ) from None


def _sign(path: Path, encoding: str) -> str:
    """Tell what parts the values, by the first two lines."""
    for sign in SIGNS:
        names, *rest = [*_first(path, encoding, sign), []][:2]
        if len(names) > 1 and (sign == "," or not any(rest) or len(rest[0]) == len(names)):
            return sign
    return ","


def _first(path: Path, encoding: str, sign: str) -> list[list[str]]:
    """Read the names and the first row."""
    try:
        with _opened(path, encoding) as file:
            return list(islice(filter(None, csv.reader(file, delimiter=sign)), 2))
    except (UnicodeError, csv.Error) as error:
        raise _explain(path, encoding, sign, error) from None


def _with_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give numbers that are written with a decimal comma as numbers; other text as it is."""
    if column.null_count == len(column) or not pc.all(pc.match_substring_regex(column, _DECIMAL)).as_py():
        return column
    return pc.replace_substring(pc.utf8_trim_whitespace(column), ",", ".").cast(pa.float64())


def _plain(column: pa.ChunkedArray, is_id: bool) -> pa.ChunkedArray:
    empty = pc.equal(column, "")
    if pc.any(empty).as_py():
        column = pc.if_else(empty, pa.scalar(None, pa.string()), column)
    if is_id and column.null_count < len(column) and pc.all(pc.match_substring_regex(column, r"\A-?\d+\.0\z")).as_py():
        column = pc.utf8_slice_codeunits(column, 0, -2)
    return column


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give what cannot be read at all its one error."""
    try:
        yield
    except UnicodeError:
        raise
    except (EOFError, zlib.error, OSError) as error:
        broken = path.suffix == ".gz" and not isinstance(error, PermissionError)
        found = "a truncated or damaged gzip file" if broken else f"cannot be read: {error}"
        raise DataError(str(path), found, "a whole file", "copy or download it again") from None


@contextmanager
def _opened(path: Path, encoding: str, errors: str = "strict") -> Iterator[IO[str]]:
    plain = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding=plain, errors=errors, newline="") as file:
        yield file


def _explain(path: Path, encoding: str, sign: str, error: Exception | None) -> DataError:
    """Read the file again, slowly, to name the line."""
    wrong = _wrong_bytes(path, encoding)
    if wrong is not None:
        other = "utf-8" if encoding.lower() in ("latin-1", "cp1252") else "latin-1"
        return DataError(
            f"{path}:{wrong}",
            f"bytes that are not {encoding}",
            f"text in {encoding}",
            f"name the file's encoding in the table: encoding={other!r}",
        )
    ragged = _ragged(path, encoding, sign)
    if ragged is not None:
        line, found, expected = ragged
        return DataError(
            f"{path}:{line}",
            f"{found} values where the header names {expected}",
            f"as many values in each line as there are names, parted by {sign!r}; quotes around a value that holds one",
            "mend the line, or write the file again if it was cut off",
        )
    return DataError(str(path), f"no CSV: {error}", f"lines of values parted by {sign!r}")


def _wrong_bytes(path: Path, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    with _named(path), opener(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                decoder.decode(line)
            except UnicodeError:
                return number
        try:
            decoder.decode(b"", final=True)
        except UnicodeError:
            return number
    return None


def _ragged(path: Path, encoding: str, sign: str) -> tuple[int, int, int] | None:
    with _named(path), suppress(csv.Error), _opened(path, encoding) as file:
        rows = csv.reader(file, delimiter=sign)
        expected = len(next(rows, []))
        for row in rows:
            if row and len(row) != expected:
                return rows.line_num, len(row), expected
    return None
