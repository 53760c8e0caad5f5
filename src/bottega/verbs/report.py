"""`bottega report`: the design document, with what the newest run, or a build, measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bottega.design.design import Design
from bottega.errors import ServeError
from bottega.reporting.documents import documents
from bottega.reporting.scorecard import Scorecard, read
from bottega.runs.builds import find_build
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import read_design
from bottega.verbs.finding import find_design, find_workspace
from bottega.verbs.saving import save


def report(
    design: str | Path | Design,
    *,
    build: str | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    formats: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write the design document as `report.html`, `report.md` and `report.pdf`, and say where.

    Of a build it shows the design that this was made of, which names what was left open to the tables. Before the first
    run it is the document of the design alone, and names what is not measured. Without the parts for
    plots and paper (`bottega[report]`) its pictures stand still, and there is no PDF.

    build: its id or the beginning of one; nothing: the newest run. out: a folder; nothing: the workspace's. formats:
    some of `html`, `md` and `pdf`; nothing: all that can be written here. say: is told where there was no run.
    Errors: `BuildError` for a build that is not there, or a format that cannot be written; `DataError` for a scorecard
    that is damaged.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    folder = Path(out) if out is not None else space.folder
    shown, card = measured(found, space, build)
    if not card.ran:
        say(f"no run in {space.folder}: the document is of the design alone; bottega run {space.typed} measures it")
    saved = save(folder, documents(shown, card, formats))
    return [path for path in saved if path.parent == folder]  # plots stand in a folder of their own


def measured(found: Design, space: Workspace, build: str | None = None) -> tuple[Design, Scorecard]:
    """Give the design that a build was made of, with what its tables settled, and what it measured.

    Of the newest run where none is named; before the first one the design as it was found, and nothing.
    """
    if build is not None:
        card = read(find_build(space, build).folder / "scorecard.json")
    else:
        newest = space.folder / "scorecard.json"
        card = read(newest) if newest.is_file() else Scorecard()
    with suppress(ServeError, OSError):  # a build that is gone, or of an older version: the design as it is written now
        return (_as_written(read_design(space.builds / card.build), found) if card.build else found), card
    return found, card


def _as_written(built: Any, found: Any) -> Any:
    """Give what a build's design says in the order in which the design is written, since a build sorts its names."""
    if built == found:
        return found
    if isinstance(built, Mapping) and isinstance(found, Mapping):
        names = [name for name in found if name in built] + [name for name in built if name not in found]
        return {name: _as_written(built[name], found.get(name)) for name in names}
    if isinstance(built, (list, tuple)) and isinstance(found, (list, tuple)):
        there = found if len(found) == len(built) else [None] * len(built)
        parts = [
            next((one for one in found if one == part), None) or _as_written(part, beside)
            for part, beside in zip(built, there, strict=True)
        ]
        return tuple(parts) if isinstance(found, tuple) else parts
    if isinstance(built, msgspec.Struct) and type(built) is type(found):
        said = {name: _as_written(getattr(built, name), getattr(found, name)) for name in built.__struct_fields__}
        return msgspec.structs.replace(built, **said)
    return built
