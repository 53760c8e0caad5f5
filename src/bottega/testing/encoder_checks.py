"""The contract of an encoder of pictures, as checks that run on any `Encoder`, bundled or your own.

from bottega.testing.encoder_checks import check_encoder

def test_my_encoder():
    check_encoder(lambda: MyEncoder(MySetting()))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.errors import BottegaError
from bottega.files import sha256
from bottega.models.protocols import Encoder

MakeEncoder = Callable[[], Encoder]
SIDE = 12  # of the pictures of `shapes`
_NEAR = 1e-5  # between vectors of one picture, encoded alone and among others
_FEWEST = 1.2  # times chance that an encoder must reach
_FILES = {".npy", ".arrow", ".json", ".txt", ".onnx"}


def check_encoder(make: MakeEncoder) -> None:
    """Run every check of `ENCODER_CHECKS` on an encoder of grey pictures, 12 × 12, and raise on the first failure.

    When it is wrong: the checks know what every encoder must hold, not how good this one is; measure that on pictures
    of your own too.

    make: gives a new encoder, not fitted, always with the same setting. It is fitted on `shapes`. Raises
    `AssertionError` that names the encoder, the check and what was found.
    """
    for check in ENCODER_CHECKS:
        check(make)


def shapes(count: int = 240, seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]:
    """Pictures (n, 12, 12, 1) of filled squares and of crosses, at any place and of any light, and which they are.

    >>> pictures, label = shapes(4)
    >>> pictures.shape, label.tolist()
    ((4, 12, 12, 1), ['square', 'cross', 'square', 'cross'])
    """
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 40, (count, SIDE, SIDE, 1))
    label = np.where(np.arange(count) % 2 == 0, "square", "cross")
    for picture, kind in zip(pictures, label, strict=True):
        top, left = rng.integers(0, SIDE - 6, 2)
        place = picture[top : top + 6, left : left + 6]
        if kind == "square":
            place += rng.integers(60, 200)
        else:
            place[2:4] += rng.integers(60, 200)
            place[:2, 2:4] += 100
            place[4:, 2:4] += 100
    return np.minimum(pictures, 255).astype(np.uint8), label


def check_vectors(make: MakeEncoder) -> None:
    """Vectors are (n, d) float32 of length 1; none for no pictures; also for black and white ones."""
    encoder = _fitted(make)
    pictures = np.concatenate([shapes(5, seed=1)[0], np.zeros((1, SIDE, SIDE, 1), np.uint8),
                               np.full((1, SIDE, SIDE, 1), 255, np.uint8)])  # fmt: skip
    vectors = encoder.encode(pictures)
    _hold(make, "check_vectors", vectors.ndim == 2 and len(vectors) == 7, f"shape {vectors.shape} for 7 pictures")
    _hold(make, "check_vectors", vectors.dtype == np.float32, f"{vectors.dtype}")
    length = np.linalg.norm(vectors, axis=1)
    _hold(make, "check_vectors", np.allclose(length, 1, atol=_NEAR), f"lengths {length.tolist()}")
    none = encoder.encode(pictures[:0])
    _hold(make, "check_vectors", none.shape == (0, vectors.shape[1]), f"shape {none.shape} for no pictures")


def check_encoding_is_pure(make: MakeEncoder) -> None:
    """Encoding twice gives the same, and changes neither the pictures nor the encoder's files."""
    encoder, (pictures, _) = _fitted(make), shapes(9, seed=2)
    pictures.setflags(write=False)
    with tempfile.TemporaryDirectory() as home:
        first = _saved(encoder, Path(home) / "first")
        same = np.array_equal(encoder.encode(pictures), encoder.encode(pictures))
        again = _saved(encoder, Path(home) / "again")
    _hold(make, "check_encoding_is_pure", same, "another vector for the same picture")
    _hold(make, "check_encoding_is_pure", first == again, "encoding changed the encoder")


def check_alone(make: MakeEncoder) -> None:
    """A picture's vector does not hang on the pictures beside it, nor on how it lies in memory."""
    encoder, (pictures, _) = _fitted(make), shapes(300, seed=3)
    every = encoder.encode(pictures)
    alone = np.concatenate([encoder.encode(pictures[row : row + 1]) for row in range(0, 300, 30)])
    _hold(make, "check_alone", np.allclose(alone, every[::30], atol=_NEAR), "another vector for a picture alone")
    turned = encoder.encode(pictures[::-1])
    _hold(make, "check_alone", np.allclose(turned[::-1], every, atol=_NEAR), "other vectors in another order")


def check_reads_back(make: MakeEncoder) -> None:
    """What is read from its folder encodes as what was saved, to the bit, and no file is pickle."""
    encoder, (pictures, _) = _fitted(make), shapes(20, seed=4)
    with tempfile.TemporaryDirectory() as home:
        files = _saved(encoder, Path(home) / "model")
        read = type(encoder).load(Path(home) / "model", encoder.setting)
        same = np.array_equal(read.encode(pictures), encoder.encode(pictures))
        again = _saved(read, Path(home) / "again")
    _hold(make, "check_reads_back", same, "other vectors")
    _hold(make, "check_reads_back", files == again, "what was read is saved otherwise")
    _hold(
        make, "check_reads_back", {Path(name).suffix for name in files} <= _FILES, f"a file of pickle: {sorted(files)}"
    )


def check_same_bytes(make: MakeEncoder) -> None:
    """Fitted twice on the same pictures, it writes the same files."""
    with tempfile.TemporaryDirectory() as home:
        first, again = (_saved(_fitted(make), Path(home) / name) for name in ("first", "again"))
    differ = sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))
    _hold(make, "check_same_bytes", first == again, f"files differ: {differ}")


def check_refusals(make: MakeEncoder) -> None:
    """Pictures of another size, with other channels, and floats are refused by an error of ours."""
    encoder, (pictures, _) = _fitted(make), shapes(3)
    wrong: dict[str, Any] = {
        "another size": pictures[:, :-1],
        "two channels": np.repeat(pictures, 2, axis=3),
        "floats": pictures.astype(np.float32),
        "one picture": pictures[0],
    }
    for name, given in wrong.items():
        try:
            encoder.encode(given)
        except BottegaError as error:
            _hold(make, f"check_refusals ({name})", bool(error.fix), "the error has no fix")
        else:
            _hold(make, f"check_refusals ({name})", False, "nothing was raised")


def check_finds_the_like(make: MakeEncoder) -> None:
    """The nearest of new pictures shows the same more often than chance does."""
    encoder, (pictures, label) = _fitted(make), shapes(200, seed=5)
    vectors = encoder.encode(pictures)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    found = float((label[products.argmax(axis=1)] == label).mean())
    _hold(make, "check_finds_the_like", found > 0.5 * _FEWEST, f"precision@1 {found:.3f}, chance 0.5")


ENCODER_CHECKS: tuple[Callable[[MakeEncoder], None], ...] = (
    check_vectors,
    check_encoding_is_pure,
    check_alone,
    check_reads_back,
    check_same_bytes,
    check_refusals,
    check_finds_the_like,
)


def _fitted(make: MakeEncoder) -> Encoder:
    encoder = make()
    encoder.fit(*shapes())
    return encoder


def _saved(encoder: Encoder, folder: Path) -> dict[str, str]:
    """Save an encoder and give the hash of each of its files."""
    encoder.save(folder)
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _hold(make: MakeEncoder, check: str, holds: bool, found: str) -> None:
    if not holds:
        raise AssertionError(f"{type(make()).__name__}: {check}: {found}")
