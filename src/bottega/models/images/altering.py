"""Altering: pictures changed in ways that do not change what they show, so that few of them teach like many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bottega.models.images.decoding import Pictures

_SHIFT = 14  # a picture is shifted by up to 1/14 of its side
_ERASE = 3  # what is erased has 1/3 of each side


def altered(pictures: Pictures, ways: Sequence[str], rng: np.random.Generator) -> Pictures:
    """A changed copy of each picture, (n, height, width, channels) uint8.

    ways: any of `flip` (left and right, every second picture), `shift` (by up to 1/14 of each side, the border drawn
    out), `erase` (a third of each side, somewhere, in the picture's mean). rng: where chance comes from.

    >>> altered(np.array([[[[1], [2]]]], np.uint8), ["flip"], np.random.default_rng(1)).ravel().tolist()
    [1, 2]
    """
    for way in ways:
        pictures = _WAYS[way](pictures, rng)
    return pictures


def _flip(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    which = rng.random(len(pictures)) < 0.5
    return np.where(which[:, None, None, None], pictures[:, :, ::-1], pictures)


def _shift(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    count, height, width, _ = pictures.shape
    most = max(1, round(height / _SHIFT)), max(1, round(width / _SHIFT))
    down, right = (rng.integers(-step, step + 1, count) for step in most)
    rows = np.clip(np.arange(height) + down[:, None], 0, height - 1)  # (n, height)
    columns = np.clip(np.arange(width) + right[:, None], 0, width - 1)
    shifted: Pictures = pictures[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return shifted


def _erase(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    count, height, width, _ = pictures.shape
    inside = []
    for side in (height, width):
        length = max(1, round(side / _ERASE))
        first = rng.integers(-(length // 2), side - length // 2, count)[:, None]
        inside.append((np.arange(side) >= first) & (np.arange(side) < first + length))
    where = inside[0][:, :, None] & inside[1][:, None, :]
    mean = pictures.mean(axis=(1, 2), keepdims=True).astype(np.uint8)
    return np.where(where[..., None], mean, pictures)


_WAYS: Mapping[str, Callable[[Pictures, np.random.Generator], Pictures]] = {
    "flip": _flip,
    "shift": _shift,
    "erase": _erase,
}
