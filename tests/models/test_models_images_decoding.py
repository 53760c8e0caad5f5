"""Decoding of pictures: what each kind of file becomes, and what damage, emptiness and huge sizes are answered."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bottega
from bottega.errors import BuildError, DataError
from bottega.models.images.decoding import decode, decode_one

pytest.importorskip("PIL", reason="pillow is not installed: pip install 'bottega[images]'")

from PIL import Image

SAMPLE = Path(bottega.__file__).parent / "samples" / "fashion_mnist" / "fashion.parquet"


def saved(picture: Any, kind: str = "PNG", **settings: Any) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **settings)
    return file.getvalue()


def some(height: int = 6, width: int = 5, channels: int = 1, seed: int = 0) -> Any:
    """One picture (height, width, channels) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_lossless_file_gives_its_very_pixels(kind: str, channels: int) -> None:
    pixels = some(channels=channels)
    if kind == "GIF" and channels == 3:
        pixels = pixels // 255 * 255  # few colours
    data = saved(pixels[:, :, 0] if channels == 1 else pixels, kind)
    np.testing.assert_array_equal(decode_one(data, (6, 5), channels), pixels)


def test_rows_of_a_column_become_one_array_and_a_bad_one_is_named() -> None:
    column = [saved(some(seed=seed)[:, :, 0]) for seed in range(3)]
    for values in (column, pa.array(column), pa.chunked_array([column[:1], column[1:]])):
        found = decode(values, (6, 5), 1)
        np.testing.assert_array_equal(found, np.stack([some(seed=seed) for seed in range(3)]))
    assert decode([], (6, 5), 3).shape == (0, 6, 5, 3)
    with pytest.raises(DataError, match=r"photo\[1\]: no picture"):
        decode([column[0], None], (6, 5), 1, where="photo")


def test_a_picture_is_scaled_to_the_size_and_a_flat_one_stays_flat() -> None:
    data = saved(np.full((40, 30, 3), (9, 90, 200), np.uint8), "JPEG", quality=95)
    found = decode_one(data, (7, 13), 3)
    assert found.shape == (7, 13, 3)
    np.testing.assert_allclose(found, np.broadcast_to([9, 90, 200], found.shape), atol=3)
    halves = np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1).repeat(16, axis=0)
    assert decode_one(saved(halves), (2, 4), 1)[:, [0, -1], 0].tolist() == [[0, 255], [0, 255]]


def test_what_other_kinds_of_pixels_become() -> None:
    deep = np.array([[0, 256, 65_535]], np.uint16)
    assert decode_one(saved(deep), (1, 3), 1).ravel().tolist() == [0, 1, 255]
    assert decode_one(saved(deep, "TIFF"), (1, 3), 3)[0, :, 1].tolist() == [0, 1, 255]
    clear = np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8)
    assert decode_one(saved(clear), (1, 2), 3).tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert decode_one(saved(clear), (1, 2), 4).tolist() == clear.tolist()
    assert decode_one(saved(clear), (1, 2), 2)[0, :, 1].tolist() == [0, 255]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 250, 0, 0])
    palette.putdata([0, 1])
    assert decode_one(saved(palette), (1, 2), 3).tolist() == [[[0, 0, 0], [250, 0, 0]]]
    assert decode_one(saved(palette, transparency=0), (1, 2), 3).tolist() == [[[255, 255, 255], [250, 0, 0]]]
    assert decode_one(saved(Image.new("1", (2, 1), 1)), (1, 2), 1).ravel().tolist() == [255, 255]
    ink = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    red = decode_one(saved(ink, "JPEG", quality=95), (4, 4), 3)[0, 0]
    assert red[0] > 200 > 60 > red[1]
    with pytest.raises(DataError, match="32 bits"):
        decode_one(saved(Image.new("F", (2, 2)), "TIFF"), (2, 2), 1)


def test_an_animation_is_its_first_picture_and_a_camera_says_what_is_up() -> None:
    first, second = Image.new("L", (3, 2), 10), Image.new("L", (3, 2), 200)
    data = saved(first, "GIF", save_all=True, append_images=[second])
    assert set(decode_one(data, (2, 3), 1).ravel().tolist()) == {10}
    pixels = some(2, 3)[:, :, 0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as a telephone held upright writes it
    np.testing.assert_array_equal(decode_one(saved(pixels, exif=exif), (3, 2), 1)[:, :, 0], np.rot90(pixels, -1))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A piece of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, body: bytes) -> bytes:
    """A PNG file that says what it likes of its size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


WHOLE = saved(some(40, 40)[:, :, 0])


@pytest.mark.parametrize(
    "data",
    [None, b"", b"no picture", "text", 7, WHOLE[:-30], WHOLE[:60], WHOLE[:20] + b"\0" * 40 + WHOLE[60:], b"%!PS-Adobe",
     png_of(0, 3, b""), png_of(3, 0, b""), png_of(30, 30, b"\0"), saved(some(40, 40, 3), "JPEG")[:300],
     b"P5 2 2 255 abcd"],
)  # fmt: skip
def test_damaged_empty_and_unknown_bytes_are_one_clear_error(data: Any) -> None:
    with pytest.raises(DataError) as caught:
        decode_one(data, (4, 4), 1, where="photos.image[3]")
    assert caught.value.where == "photos.image[3]"
    assert caught.value.allowed
    assert caught.value.fix


@pytest.mark.parametrize("side", [8_000, 12_000, 40_000])
def test_a_small_file_that_unpacks_to_a_huge_picture_is_refused_before(side: int) -> None:
    with pytest.raises(DataError, match=r"at most 50,000,000 pixels"):
        decode_one(png_of(side, side, b""), (4, 4), 1)


def test_the_bound_on_pixels_can_be_set() -> None:
    assert decode_one(WHOLE, (2, 2), 1, most_pixels=1_600).shape == (2, 2, 1)
    with pytest.raises(DataError, match="40 × 40 pixels"):
        decode_one(WHOLE, (2, 2), 1, most_pixels=1_599)


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(BuildError, match=r"pip install 'bottega\[images\]'"):
        decode_one(WHOLE, (2, 2), 1)


def test_the_sample_of_the_package_is_whole() -> None:
    table = pq.read_table(SAMPLE)
    assert table.column_names == ["id", "image", "label", "part"]
    assert SAMPLE.stat().st_size < 3_000_000
    assert len(set(table["id"].to_pylist())) == 6_000
    counts = table.group_by(["part", "label"]).aggregate([("id", "count")]).to_pylist()
    assert {(row["part"], row["id_count"]) for row in counts} == {("train", 500), ("test", 100)}
    assert len(counts) == 20
    pictures = decode(table["image"][-1_000:], (28, 28), 1)
    assert pictures.std(axis=(1, 2, 3)).min() > 5
