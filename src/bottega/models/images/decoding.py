"""Decoding: from a picture's bytes, as they came from outside, to an array of a known shape, or one clear error."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import BuildError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures = npt.NDArray[np.uint8]  # (n, height, width, channels)
Bytes: TypeAlias = Sequence[bytes | None] | pa.Array | pa.ChunkedArray
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # others that Pillow knows start programs, or are rare
MOST_PIXELS = 50_000_000
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def decode(
    values: Bytes, size: Sequence[int], channels: int, most_pixels: int = MOST_PIXELS, where: str = "image"
) -> Pictures:
    """Decode pictures and scale each to one size: (n, height, width, channels) uint8.

    As `decode_one`, whose errors here name the row: `image[3]`.
    """
    rows = values.to_pylist() if isinstance(values, (pa.Array, pa.ChunkedArray)) else values
    found = np.empty((len(rows), *size, channels), dtype=np.uint8)
    for row, data in enumerate(rows):
        found[row] = decode_one(data, size, channels, most_pixels, f"{where}[{row}]")
    return found


def decode_one(
    data: bytes | None, size: Sequence[int], channels: int, most_pixels: int = MOST_PIXELS, where: str = "image"
) -> Pictures:
    """Decode one picture, PNG, JPEG, WebP, GIF, BMP or TIFF: (height, width, channels) uint8.

    It is turned as its camera says, laid on white where it is transparent and `channels` leaves no room for that, and
    scaled to the size without keeping its proportions. Of an animation it is the first picture; of 16 bits a channel,
    the upper 8. When it is wrong: a long panorama is squeezed into a square; cut it before.

    data: the bytes of a file. size: height and width in pixels. channels: 1 grey, 2 grey with transparency, 3 colour, 4
    colour with transparency. most_pixels: more are refused before they are unpacked; larger lets a small file ask for
    more memory. where: how an error names it. Raises `DataError` for null, empty, damaged, too large or unknown bytes,
    `BuildError` where Pillow is not installed.

    >>> dot = bytes.fromhex("424d3a000000000000003600000028000000010000000100000001001800000000000400000000000000000000"
    ...                     "000000000000000000ff000000")
    >>> decode_one(dot, size=(1, 2), channels=3).tolist()
    [[[0, 0, 255], [0, 0, 255]]]
    """
    images = _pillow()
    if not isinstance(data, (bytes, bytearray, memoryview)) or not len(data):
        found = f"a {type(data).__name__}" if data else "no picture" if data is None else "no bytes"
        raise _refused(where, found)
    try:
        with images.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > most_pixels:
                raise _too_large(where, f"{opened.width:,} × {opened.height:,} pixels", most_pixels)
            upright = importlib.import_module("PIL.ImageOps").exif_transpose(opened)
            made = _converted(upright, _MODES[channels], where)
            height, width = size
            if made.size != (width, height):
                made = made.resize((width, height), images.Resampling.BILINEAR)
            return np.asarray(made, dtype=np.uint8).reshape(height, width, channels)
    except (images.DecompressionBombError, images.DecompressionBombWarning) as error:
        raise _too_large(where, str(error), most_pixels) from error
    except DataError:
        raise
    except Exception as error:  # the decoders raise whatever their format's damage leads to
        why = f" ({error})" if not isinstance(error, images.UnidentifiedImageError) else ", in no format that is known"
        raise _refused(where, f"{len(data):,} bytes that cannot be decoded{why}") from error


def check_pictures(pictures: Any, shape: Sequence[int] | None = None) -> Pictures:
    """Give the pictures as they are; `DataError` unless they are (n, height, width, channels) uint8.

    shape: height, width and channels that each must have; nothing: any.

    >>> check_pictures(np.zeros((2, 4, 4, 1), np.uint8), (4, 4, 1)).shape
    (2, 4, 4, 1)
    """
    array = np.asarray(pictures)
    if array.ndim != 4 or array.dtype != np.uint8 or 0 in array.shape[1:]:
        raise DataError(
            "pictures",
            f"an array {array.shape} of {array.dtype}",
            "(n, height, width, channels) of uint8",
            "decode them first: bottega.models.images.decoding.decode(values, size=(28, 28), channels=1)",
        )
    if shape is not None and array.shape[1:] != tuple(shape):
        raise DataError(
            "pictures",
            f"height, width and channels {array.shape[1:]}",
            f"{tuple(shape)}, as the encoder reads them",
            f"Image(..., size={tuple(shape)[:2]}, channels={shape[2]})",
        )
    return array


def _converted(image: Image, mode: str, where: str) -> Image:
    """The picture in this mode, 8 bits a channel."""
    images = _pillow()
    if image.mode.startswith("I;16"):
        made: Image = images.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
        return made.convert(mode)
    if image.mode in ("I", "F"):
        raise _refused(where, "pixels of 32 bits, whose darkest and brightest are not known")
    if "A" not in mode and image.has_transparency_data:
        over = image.convert("RGBA")
        image = images.alpha_composite(images.new("RGBA", over.size, "white"), over)
    return image if image.mode == mode else image.convert(mode)


def _refused(where: str, found: str) -> DataError:
    return DataError(
        where,
        found,
        f"the bytes of a whole {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file",
        "save the picture again as PNG, or leave the row out",
    )


def _too_large(where: str, found: str, most_pixels: int) -> DataError:
    return DataError(where, found, f"at most {most_pixels:,} pixels", "scale it down before, or leave the row out")


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ModuleNotFoundError as error:
        raise BuildError(
            "features: Image",
            "the package pillow is not installed",
            "pillow, to decode pictures",
            "pip install 'bottega[images]'",
        ) from error
