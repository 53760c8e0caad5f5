"""Keys of entities: one text, or several together, as bytes that no other parts can give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from bottega.errors import DataError

Texts: TypeAlias = Sequence[str | None] | np.ndarray[Any, Any] | pa.Array | pa.ChunkedArray
_NUL, _ESCAPED, _BETWEEN, _NULL = "\0", "\0\1", "\0\2", "\0\3"


def key(parts: Sequence[str | None]) -> bytes:
    r"""Join the parts of a key: a single text is its own UTF-8; other parts never give the same bytes.

    Between parts stands 00 02; a NUL within a text is written 00 01; a null part is 00 03.

    >>> key(["17850"]), key(["17850", "22423"]), key([None])
    (b'17850', b'17850\x00\x0222423', b'\x00\x03')
    """
    if not parts:
        raise DataError("key", "no parts", "at least one")
    return _BETWEEN.join([_part(part) for part in parts]).encode("utf-8", "surrogatepass")


def keys(columns: Sequence[Texts]) -> list[bytes]:
    """Give the key of each row of some columns of texts, all of one length.

    >>> keys([["a", "b"]])
    [b'a', b'b']
    """
    texts = [_listed(column) for column in columns]
    if len(texts) == 1:
        return _single(texts[0])
    if len(texts) == 2:
        return [
            f"{a}\0\2{b}".encode() if a and b and a.isascii() and b.isascii() and _NUL not in a + b else key([a, b])
            for a, b in zip(*texts, strict=True)
        ]
    if not texts:
        raise DataError("keys", "no columns", "at least one")
    return [key(parts) for parts in zip(*texts, strict=True)]


def _single(texts: list[Any]) -> list[bytes]:
    """Encode all texts at once where nothing in them needs care: no null, no NUL, no line break."""
    try:
        joined = "\n".join(texts)
    except TypeError:  # a null
        return [key([text]) for text in texts]
    if _NUL in joined or joined.count("\n") != len(texts) - 1:
        return [key([text]) for text in texts]
    return joined.encode("utf-8", "surrogatepass").split(b"\n")


def _part(text: str | None) -> str:
    return _NULL if text is None else text.replace(_NUL, _ESCAPED) if _NUL in text else text


def _listed(column: Texts) -> list[Any]:
    if isinstance(column, np.ndarray):
        return list(column.tolist())
    return list(column.to_pylist()) if isinstance(column, (pa.Array, pa.ChunkedArray)) else list(column)
