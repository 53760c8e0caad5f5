"""`bottega report`: the design document, with what the newest run, or a build, measured."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bottega.design.design import Design
from bottega.reporting.documents import documents
from bottega.reporting.scorecard import Scorecard, read
from bottega.runs.builds import find_build
from bottega.runs.workspace import Workspace
from bottega.verbs.finding import find_design, find_workspace
from bottega.verbs.saving import save


def report(
    design: str | Path | Design,
    *,
    build: str | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    formats: Collection[str] = (),
) -> list[Path]:
    """Write the design document as `report.html`, `report.md` and `report.pdf`, and say where.

    Before the first run it is the document of the design alone, and names what is not measured. Without the parts for
    plots and paper (`bottega[report]`) its pictures stand still, and there is no PDF.

    build: its id or the beginning of one; nothing: the newest run. out: a folder; nothing: the workspace's. formats:
    some of `html`, `md` and `pdf`; nothing: all that can be written here.
    Errors: `BuildError` for a build that is not there, or a format that cannot be written; `DataError` for a scorecard
    that is damaged.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    folder = Path(out) if out is not None else space.folder
    saved = save(folder, documents(found, measured(space, build), formats))
    return [path for path in saved if path.parent == folder]  # plots stand in a folder of their own


def measured(space: Workspace, build: str | None) -> Scorecard:
    """Give what a build measured; of the newest run where none is named, and nothing before the first one."""
    if build is not None:
        return read(find_build(space, build).folder / "scorecard.json")
    newest = space.folder / "scorecard.json"
    return read(newest) if newest.is_file() else Scorecard()
