"""`bottega new`: a design to begin with, from a bundled system or from a table of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bottega import systems
from bottega.design.reading import load
from bottega.design.writing import to_python
from bottega.errors import DataError, DesignError, nearest
from bottega.files import write_bytes
from bottega.proposals.forms import bundled_for, source_of, table_in
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles

_TABULAR = (".svm", ".libsvm", ".svmlight", "-idx3-ubyte", ".idx3-ubyte")


@dataclass(frozen=True)
class Begun:
    """path: of the design. data: the folder to name with `--data`; nothing: the design's own, or its world. told: what
    was found on the way, a line each."""

    path: Path
    data: Path | None
    told: list[str]


def new(
    name: str,
    *,
    table: str | Path | None = None,
    like: str | None = None,
    roles: Roles | None = None,
    out: str | Path = ".",
    say: Callable[[str], None] | None = None,
) -> Begun:
    """Write a design to begin with into `out`, and say where and on which data it runs; what is there is not replaced.

    name: of the design: lower-case letters, digits and dashes. table: a file, or a folder with one or with the tables
    of a bundled system. like: a bundled system; nothing: the one of this name. roles: columns that a person names.
    say: is told each line as it is found.
    Errors: `DesignError` for a name that none can have, a file that is there; `DataError` for a table that cannot be
    read, or for which no design fits.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise DesignError("name", repr(name), "lower-case letters, digits and dashes", "my-shop")
    path, told = Path(out) / f"{name.replace('-', '_')}.py", list[str]()

    def tell(line: str) -> None:
        told.append(line)
        if say is not None:
            say(line)

    if path.exists():
        raise DesignError(str(path), "is there already", "a new file", "another name, or another folder: --out DIR")
    if table is not None and like is not None:
        raise DesignError("--like", f"{like!r}, beside --from", "one of the two", "")
    if table is None:
        return Begun(_written(path, source_of(like or _named(name), name)), None, told)
    place = Path(table)
    if not place.exists():
        beside = [item.name for item in place.parent.iterdir()] if place.parent.is_dir() else []
        allowed = "a table, or a folder with one"
        raise DataError(str(place), "no such file or folder", allowed, nearest(place.name, beside))
    ranked = not place.is_dir() and any(end in place.name.lower() for end in _TABULAR)
    if place.is_dir() or ranked:
        known = bundled_for(place if place.is_dir() else place.parent)
        if known is not None:
            system, base = known
            tell(f"tables    those of the bundled system {system}")
            return Begun(_written(path, source_of(system, name)), base, told)
        place = table_in(place) if place.is_dir() else place
    made = propose(name, place, roles, tell)
    for line in made.told:
        tell(line)
    about = f"Proposed from {place.name}: each part has its reason above it, and is yours to change."
    data = place.parent.absolute()
    written = _written(path, to_python(made.design, made.notes, about))
    return Begun(written, None if data == path.parent.absolute() else data, told)


def _named(name: str) -> str:
    """Give the bundled system of this name, or say how to name another or a table."""
    if name in systems.names():
        return name
    raise DesignError(
        "name", f"{name!r} is no bundled system", f"one of {', '.join(systems.names())}",
        nearest(name, systems.names()) or f"bottega new {name} --from TABLE, or --like shop-recommendation",
    )  # fmt: skip


def _written(path: Path, text: str) -> Path:
    write_bytes(path, text.encode())
    try:
        load(path)
    except Exception:
        path.unlink()
        raise
    return path
