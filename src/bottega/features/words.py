"""Texts by their place in a list of words: what a service makes of a text is made once, and then looked up by place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Made: TypeAlias = Callable[[list[str | None]], NDArray[Any]]
"""From some texts to a row for each of them, (n, …): each from its own text alone."""
MOST, LARGEST = 1 << 16, 1 << 23  # words, and bytes of them all, after which `Known` begins anew


class Words:
    """Distinct texts, null at place 0, and beside them what was made of each; it only grows, and threads may share it.

    texts: distinct, without null.

    >>> words = Words(["pear", "fig"])
    >>> words.made(lambda texts: np.array([len(text or "") for text in texts])).tolist()
    [0, 4, 3]
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts: list[str | None] = [None, *texts]
        self._made: dict[Made, tuple[NDArray[Any], int]] = {}  # rows with room for more, and how many there are
        self._lock = threading.Lock()

    def made(self, make: Made) -> NDArray[Any]:
        """Give what a function makes of each text, a row for each place; it is asked for each text once.

        make: known by itself: a function of a module, or a method of what lives as long as these words do.
        """
        held = self._made.get(make)
        if held is None or held[1] < len(self.texts):
            held = self._grown(make)
        return held[0]

    def _grown(self, make: Made) -> tuple[NDArray[Any], int]:
        with self._lock:
            rows, count = self._made.get(make, (np.empty(0), 0))
            size = len(self.texts)
            new = make(self.texts[count:size])
            if not count:
                rows = new
            elif size > len(rows):
                larger = np.empty((2 * size, *new.shape[1:]), new.dtype)
                larger[:count] = rows[:count]
                rows = larger
            rows[count:size] = new
            self._made[make] = rows, size
            return self._made[make]


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of texts: the place of each in a list of words, (n,), 0 for null."""

    places: NDArray[np.intp]
    words: Words

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TextColumn:
        return TextColumn(self.places[rows], self.words)

    def of(self, make: Made) -> NDArray[Any]:
        """Give what a function makes of each row's text, (n, …); see `Words.made`."""
        found: NDArray[Any] = self.words.made(make)[self.places]
        return found

    @classmethod
    def over(cls, texts: Sequence[str | None]) -> TextColumn:
        """Give texts as a column over words of their own.

        >>> TextColumn.over(["b", None, "a", "b"]).places.tolist()
        [1, 0, 2, 1]
        """
        places: dict[str | None, int] = {None: 0}
        found = [places.setdefault(text, len(places)) for text in texts]
        return cls(np.array(found, np.intp), Words(text for text in places if text is not None))


class Known:
    """Remembers the texts that were asked for, so that one that comes again is looked up; threads may share it.

    most: words from which it begins anew, at least 1; larger remembers more, and takes a few hundred bytes for each.

    >>> known = Known()
    >>> known.column(["ad 7", None]).places.tolist(), known.column(["ad 8", "ad 7"]).places.tolist()
    ([1, 0], [2, 1])
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._bytes = 0
        self._held: tuple[Words, dict[str | None, int]] = Words(), {None: 0}

    def column(self, texts: Sequence[str | None]) -> TextColumn:
        """Give texts as a column; its words hold all that are remembered."""
        words, places = self._held
        try:
            return TextColumn(_places(places, texts), words)
        except KeyError:  # one that is asked for the first time
            return self._learnt(texts)

    def _learnt(self, texts: Sequence[str | None]) -> TextColumn:
        with self._lock:
            words, places = self._room()
            for text in texts:
                if text is not None and text not in places:
                    self._bytes += len(text.encode())
                    words.texts.append(text)
                    places[text] = len(words.texts) - 1  # last: who finds a place finds its word
            return TextColumn(_places(places, texts), words)

    def _room(self) -> tuple[Words, dict[str | None, int]]:
        if len(self._held[1]) > self._most or self._bytes > LARGEST:
            self._held = Words(), {None: 0}  # columns that are on their way keep the words they have
            self._bytes = 0
        return self._held


def _places(places: dict[str | None, int], texts: Sequence[str | None]) -> NDArray[np.intp]:
    return np.fromiter(map(places.__getitem__, texts), np.intp, len(texts))
