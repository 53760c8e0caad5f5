"""`bottega draw`: the flowchart of a design, from ingestion to prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bottega.design.design import Design
from bottega.errors import BuildError, nearest
from bottega.reporting.drawing.chart import Chart
from bottega.reporting.drawing.mermaid import mermaid
from bottega.reporting.drawing.plan import plan
from bottega.reporting.drawing.svg import svg
from bottega.reporting.plots import NEEDS, available
from bottega.verbs.finding import find_design, find_workspace
from bottega.verbs.report import measured
from bottega.verbs.saving import save

_SHARP = 2.0  # pixels of a PNG for each of the drawing


def draw(
    design: str | Path | Design,
    *,
    build: str | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    format: str | None = None,  # noqa: A002 (what a person would call it)
) -> Path:
    """Draw the flowchart of a design, and say where it is: the path beforehand, the one of a request, and the seams.

    After a run measured time, rows and freshness stand on the edges, and the edge at which a request waits longest is
    marked.

    build: its id or the beginning of one; nothing: the newest run, or the design alone before the first. out: the file;
    nothing: `flowchart.svg` in the workspace. format: `svg`, `mmd` (Mermaid), `png` or `pdf`; nothing: what the file's
    name says. PNG and PDF need `bottega[report]`.
    Errors: `DesignError`; `BuildError` for a format that is none or cannot be written, and for a build that is not
    there; `DataError` for a scorecard that is damaged.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    kind = _kind(out, format)
    chart = plan(*measured(found, space, build))
    file = Path(out) if out is not None else space.folder / f"flowchart.{kind}"
    return save(file.parent, {file.name: _WRITERS[kind](chart)})[0]


def _kind(out: str | Path | None, format: str | None) -> str:  # noqa: A002
    named = format if format is not None else Path(out).suffix[1:].lower() if out is not None else "svg"
    if named not in _WRITERS:
        where = "--format" if format is not None else "--out"
        found = repr(named) if named else f"{str(out)!r}, whose ending says no format"
        guess = nearest(named, _WRITERS) if named else "flowchart.svg"
        raise BuildError(where, found, f"one of {', '.join(_WRITERS)}", guess)
    if named in ("png", "pdf") and not available():
        raise BuildError(f"a flowchart as {named}", "what writes it is not installed", "bottega[report]", NEEDS)
    return named


def _png(chart: Chart) -> bytes:
    import vl_convert

    made: bytes = vl_convert.svg_to_png(svg(chart), scale=_SHARP)
    return made


def _pdf(chart: Chart) -> bytes:
    import vl_convert

    made: bytes = vl_convert.svg_to_pdf(svg(chart))
    return made


_WRITERS: dict[str, Callable[[Chart], bytes]] = {
    "svg": lambda chart: svg(chart).encode(),
    "mmd": lambda chart: mermaid(chart).encode(),
    "png": _png,
    "pdf": _pdf,
}
