"""The summary on the terminal: one screen, the answer first; plain text that colour only underlines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from bottega.reporting import numbers
from bottega.reporting.blocks import STAR
from bottega.reporting.chapters.models import ceiling, metrics_of
from bottega.reporting.facts import phrases
from bottega.reporting.measured import Metrics
from bottega.reporting.scorecard import Ladder, Scorecard, of

_LABEL = 16  # columns of the names at the left
_GAP = 3
_NARROWEST = 40
_SHORT = {"normalized_entropy": "norm. entropy"}  # so that two more metrics fit beside it
_STYLES = {"strong": "1", "soft": "2", "good": "32", "bad": "31"}


def summary(
    scorecard: Scorecard | Mapping[str, Any],
    width: int = 80,
    colour: bool = False,
    report: str = "",
    following: str = "",
) -> str:
    """Write the scorecard as a block of lines for a terminal or a pipe.

    Metrics that do not fit beside each other are left out, the primary one last; words wrap, and no line is wider than
    `width`, but for a path or a command, which must stay whole to be copied. When it is wrong: it shows no slices, and
    of views only the primary metric; the report has them.

    scorecard: its dict, or what `bottega.reporting.scorecard.read` gives. width: columns, at least 40; larger shows
    more metrics. colour: whether escape codes stand in it; the words are the same without. report: where the report is.
    following: the command to type next. Raises `DataError` for a scorecard whose values have the wrong type.

    >>> print(summary({"goals": [{"metric": "mrr", "limit": "at least 0.4", "met": True}]}))
    goals           1 of 1 met
    """
    card = of(scorecard)
    paint = _Paint(colour)
    width = max(width, _NARROWEST)
    lines = [
        line for place, ladder in enumerate(card.judged) for line in _models(card, ladder, place == 0, width, paint)
    ]
    for label, words in phrases(card):
        lines += _wrapped(label, words, width, paint)
    lines += [_line(label, text, paint) for label, text in (("report", report), ("next", following)) if text]
    return "\n".join(lines)


class _Paint:
    """Colour, or none."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._on and style and text else text


def _models(card: Scorecard, ladder: Ladder, bounded: bool, width: int, paint: _Paint) -> list[str]:
    """A ladder as a table; columns that do not fit are left out from the right, the training time stays."""
    rungs, bounded = ladder.rungs, bounded and card.ceiling is not None
    if not rungs:
        return []
    names = [_clean(ladder.title(rung)) for rung in rungs]
    train = ["train", *(numbers.seconds(rung.seconds) for rung in rungs)]
    columns = _columns(card, ladder)
    if bounded:
        names.append("best possible")
        train.append(numbers.NONE)
    room = max(_LABEL, min(max(map(cell_len, names)) + 4, width // 3))
    left = width - room - max(map(cell_len, train))
    shown: list[list[str]] = []
    for title, view, metric in columns:
        cells = [title, *(_value(metrics_of(rung, view), metric) for rung in rungs)]
        if bounded:
            cells.append(_value(ceiling(card, view), metric))
        needed = max(map(cell_len, cells)) + _GAP
        if needed > left:
            break
        left -= needed
        shown.append(cells)
    shown.append(train)
    sizes = [max(map(cell_len, column)) for column in shown]
    lines = []
    for row in range(len(names) + 1):
        champion = 0 < row <= len(rungs) and rungs[row - 1] is ladder.champion
        head = _clean(ladder.name) or "models"
        name = head if row == 0 else f"{STAR if champion else ' '} {names[row - 1]}"
        cells = [
            f"{' ' * (size - cell_len(column[row]))}{column[row]}" for size, column in zip(sizes, shown, strict=True)
        ]
        told = _fit(name, room) + (" " * _GAP).join(cells)
        lines.append(paint(told.rstrip(), "strong" if champion or row == 0 else ""))
    return lines


def _columns(card: Scorecard, ladder: Ladder) -> list[tuple[str, str | None, str]]:
    """Title, view and metric: the primary one over all and under each view, then the others."""
    primary = ladder.primary
    if primary is None:
        return []
    others = dict.fromkeys(metric for rung in ladder.rungs for metric in rung.metrics if metric != primary)
    views = [(_clean(f"· {view}") if view else _title(primary), view, primary) for view in card.views]
    return [*views, *((_title(metric), None, metric) for metric in others)]


def _title(metric: str) -> str:
    return _SHORT.get(metric) or numbers.title(metric)


def _value(metrics: Metrics, name: str) -> str:
    at = metrics.get(name)
    return numbers.NONE if at is None else numbers.plus_minus(at.value, at.low, at.high, numbers.places(name))


def _wrapped(label: str, phrases: Sequence[tuple[str, str]], width: int, paint: _Paint) -> list[str]:
    """Lay phrases side by side with a gap, and break where the line is full; the name stands on the first line."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for text, style in phrases:
        gap, whole = (_GAP if lines[-1] else 0), cell_len(_clean(text))
        if used + gap + whole > width - _LABEL >= whole:  # it fits, if not here
            lines.append([])
            used = gap = 0
        for word in _clean(text).split(" "):
            needed = gap + cell_len(word)
            if used and _LABEL + used + needed > width:
                lines.append([])
                used, needed, gap = 0, cell_len(word), 0
            lines[-1].append((" " * gap + word, style))
            used, gap = used + needed, 1
    told = ["".join(paint(text, style) for text, style in line) for line in lines]
    return [f"{paint(_fit(label if not place else '', _LABEL), 'strong')}{line}" for place, line in enumerate(told)]


def _line(label: str, text: str, paint: _Paint) -> str:
    return f"{paint(_fit(label, _LABEL), 'strong')}{_clean(text)}"


def _fit(text: str, size: int) -> str:
    return set_cell_size(text, size) if cell_len(text) < size else f"{set_cell_size(text, size - 2)}… "


def _clean(text: str) -> str:
    """One line without control signs, which could move the cursor."""
    return re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text)).strip()
