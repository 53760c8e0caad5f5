"""Pictures in the IDX form read as the very values, and one clear error for each way in which they cannot be."""

from __future__ import annotations

import gzip
import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import bottega as bt
from bottega.data.idx import png, read_idx
from bottega.data.ingest import ingest
from bottega.data.source import Place, files, fingerprint, read
from bottega.errors import DataError

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"


def idx(values: np.ndarray) -> bytes:
    """The form as its author describes it: two zeros, the type, the dimensions, their sizes, the values."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 5, 7), np.uint8)


def put(folder: Path, name: str, values: np.ndarray) -> None:
    data = idx(values)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def decoded(data: bytes) -> np.ndarray:
    """What another library makes of a PNG."""
    image = pytest.importorskip("PIL.Image", reason="pictures need the extra: pip install bottega[images]")
    with image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "L"
        return np.array(opened)


def table(source: str = "*-ubyte*", **fields: Any) -> bt.Table:
    return bt.Table("pictures", source, key="id", **fields)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_a_png_holds_the_very_values(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(png(picture)), picture)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_pictures_and_labels_come_as_one_table(tmp_path: Path, packed: str) -> None:
    for name, n in ((TRAIN, 4), (TEST, 3)):
        put(tmp_path, name + packed, pictures(n, seed=n))
        put(tmp_path, name.replace("images-idx3", "labels-idx1") + packed, np.arange(n, dtype=np.uint8))
    (tmp_path / "README.md").write_text("none of the table's")
    for source in ("*-ubyte*", ".", str(tmp_path), f"*-images-idx3-ubyte{packed}"):
        assert [path.name for path in files(table(source), Place(tmp_path))] == [TEST + packed, TRAIN + packed]
        found = read(table(source), Place(tmp_path))
        assert found.column_names == ["id", "image", "label", "part"]
        assert found["id"].to_pylist() == ["test-0", "test-1", "test-2", "train-0", "train-1", "train-2", "train-3"]
        assert found["label"].to_pylist() == ["0", "1", "2", "0", "1", "2", "3"]
        assert found["part"].to_pylist() == ["test"] * 3 + ["train"] * 4
        assert found["image"].to_pylist()[3:] == [png(picture) for picture in pictures(4, seed=4)]
    assert ingest(table(), Place(tmp_path), tmp_path / "made").accepted == 7


def test_pictures_without_labels_and_names_of_others_are_read(tmp_path: Path) -> None:
    put(tmp_path, "faces.bin", pictures(2))
    assert read(table("faces.bin", format="idx"), Place(tmp_path)).column_names == ["id", "image", "part"]
    put(tmp_path, "train-images.idx3-ubyte", pictures(2))
    put(tmp_path, "train-labels.idx1-ubyte", np.array([3, 1], np.uint8))
    assert read(table("train-images.idx3-ubyte"), Place(tmp_path))["label"].to_pylist() == ["3", "1"]


def test_the_fingerprint_counts_the_labels(tmp_path: Path) -> None:
    put(tmp_path, TRAIN, pictures(2))
    found = [fingerprint(table(), Place(tmp_path))]
    for label in (1, 2):
        put(tmp_path, "train-labels-idx1-ubyte", np.array([label, 0], np.uint8))
        found.append(fingerprint(table(), Place(tmp_path)))
    assert len(set(found)) == 3


WHOLE = idx(pictures(3))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (b"PAR1" + WHOLE, "begins with 50 41 52 31"),
        (b"\0\0\x0d\x03" + WHOLE[4:], "values of type 0x0d in 3 dimensions"),
        (idx(np.zeros((2, 2), np.uint8)), "values of type 0x08 in 2 dimensions"),
        (WHOLE[:10], "0 bytes, where 0 are announced"),
        (WHOLE[:-1], "104 bytes, where 3 × 5 × 7 are announced"),
        (WHOLE + b"\0", "more bytes, where 3 × 5 × 7 are announced"),
        (idx(np.zeros((0, 5, 7), np.uint8)), "0 bytes, where 0 × 5 × 7 are announced"),
        (idx(np.zeros((3, 0, 7), np.uint8)), "0 bytes, where 3 × 0 × 7 are announced"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "79,228,162,458,924,105,385,300,197,375 bytes announced"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, found: str) -> None:
    (tmp_path / TRAIN).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(table(), Place(tmp_path))
    assert (caught.value.where, caught.value.found) == (str(tmp_path / TRAIN), found)
    assert caught.value.allowed
    assert caught.value.fix


def test_a_truncated_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / f"{TRAIN}.gz").write_bytes(gzip.compress(WHOLE)[:-9])
    with pytest.raises(DataError, match="truncated or damaged gzip file"):
        read(table(), Place(tmp_path))


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    put(tmp_path, TRAIN, pictures(3))
    put(tmp_path, "train-labels-idx1-ubyte", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match="2 labels"):
        read(table(), Place(tmp_path))
    put(tmp_path, "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
    put(tmp_path, TEST, pictures(3))
    with pytest.raises(DataError, match="no labels beside it"):
        read(table(), Place(tmp_path))


def test_two_files_of_one_part_are_refused(tmp_path: Path) -> None:
    for name in ("test-images-idx3-ubyte", TEST):
        put(tmp_path, name, pictures(1))
    with pytest.raises(DataError, match="two files of the part 'test'"):
        read(table(), Place(tmp_path))


def test_memory_is_bound(tmp_path: Path) -> None:
    put(tmp_path, TRAIN, pictures(3))
    assert read_idx([tmp_path / TRAIN], most_bytes=105).num_rows == 3
    with pytest.raises(DataError, match="105 bytes announced"):
        read_idx([tmp_path / TRAIN], most_bytes=104)


@pytest.mark.skipif("BOTTEGA_DATA" not in os.environ, reason="BOTTEGA_DATA is not set: Fashion-MNIST lies there")
def test_fashion_mnist_is_what_its_authors_say() -> None:
    folder = Path(os.environ["BOTTEGA_DATA"])
    if not (folder / "fashion_mnist").is_dir():
        pytest.skip(f"BOTTEGA_DATA={folder} holds no fashion_mnist")
    found = read(table("fashion_mnist/*-ubyte.gz"), Place(folder))
    label, part = np.array(found["label"]), np.array(found["part"])
    for name, each in (("train", 6_000), ("test", 1_000)):
        values, counts = np.unique(label[part == name], return_counts=True)
        assert values.tolist() == [str(digit) for digit in range(10)]
        assert counts.tolist() == [each] * 10
    assert decoded(found["image"][0].as_py()).shape == (28, 28)
