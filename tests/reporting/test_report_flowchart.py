"""The flowchart of every bundled design is the one that is kept, and names what the design names."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import bottega as bt
from bottega import systems
from bottega.reporting.flowchart import flowchart

GOLDEN = Path(__file__).parent / "golden" / "flowcharts"
NAMES = sorted(module.name for module in pkgutil.iter_modules(systems.__path__))


def design_of(name: str) -> bt.Design:
    found = importlib.import_module(f"bottega.systems.{name}").design
    assert isinstance(found, bt.Design)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_flowchart_is_the_one_that_is_kept(name: str) -> None:
    assert flowchart(design_of(name)) == (GOLDEN / f"{name}.mmd").read_text("utf-8")


def test_no_drawing_is_kept_of_what_is_gone() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.mmd")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_edge_joins_boxes_that_are_there(name: str) -> None:
    """Boxes and edges are read from the text again; every table, ladder and stage of the design has its box."""
    drawn, design = flowchart(design_of(name)), design_of(name)
    boxes = set(re.findall(r"^\s+(\w+)(?:\[|\(\[)", drawn, re.MULTILINE)) - {"subgraph"}
    ends = re.findall(r"^\s+(\w+) (?:-->|-- .* -->|-\. .* \.->) (\w+)$", drawn, re.MULTILINE)
    assert ends
    assert {end for pair in ends for end in pair} <= boxes
    assert {f"table_{table.name}" for table in design.data.tables} <= boxes
    assert {f"ladder_{ladder}" for ladder in design.models} <= boxes
    assert {f"stage_{place}" for place in range(1, len(design.serving.path) + 1)} <= boxes
    reached, open_ = {"request"}, ["request"]
    while open_:
        here = open_.pop()
        for one, other in ends:
            if one == here and other not in reached:
                reached.add(other)
                open_.append(other)
    assert "answer" in reached
