"""The flowchart of a design, from its tables to the answer, as Mermaid: both paths, and the seams between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.design.models import Retriever, rung_name
from bottega.design.reranking import Reranking
from bottega.design.serving import Auction, Decide, Nearest, Pace, Rank, Retrieve, Score, Show

_WIDE = 4  # names told in one box


def flowchart(design: Design) -> str:
    """Draw a design as a Mermaid flowchart, the same lines for the same design.

    Tables stand on the left. Above, what happens beforehand: examples with their labels, features, the ladders. Below,
    what happens for a request: each stage of the path with its budget on the edge that leads to it. Two dotted edges
    are the seams: the features that the store keeps for serving, and the answers that come back as labels. When it is
    wrong: it draws what the design says, not what was measured.

    >>> from bottega.systems.search_ranking import design
    >>> print(flowchart(design).splitlines()[0])
    flowchart LR
    """
    lines = ["flowchart LR"]
    lines += ["  subgraph offline [beforehand]", *(f"    {line}" for line in _offline(design)), "  end"]
    lines += ["  subgraph online [for each request]", *(f"    {line}" for line in _online(design)), "  end"]
    return "\n".join([*lines, *(f"  {line}" for line in _seams(design))]) + "\n"


def _offline(design: Design) -> Iterator[str]:
    examples = design.data.examples
    for table in design.data.tables:
        yield f"table_{table.name}[({_text(table.name)})]"
    labels = ", ".join(label.name for label in design.data.labels)
    yield f'examples["{_text(type(examples).__name__)} examples<br/>{_text(labels)}"]'
    yield f'features["{_features(design)}"]'
    for field in ("table", "requests", "catalogue"):
        if isinstance(read := getattr(examples, field, None), str):
            yield f"table_{read} --> examples"
    for name in dict.fromkeys(part.table for part in design.features if isinstance(part, (Window, Lookup))):
        yield f"table_{name} --> features"
    yield "examples --> features"
    for ladder, rungs in design.models.items():
        yield f'ladder_{ladder}["{_text(ladder)}<br/>{_named([rung_name(rung) for rung in rungs])}"]'
        yield f"{'examples' if isinstance(rungs[0], get_args(Retriever)) else 'features'} --> ladder_{ladder}"


def _online(design: Design) -> Iterator[str]:
    yield "request([request])"
    before = "request"
    for place, stage in enumerate(design.serving.path, 1):
        budget = getattr(stage, "budget_ms", None)
        edge = f"-- {budget:g} ms -->" if budget is not None else "-->"
        yield f'stage_{place}["{place} {_stage(stage)}"]'
        yield f"{before} {edge} stage_{place}"
        before = f"stage_{place}"
    yield "answer([answer])"
    yield f"{before} --> answer"


def _seams(design: Design) -> Iterator[str]:
    stored = any(isinstance(part, (Window, Lookup)) for part in design.features)
    for place, stage in enumerate(design.serving.path, 1):
        ladder = (
            "retrieve" if isinstance(stage, Retrieve) else getattr(stage, "ladder", getattr(stage, "encoder", None))
        )
        if ladder in design.models:
            yield f"ladder_{ladder} --> stage_{place}"
        if isinstance(stage, (Rank, Score)) and stored:
            yield f"features -. store .-> stage_{place}"
    yield "answer -. labels, decision log .-> examples"


def _features(design: Design) -> str:
    counts: dict[str, int] = {}
    for part in design.features:
        counts[type(part).__name__] = counts.get(type(part).__name__, 0) + 1
    told = [f"{count} {name}" for name, count in counts.items()]
    return "features<br/>" + (_text(", ".join(told)) or "none")


def _stage(stage: Any) -> str:
    name = type(stage).__name__
    told: Mapping[type, Any] = {
        Retrieve: lambda: f"{stage.k} candidates" + (f", where {stage.where}" if stage.where else ""),
        Rank: lambda: stage.ladder,
        Score: lambda: stage.ladder,
        Show: lambda: f"{stage.k} places",
        Nearest: lambda: f"{stage.k} nearest",
        Auction: lambda: f"{stage.slots} slots",
        Decide: lambda: _named(list(stage.actions)),
        Pace: lambda: "budgets over the day",
    }
    more = told[type(stage)]() if type(stage) in told else _reason(stage)
    return _text(name) + (f"<br/>{_text(more)}" if more else "")


def _reason(stage: Any) -> str:
    if not isinstance(stage, get_args(Reranking)):
        return ""
    return next(
        (str(value) for field in ("name", "where", "by", "method") if (value := getattr(stage, field, None))), ""
    )


def _named(names: list[str]) -> str:
    shown = ", ".join(_text(name) for name in names[:_WIDE])
    return shown + (f" and {len(names) - _WIDE} more" if len(names) > _WIDE else "")


def _text(text: str) -> str:
    """Write a text as Mermaid takes it inside quotes."""
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
