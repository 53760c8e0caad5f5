"""Files of grey pictures in the IDX form, as MNIST and its kin come, with their labels beside them."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.svmlight import opened, part_of, unpacked_name
from bottega.errors import DataError

MOST_BYTES = 2**31
"""Bytes of the pictures of one file; MNIST has 47 million."""
_BYTES = 0x08  # the code of unsigned bytes, the only type that pictures and labels come in


def read_idx(paths: Sequence[Path], most_bytes: int = MOST_BYTES) -> pa.Table:
    """Read files of pictures (`…-images-idx3-ubyte`, perhaps `.gz`) and their labels as one table.

    Columns: `id`, text, `train-0`, by place in the file, from 0 as the labels' readers count; `image`, a PNG in grey
    with the very values; `label`, text, the label's number, where the files have labels; `part`, text: what the name
    says, `train`, `validate` or `test` (`t10k` is `test`), or else the name.

    Labels are read from the file beside of the same name with `labels` for `images` and 1 for 3.

    most_bytes: of a file's pictures, unpacked; larger takes more memory.
    Raises `DataError`: an empty, truncated or too long file, another number of dimensions or type of value, pictures
    without area, as many labels as there are no pictures, labels for some files only, two files of one part, more than
    `most_bytes`.
    """
    parts = [part_of(path) for path in paths]
    if twice := {part for part in parts if parts.count(part) > 1}:
        found = f"two files of the part {min(twice)!r}"
        raise DataError(str(paths[0]), found, "parts that the names tell apart", "train-images-…, test-images-…")
    labels = [beside(path) for path in paths]
    if any(labels) and not all(labels):
        path = paths[labels.index(None)]
        raise DataError(str(path), "no labels beside it, and other files have them", "labels for all or for none")
    tables = [_read(*three, most_bytes) for three in zip(paths, labels, parts, strict=True)]
    return pa.concat_tables(tables)


def is_pictures(path: Path) -> bool:
    """Say whether a file, by its name, holds pictures in the IDX form."""
    return unpacked_name(path).lower().endswith("idx3-ubyte")


def beside(path: Path) -> Path | None:
    """Give the file with the labels of a file of pictures, where there is one."""
    own = unpacked_name(path)
    name = own.replace("images", "labels").replace("idx3", "idx1")
    there = [path.with_name(name + packed) for packed in ("", ".gz") if name != own]
    return next((item for item in there if item.is_file()), None)


def belongs_to_another(path: Path) -> bool:
    """Say whether a file, by its name, holds labels in the IDX form."""
    return unpacked_name(path).lower().endswith("idx1-ubyte")


def png(picture: NDArray[np.uint8]) -> bytes:
    """Write a grey picture (h, w) as PNG: lossless, and any decoder opens it.

    >>> png(np.zeros((28, 28), np.uint8))[:4]
    b'\\x89PNG'
    """
    height, width = picture.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each line begins with the number of its filter, 0: none
    lines[:, 1:] = picture
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _read(path: Path, labels: Path | None, part: str, most: int) -> pa.Table:
    pictures = _array(path, 3, most)
    n = len(pictures)
    columns = {
        "id": pa.array([f"{part}-{place}" for place in range(n)], pa.string()),
        "image": pa.array([png(picture) for picture in pictures], pa.binary()),
    }
    if labels is not None:
        label = _array(labels, 1, most)
        if len(label) != n:
            found, allowed = f"{len(label):,} labels", f"{n:,}, as many as there are pictures in {path.name}"
            raise DataError(str(labels), found, allowed, "take both files from one place again")
        columns["label"] = pa.array(label).cast(pa.string())
    columns["part"] = pa.repeat(part, n)
    return pa.table(columns)


def _array(path: Path, dimensions: int, most: int) -> NDArray[np.uint8]:
    """Read a file of unsigned bytes in so many dimensions, the first one counting."""
    length = 4 + 4 * dimensions
    with opened(path) as file:
        head = file.read(length)
        if len(head) < 4 or head[:2] != b"\0\0":
            found, allowed = f"begins with {head[:4].hex(' ')}", "an IDX file: 00 00, the type, the dimensions"
            raise DataError(str(path), found, allowed, "name another file")
        if head[2] != _BYTES or head[3] != dimensions:
            found = f"values of type {head[2]:#04x} in {head[3]} dimensions"
            what = "pictures × lines × columns" if dimensions > 1 else "labels"
            raise DataError(str(path), found, f"unsigned bytes, 0x08, in {dimensions}: {what}", "name another file")
        shape = struct.unpack(f">{dimensions}I", head[4:]) if len(head) == length else (0,)
        size = math.prod(shape)
        if size > most:
            raise DataError(str(path), f"{size:,} bytes announced", f"at most {most:,}", "part the file in two")
        body = file.read(size + 1)
    if size == 0 or len(body) != size:
        there = "more" if len(body) > size else f"{len(body):,}"
        found = f"{there} bytes, where {' × '.join(map(str, shape))} are announced"
        raise DataError(str(path), found, "as many as its head says, and at least one", "copy or download it again")
    return np.frombuffer(body, np.uint8).reshape(shape)
