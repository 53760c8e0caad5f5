"""A review as text: a finding a paragraph, what held, and what to type next; plain text that colour only underlines."""

from __future__ import annotations

import re
from pathlib import Path

from rich.cells import cell_len

from bottega.errors import several
from bottega.reviewing.finding import Finding
from bottega.reviewing.judging import Review

_NARROW, _LEAST = 64, 24
_STYLES = {"stop": "31", "warn": "33", "strong": "1", "soft": "2", "good": "32"}


def text(review: Review, width: int = 80, colour: bool = False, typed: str | None = "") -> str:
    """Write a review for a terminal or a pipe.

    Lines wrap at `width`, but for words that are longer, such as a path. width: columns, at least 40. colour: whether
    escape codes stand in it; the words are the same without. typed: the design as it was typed, for the next command;
    None: none is told.
    """
    width = max(width, 40)
    paint = _Paint(colour)
    blocks = [line for finding in review.open for line in _block(finding, width, paint)]
    silenced = [finding for finding in review.findings if finding.silenced is not None]
    for finding in silenced:
        told = f"{_where(finding)}  {finding.code}  silenced: {finding.silenced}"
        blocks += [paint(line, "soft") for line in fill(told, width, "", " " * 4)]
    return "\n".join([*blocks, *fill(_count(review, len(silenced)), width), *_next(review, typed, width)])


def fill(words: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Break words into lines no wider than `width`, as a terminal counts; gaps of three signs stay.

    >>> fill("one two three", 9, "- ", "  ")
    ['- one two', '  three']
    """
    lines, line = [], first
    started = False
    for gap, word in re.findall(r"( *)(\S+)", words):
        space = gap if started else ""
        if started and cell_len(line) + len(space) + cell_len(word) > width:
            lines.append(line)
            line, space = rest, ""
        line += space + word
        started = True
    return [*lines, line]


def _block(finding: Finding, width: int, paint: _Paint) -> list[str]:
    where = _where(finding)
    head = f"{where}  {finding.code}  "
    indent = " " * (cell_len(where) + 2 if width >= _NARROW and width - cell_len(where) > _LEAST + 20 else 4)
    lines = fill(head + finding.found, width, "", indent)
    lines[0] = lines[0].replace(head.rstrip(), f"{paint(where, 'strong')}  {paint(finding.code, finding.severity)}", 1)
    lines += fill(finding.costs, width, indent, indent)
    fix = fill(f"{label(finding.fix)}  {finding.fix}", width, indent, indent + " " * 5)
    page = f"bottega rule {finding.code}"
    room = width - cell_len(fix[-1])
    if room >= len(page) + 3:
        fix[-1] += " " * (room - len(page)) + paint(page, "soft")
    else:
        fix.append(" " * max(len(indent), width - len(page)) + paint(page, "soft"))
    return [*lines, *fix]


def label(fix: str) -> str:
    """Say how a fix reads on: one that is code is used, one in words is told.

    >>> label('p99_ms=50'), label('split: {kind: TimeSplit}'), label("a longer log")
    ('Use', 'Use', 'Fix')
    """
    return "Use" if re.match(r'[\w.]+[=(]|\w+: \S|"\w+": |\{', fix) else "Fix"


def _where(finding: Finding) -> str:
    if not finding.line:
        return finding.place or "design"
    return f"{shown(finding.file)}:{finding.line}"


def shown(file: str) -> str:
    """Write a file's path as seen from here, where it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else file


def _count(review: Review, silenced: int) -> str:
    number, stopping = len(review.open), len(review.stopping)
    found = several(number, "finding") if number else "Nothing found"
    stops = f", {stopping} would stop a run" if stopping else ", none would stop a run" if number else ""
    beside = len(review.inapplicable)
    apart = f", {beside} {'does' if beside == 1 else 'do'} not apply" if beside else ""
    parts = [f"{found}{stops}.", f"{several(len(review.held), 'rule')} held{apart}."]
    if silenced:
        parts.append(f"{silenced} silenced.")
    if review.waiting:
        parts.append(f"{len(review.waiting)} go by data{': ' + review.why if review.why else ', which were not read'}.")
    return "   ".join(parts)


def _next(review: Review, typed: str | None, width: int) -> list[str]:
    if typed is None:
        return []
    design = typed or review.design
    said = f"bottega rule {review.open[0].code}" if review.open else f"bottega run {design}"
    return fill(said, width, "next   ", "       ")


class _Paint:
    """Colour, or none."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, words: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{words}\x1b[0m" if self._on and words else words
