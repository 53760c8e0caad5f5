"""From the vectors of a text's tokens to one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bottega.models.texts.encoder import Vectors

Mask = npt.NDArray[np.float32]


def pooled(tokens: Vectors, mask: npt.NDArray[np.integer], ways: Sequence[str]) -> Vectors:
    """Make one vector of those of each text's tokens; several ways stand side by side.

    tokens: (n, t, d). mask: (n, t) 1 for a token, 0 after the text's end. ways: of `WAYS`, as sentence-transformers
    names them: `mean`, `cls` (the first token), `lasttoken`, `max`, `mean_sqrt_len_tokens` (the sum over the root of
    the count), `weightedmean` (each token weighs as its place). Gives (n, d × ways); zeros for a text without a token.

    >>> tokens, mask = np.array([[[1.0], [3.0], [9.0]]], np.float32), np.array([[1, 1, 0]])
    >>> pooled(tokens, mask, ["mean", "cls", "lasttoken", "max"]).tolist()
    [[2.0, 1.0, 3.0, 3.0]]
    """
    here = mask.astype(np.float32)[:, :, None]  # (n, t, 1)
    known = np.where(here > 0, tokens, np.float32(0))  # what fills up may be NaN
    parts = [WAYS[way](known, here) for way in ways]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _mean(tokens: Vectors, weight: Mask) -> Vectors:
    found: Vectors = (tokens * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
    return found


def _first(tokens: Vectors, here: Mask) -> Vectors:  # noqa: ARG001
    return tokens[:, 0]


def _last(tokens: Vectors, here: Mask) -> Vectors:
    place = np.maximum(here.sum(axis=1).astype(np.int64) - 1, 0)  # (n, 1)
    return np.take_along_axis(tokens, place[:, :, None], axis=1)[:, 0]


def _max(tokens: Vectors, here: Mask) -> Vectors:
    found: Vectors = np.where(here > 0, tokens, np.finfo(np.float32).min).max(axis=1)
    return np.where(here.sum(axis=1) > 0, found, np.float32(0))


def _root(tokens: Vectors, here: Mask) -> Vectors:
    found: Vectors = tokens.sum(axis=1) / np.sqrt(np.maximum(here.sum(axis=1), 1))
    return found


def _rising(tokens: Vectors, here: Mask) -> Vectors:
    return _mean(tokens, here * np.arange(1, tokens.shape[1] + 1, dtype=np.float32)[None, :, None])


WAYS: dict[str, Callable[[Vectors, Mask], Vectors]] = {
    "mean": _mean,
    "cls": _first,
    "lasttoken": _last,
    "max": _max,
    "mean_sqrt_len_tokens": _root,
    "weightedmean": _rising,
}
