"""From what a person typed to the design, its data and its workspace."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from bottega import systems
from bottega.data.source import Place, files
from bottega.design.design import Design
from bottega.design.reading import checked, load
from bottega.errors import BuildError, DataError, DesignError
from bottega.runs.workspace import DEFAULT, Workspace

DATA = "BOTTEGA_DATA"


def find_design(design: str | Path | Design) -> Design:
    """Give a design by the name of a bundled system, by its file, or as it is.

    design: `shop-recommendation`, `my_shop.py`, `my_shop.yaml`, or a `bt.Design`.
    Errors: `DesignError` with the place of what is wrong, or the nearest name.
    """
    if isinstance(design, Design):
        return checked(design)
    if not isinstance(design, (str, Path)) or not str(design).strip():
        allowed = "the name of a bundled system, a file, or a bt.Design"
        raise DesignError("design", repr(design)[:200], allowed, "sponsored-search")
    if _is_file(design):
        return load(design)
    return checked(systems.find(str(design)))


def find_place(
    design: str | Path | Design, found: Design, data: str | Path | None = None, warehouse: str | None = None
) -> Place | None:
    """Say where a design's tables are; nothing where its world or its sample stands in.

    The folder is `data`, else that of the design's own file if any of the tables is there, else `BOTTEGA_DATA`, which
    may be without them where something stands in. Where nothing does, it is the file's folder, or the one one is in.
    Errors: `DataError` for a folder that does not exist.
    """
    if warehouse is not None:
        return Place(None, warehouse)
    if data is not None:
        return Place(_folder(Path(data), "--data"))
    own = Path(design).resolve().parent if not isinstance(design, Design) and _is_file(design) else None
    if own is not None and _has_tables(found, own):
        return Place(own)
    stands_in = found.data.world is not None or found.data.sample is not None
    if named := os.environ.get(DATA):
        folder = _folder(Path(named), DATA)
        if not stands_in or _has_tables(found, folder):
            return Place(folder)
    return None if stands_in else Place(own or Path.cwd())


def find_workspace(found: Design, workspace: str | Path | None, typed: str | Path | Design = "") -> Workspace:
    """Give the workspace of a design: below `workspace`, or `.bottega` in the folder one stands in."""
    said = as_typed(found.name if isinstance(typed, Design) or not typed else typed, workspace=workspace)
    return Workspace(Path(workspace) if workspace is not None else DEFAULT, found.name, said)


def as_typed(design: str | Path, **options: object) -> str:
    """Write a design and the options that name its data and its workspace as a shell takes them.

    >>> as_typed("my shop.py", data=None, workspace="w")
    "'my shop.py' --workspace w"
    """
    given = [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]
    return shlex.join([str(design), *given])


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes."""
    if not (isinstance(seed, int) and seed >= 0):
        raise BuildError("seed", repr(seed), "a whole number from 0 up", "seed=0")


def check_models(models: Sequence[str]) -> None:
    """Refuse one text, whose letters would be taken for names, and names that are none."""
    if isinstance(models, str):
        names = [name.strip() for name in models.split(",") if name.strip()]
        raise BuildError("models", repr(models), "a list of names", f"models={names or ['all']}")
    if wrong := [name for name in models if not isinstance(name, str)]:
        raise BuildError("models", repr(wrong[0])[:200], "a list of names", "models=['all']")


def _is_file(design: str | Path) -> bool:
    return isinstance(design, Path) or Path(design).suffix in (".py", ".yaml", ".yml", ".json") or os.sep in design


def _folder(folder: Path, where: str) -> Path:
    if not folder.is_dir():
        raise DataError(
            where, f"{str(folder)!r} is not a folder", "the folder that the design's tables are in", "name that folder"
        )
    return folder


def _has_tables(found: Design, folder: Path) -> bool:
    """Say whether any table is there: where one is, the others are missing, and nothing is to stand in for them."""
    for table in found.data.tables:
        with contextlib.suppress(DataError):
            if files(table, Place(folder)):
                return True
    return False
