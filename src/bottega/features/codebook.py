"""Codebooks: codes of their own for frequent categories, shared hashed codes for all others; null is −1."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.errors import DataError, ServeError
from bottega.features.frame import codes as places
from bottega.features.frame import text
from bottega.features.hashing import hash_text, hashes
from bottega.features.vocabulary import Codes, Coding, Texts, Vocabulary
from bottega.files import write_json

_SMALL = 4_096
_KNOWN = 1 << 16  # texts without a code of their own that are remembered
_EXACT = 2**24  # codes are handed to models as float32, which tells no more apart


class Spread(msgspec.Struct, frozen=True):
    """How the values of training were spread over a codebook's codes."""

    distinct: int
    """Values, null left out."""
    own: int
    """Of them those with a code of their own."""
    codes: int
    """Codes that the others share."""
    shared_values: float
    """Share of the others that have a code together with another value of training; 0 where there are none."""
    shared_rows: float
    """Share of the rows with a value whose code belongs to another value of training too."""
    expected: float
    """The share of the others that chance lets share a code: 1 − e^(−n/H) for n values in H codes."""


class Codebook:
    """Texts to codes: 0 … own − 1 for values seen often, in the order of the sorted texts; own + h(text) mod H else.

    Null is −1. What training has not seen has a hashed code too, so that it is like some rare value of training rather
    than like all that is unknown. When it is wrong: two rare values on one code are one to every model, as `spread`
    tells; a code says nothing about how alike two values are.

    own: the frequent values. hashed: H, 1 to 2²⁴; larger collides less, and each code is learnt from less.
    Errors: `DataError` for more than 2²⁴ codes together: models get them as float32.

    >>> book = Codebook.learn(["pear", "apple", "pear", "fig", None, "apple"], own_from=2, hashed=8)
    >>> book.codes(["apple", "pear", "fig", "kiwi", None]).tolist()
    [0, 1, 8, 3, -1]
    >>> book.spread.distinct, book.spread.own
    (3, 2)

    Source: K. Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """

    def __init__(self, own: Iterable[str], hashed: int, spread: Spread) -> None:
        self.own: tuple[str, ...] = tuple(sorted(set(own)))
        self.hashed, self.spread = hashed, spread
        if len(self) > _EXACT:
            raise DataError(
                "Categories",
                f"{len(self.own):,} codes of their own and {hashed:,} hashed ones",
                f"at most {_EXACT:,} together",
                "a larger own_from, or fewer hashed codes",
            )
        self._known = _Known(self.own, hashed)
        self._sorted = pa.array(self.own, pa.large_string())

    @classmethod
    def learn(cls, values: Texts, own_from: int, hashed: int) -> Self:
        """Learn from a column of training rows; the codes depend on how often each value occurs, never on the order.

        values: (n,) texts, of dictionary arrays only those that occur. own_from: rows from which a value has a code of
        its own, at least 1; larger gives fewer such codes.
        """
        words, rows = _counted(values)
        often = rows >= own_from
        rest = hashes(words.filter(pa.array(~often))) % np.uint64(hashed)
        _, at, together = np.unique(rest, return_inverse=True, return_counts=True)
        shared = together[at] > 1 if len(rest) else np.zeros(0, bool)
        spread = Spread(
            len(words),
            int(often.sum()),
            hashed,
            float(shared.mean()) if len(rest) else 0.0,
            float(rows[~often][shared].sum() / max(rows.sum(), 1)),
            -math.expm1(-len(rest) / hashed),
        )
        return cls(words.filter(pa.array(often)).to_pylist(), hashed, spread)

    def __len__(self) -> int:
        """Give the number of codes, null left out."""
        return len(self.own) + self.hashed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Codebook) and (self.own, self.hashed) == (other.own, other.hashed)

    def __hash__(self) -> int:
        return hash((self.own, self.hashed))

    def codes(self, values: Texts) -> Codes:
        """Give the code of each text, (n,) int32: by dictionary for few (microseconds), by Arrow for many."""
        if isinstance(values, pa.DictionaryArray) and len(values.dictionary) < len(values):
            known = np.append(self.codes(values.dictionary), np.int32(-1))  # the last one stands for null
            return np.asarray(known[places(values)])
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()  # listed many times quicker
        if len(values) > _SMALL:
            return self._many(values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values))
        listed: Iterable[Any] = values
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            listed = values.to_pylist()
        elif isinstance(values, np.ndarray):
            listed = values.tolist()
        return np.fromiter(map(self._known.__getitem__, listed), np.int32, len(values))

    def _many(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        words = values.cast(pa.large_string())
        found = pc.index_in(words, value_set=self._sorted, skip_nulls=True)
        rest = hashes(words) % np.uint64(self.hashed) + np.uint64(len(self.own))
        codes = np.where(pc.is_valid(found), pc.fill_null(found, 0), rest).astype(np.int32)
        codes[np.asarray(pc.is_null(words))] = -1
        return codes

    def save(self, path: Path) -> None:
        """Write the frequent values, the number of hashed codes and the spread as JSON, whole or not at all."""
        write_json(path, {"own": list(self.own), "hashed": self.hashed, "spread": msgspec.to_builtins(self.spread)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; a missing or damaged file is a `ServeError` by name."""
        try:
            said = json.loads(path.read_bytes())
            own = msgspec.convert(said["own"], list[str])
            hashed = msgspec.convert(said["hashed"], int)
            if own != sorted(set(own)) or not 1 <= hashed <= _EXACT:
                raise ValueError("values that are no sorted texts, or no number of codes")
            return cls(own, hashed, msgspec.convert(said["spread"], Spread))
        except (OSError, ValueError, TypeError, KeyError, DataError) as error:
            raise ServeError(
                str(path), f"no readable codebook: {error}", "the file that the build wrote", "run the build again"
            ) from error


class _Known(dict[str | None, int]):
    """The code of each text: those of their own, null, and the hashed ones that were asked for first."""

    def __init__(self, own: tuple[str, ...], hashed: int) -> None:
        super().__init__(zip(own, range(len(own)), strict=True))
        self[None] = -1
        self.own, self.hashed, self.most = len(own), hashed, len(own) + _KNOWN

    def __missing__(self, value: str) -> int:
        code = self.own + hash_text(value) % self.hashed
        if len(self) <= self.most:
            self[value] = code
        return code


def load_coding(path: Path) -> Coding:
    """Read a vocabulary or a codebook, whichever the file holds; a damaged file is a `ServeError` by name."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        said = {}  # the vocabulary's error names the file
    return Codebook.load(path) if isinstance(said, dict) and "own" in said else Vocabulary.load(path)


def unseen(values: Texts, learnt: np.ndarray, asked: np.ndarray) -> float:
    """Give the share of the asked rows whose value no row of training has; rows without a value do not count.

    values: (n,) texts. learnt, asked: (n,) bool. NaN where no asked row has a value.

    >>> unseen(["a", "b", "c", None], np.array([1, 0, 0, 0], bool), np.array([0, 1, 1, 1], bool))
    1.0
    """
    column = _dictionary(values)
    at = places(column)
    known = np.zeros(len(column.dictionary), bool)
    known[at[learnt & (at >= 0)]] = True
    rows = at[asked & (at >= 0)]
    return float(1 - known[rows].mean()) if len(rows) else math.nan


def _counted(values: Texts) -> tuple[pa.StringArray, np.ndarray]:
    """Give the distinct texts, and the rows of each."""
    column = _dictionary(values)
    at = places(column)
    rows = np.bincount(at[at >= 0], minlength=len(column.dictionary))
    used = rows > 0
    return column.dictionary.filter(pa.array(used)), rows[used]


def _dictionary(values: Texts) -> pa.DictionaryArray:
    """Give texts as a dictionary array in which each text stands once."""
    column = text(values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, pa.string()))
    once = column.dictionary.dictionary_encode()
    if len(once.dictionary) == len(column.dictionary):
        return column
    return pa.DictionaryArray.from_arrays(once.indices.take(column.indices), once.dictionary)
