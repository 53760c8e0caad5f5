"""The page on paper: Typst markup from the same blocks, and the PDF that Typst makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from bottega.design.design import Design
from bottega.reporting.blocks import (
    Bullets,
    Code,
    Facts,
    Flow,
    Grid,
    Heading,
    Inline,
    Notice,
    Page,
    Paragraph,
    Plot,
    Section,
    Status,
    Strong,
    Words,
    parts_of,
)
from bottega.reporting.drawing.svg import svg
from bottega.reporting.page import page
from bottega.reporting.scorecard import Scorecard

_LONG = 14  # signs of a word from which on it may be broken
_PART = re.compile(rf"\S{{{_LONG},}}")
_AFTER = re.compile(r"(?<=[_\-./,(=×:])(?=\S)|(?<=[^\W_]{12})(?=[^\W_]{4})|(?<=[\W_]{12})(?=[\W_]{4})")
_MANY = 6  # columns from which on a table is set smaller
_POINTS = 0.78  # of a printed plot, for each of its pixels
_TALL = 1.32  # height of a picture by its width, from which on it fills the height of a page


def available() -> bool:
    """Say whether Typst is installed."""
    return find_spec("typst") is not None


def pdf(design: Design, scorecard: Scorecard | Mapping[str, Any], pictures: Sequence[str] = ()) -> bytes:
    """Set the report as PDF, on A4: the same bytes for the same scorecard and fonts.

    Letters come from the fonts that Typst carries, and from those of the machine for scripts that these lack. When it
    is wrong: a sign that no font on the machine has is an empty box in the PDF; a font for its script, installed, mends
    it. HTML and Markdown hold the sign itself.

    design, scorecard: as for `bottega.reporting.html.html`. pictures: each plot of the page as SVG, in their order;
    nothing: tables alone. Without `bottega[report]` an `ImportError`; `available` tells it beforehand.
    """
    import typst

    made: bytes = typst.compile(markup(page(design, scorecard), pictures).encode(), format="pdf", timestamp=0)
    return made


def markup(told: Page, pictures: Sequence[str] = ()) -> str:
    """Write a page as Typst; every text is a string of it, so that none means anything else than itself.

    >>> from bottega.systems.shop_recommendation import design
    >>> markup(page(design, {})).splitlines()[-1][:28]
    '#list(..([#"Counts of the da'
    """
    return "\n".join(_lines(told, iter(pictures))) + "\n"


def text(words: str) -> str:
    """Write any text as a Typst string; long words get places at which they may be broken.

    >>> print(text('say "#hi"'))
    "say \\"#hi\\""
    """
    clean = "".join(sign if sign.isprintable() else " " for sign in words).encode("utf-8", "ignore").decode()
    broken = _PART.sub(lambda found: _AFTER.sub("\N{ZERO WIDTH SPACE}", found[0]), clean)
    return _string(broken)


def _string(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _lines(told: Page, pictures: Iterator[str]) -> Iterator[str]:
    yield files("bottega.reporting").joinpath("paper.typ").read_text("utf-8")
    yield f"#show: paper.with(title: {text(told.title)}, question: {text(told.question)})"
    judged = told.verdict if told.verdict.good is not None else told.verdict.text
    yield f"#verdict({_tone(told.verdict.good)}, {_words(judged)})"
    if told.doubts:
        yield f"#notice(none, {_words((Strong('Wide intervals'), f': {told.doubts}.'))})"
    if told.tiles:
        tiles = [
            f"({text(tile.label)}, {text(tile.value)}, {text(tile.detail)}, {_tone(tile.good)})" for tile in told.tiles
        ]
        yield f"#tiles(({', '.join(tiles)},))"
    if told.origin:
        yield f"#quiet({text(' · '.join(told.origin))})"
    for section in told.sections:
        yield from _section(section, pictures)


def _section(section: Section, pictures: Iterator[str]) -> Iterator[str]:
    number = f"{section.step} " if section.step else ""
    yield f"= #{text(number + section.title)}"
    for block in section.blocks:
        if not isinstance(block, Plot):
            yield _block(block)
        elif (picture := next(pictures, None)) is not None:
            wide = _POINTS * _size(picture)[0]
            yield f"#plot({text(block.caption)}, {_string(picture)}, {wide:g}pt)"


def _block(block: Paragraph | Heading | Bullets | Facts | Notice | Grid | Flow) -> str:
    if isinstance(block, Heading):
        return f"== #{text(block.text)}"
    if isinstance(block, Paragraph):
        return f"#{'quiet' if block.quiet else 'par'}({_words(block.words)})"
    if isinstance(block, Notice):
        return f"#notice({_tone(block.good)}, {_words(block.words)})"
    if isinstance(block, Bullets):
        return f"#list(..({''.join(f'{_words(item)}, ' for item in block.items)}))"
    if isinstance(block, Facts):
        return f"#facts(({''.join(f'({text(label)}, {_words(words)}), ' for label, words in block.items)}))"
    if isinstance(block, Grid):
        return _grid(block)
    drawn = svg(block.chart)
    wide, high = _size(drawn)
    tall = high > _TALL * wide
    return f"#drawing({text(block.caption)}, {_string(drawn)}, {str(tall).lower()})"


def _size(drawn: str) -> tuple[float, float]:
    """Width and height of a picture, in pixels."""
    found = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawn)
    return (0.0, 0.0) if found is None else (float(found[1]), float(found[2]))


def _grid(block: Grid) -> str:
    head = ", ".join(text(name) for name in block.head)
    rows = []
    for place, row in enumerate(block.rows):
        cells = ", ".join(f"strong({_cell(cell)})" if place in block.strong else _cell(cell) for cell in row)
        rows.append(f"({cells},)")
    small = str(len(block.head) >= _MANY).lower()
    return f"#figures({text(block.caption)}, ({head},), ({''.join(f'{row}, ' for row in rows)}), {block.left}, {small})"


def _cell(words: Words) -> str:
    """Pieces of code stand below each other."""
    if not (isinstance(words, tuple) and any(isinstance(part, Code) for part in words)):
        return _words(words)
    return "[" + "".join("#linebreak();" if part == " " else f"#{_inline(part)};" for part in words) + "]"


def _words(words: Words) -> str:
    return "[" + "".join(f"#{_inline(part)};" for part in parts_of(words)) + "]"


def _inline(part: Inline) -> str:
    if isinstance(part, Code):
        return f"code({text(part.text)})"
    if isinstance(part, Strong):
        return f"strong({text(part.text)})"
    if isinstance(part, Status):
        return f"status({_tone(part.good)}, {text(f'{part.sign} {part.text}')})"
    return text(part)


def _tone(good: bool | None) -> str:
    return "none" if good is None else str(good).lower()
