"""The page in HTML: one file with no resource outside it and no script, for light and dark, screen and paper."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from bottega.design.design import Design
from bottega.reporting.blocks import (
    Bars,
    Block,
    Bullets,
    Code,
    Dots,
    Facts,
    Grid,
    Heading,
    Inline,
    Notice,
    Page,
    Paragraph,
    Plane,
    Section,
    Status,
    Strong,
    Tile,
    Words,
)
from bottega.reporting.figures import bars, dots
from bottega.reporting.markup import Markup, element, text
from bottega.reporting.page import page
from bottega.reporting.planes import plane
from bottega.reporting.scorecard import Scorecard

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(design: Design, scorecard: Scorecard | Mapping[str, Any]) -> str:
    """Write the report as one self-contained HTML page.

    When it is wrong: as `bottega.reporting.markdown.markdown`, with the same words and numbers, and pictures beside.

    design: the design that was built. scorecard: its dict, or what `bottega.reporting.scorecard.read` gives. Raises
    `DataError` for a scorecard whose values have the wrong type.

    >>> from bottega.systems.shop_recommendation import design
    >>> html(design, {"build": "b1"}).splitlines()[0]
    '<!doctype html>'
    """
    told = page(design, scorecard)
    style = Markup(files("bottega.reporting").joinpath("page.css").read_text("utf-8"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{told.title}: {told.question}"),
        element("style", style),
    )
    main = element("main", *(_section(section) for section in told.sections), id="main")
    body = element("body", _header(told), _contents(told), main)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _header(told: Page) -> Markup:
    return element(
        "header",
        element("p", told.title, class_="name"),
        element("h1", told.question),
        element("p", _inline(told.verdict), class_=f"verdict {_tone(told.verdict.good)}"),
        _block(Notice(None, (Strong("Wide intervals"), f": {told.doubts}."))) if told.doubts else None,
        element("div", *(_tile(tile) for tile in told.tiles), class_="tiles") if told.tiles else None,
        element("p", " · ".join(told.origin), class_="origin") if told.origin else None,
    )


def _tile(tile: Tile) -> Markup:
    sign = "" if tile.good is None else f"{Status(tile.good, '').sign} "
    return element(
        "div",
        element("p", tile.label, class_="tile-label"),
        element("p", f"{sign}{tile.value}", class_="tile-value"),
        element("p", tile.detail, class_="tile-detail"),
        class_=f"tile {_tone(tile.good)}",
    )


def _contents(told: Page) -> Markup:
    links = [
        element(
            "li",
            element("a", f"{section.step} {section.title}" if section.step else section.title, href=f"#{section.key}"),
        )
        for section in told.sections
    ]
    return element("nav", element("ul", *links), aria_label="The seven steps")


def _section(section: Section) -> Markup:
    number = element("span", f"{section.step}", class_="step") if section.step else None
    heading = element("h2", number, section.title, id=f"{section.key}-title")
    blocks = [_block(block) for block in section.blocks]
    return element("section", heading, *blocks, id=section.key, aria_labelledby=f"{section.key}-title")


def _block(block: Block) -> Markup:
    if isinstance(block, Heading):
        return element("h3", block.text)
    if isinstance(block, Paragraph):
        return element("p", _words(block.words), class_="quiet" if block.quiet else None)
    if isinstance(block, Notice):
        sign = element("span", Status(block.good, "").sign, class_="sign", aria_hidden="true")
        return element("p", sign, _words(block.words), class_=f"notice {_tone(block.good)}")
    if isinstance(block, Bullets):
        return element("ul", *(element("li", _words(item)) for item in block.items))
    if isinstance(block, Facts):
        pairs = [Markup(element("dt", label) + element("dd", _words(words))) for label, words in block.items]
        return element("dl", *pairs)
    if isinstance(block, Grid):
        return _grid(block)
    if isinstance(block, Dots):
        return dots(block)
    if isinstance(block, Plane):
        return plane(block)
    return _bars(block)


def _bars(block: Bars) -> Markup:
    return bars(block)


def _grid(block: Grid) -> Markup:
    """A table in a box that scrolls by itself, and can be reached by keyboard, where it is wider than the page."""

    def cell(tag: str, place: int, inner: Markup, scope: str | None) -> Markup:
        return element(tag, inner, scope=scope, class_=None if place < block.left else "number")

    head = [cell("th", place, text(name), "col") for place, name in enumerate(block.head)]
    rows = [
        element(
            "tr",
            *(
                cell("th" if place == 0 else "td", place, _words(words), "row" if place == 0 else None)
                for place, words in enumerate(row)
            ),
            class_="strong" if number in block.strong else None,
        )
        for number, row in enumerate(block.rows)
    ]
    inner = (element("thead", element("tr", *head)), element("tbody", *rows))
    table = element("table", *inner, aria_label=block.caption)
    scroll = element("div", table, class_="wide", tabindex="0", role="region", aria_label=block.caption)
    return element("div", element("p", block.caption, class_="caption"), scroll, class_="table")


def _words(words: Words) -> Markup:
    parts = words if isinstance(words, tuple) else (words,)
    return Markup("".join(_inline(part) for part in parts))


def _inline(part: Inline) -> Markup:
    if isinstance(part, Code):
        return element("code", part.text)
    if isinstance(part, Strong):
        return element("strong", part.text)
    if isinstance(part, Status):
        sign = element("span", part.sign, aria_hidden="true")
        return element("span", sign, f" {part.text}", class_=f"status {_tone(part.good)}")
    return text(part)


def _tone(good: bool | None) -> str:
    return "open" if good is None else "good" if good else "bad"
