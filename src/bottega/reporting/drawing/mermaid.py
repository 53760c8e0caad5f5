"""The plan as Mermaid, which GitHub and many editors draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bottega.reporting.drawing.chart import Chart, Edge, Node

_SHAPES = {"source": ("[(", ")]"), "kept": ("[(", ")]"), "seam": ("[[", "]]"), "end": ("([", "])")}
_ARROWS = {"flow": "-->", "seam": "==>", "loop": "-.->", "refused": "-.-x"}


def mermaid(chart: Chart) -> str:
    """Write a plan as a Mermaid flowchart, the same lines for the same plan.

    >>> from bottega.reporting.drawing.plan import plan
    >>> from bottega.systems.search_ranking import design
    >>> print(mermaid(plan(design)).splitlines()[0])
    flowchart LR
    """
    return "\n".join(_lines(chart)) + "\n"


def _lines(chart: Chart) -> Iterator[str]:
    keys = {node.key: _key(node.key, place) for place, node in enumerate(chart.nodes)}
    yield "flowchart LR"
    yield f"  accTitle: {_line(chart.title)}"
    yield f"  accDescr: {_line(chart.summary)}"
    for lane in chart.lanes:
        yield f'  subgraph {lane.key}["{_text(lane.title)}"]'
        for row in lane.rows:
            for node in row:
                yield f"    {keys[node.key]}{_box(node)}"
        yield "  end"
    for number, edge in enumerate(chart.edges):
        yield f"  {keys[edge.start]} {_arrow(edge)} {keys[edge.end]}"
        if edge.slowest:
            yield f"  linkStyle {number} stroke-width:4px"


def _key(key: str, place: int) -> str:
    """A name that Mermaid takes: letters, digits and _."""
    return key if re.fullmatch(r"\w+", key, re.ASCII) else f"box_{place}"


def _box(node: Node) -> str:
    start, end = _SHAPES.get(node.kind, ("[", "]"))
    title, *lines = (_text(line) for line in [node.title, *node.lines])
    return f'{start}"{"<br/>".join([f"<b>{title}</b>", *lines])}"{end}'


def _arrow(edge: Edge) -> str:
    words = "<br/>".join(_text(line) for line in edge.words)
    told = f'|"{f"<b>{words}</b>" if edge.slowest else words}"|' if words else ""
    return f"{_ARROWS[edge.way]}{told}"


def _text(text: str) -> str:
    """Write a text as Mermaid takes it inside quotes; a backtick would begin Markdown."""
    signs = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "`": "#96;"}
    return "".join(signs.get(sign, sign) for sign in _flat(text))


def _line(text: str) -> str:
    """Write a text as Mermaid takes it to the end of a line, without what would end it or begin something else."""
    return re.sub(r"[;#{}<>%]", " ", _flat(text))


def _flat(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
