"""The texts that hashes in records stand for: written beside them as words, and remembered by who reads."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.errors import DataError
from bottega.features.records_layout import TEXT_NULL
from bottega.features.words import LARGEST, MOST, TextColumn, Words

Array = NDArray[np.int64]
_PAIR = struct.Struct("<qq")


def written(texts: Mapping[int, str], wanted: Array) -> tuple[Array, Array, Array]:
    """Write texts as records hold them: hashes ascending (k,), where each begins (k + 1,), and the words of all.

    texts: by their hash. wanted: (m,) hashes as int64, of which any may come again and any may be missing in `texts`.
    """
    hashes, parts = [], []
    for mark in np.unique(wanted).tolist():
        text = texts.get(mark & (2**64 - 1))
        if mark != TEXT_NULL and text is not None:
            content = text.encode()
            hashes.append(mark)
            parts.append(_PAIR.pack(mark, len(content)) + content + bytes(-len(content) % 8))
    places = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) // 8 for part in parts], out=places[1:])
    return np.array(hashes, np.int64), places, np.frombuffer(bytearray().join(parts), np.int64)


def read(blob: bytes) -> list[tuple[int, str]]:
    """Read the texts of a record with their hashes as int64; `DataError` for what is none."""
    place, found = 0, []
    while place < len(blob):
        if place + 16 > len(blob):
            raise _damaged("half a text")
        mark, length = _PAIR.unpack_from(blob, place)
        place += 16
        if not 0 <= length <= len(blob) - place:
            raise _damaged(f"a text of {length} bytes")
        try:
            found.append((mark, blob[place : place + length].decode()))
        except UnicodeDecodeError:
            raise _damaged("a text that is not UTF-8") from None
        place += (length + 7) // 8 * 8
    return found


class Spelt:
    """Remembers the texts of hashes, so that a text is read from its record once; threads may share it.

    most: texts from which it begins anew, at least 1; larger remembers more.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock, self._bytes = most, threading.Lock(), 0
        self._held: tuple[Words, dict[int, int]] = Words(), {TEXT_NULL: 0}

    def column(self, hashes: Array, texts: Callable[[Array], Iterable[tuple[int, str]]]) -> TextColumn:
        """Give hashes as the column of their texts; its words hold all that are remembered.

        hashes: (n,) int64. texts: from the rows (k,) of some hashes that are not known to texts with their hashes, of
        which all are remembered. Errors: `DataError` where it does not give one of them.
        """
        words, places = self._held
        asked = hashes.tolist()
        try:
            return TextColumn(_places(places, asked), words)
        except KeyError:  # one that is asked for the first time
            return self._learnt(asked, texts)

    def _learnt(self, asked: list[int], texts: Callable[[Array], Iterable[tuple[int, str]]]) -> TextColumn:
        with self._lock:
            if len(self._held[1]) > self._most or self._bytes > LARGEST:
                self._held = Words(), {TEXT_NULL: 0}  # columns that are on their way keep the words they have
                self._bytes = 0
            words, places = self._held
            rows = [row for row, mark in enumerate(asked) if mark not in places]
            for mark, text in texts(np.array(rows, np.int64)):
                if mark not in places:
                    self._bytes += len(text.encode())
                    words.texts.append(text)
                    places[mark] = len(words.texts) - 1  # last: who finds a place finds its word
            if not places.keys() >= set(asked):
                raise _damaged("a text that is not there")
            return TextColumn(_places(places, asked), words)


def _places(places: Mapping[int, int], asked: list[int]) -> NDArray[np.intp]:
    return np.fromiter(map(places.__getitem__, asked), np.intp, len(asked))


def _damaged(found: Any) -> DataError:
    return DataError("store", f"a record with {found}", "records as they were written", "fill it again: bottega run")
