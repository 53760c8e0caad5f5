"""The design document as files: HTML, Markdown with its plots beside it, and PDF."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bottega.design.design import Design
from bottega.errors import BuildError
from bottega.reporting import plots, typst
from bottega.reporting.blocks import Plot
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.reporting.page import page
from bottega.reporting.scorecard import Scorecard

FORMATS = ("html", "md", "pdf")
FOLDER = "report-plots"
"""Where the plots of the Markdown page stand, beside it."""


def documents(
    design: Design, scorecard: Scorecard | Mapping[str, Any], formats: Collection[str] = ()
) -> dict[str, bytes]:
    """Write the design document, and give each file's name and content: the same bytes for the same scorecard.

    Without the parts for plots and paper (`bottega[report]`) the HTML holds still pictures, the Markdown tables alone,
    and there is no PDF.

    design: the design. scorecard: of a build; `{}` for a design that was not run. formats: some of `html`, `md` and
    `pdf`; nothing: all that can be written here. Errors: `DataError` for a scorecard whose values have the wrong type;
    `BuildError` for a format that is none, or that needs what is not installed.

    >>> from bottega.systems.shop_recommendation import design
    >>> sorted(documents(design, {}, ["html", "md"]))
    ['report.html', 'report.md']
    """
    lively = plots.available()
    paper = lively and typst.available()
    for name in formats:
        if name not in FORMATS:
            raise BuildError("format", repr(name), f"some of {', '.join(FORMATS)}", "pdf")
        if name == "pdf" and not paper:
            raise BuildError("format", "a PDF, and what writes it is not installed", "bottega[report]", plots.NEEDS)
    wanted = set(formats) or set(FORMATS if paper else FORMATS[:2])
    drawn: list[str] = []
    if lively and wanted & {"md", "pdf"}:
        sections = page(design, scorecard).sections
        drawn = [plots.printed(block) for section in sections for block in section.blocks if isinstance(block, Plot)]
    found: dict[str, bytes] = {}
    if "md" in wanted:
        names = [f"{FOLDER}/{place:02}.svg" for place in range(1, len(drawn) + 1)]
        found["report.md"] = markdown(design, scorecard, names).encode()
        found |= {name: picture.encode() for name, picture in zip(names, drawn, strict=True)}
    if "html" in wanted:
        found["report.html"] = html(design, scorecard, interactive=lively).encode()
    if "pdf" in wanted:
        found["report.pdf"] = typst.pdf(design, scorecard, drawn)
    return found
