"""The HTML page: well formed, by itself, readable by machines that read aloud, and proof against names."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_cards import fraud, full
from report_cards import shop as design
from test_report_pages import named

from bottega.reporting.drawing.plan import plan
from bottega.reporting.figures import ticks
from bottega.reporting.html import html

VOID = {"meta"}


class Tree(HTMLParser):
    """Elements with their attributes, text and parents; refuses what does not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> str:
    return html(design, full())


@pytest.fixture(scope="module")
def tree(page: str) -> Tree:
    return Tree(page)


@pytest.mark.parametrize("card", [{}, full()], ids=["empty", "full"])
@pytest.mark.parametrize("given_design", [design, fraud], ids=["shop", "fraud"])
def test_it_is_well_formed(card: dict[str, object], given_design: object) -> None:
    found = Tree(html(given_design, card))  # type: ignore[arg-type]
    ids = [attributes["id"] for _, attributes, _ in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in found.all("a")]
    assert len(links) == (10 if card else 9)  # how a design was made that was not run is no chapter
    assert all(link and link[1:] in ids for link in links)
    labels = [attributes["aria-labelledby"] for _, attributes, _ in found.elements if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)
    assert len(found.all("h1")) == 1


def test_nothing_lies_outside_it(page: str, tree: Tree) -> None:
    assert not re.search(r"url\(|@import|https?://|//\w+\.\w", page)
    assert {tag for tag, _, _ in tree.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "base"})
    for _, attributes, _ in tree.elements:
        assert not any(name == "src" or name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    policy = [attributes["content"] for attributes in tree.all("meta") if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_pictures_have_words(tree: Tree) -> None:
    plots = [at for at in tree.all("svg") if "plot" in (at.get("class") or "")]
    assert (
        len(plots) == 2 * 4 + 3 + 4 + 3 + 2 + 3
    )  # two ladders with a ceiling, comparisons, funnel, parts, slices, latencies
    assert all(at["role"] == "img" and at["aria-label"] for at in plots)
    titles = [data for tag, data in tree.text if tag == "title"]
    drawn = {node.title for node in plan(design, full()).nodes}  # of a box its title, and then what stands in it
    told = {title for title in titles[1:] if title.partition("\n")[0] not in drawn}  # the first one is the page's
    assert told == {at["aria-label"] for at in plots} | {"shop-recommendation: from ingestion to prediction"}
    assert "★ BoostedTrees: 0.372 ± 0.013, from 0.359 to 0.385" in titles
    assert all(at.get("aria-hidden") == "true" for at in tree.all("svg") if at.get("class") == "axis")


def test_the_champion_and_the_bound_differ_by_shape(page: str) -> None:
    rows = re.findall(r'<svg class="plot (\w+)".*?</span>', page)
    assert {"dot", "champion", "best"} == set(rows)
    champion = re.search(r'<svg class="plot champion".*?</svg></svg>', page)
    assert champion is not None
    assert "rotate(45)" in champion[0]
    assert "rotate(45)" not in (re.search(r'<svg class="plot dot".*?</svg>', page) or [""])[0]


def test_a_whisker_lies_where_its_numbers_say(page: str) -> None:
    """The dots of the ladder, in per cent of its axis, are a straight line of their values."""
    ladder = page.partition('<figure class="dots"')[2].partition("</figure>")[0]
    spots = [float(at) for at in re.findall(r'(?:cx|<svg x)="([-\d.]+)%"', ladder)]
    values = [0.128, 0.331, 0.372, 0.61]
    slope = (spots[-1] - spots[0]) / (values[-1] - values[0])
    assert spots == pytest.approx([spots[0] + slope * (value - values[0]) for value in values], abs=0.02)
    assert all(0 <= spot <= 100 for spot in spots)


def test_wide_tables_scroll_by_themselves(tree: Tree) -> None:
    boxes = [at for at in tree.all("div") if at.get("class") == "wide"]
    assert len(boxes) == len(tree.all("table")) + 1 > 10  # and the flowchart
    assert all(at["tabindex"] == "0" and at["role"] == "region" and at["aria-label"] for at in boxes)
    heads = [at for tag, at, parents in tree.elements if tag == "th"]
    assert all(at["scope"] in ("col", "row") for at in heads)


def test_colours_can_be_read_in_light_and_dark(page: str) -> None:
    """Contrast by WCAG 2: 4.5 for words on the grounds they stand on, 3 for signs."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in page.split("@media screen")[:2])
    for palette in (light, dark):
        assert len(palette) == 16
        for word, ground in [
            *(("ink", ground) for ground in ("paper", "card", "good-back", "bad-back", "open-back")),
            *(("soft", ground) for ground in ("paper", "card")),
            *((tone, "card") for tone in ("good", "bad", "open", "mark")),
            *((tone, f"{tone}-back") for tone in ("good", "bad", "open")),
        ]:
            assert contrast(palette[word], palette[ground]) >= 4.5, (word, ground)
        for sign in ("mark", "reference", "outline"):
            assert contrast(palette[sign], palette["paper"]) >= 3, sign
        assert contrast(palette["bar"], palette["mark"]) >= 2  # the part and the whole of one bar


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=12), st.sampled_from(["design", "rung", "reason", "step", "gate", "slice"]))
@example("<script>alert(1)</script>", "rung")
@example("\"' onload=x", "rung")
@example("]]>&amp;\x00\ud800\x85", "rung")
@example("</style>", "design")
def test_no_name_breaks_out(name: str, where: str) -> None:
    found = Tree(html(design, named(name, where)))
    assert not found.all("script")
    assert [tag for tag, _, _ in found.elements if tag == "section"] == ["section"] * 10
    assert not any(key.startswith("on") for _, attributes, _ in found.elements for key in attributes)
    kept = "".join(sign for sign in name if sign.isprintable() and not sign.isspace())
    words = "".join(data for _, data in found.text)
    assert kept in "".join(sign for sign in words if sign.isprintable() and not sign.isspace())


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    high = low + max(width, abs(low) * 1e-6)
    found = ticks(low, high)
    assert 1 <= len(found) <= 6
    room = 1e-6 * (high - low)
    assert all(low - room <= mark <= high + room for mark in found)
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-5) if steps else True
