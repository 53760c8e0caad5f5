"""From a path in a design to the line of its file that says it."""

from __future__ import annotations

import ast
import re
from functools import cached_property
from pathlib import Path
from typing import Protocol

from bottega.reviewing.lines_python import find_design, follow
from bottega.reviewing.lines_yaml import walk

Spot = tuple[int, int]
"""Line and column, both from 1."""

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Lines(Protocol):
    """What knows where in a file each part of a design stands."""

    def spot(self, place: str) -> Spot:
        """Give line and column of a path such as `features[3].over`, or of the nearest part around it."""
        ...


class NoLines:
    """For a design that stands in no file."""

    def spot(self, place: str) -> Spot:
        """Give no line at all."""
        del place
        return 0, 0


class PythonLines:
    """A Python file: names are followed to where they are made, and parts into their arguments.

    What is computed, such as a list comprehension or a function's result, is one place for all that is in it.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def _tree(self) -> ast.Module | None:
        try:
            return ast.parse(self._source)
        except (SyntaxError, ValueError, RecursionError):
            return None

    def spot(self, place: str) -> Spot:
        """Give line and column of a path; of what the file leaves to a default, those of the part around it."""
        if self._tree is None:
            return 1, 1
        start = find_design(self._tree)
        if start is None:
            return 1, 1
        line, column = follow(self._tree, start, steps(place))
        written = self._source.splitlines()[line - 1].encode()[: column - 1]  # syntax counts bytes
        return line, len(written.decode(errors="replace")) + 1


class YamlLines:
    """A YAML or JSON file."""

    def __init__(self, source: str) -> None:
        self._source = source

    def spot(self, place: str) -> Spot:
        """Give line and column of a path, or of the nearest part around it."""
        return walk(self._source, steps(place))


def lines_of(path: Path) -> Lines:
    """Give what knows the lines of a design's file; of one that cannot be read, nothing."""
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return NoLines()
    return PythonLines(source) if path.suffix == ".py" else YamlLines(source)


def steps(place: str) -> list[str | int]:
    """Part a path into names and numbers.

    >>> steps("models.rank[1].calibrate")
    ['models', 'rank', 1, 'calibrate']
    """
    return [int(number) if number else name for name, number in _STEP.findall(place)]
