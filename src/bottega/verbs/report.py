"""`bottega report`: the page of the newest run, or of a build."""

from __future__ import annotations

from pathlib import Path

from bottega.design.design import Design
from bottega.errors import BuildError
from bottega.files import read_json
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.runs.builds import find_build
from bottega.verbs.finding import find_design, find_workspace
from bottega.verbs.saving import save


def report(
    design: str | Path | Design,
    *,
    build: str | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
) -> list[Path]:
    """Write the report of the newest run, or of a build, as `report.md` and `report.html`, and say where.

    build: its id or the beginning of one; nothing: the newest run. out: a folder; nothing: the workspace's.
    Errors: `BuildError` where nothing was run yet.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    card = space.folder / "scorecard.json" if build is None else find_build(space, build).folder / "scorecard.json"
    if not card.is_file():
        raise BuildError(
            f"workspace {str(space.root)!r}", f"no run of {found.name!r}", "a design that was run",
            f"bottega run {space.typed}",
        )  # fmt: skip
    told = read_json(card)
    folder = Path(out) if out is not None else space.folder
    return save(folder, {"report.md": markdown(found, told).encode(), "report.html": html(found, told).encode()})
