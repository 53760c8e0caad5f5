"""The flowchart of every bundled design is the one that is kept; nothing overlaps, and no word leaves its box."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cards import full, shop

import bottega as bt
from bottega import systems
from bottega.design.models import rung_name
from bottega.features.batch import names
from bottega.reporting.drawing.boxes import PAD, SIZE, SMALL, TITLE
from bottega.reporting.drawing.chart import Chart
from bottega.reporting.drawing.layout import Picture, layout
from bottega.reporting.drawing.mermaid import mermaid
from bottega.reporting.drawing.plan import plan
from bottega.reporting.drawing.svg import svg
from bottega.reporting.drawing.widths import width, wrapped

GOLDEN = Path(__file__).parent / "golden" / "flowcharts"
NAMES = systems.names()
CHARTS = {name.replace("-", "_"): plan(systems.find(name)) for name in NAMES} | {"measured": plan(shop, full())}
ODD = [
    'say "hi"',
    "<script>alert(1)</script>",
    "🦊" * 9,
    "مرحبا بالعالم",
    "x" * 90,
    "日本語" * 20,
    "a&b]|;#",
    "e\u0301\u0000\u202e",
]


@pytest.mark.parametrize("name", CHARTS)
def test_the_flowchart_is_the_one_that_is_kept(name: str) -> None:
    assert mermaid(CHARTS[name]) == (GOLDEN / f"{name}.mmd").read_text("utf-8")
    assert svg(CHARTS[name]) + "\n" == (GOLDEN / f"{name}.svg").read_text("utf-8")


def test_no_drawing_is_kept_of_what_is_gone() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(
        f"{name}.{kind}" for name in CHARTS for kind in ("mmd", "svg")
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_what_the_design_holds(name: str) -> None:
    """Every table, ladder, rung and stage has its place; an answer is reached, and comes back as labels."""
    design = systems.find(name)
    chart = plan(design)
    keys = [node.key for node in chart.nodes]
    assert len(set(keys)) == len(keys)
    assert {end for edge in chart.edges for end in (edge.start, edge.end)} <= set(keys)
    told = json.dumps([[node.title, *node.lines] for node in chart.nodes], ensure_ascii=False)
    for word in [
        *(table.name for table in design.data.tables),
        *(label.name for label in design.data.labels),
        *(rung_name(rung) for rungs in design.models.values() for rung in rungs),
        *(f"{place} {type(stage).__name__}" for place, stage in enumerate(design.serving.path, 1)),
    ]:
        assert word in told
    assert {"answer", "log", "labels", "examples", "judgement", "bundle"} <= _reached(chart, "request")
    sources = set(keys) - {edge.end for edge in chart.edges}
    assert sources == {node.key for node in chart.nodes if node.kind == "source"} | {"request"}


def test_budgets_stand_on_the_edges() -> None:
    found = {edge.end: edge.words for edge in plan(shop).edges if edge.start.startswith(("request", "stage"))}
    assert found["stage_2"] == ["at most 15 ms"]
    assert not any(edge.slowest for edge in plan(shop).edges)
    assert not re.search(r"\d (rows|examples)|trained in|slowest", mermaid(plan(shop)))


def test_after_a_run_the_slowest_edge_of_the_path_is_marked() -> None:
    card = full()
    for slow, end in (("retrieve", "stage_1"), ("rank", "stage_2"), ("features", "stage_2")):
        card["serving"]["stages_ms"] = {"retrieve": 1.0, "rank": 1.0, "features": 1.0, slow: 7.25}
        (edge,) = [edge for edge in plan(shop, card).edges if edge.slowest]
        assert (edge.end, edge.words[-1]) == (end, "slowest: 7.2 ms")
        assert edge.start == {"retrieve": "request", "rank": "stage_1", "features": "store"}[slow]
        assert "flow-slow" in svg(plan(shop, card))


def test_what_was_measured_stands_on_the_edges() -> None:
    card = full()
    card["labels"] = [{"name": "bought", "rows": 123_456}]
    card["arrival"] = {"median": 0.25, "sent": 20, "n": 20}
    told = mermaid(plan(shop, card))
    for words in (
        "541,909 rows",
        "396,337 rows",
        "145,572 rows",
        "123,456 examples",
        "6 features",
        "found after 250 ms",
    ):
        assert f'"{words}"' in told
    assert "★ BoostedTrees, champion" in told
    assert f"p99 {card['serving']['p99_ms']:.1f} ms in all" in told


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_overlaps(name: str) -> None:
    check(layout(CHARTS[name]))


WORDS = st.one_of(st.sampled_from(ODD), st.text(max_size=40))


@st.composite
def designs(draw: st.DrawFn) -> bt.Design:
    """Designs with up to twenty parts of features and eight stages, and whatever names a person may think of."""
    windows = [
        bt.Window(
            "orders",
            by=["customer", "product"][: draw(st.integers(1, 2))],
            values={f"v{place}": "count(*)"},
            over=["7d"],
        )
        for place in range(draw(st.integers(0, 12)))
    ]
    others = [
        bt.Expression({f"e{place}_{'long' * draw(st.integers(0, 9))}": "1 + 1"})
        for place in range(draw(st.integers(0, 8)))
    ]
    tables = [
        bt.Table("orders", time="time", checks=[bt.NotNull([draw(WORDS) or "x"])] * draw(st.integers(0, 3))),
        *(bt.Table(f"t{place}", key=draw(WORDS) or None) for place in range(draw(st.integers(0, 5)))),
    ]
    reranks = [bt.Quota(by="product", at_most=2, first=5, name=draw(WORDS)) for _ in range(draw(st.integers(0, 5)))]
    rungs = [
        bt.Popularity(name=f"P{place}{'x' * draw(st.integers(0, 60))}") for place in range(draw(st.integers(1, 9)))
    ]
    ladders = {"retrieve": rungs, "rank": [bt.Logistic()]}
    path = [bt.Retrieve(budget_ms=draw(st.none() | st.floats(0.1, 1e6))), bt.Rank(budget_ms=15), *reranks, bt.Show()]
    for place in range(draw(st.integers(0, 3))):
        name = f"{draw(WORDS)}{place}"
        ladders[name] = [bt.BoostedTrees()]
        path.insert(2, bt.Rank(ladder=name))
    return bt.Design(
        name="drawn",
        scope=shop.scope,
        data=bt.Data(
            tables=tables,
            examples=bt.FromPositives("orders", request=[draw(WORDS) or "x"], candidate=draw(WORDS), horizon="1d"),
            labels=[bt.Label("bought", matures_after="1d")],
            split=bt.TimeSplit(test="1d"),
        ),
        features=[*windows, *others],
        models=ladders,
        evaluation=bt.Evaluation(primary="ndcg@20", goals=[bt.Goal("mrr", at_least=0.1)] * draw(st.integers(0, 3))),
        serving=bt.Serving(path=path, log=draw(st.booleans())),
        monitoring=shop.monitoring if draw(st.booleans()) else bt.Monitoring(),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_design_overlaps_or_overflows(data: st.DataObject) -> None:
    design = data.draw(designs())
    card = full() if data.draw(st.booleans()) else {}
    chart = plan(design, card)
    check(layout(chart))
    assert mermaid(chart) == mermaid(plan(design, card))
    root = ElementTree.fromstring(svg(chart))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "path", "text", "g"}
    keys = set(re.findall(r"^    (\w+)[\[(]", mermaid(chart), re.MULTILINE))
    ends = re.findall(r"^  (\w+) (?:-->|==>|-\.->|-\.-x)(?:\|\"[^\"|]*\"\|)? (\w+)$", mermaid(chart), re.MULTILINE)
    assert len(ends) == len(chart.edges)
    assert {end for pair in ends for end in pair} <= keys


def check(picture: Picture) -> None:
    """Boxes and words of edges lie apart and inside the picture, words inside boxes, and lines outside boxes."""
    boxes = list(picture.boxes.values())
    labels = [route.label for route in picture.routes if route.label is not None]
    areas = [(each.x, each.y, each.x + each.width, each.y + each.height) for each in [*boxes, *labels]]
    for one, other in itertools.combinations(areas, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (one, other)
    for left, top, right, bottom in areas:
        assert 0 <= left < right <= picture.width
        assert 0 <= top < bottom <= picture.height
    for box in boxes:
        for line in box.title:
            assert width(line, TITLE, True) <= box.width - 2 * PAD + 1e-6
        for line, bold in box.lines:
            assert width(line, SIZE, bold) <= box.width - 2 * PAD + 1e-6
        assert box.height >= 15 * (len(box.title) + len(box.lines)) + 2 * PAD
    for label in labels:
        assert all(width(line, SMALL, label.bold) <= label.width for line in label.lines)
    for route in picture.routes:
        for (x1, y1), (x2, y2) in itertools.pairwise(route.points):
            assert x1 == x2 or y1 == y2
            for box in boxes:
                inside = min(x1, x2) < box.x + box.width - 1e-6 and max(x1, x2) > box.x + 1e-6
                assert not (inside and min(y1, y2) < box.y + box.height - 1e-6 and max(y1, y2) > box.y + 1e-6)
    for one, other in itertools.combinations(picture.routes, 2):
        for a, b in itertools.product(_runs(one.points), _runs(other.points)):
            assert not _same_line(a, b), (one.edge, other.edge)


def _runs(points: object) -> Iterator[tuple[bool, float, float, float]]:
    """Each piece of an edge: whether it lies down, where, from and to."""
    for (x1, y1), (x2, y2) in itertools.pairwise(points):  # type: ignore[call-overload]
        yield (True, y1, min(x1, x2), max(x1, x2)) if y1 == y2 else (False, x1, min(y1, y2), max(y1, y2))


def _same_line(a: tuple[bool, float, float, float], b: tuple[bool, float, float, float]) -> bool:
    return a[0] == b[0] and abs(a[1] - b[1]) < 2 and min(a[3], b[3]) - max(a[2], b[2]) > 2


def _reached(chart: Chart, start: str) -> set[str]:
    found, open_ = {start}, [start]
    while open_:
        here = open_.pop()
        for edge in chart.edges:
            if edge.start == here and edge.end not in found:
                found.add(edge.end)
                open_.append(edge.end)
    return found


def test_twenty_features_are_called_by_their_names() -> None:
    parts = [bt.Expression({f"feature_{place}": "1 + 1"}) for place in range(20)]
    drawn = svg(plan(msgspec.structs.replace(shop, features=parts)))
    assert all(name in drawn for part in parts for name in names(part))


def test_long_entries_share_the_room_of_a_box() -> None:
    """What one part gives is cut only where the box is full, and the longest part is cut first."""
    few, many = bt.Expression({"short": "1"}), bt.Expression({f"feature_{place:02}": "1 + 1" for place in range(39)})
    drawn = svg(plan(msgspec.structs.replace(shop, features=[many, few])))
    assert all(f"feature_{place:02}" in drawn for place in range(39))
    assert "short" in drawn
    counted = plan(msgspec.structs.replace(shop, features=[many, few, bt.Expression({"a": "1", "b": "1"})]))
    assert next(node.lines for node in counted.nodes if node.key == "features") == ["Expression: 42"]


def test_no_word_of_three_ladders_is_broken() -> None:
    ladder = [bt.PersonalHistory(), bt.TextSimilarity(column="name")]
    models = {"retrieve": ladder, "conversion": [bt.HistoricalRate(by="product"), bt.BoostedTrees()], **shop.models}
    picture = layout(plan(msgspec.structs.replace(shop, models=models), full()))
    boxes = [box for box in picture.boxes.values() if box.node.key.startswith("ladder_")]
    assert len(boxes) == 3
    for box in boxes:
        words = {word for line, _ in box.lines for word in line.replace("\N{NO-BREAK SPACE}", " ").split()}
        assert {word for line in box.node.lines for word in line.split()} == words
        assert " ".join(box.title) == box.node.title
    check(picture)


def test_a_word_is_broken_between_its_parts() -> None:
    assert wrapped("coalesce(user_item_ratings_all,0)", 100, SIZE, most=9)[0].endswith(("_", "("))
    assert "".join(wrapped("LongTextSimilarity", 60, SIZE, most=9)) == "LongTextSimilarity"
    assert wrapped("the request brings at most 300", 160, SIZE)[-1] != "300"


def test_kinds_differ_without_colour() -> None:
    """Seams are double lines, what comes back is dashed, what is refused is dotted; the longest wait has its word."""
    drawn = svg(plan(shop, full()))
    assert drawn.count('class="flow-core"') == drawn.count("flow-line flow-seam")
    style = drawn.partition("<style>")[2].partition("</style>")[0]
    assert "flow-loop{stroke-dasharray:7 4}" in style
    assert "flow-refused{stroke-dasharray:2 3}" in style
    assert "slowest:" in drawn


@pytest.mark.parametrize("dark", [False, True])
def test_colours_have_contrast(dark: bool) -> None:
    from test_report_html import contrast

    style = svg(plan(shop)).partition("<style>")[2].partition("</style>")[0]
    part = style.split("@media")[dark]
    colours = set(re.findall(r"(?:fill|stroke):(#[0-9a-f]{6})", part))
    (paper,) = set(re.findall(r"\.flow-chip{fill:(#[0-9a-f]{6})}", part))
    (rule,) = set(re.findall(r"\.flow-lane{fill:none;stroke:(#[0-9a-f]{6})}", part))
    assert len(colours) == 6
    assert all(contrast(colour, paper) >= 4.5 for colour in colours - {paper, rule})
