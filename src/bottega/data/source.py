"""Where tables are, and how one is read: Parquet, CSV and other files, or a table of a warehouse."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.data import idx, svmlight
from bottega.data.csv_files import SIGNS, read_csv
from bottega.data.lines import read_json_lines, read_tsv
from bottega.data.picture_files import ENDINGS, left_out, pictures_in, read_pictures, told_of
from bottega.data.warehouse import read_warehouse
from bottega.design.tables import Pattern, Table
from bottega.errors import DataError, nearest
from bottega.files import sha256

_ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".csv.gz"),
    "tsv": (".tsv", ".tsv.gz"),
    "jsonl": (".jsonl", ".jsonl.gz"),
    "svmlight": (".svm", ".svm.gz", ".libsvm", ".libsvm.gz", ".svmlight", ".svmlight.gz"),
    "idx": ("-idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte", ".idx3-ubyte.gz"),
}
_KINDS = tuple(ending for endings in _ENDINGS.values() for ending in endings)
_PICTURES = "pictures"
_LINES = {"tsv": read_tsv, "jsonl": read_json_lines}
_SHOWN = 12  # names in a message


@dataclass(frozen=True)
class Place:
    """Where the tables of a design are: chosen by who runs it, never in the design."""

    folder: Path | None = None
    """The folder that sources are relative to."""
    warehouse: str | None = None
    """An Ibis URL, `duckdb://shop.db`; the tables are read from there instead of from files."""


def read(table: Table, place: Place, text: Collection[str] = ()) -> pa.Table:
    """Read a table of a design whole, under our column names, in the source's own order of arrival.

    Files are read in the order of their names, and their rows in the order of the file; a warehouse's rows come in
    the order in which it gives them, which is that of insertion for DuckDB and is promised by few others. Columns that
    name rows (`key`, `event_id`), that have a `Pattern`, or that are in `text`, are read from CSV as text; the types of
    the others are inferred (see `read_csv`), over all files together: where files disagree, numbers become floats and
    all else text. Times of CSV files stay text until ingestion reads them. Parquet keeps its types. `read_json_lines`
    and `read_tsv` say how collections of documents are read, `read_svmlight` and `read_idx` which columns ranking sets
    and pictures have, `read_pictures` those of a folder of pictures. A name of a table's columns that ends in `|` may
    be missing: there is no such column then.

    text: further columns, by our names, that CSV must not turn into numbers.
    Gives (n,) rows with all columns of the source, and `row` where the table asks for it. Raises `DataError`: no such
    file or table (with the nearest one), a truncated or damaged file, no row at all, files that do not fit together, a
    column that is not there.
    """
    where = f"data.tables[{table.name}]"
    if place.warehouse is not None:
        found, origin = read_warehouse(table, place.warehouse), place.warehouse
    else:
        paths = files(table, place)
        found, origin = _concat(paths, table, text), _origin(paths)
    if found.num_rows == 0:
        raise DataError(f"{where}.source", f"{origin}: no row", "at least one row", "name another file or table")
    rows = _renamed(_plain_types(found), table, where, origin)
    if table.row is None:
        return rows
    if place.warehouse is not None:
        allowed, fix = "a column that names the row", "leave row= out, and name that column instead"
        raise DataError(f"{where}.row", f"{table.row!r}, and a warehouse keeps no order of rows", allowed, fix)
    if table.row in rows.column_names:
        raise DataError(f"{where}.row", f"a column {table.row!r} is there already", "a new name", "leave row= out")
    return rows.append_column(table.row, pa.array(np.arange(1, rows.num_rows + 1)))


def is_there(table: Table, place: Place) -> bool:
    """Say whether the table has a file; of a warehouse it is taken for granted."""
    if place.warehouse is not None or place.folder is None:
        return True
    return any(_there(source, place.folder, table) for source in (table.source or table.name).split("|"))


def passed_over(table: Table, place: Place) -> str:
    """Say which files lie among the pictures of a table and are not read; nothing for another table."""
    if place.warehouse is not None:
        return ""
    paths = files(table, place)
    return left_out(paths) if {_kind(path, table) for path in paths} == {_PICTURES} else ""


def fingerprint(table: Table, place: Place) -> str:
    """Give the SHA-256 by which the data of a table are known again.

    Files: over their names, relative to the folder, and contents; moving the folder changes nothing. Warehouse: over
    the table as it reads now, encoded as Parquet, so that it costs a whole read, and a warehouse that gives its rows
    in another order has other data.
    """
    digest = hashlib.sha256()
    if place.warehouse is not None:
        whole = read_warehouse(table, place.warehouse).combine_chunks()
        sink = pa.BufferOutputStream()
        pq.write_table(whole, sink, compression="none")
        digest.update(sink.getvalue())
        return digest.hexdigest()
    paths = files(table, place)
    beside = [item for path in paths if (item := _beside(path, table)) is not None]
    for path in paths + beside:
        inside = place.folder is not None and path.is_relative_to(place.folder)
        name = path.relative_to(place.folder).as_posix() if inside and place.folder is not None else path.name
        digest.update(f"{name}\0{sha256(path)}\0".encode())
    return digest.hexdigest()


def files(table: Table, place: Place) -> list[Path]:
    """Give the files of a table, sorted by name: of a file, a folder, a glob, or a name without its suffix.

    A name without suffix takes the first that is there of `.parquet`, `.pq`, `.csv`, `.csv.gz` and the others. A folder
    gives its files of these kinds, but none that begins with `_` or a dot; one without any, in which folders hold
    pictures, gives these. Of several sources, parted by `|`, the first
    counts that has a file. Files that tell something about the rows of another, such as labels of pictures, are none of
    a table's own.
    """
    where, sources = f"data.tables[{table.name}].source", (table.source or table.name).split("|")
    source = sources[0]
    if place.folder is None and not Path(source).is_absolute():
        raise DataError(
            where,
            f"{source!r}, and no data folder is given",
            "a folder that holds it, or a warehouse",
            "--data DIR, or BOTTEGA_DATA=DIR, or --warehouse URL",
        )
    folder = place.folder or Path("/")
    found = next((there for one in sources if (there := _there(one, folder, table))), [])
    if not found:
        raise _missing(where, source, folder, folder / source)
    for item in found:
        if not _kind(item, table):
            allowed = f"files that end in {', '.join(_KINDS)}, or a format"
            raise DataError(where, f"{item.name}: another kind of file", allowed, "format='svmlight', if it is one")
    return sorted(found)


def _there(source: str, folder: Path, table: Table) -> list[Path]:
    """Give the files that a source means, of those that are there."""
    path = folder / source
    if path.is_file():
        return [path]
    if path.is_dir():
        held = [
            item
            for item in path.iterdir()
            if _kind(item) not in (None, _PICTURES) and item.is_file() and item.name[0] not in "._"
        ]
        return [item for item in held if _kind(item) == table.format] or held or pictures_in(path)
    for kind in _KINDS:
        if (beside := path.with_name(path.name + kind)).is_file():
            return [beside]
    root = Path(Path(source).anchor) if Path(source).is_absolute() else folder
    matched = [item for item in root.glob(str(path.relative_to(root))) if item.is_file()]
    return [item for item in matched if not (svmlight.belongs_to_another(item) or idx.belongs_to_another(item))]


def _missing(where: str, source: str, folder: Path, path: Path) -> DataError:
    if path.is_dir():
        return DataError(
            where,
            f"the folder {source!r} in {folder} holds {told_of(path)}, and no table",
            f"files that end in {', '.join(_KINDS)}; or pictures, a folder for each label: {source}/LABEL/NAME.png",
            "put pictures into a folder for each label, or their bytes into a column of Parquet",
        )
    parent = path.parent
    while not parent.is_dir() and parent not in (folder, parent.parent):
        parent = parent.parent
    there = sorted(str(item.relative_to(folder)) for item in parent.iterdir()) if parent.is_dir() else []
    shown = f"there are {', '.join(there[:_SHOWN])}{', …' if len(there) > _SHOWN else ''}" if there else "it is empty"
    hint = "name the folder that holds it: --data DIR, or BOTTEGA_DATA=DIR"
    guess = nearest(source, there) or nearest(Path(source).name, there)
    return DataError(
        where,
        f"no file {source!r} in {folder}" + ("" if folder.is_dir() else ", which is no folder"),
        f"a file of {parent}: {shown}" if parent.is_dir() else "a folder that exists",
        f"{guess} or {hint}" if guess else hint,
    )


def _kind(path: Path, table: Table | None = None) -> str | None:
    """Give how a file is written: as its name says, else as the table does."""
    name, otherwise = path.name.lower(), None if table is None else table.format
    if name.endswith(ENDINGS):
        return _PICTURES
    return next((kind for kind, endings in _ENDINGS.items() if name.endswith(endings)), otherwise)


def _beside(path: Path, table: Table) -> Path | None:
    """Give the file that is read with another one."""
    kind = _kind(path, table)
    return svmlight.beside(path) if kind == "svmlight" else idx.beside(path) if kind == "idx" else None


def _origin(paths: list[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{len(paths)} files, the first {paths[0].name}"


def _concat(paths: list[Path], table: Table, text: Collection[str]) -> pa.Table:
    kinds = {str(_kind(path, table)) for path in paths}
    if kinds == {"svmlight"}:
        return svmlight.read_svmlight(paths)
    if kinds == {"idx"}:
        return idx.read_idx(paths)
    if kinds == {_PICTURES}:
        return read_pictures(paths)
    if not kinds <= {"parquet", "csv", *_LINES}:
        found, allowed = f"{_origin(paths)}: files of {' and '.join(sorted(kinds))}", "files of one kind"
        raise DataError(f"data.tables[{table.name}].source", found, allowed, "name those of one kind")
    ours = {*text, *_names(table.key), *_names(table.event_id), *_names(table.time), *_names(table.created)}
    ours.update(check.column for check in table.checks if isinstance(check, Pattern))
    as_text = {their for name in ours for their in table.columns.get(name, name).split("|")}
    parts = [_file(path, table, as_text) for path in paths]
    clash = _clashes(parts)
    if clash:  # files that infer different types of one column: read as text what is CSV
        parts = [_file(path, table, as_text | clash) for path in paths]
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"data.tables[{table.name}].source",
            f"{_origin(paths)}: they do not fit together: {error}",
            "the same columns and types in each file",
        ) from None


def _clashes(parts: list[pa.Table]) -> set[str]:
    kinds: dict[str, set[pa.DataType]] = {}
    for part in parts:
        for field in part.schema:
            empty = part.column(field.name).null_count == part.num_rows
            kinds.setdefault(field.name, set()).update([] if empty else [field.type])
    numbers = {pa.int64(), pa.float64()}
    return {name for name, found in kinds.items() if len(found) > 1 and not found <= numbers}


def _file(path: Path, table: Table, as_text: Collection[str]) -> pa.Table:
    kind = _kind(path, table)
    if kind == "csv":
        return read_csv(path, as_text, table.encoding)
    if kind in _LINES:
        return _LINES[kind](path, as_text)
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read().replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        damaged = "an empty file" if path.stat().st_size == 0 else "a truncated or damaged Parquet file"
        found = f"cannot be read: {error}" if isinstance(error, PermissionError) else damaged
        raise DataError(str(path), found, "a whole Parquet file", "copy or download it again") from None


def _plain_types(table: pa.Table) -> pa.Table:
    """Give categories their values, all text one type, as long as 2 GiB hold it, and halves of floats, which engines
    of SQL do not know, the next larger one; a column without a name is called by its place."""
    if "" in table.column_names:
        table = table.rename_columns([name or f"column_{place + 1}" for place, name in enumerate(table.column_names)])
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        large = pa.types.is_large_string(column.type) and column.nbytes < 2**31
        if large or pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if column.type != field.type:
            table = table.set_column(place, field.name, column)
    return table


def _renamed(table: pa.Table, spec: Table, where: str, origin: str) -> pa.Table:
    """Give the columns our names; a column of theirs may have several of ours."""
    columns = {our: name for our, their in spec.columns.items() if (name := _first_there(their, table.column_names))}
    theirs = _by_theirs(columns)
    if len(set(table.column_names)) < table.num_columns:
        raise DataError(f"{where}.source", f"{origin}: two columns of one name", "each column a name of its own")
    for our, their in columns.items():
        if their not in table.column_names:
            raise no_column(f"{where}.columns[{our}]", their, table.column_names, origin)
    pairs = [(name, our) for name in table.column_names for our in theirs.get(name, [name])]
    names = [our for _, our in pairs]
    if twice := sorted({our for our in names if names.count(our) > 1}):
        raise DataError(
            f"{where}.columns[{twice[0]}]",
            f"{origin} has a column {twice[0]!r} of its own",
            "a name that the source does not use, or one for that column too",
            f"columns={{'their_{twice[0]}': {twice[0]!r}, …}}",
        )
    renamed = table.select([their for their, _ in pairs]).rename_columns(names)
    for field in ("time", "created", "event_id", "key"):
        for name in _names(getattr(spec, field)):
            if name not in names:
                raise no_column(f"{where}.{field}", name, names, origin, theirs)
    return renamed


def _first_there(names: str, there: Collection[str]) -> str:
    """Give the first of several names, parted by `|`, that is there, else the first; else none, if one is empty."""
    every = names.split("|")
    return next((name for name in every if name in there), "" if "" in every else every[0])


def no_column(
    where: str, name: str, names: list[str], origin: str, theirs: Mapping[str, list[str]] | None = None
) -> DataError:
    """Make the error for a column that is not there, with the nearest guess."""
    few = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    guess = nearest(name, names)
    if theirs and name in theirs:
        guess = f"it is renamed here: {theirs[name][0]!r}"
    elif len(names) == 1 and any(mark in names[0] for mark in SIGNS):
        guess = "the values seem to be parted otherwise: write the file anew, with commas, or as Parquet"
    if not guess and Path(origin).suffix:
        guess = f"name yours in columns=…, or begin from this table: bottega new NAME --from {origin}"
    return DataError(where, f"column {name!r} is not in {origin}", f"one of {few}", guess)


def _by_theirs(columns: Mapping[str, str]) -> dict[str, list[str]]:
    theirs: dict[str, list[str]] = {}
    for our, their in columns.items():
        theirs.setdefault(their, []).append(our)
    return theirs


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, tuple) else ()
