"""Raw pixels: scaled down by means, and correlated."""

from __future__ import annotations

import numpy as np
import pytest

from bottega.design.encoders import RawPixels
from bottega.models.images.raw import RawPixelsModel
from bottega.models.making import encoder_class, make_encoder
from bottega.testing.encoder_checks import check_encoder, shapes


@pytest.mark.parametrize("side", [5, 12, 28])
def test_it_meets_the_contract(side: int) -> None:
    check_encoder(lambda: make_encoder(RawPixels(side=side)))
    assert encoder_class(RawPixels()) is RawPixelsModel


@pytest.mark.parametrize(("shape", "side"), [((12, 12, 1), 12), ((12, 12, 1), 28), ((12, 9, 3), 4), ((7, 30, 1), 5)])
def test_products_are_correlations_of_means(shape: tuple[int, int, int], side: int) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (6, *shape)).astype(np.uint8)
    model = RawPixelsModel(RawPixels(side=side))
    model.fit(pictures)
    vectors = model.encode(pictures)
    height, width, channels = min(side, shape[0]), min(side, shape[1]), shape[2]
    small = np.zeros((6, height, width, channels))
    for row in range(height):
        for column in range(width):
            rows = slice(row * shape[0] // height, (row + 1) * shape[0] // height)
            columns = slice(column * shape[1] // width, (column + 1) * shape[1] // width)
            small[:, row, column] = pictures[:, rows, columns].mean(axis=(1, 2))
    assert vectors @ vectors.T == pytest.approx(np.corrcoef(small.reshape(6, -1)), abs=1e-5)


def test_pictures_of_one_tone_are_like_each_other_alone() -> None:
    pictures, _ = shapes(4)
    flat = np.stack([np.full((12, 12, 1), tone, np.uint8) for tone in (0, 37, 255)])
    model = RawPixelsModel(RawPixels(side=5))
    model.fit(pictures)
    products = model.encode(flat) @ model.encode(np.concatenate([flat, pictures])).T
    assert products[:, :3] == pytest.approx(1, abs=1e-5)
    assert products[:, 3:] == pytest.approx(0, abs=1e-5)
