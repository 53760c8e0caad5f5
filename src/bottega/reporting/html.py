"""The page in HTML: one file with no resource outside it, for light and dark, screen and paper."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from bottega.design.design import Design
from bottega.reporting.blocks import (
    Block,
    Bullets,
    Code,
    Dots,
    Facts,
    Flow,
    Grid,
    Heading,
    Inline,
    Notice,
    Page,
    Paragraph,
    Plane,
    Plot,
    Section,
    Status,
    Strong,
    Tile,
    Words,
    parts_of,
)
from bottega.reporting.drawing.svg import svg
from bottega.reporting.figures import bars, dots
from bottega.reporting.markup import Markup, element, text
from bottega.reporting.page import page
from bottega.reporting.planes import plane
from bottega.reporting.plots import bundle, spec
from bottega.reporting.scorecard import Scorecard

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(design: Design, scorecard: Scorecard | Mapping[str, Any], interactive: bool = False) -> str:
    """Write the report as one self-contained HTML page.

    Its pictures are drawn here, and stand still. A button beside each puts an interactive one in its place: all of
    Vega-Lite stands in the page then, which makes it about 900 kB larger, and the page's policy lets that one script
    run and nothing else. When it is wrong: as `bottega.reporting.markdown.markdown`, with the same words and numbers.

    design: the design that was built. scorecard: its dict, or what `bottega.reporting.scorecard.read` gives; `{}` for a
    design that was not run. interactive: needs `bottega[report]`, see `bottega.reporting.plots.available`. Raises
    `DataError` for a scorecard whose values have the wrong type.

    >>> from bottega.systems.shop_recommendation import design
    >>> html(design, {"build": "b1"}).splitlines()[0]
    '<!doctype html>'
    """
    told = page(design, scorecard)
    style = Markup(files("bottega.reporting").joinpath("page.css").read_text("utf-8"))
    interactive = interactive and any(isinstance(block, Plot) for part in told.sections for block in part.blocks)
    script = bundle() if interactive else ""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{told.title}: {told.question}"),
        element("style", style),
    )
    main = element("main", *(_section(section, interactive) for section in told.sections), id="main")
    alive = element("script", Markup(script), type="module") if interactive else None
    body = element("body", _header(told), _contents(told), main, alive)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _policy(script: str) -> str:
    """Nothing from outside; of scripts this one alone, known by its hash."""
    if not script:
        return _POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{_POLICY}; script-src 'sha256-{digest}'"


def _header(told: Page) -> Markup:
    return element(
        "header",
        element("p", told.title, class_="name"),
        element("h1", told.question),
        element("p", _sign(told.verdict.good), told.verdict.text, class_=f"verdict {_tone(told.verdict.good)}"),
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


def _section(section: Section, interactive: bool) -> Markup:
    number = element("span", f"{section.step}", class_="step") if section.step else None
    heading = element("h2", number, section.title, id=f"{section.key}-title")
    blocks = [_plot(block, interactive) if isinstance(block, Plot) else _block(block) for block in section.blocks]
    return element("section", heading, *blocks, id=section.key, aria_labelledby=f"{section.key}-title")


def _block(block: Block) -> Markup:
    if isinstance(block, Heading):
        return element("h3", block.text)
    if isinstance(block, Paragraph):
        return element("p", _words(block.words), class_="quiet" if block.quiet else None)
    if isinstance(block, Notice):
        return element("p", _sign(block.good), _words(block.words), class_=f"notice {_tone(block.good)}")
    if isinstance(block, Bullets):
        return element("ul", *(element("li", _words(item)) for item in block.items))
    if isinstance(block, Facts):
        pairs = [Markup(element("dt", label) + element("dd", _words(words))) for label, words in block.items]
        return element("dl", *pairs)
    if isinstance(block, Grid):
        return _grid(block)
    if isinstance(block, Flow):
        return _flow(block)
    return _still(block)


def _plot(block: Plot, interactive: bool) -> Markup:
    """The picture as it stands; where scripts run, one that answers to the pointer may take its place."""
    still = _still(block)
    if not interactive:
        return still
    told = json.dumps(spec(block), ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    live = element("div", class_="live", hidden="")
    data = element("script", Markup(told), type="application/json")
    inner = still.removeprefix("<figure ").removesuffix("</figure>").replace('class="', 'class="wakes ', 1)
    return Markup(f"<figure {inner}{live}{data}</figure>")


def _still(block: Plot) -> Markup:
    return dots(block) if isinstance(block, Dots) else plane(block) if isinstance(block, Plane) else bars(block)


def _flow(block: Flow) -> Markup:
    """The flowchart in a box that scrolls by itself where it is wider than the page."""
    drawn = Markup(svg(block.chart).replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))  # a page knows it
    wide = element("div", drawn, class_="wide", tabindex="0", role="region", aria_label=block.caption)
    return element("figure", element("figcaption", block.caption), wide, class_="drawing")


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
    return Markup("".join(_inline(part) for part in parts_of(words)))


def _sign(good: bool | None) -> Markup | None:
    """What stands before a judgement; nothing where it is neither good nor bad."""
    return None if good is None else element("span", Status(good, "").sign, class_="sign", aria_hidden="true")


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
