"""Tables of a known form: a folder that holds what a bundled system reads gets that system's own file."""

from __future__ import annotations

import re
from pathlib import Path

from bottega import systems
from bottega.data.csv_files import header
from bottega.data.source import Place, files, read
from bottega.errors import DataError, DesignError, nearest

_TABLES = (".parquet", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz")


def bundled_for(folder: Path) -> tuple[str, Path] | None:
    """Find the bundled system whose tables a folder holds, and the folder to name with `--data`; nothing: none fits.

    A system fits where each table that it needs is there, with its columns.
    """
    inside = folder.absolute()
    for base in (inside, inside.parent):
        for name in systems.names():
            tables = [table for table in systems.find(name).data.tables if not table.optional]
            try:
                found = [path for table in tables for path in files(table, Place(base))]
                if not all(path.absolute().is_relative_to(inside) for path in found):
                    continue
                for table in tables:
                    read(table, Place(base))
            except DataError:
                continue
            return name, base
    return None


def source_of(system: str, name: str) -> str:
    """Give the file of a bundled system, its design under another name. Errors: `DesignError` for no such system."""
    if system not in systems.names():
        known = systems.names()
        raise DesignError("--like", repr(system), f"one of {', '.join(known)}", nearest(system, known))
    text = Path(str(systems.__path__[0]), f"{system.replace('-', '_')}.py").read_text("utf-8")
    return re.sub(rf'name="{re.escape(system)}"', f'name="{name}"', text, count=1)


def table_in(folder: Path) -> Path:
    """Give the one table of a folder, or the pattern of its files where all have the same columns.

    Errors: `DataError` where there is none, or several tables.
    """
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(_TABLES))
    endings = {path.name[path.name.index(".") :] for path in found}
    if len(found) == 1:
        return found[0]
    if len(endings) == 1 and len({tuple(_columns(path)) for path in found}) == 1:
        return folder / f"*{endings.pop()}"
    said = ", ".join(path.name for path in found[:8]) + (" …" if len(found) > 8 else "")
    largest = max(found, key=lambda path: path.stat().st_size, default=None)
    raise DataError(
        str(folder), f"{len(found)} tables{': ' + said if found else ''}", "one table, or those of a bundled system",
        "--from FILE" if largest is None else f"--from {largest}",
    )  # fmt: skip


def _columns(path: Path) -> list[str]:
    if path.suffix in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    return header(path, "utf-8") if ".csv" in path.name.lower() else [path.name]
