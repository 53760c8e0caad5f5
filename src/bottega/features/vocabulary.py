"""Vocabularies: the categories that training saw, sorted, each with its code; anything else is −1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.errors import ServeError
from bottega.files import write_json

Codes = np.ndarray[Any, np.dtype[np.int32]]
Texts: TypeAlias = Sequence[str | None] | np.ndarray[Any, Any] | pa.Array | pa.ChunkedArray
_SMALL = 4_096


class Coding(Protocol):
    """What gives texts their codes: a `Vocabulary`, or a `Codebook`."""

    def codes(self, values: Texts) -> Codes:
        """Give the code of each text, (n,) int32, from 0 up, -1 for null and for what has none."""

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""


class Vocabulary:
    """Texts to codes 0, 1, … in the order of the sorted texts; null and what was not learnt are −1.

    values: the known texts; repeated ones and nulls are dropped. The codes depend on the set of values only, never on
    their order. Wrong for ids that keep coming: what training has not seen shares the one code −1.

    >>> vocabulary = Vocabulary(["pear", "apple", "pear", None])
    >>> vocabulary.codes(["apple", "kiwi", None, "pear"])
    array([ 0, -1, -1,  1], dtype=int32)
    """

    def __init__(self, values: Texts) -> None:
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            values = pc.unique(values).to_pylist()
        self.values: tuple[str, ...] = tuple(sorted({str(value) for value in values if value is not None}))
        self._codes = {value: code for code, value in enumerate(self.values)}
        self._sorted = pa.array(self.values, pa.large_string())

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)

    def codes(self, values: Texts) -> Codes:
        """Give the code of each text, (n,) int32: by dictionary for few (microseconds), by Arrow for many.

        >>> Vocabulary(["a", "b"]).codes(pa.array(["b", None, "c"]))
        array([ 1, -1, -1], dtype=int32)
        """
        if isinstance(values, (pa.Array, pa.ChunkedArray)) and len(values) > _SMALL:
            return self._many(values)
        if len(values) > _SMALL:
            return self._many(pa.array(values, pa.large_string()))
        texts: Iterable[Any] = values.tolist() if isinstance(values, np.ndarray) else values
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            texts = values.to_pylist()
        return np.fromiter(map(self._codes.get, texts, repeat(-1)), np.int32, len(values))

    def _many(self, values: pa.Array | pa.ChunkedArray) -> Codes:
        if not self.values:
            return np.full(len(values), -1, np.int32)
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        known = self._sorted.cast(values.type)
        found = pc.index_in(values, value_set=known, skip_nulls=True)
        return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int32)

    def texts(self, codes: Codes) -> list[str | None]:
        """Give the text of each code; None for −1.

        >>> Vocabulary(["a", "b"]).texts(np.array([1, -1], np.int32))
        ['b', None]
        """
        return [self.values[code] if code >= 0 else None for code in codes.tolist()]

    def save(self, path: Path) -> None:
        """Write the values as JSON, whole or not at all."""
        write_json(path, {"values": list(self.values)})

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote; a missing or damaged file is a `ServeError` by name."""
        try:
            values = json.loads(path.read_bytes())["values"]
            if not all(isinstance(value, str) for value in values) or list(values) != sorted(set(values)):
                raise ValueError("values that are no sorted texts")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ServeError(
                str(path), f"no readable vocabulary: {error}", "the file that the build wrote", "run the build again"
            ) from error
        return cls(values)
