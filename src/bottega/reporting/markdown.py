"""The page in Markdown: tables hold every number; the flowchart is Mermaid, other pictures are files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    Paragraph,
    Plot,
    Section,
    Status,
    Strong,
    Words,
    parts_of,
)
from bottega.reporting.drawing.mermaid import mermaid
from bottega.reporting.page import page
from bottega.reporting.scorecard import Scorecard

_MEANING = re.compile(
    r"([\\`*<|~$]|\](?=[(\[:])|&(?=[#\w]+;)|(?<![^\W_])_|_(?![^\W_]))"
)  # `_` inside a word means nothing
_AT_START = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))|(?=[-+=#>])")


def markdown(design: Design, scorecard: Scorecard | Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """Write the report as one page of Markdown (CommonMark with tables).

    When it is wrong: it says what the scorecard says; it computes nothing but counts of goals, sums of seconds, and the
    requests a second that the design's traffic means.

    design: the design that was built. scorecard: its dict, or what `bottega.reporting.scorecard.read` gives; `{}` for a
    design that was not run. pictures: the file of each plot of the page, in their order; nothing: tables alone. Raises
    `DataError` for a scorecard whose values have the wrong type.

    >>> from bottega.systems.shop_recommendation import design
    >>> print(markdown(design, {"build": "b1"}).splitlines()[0])
    # shop-recommendation
    """
    told = page(design, scorecard)
    lines = [f"# {escaped(told.title)}", f"*{escaped(told.question)}*"]
    lines.append(f"{_sign(told.verdict.good)}**{escaped(told.verdict.text)}**")
    if told.doubts:
        lines.append(f"> **Wide intervals**: {escaped(told.doubts)}.")
    if told.tiles:
        figures = [f"{tile.label} **{escaped(tile.value)}** {escaped(tile.detail)}".strip() for tile in told.tiles]
        lines.append(" · ".join(figures))
    if told.origin:
        lines.append(_line(escaped(" · ".join(told.origin))))
    files = iter(pictures)
    for section in told.sections:
        lines += _section(section, files)
    return "\n\n".join(line for line in lines if line) + "\n"


def escaped(text: str) -> str:
    """Write any text so that Markdown shows it as it is, in one line.

    >>> print(escaped("<b>a|b</b> *c* snake_case _d_"))
    \\<b>a\\|b\\</b> \\*c\\* snake_case \\_d\\_
    """
    return _MEANING.sub(r"\\\1", _flat(text))


def _flat(text: str) -> str:
    """In one line, without signs that are not seen."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _line(text: str) -> str:
    """The same where a line begins, at which more signs have a meaning."""
    start = _AT_START.match(text)
    return text if start is None else f"{start[1] or ''}\\{text[len(start[1] or '') :]}"


def _section(section: Section, pictures: Iterator[str]) -> Iterator[str]:
    number = f"{section.step}. " if section.step else ""
    yield f"## {number}{escaped(section.title)}"
    for block in section.blocks:
        if not isinstance(block, Plot):
            yield _block(block)
        elif (picture := next(pictures, None)) is not None:
            yield f"![{escaped(block.caption).replace(']', chr(92) + ']')}]({picture})"


def _block(block: Paragraph | Heading | Bullets | Facts | Notice | Grid | Flow) -> str:
    if isinstance(block, Heading):
        return f"### {escaped(block.text)}"
    if isinstance(block, Paragraph):
        return _line(_words(block.words))
    if isinstance(block, Notice):
        return f"> {_sign(block.good)}{_words(block.words)}"
    if isinstance(block, Bullets):
        return "\n".join(f"- {_line(_words(item))}" for item in block.items)
    if isinstance(block, Facts):
        return "\n".join(f"- **{escaped(label)}**: {_words(words)}" for label, words in block.items)
    if isinstance(block, Grid):
        return _grid(block)
    return f"```mermaid\n{mermaid(block.chart)}```"


def _sign(good: bool | None) -> str:
    """What stands before a judgement; nothing where it is neither good nor bad."""
    return "" if good is None else f"{Status(good, '').sign} "


def _grid(block: Grid) -> str:
    marks = ["---" if place < block.left else "---:" for place in range(len(block.head))]
    rows = [
        [f"**{cell}**" if place in block.strong and cell else cell for cell in map(_words, row)]
        for place, row in enumerate(block.rows)
    ]
    lines = [_row([escaped(head) for head in block.head]), _row(marks), *(_row(row) for row in rows)]
    return f"{_line(escaped(block.caption))}:\n\n" + "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(words: Words) -> str:
    return "".join(_inline(part) for part in parts_of(words))


def _inline(part: Inline) -> str:
    if isinstance(part, Code):
        return _code(part.text)
    if isinstance(part, Strong):
        return f"**{escaped(part.text)}**"
    if isinstance(part, Status):
        return f"{part.sign} {escaped(part.text)}"
    spaces = (" " if part[:1].isspace() else "", " " if part[-1:].isspace() else "")
    return f"{spaces[0]}{escaped(part)}{spaces[1]}" if part.strip() else part


def _code(text: str) -> str:
    """Fence with more backticks than the text has in a row; a bar needs a backslash in a table."""
    flat = _flat(text)
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}".replace("|", "\\|") if flat else ""
