"""Files in svmlight's text form, as ranking sets come: LETOR, MSLR, LightGBM's examples with their queries' counts."""

from __future__ import annotations

import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.errors import DataError

MOST_FEATURES = 65_536
"""Columns that a table may get: above, the numbers are words or ids, which a dense table is no place for."""
MOST_VALUES = 2**31
"""Values of all columns together: 8 GiB."""
_COUNTS = (".query", ".group")  # files of LightGBM that say how many rows each query has
_OTHERS = (".weight", ".position", ".init")  # what else LightGBM reads from beside a file
_PARTS = {
    "train": ("train", "training"),
    "validate": ("valid", "vali", "val", "validate", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}
Number = TypeVar("Number", int, float)
_OVER = 2.0**128 - 2.0**103  # from here on float32 rounds to infinity
_RULE = "a grade, perhaps qid:NUMBER, then index:value pairs with growing indices, as in `2 qid:17 1:0.5 4:3`"


@dataclass(frozen=True)
class _Rows:
    """A file: values in sparse rows (n, width), labels (n,), and the query of each row, none where none is said."""

    path: Path
    values: Any
    label: NDArray[np.float64]
    query: NDArray[np.int64] | None


def read_svmlight(paths: Sequence[Path], most_values: int = MOST_VALUES) -> pa.Table:
    """Read files of `label [qid:query] index:value …` lines as one table; `.gz` is unpacked.

    Columns: `row`, text, `train-3005`, the number of the row in its file; `query`, text, `train-17`, where the files
    say it; `part`, text, where the files say several; `label`, float64; `f0` to `fN`, float32, by the indices as they
    are written, up to the largest of all files; from `f1` on where no file has an index 0, as most number from 1. A
    pair that is not there is 0; `nan` stays; what stands behind `#` is left out.

    The query is the file's `qid`, or else comes from a file beside it that has its name, without `.gz`, and `.query` or
    `.group`: how many rows each query has, line by line; there `train-17` is the query of line 17. The part is what the
    file's name says (`train`, `validate`, `test`; `vali`, `dev` and others are understood), or else the name; there is
    none where all files have the same, or no name says one of the three, since the files then part nothing. It begins
    the ids; where two files have one part, the file's path does instead, from the first folder in which they differ.

    most_values: rows × features that are held in memory, 4 bytes each.
    Raises `DataError`, with the line where there is one: an empty or truncated file, a label, pair or query that is
    none, an index that is negative, repeated, not in order, or above 65,535; queries said twice, for some rows only, or
    by counts that do not add up; more values than `most_values`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rank.train"
    >>> _ = path.write_text("2 1:0.5\\n0 0:3 # no pair of 1\\n")
    >>> _ = path.with_name("rank.train.query").write_text("2\\n")
    >>> read_svmlight([path]).to_pylist()[1]
    {'row': 'train-2', 'query': 'train-1', 'label': 0.0, 'f0': 3.0, 'f1': 0.0}
    """
    files = [_read(path) for path in paths]
    said = [file.query is not None for file in files]
    if any(said) and not all(said):
        path = files[said.index(False)].path
        beside = f"a file beside it: {unpacked_name(path)}{_COUNTS[0]}"
        raise DataError(str(path), "no query, and other files of the table say them", "queries in all or none", beside)
    rows, width = sum(len(file.label) for file in files), max(file.values.shape[1] for file in files)
    if rows * width > most_values:
        found, allowed = f"{rows:,} rows × {width:,} features", f"at most {most_values:,} values in memory"
        raise DataError(str(paths[0]), found, allowed, "name fewer files, or write the columns that count as Parquet")
    parts = [part_of(path) for path in paths]
    says = len(set(parts)) > 1 and not _PARTS.keys().isdisjoint(parts)
    first = 0 if width == 1 or any(0 in file.values.indices for file in files) else 1
    each = zip(files, _names(paths), parts, strict=True)
    return pa.concat_tables(
        [_table(file, name, part if says else None, range(first, width)) for file, name, part in each]
    )


def beside(path: Path) -> Path | None:
    """Give the file that says how many rows each query of a file has, where there is one."""
    there = [path.with_name(unpacked_name(path) + kind) for kind in _COUNTS]
    return next((item for item in there if item.is_file()), None)


def belongs_to_another(path: Path) -> bool:
    """Say whether a file, by its name, tells something about the rows of another one."""
    return path.name.lower().endswith((*_COUNTS, *_OTHERS))


def part_of(path: Path) -> str:
    """Give the part that a file's name says: `train`, `validate` or `test`, or else the name without its endings.

    >>> part_of(Path("rank.test.gz")), part_of(Path("Fold1/vali.txt")), part_of(Path("web10k.svm"))
    ('test', 'validate', 'web10k')
    """
    words = re.split(r"[^a-z0-9]+", unpacked_name(path).lower())
    return next((part for part, known in _PARTS.items() if not set(known).isdisjoint(words)), Path(path.stem).stem)


def unpacked_name(path: Path) -> str:
    """Give a file's name without `.gz`."""
    return path.name[:-3] if path.name.lower().endswith(".gz") else path.name


@contextmanager
def opened(path: Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Open a file for its bytes, unpacked where it ends in `.gz`; `DataError` for one that is empty or cannot be read.

    What is raised while it is read counts as well: a truncated file shows itself there.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        if path.stat().st_size == 0:
            raise DataError(str(path), "an empty file", "at least one row", "copy or download it again")
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if packed else file
    except (EOFError, zlib.error, OSError) as error:
        broken = packed and not isinstance(error, PermissionError)
        found = "a truncated or damaged gzip file" if broken else f"cannot be read: {error}"
        raise DataError(str(path), found, "a whole file", "copy or download it again") from None


def _read(path: Path) -> _Rows:
    from sklearn.datasets import load_svmlight_file  # here: it takes a second to load

    try:
        with opened(path) as file:
            values, label, query = load_svmlight_file(file, zero_based=True, query_id=True)
    except (ValueError, OverflowError) as error:
        raise _explain(path, error) from None
    if not len(label):
        raise DataError(str(path), "no row", "at least one row", "name another file")
    sound = np.isfinite(label).all() and not (np.abs(values.data) >= _OVER).any()
    if not sound or values.shape[1] > MOST_FEATURES or len(query) not in (0, len(label)):
        raise _explain(path, None)
    counts = beside(path)
    if counts is not None and len(query):
        allowed, fix = "one of the two", f"remove {counts.name}, or the qid of each line"
        raise DataError(str(path), f"each row has a qid, and {counts.name} says queries too", allowed, fix)
    if counts is not None:
        return _Rows(path, values, label, _counted(counts, len(label)))
    return _Rows(path, values, label, query if len(query) else None)


def _counted(path: Path, rows: int) -> NDArray[np.int64]:
    """Give each row the line of its query, from the counts of a file."""
    counts = []
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not re.fullmatch(rb"\s*0*[1-9]\d{0,11}\s*", line):
                found, allowed = f"{_shown(line)}", "a whole number above 0: how many rows the query has"
                raise DataError(f"{path}:{number}", found, allowed)
            counts.append(int(line))
    if sum(counts) != rows:
        found, allowed = f"the counts add up to {sum(counts):,}", f"{rows:,}, as many as there are rows"
        raise DataError(str(path), found, allowed, "take both files from one place again")
    return np.repeat(np.arange(1, len(counts) + 1), counts)


def _table(file: _Rows, name: str, part: str | None, numbers: range) -> pa.Table:
    n, columns = len(file.label), file.values.tocsc()
    values: dict[str, Any] = {"row": [f"{name}-{number}" for number in range(1, n + 1)]}
    if file.query is not None:
        known, which = np.unique(file.query, return_inverse=True)
        values["query"] = pa.array([f"{name}-{number}" for number in known]).take(pa.array(which))
    if part is not None:
        values["part"] = pa.repeat(part, n)
    values["label"] = file.label
    ends = columns.indptr
    for index in numbers:
        column = np.zeros(n, np.float32)
        if index < columns.shape[1]:
            some = slice(ends[index], ends[index + 1])
            column[columns.indices[some]] = columns.data[some]
        values[f"f{index}"] = column
    return pa.table(values)


def _names(paths: Sequence[Path]) -> list[str]:
    """Give each file what begins its ids: its part, or its path without endings where two have one part."""
    parts = [part_of(path) for path in paths]
    if len(set(parts)) == len(parts):
        return parts
    root = Path(os.path.commonpath([path.parent for path in paths]))
    whole = [path.relative_to(root).as_posix() for path in paths]
    bare = [re.sub(r"(\.(svm|libsvm|svmlight|txt|gz))+$", "", name, flags=re.IGNORECASE) for name in whole]
    return bare if len(set(bare)) == len(bare) else whole


def _explain(path: Path, error: Exception | None) -> DataError:
    """Read the file again, slowly, to name the line."""
    grouped: bool | None = None
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            words = line.partition(b"#")[0].split()
            if not words:
                continue
            found = _wrong(words)
            has = len(words) > 1 and words[1].startswith(b"qid")
            if not found and grouped not in (None, has):
                found = f"{'a' if has else 'no'} qid, where the first row has {'none' if has else 'one'}"
            if found:
                return DataError(f"{path}:{number}", found, _RULE, "mend the line, or write the file again")
            grouped = has
    return DataError(str(path), f"no svmlight file: {error}", _RULE)


def _wrong(words: list[bytes]) -> str:
    """Say what is wrong with the words of a line, or nothing."""
    label = _number(words[0], float)
    if label is None or not math.isfinite(label):
        return f"the label {_shown(words[0])}"
    pairs = iter(words[1:])
    if len(words) > 1 and words[1].startswith(b"qid"):
        query = _number(words[1].partition(b":")[2], int)
        if query is None or not -(2**63) <= query < 2**63:
            return f"the query {_shown(words[1])}"
        pairs = islice(pairs, 1, None)
    last = -1
    for pair in pairs:
        before, _, after = pair.partition(b":")
        index, value = _number(before, int), _number(after, float)
        if index is None or value is None:
            return f"the pair {_shown(pair)}"
        if index < 0:
            return f"the index {index}: negative"
        if index >= MOST_FEATURES:
            return f"the index {_shown(str(index).encode())}: above {MOST_FEATURES - 1:,}"
        if index <= last:
            return f"the index {index} after {last}"
        if abs(value) >= _OVER:
            return f"the value {_shown(pair)}: too large for float32"
        last = index
    return ""


def _number(text: bytes, kind: Callable[[bytes], Number]) -> Number | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _shown(text: bytes) -> str:
    return repr(text.strip().decode(errors="replace")[:40])
