"""`bottega review`: what would go wrong with a design, before anything runs."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from bottega import systems
from bottega.design.design import Design
from bottega.design.reading import checked
from bottega.errors import BuildError, BusyError, DataError
from bottega.reviewing.judging import Review, judge
from bottega.reviewing.lines import Lines, NoLines, lines_of
from bottega.reviewing.loading import LIMIT_S, load_within
from bottega.reviewing.seen import Seen

if TYPE_CHECKING:
    from bottega.data.source import Place
    from bottega.runs.workspace import Workspace


def review(
    design: str | Path | Design,
    *,
    data: str | Path | None = None,
    warehouse: str | None = None,
    workspace: str | Path | None = None,
    static: bool = False,
    seed: int = 0,
    rows: int | None = None,
    limit_s: float = LIMIT_S,
) -> Review:
    """Read a design by all rules: the static ones always, those on data where its tables are there.

    Tables are read as `bottega run` reads them, by steps that it finds again in the workspace; while a run holds that,
    those that it has finished are read, and what is missing is made in passing. Where a world or a sample stands in,
    that is looked at. A Python file is loaded in a process of its own, which may take `limit_s`
    seconds. Nothing is trained. When it is wrong: rules go by what a design and its tables say; a finding that is meant
    to be so is silenced in the design, `silenced={"R201": "why"}`.

    design: the name of a bundled system, a file, or a `bt.Design`, of which no line is known. data, warehouse,
    workspace, seed, rows: as for `run`. static: read no data; quicker, and with fewer rules. limit_s: larger waits
    longer. Errors: `DesignError` for a design that cannot be read, `DataError` for tables that were named and cannot.

    >>> from bottega import review                                     # doctest: +SKIP
    >>> [finding.code for finding in review("my_design.py").open]      # doctest: +SKIP
    ['R201', 'R501']
    """
    begin = time.perf_counter()
    found, file, printed = open_design(design, limit_s)
    lines: Lines = lines_of(file) if file is not None else NoLines()
    seen, why = (None, "leave --static out") if static else _look(design, found, data, warehouse, workspace, seed, rows)
    result = judge(found, seen, "" if file is None else str(file), lines)
    return msgspec.structs.replace(result, why=why, printed=printed, seconds=time.perf_counter() - begin)


def open_design(design: str | Path | Design, limit_s: float = LIMIT_S) -> tuple[Design, Path | None, str]:
    """Give a design by its name, its file, or as it is; with it its file, and what that printed."""
    if isinstance(design, Design):
        return checked(design), None, ""
    path = Path(design)
    if isinstance(design, Path) or path.suffix in (".py", ".yaml", ".yml", ".json") or path.parent != Path():
        loaded, printed = load_within(path, limit_s, _prepare)
        return loaded, path, printed
    found = checked(systems.find(str(design)))
    return found, Path(systems.__file__).parent / f"{str(design).replace('-', '_')}.py", ""


def _prepare() -> None:
    """Load what the rules need, which takes about as long as a design does."""
    importlib.import_module("bottega.runs.steps.naming")


def _look(
    design: str | Path | Design,
    found: Design,
    data: str | Path | None,
    warehouse: str | None,
    workspace: str | Path | None,
    seed: int,
    rows: int | None,
) -> tuple[Seen | None, str]:
    """Look at the tables; where none were named and none are there, say why not."""
    from bottega.verbs.finding import check_seed, find_place, find_workspace

    check_seed(seed)
    place, space = find_place(design, found, data, warehouse), find_workspace(found, workspace, design)
    try:
        try:
            return _look_in(space, space, found, place, seed, rows), ""
        except BusyError:
            with TemporaryDirectory() as folder:
                return _look_in(space.beside(Path(folder)), space, found, place, seed, rows), ""
    except DataError as error:
        if data is not None or warehouse is not None:
            raise
        return None, f"{error.where}: {error.found}"
    except BuildError as error:
        if data is not None or warehouse is not None or error.where == "--rows":
            raise
        return None, f"{error.where}: {error.found}"


def _look_in(
    inside: Workspace, served: Workspace, found: Design, place: Place | None, seed: int, rows: int | None
) -> Seen:
    """Look at the tables by steps of one workspace, and at what the last run of another measured."""
    from bottega.reviewing.seeing import look
    from bottega.runs.runner import Runner
    from bottega.runs.steps.job import Job
    from bottega.verbs.world import stand_in

    with Runner(inside) as runner:
        if place is None:
            place, _ = stand_in(runner, found, seed, rows)
        return look(runner, Job(found, place, runner, seed), served.folder)
