"""Binary codes: vectors as a few bits each, searched by the number of bits that differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError, DataError
from bottega.models.storage import new_folder, read_array, write_arrays
from bottega.models.vocabulary import Codes

Bits = npt.NDArray[np.uint64]  # (n, bits / 64)
Vectors = npt.NDArray[np.float32]
WORD = 64
_TURNS = 50  # rounds in which the rotation is learnt; the loss no longer moves
_LEARN_FROM = 100_000  # vectors, evenly spaced, from which it is learnt


@dataclass(frozen=True, eq=False)
class BinaryCodes:
    """Makes a vector a code of bits: the signs of its learnt rotation, `sign((v − middle) · turn)`.

    The vectors' main directions are turned so that signs lose as little as they can: `min ‖sign(V R) − V R‖` over
    rotations R (iterative quantisation). When it is wrong: many items share a code, and their order is then that of
    their codes, unless floats order the first ones again; vectors from other data than it was learnt from spread badly
    over the codes.

    middle: (d,) float32. turn: (d, bits) float32.

    >>> rng = np.random.default_rng(0)
    >>> vectors = rng.normal(size=(200, 16)).astype(np.float32)
    >>> binary = BinaryCodes.learnt(vectors)
    >>> bits = binary.encode(vectors)
    >>> bits.shape, int(nearest(bits[:1], bits, 1)[0][0, 0])
    ((200, 1), 0)

    Source: Y. Gong and S. Lazebnik, Iterative Quantization: A Procrustean Approach to Learning Binary Codes, CVPR 2011.
    """

    middle: Vectors
    turn: Vectors

    @classmethod
    def learnt(cls, vectors: npt.ArrayLike, bits: int = WORD, seed: int = 0) -> Self:
        """Learn the rotation from vectors (n, d), n at least 1.

        bits: of a code, a multiple of 64; larger tells more apart and costs memory and time. seed: of the rotation that
        it begins with. Raises `DataError` for other shapes, other numbers of bits, and vectors that are not finite.
        """
        given = _checked(vectors)
        if bits < WORD or bits % WORD:
            raise DataError("bits", bits, "a multiple of 64, from 64 up", f"bits={max(1, round(bits / WORD)) * WORD}")
        if not len(given):
            raise DataError("vectors", "none", "one at least", "encode the items first")
        sample = given[np.linspace(0, len(given) - 1, min(len(given), _LEARN_FROM)).astype(np.int64)].astype(np.float64)
        middle = sample.mean(axis=0)
        centred = sample - middle
        _, directions = np.linalg.eigh(centred.T @ centred)  # by rising spread
        kept = directions[:, ::-1][:, :bits]
        wide = np.pad(kept, ((0, 0), (0, bits - kept.shape[1])))  # bits beyond d come from the rotation alone
        turn = _rotation(centred @ wide, seed)
        return cls(middle.astype(np.float32), (wide @ turn).astype(np.float32))

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return int(self.turn.shape[1])

    def encode(self, vectors: npt.ArrayLike) -> Bits:
        """The code of each vector, (n, bits / 64) uint64. vectors: (n, d), finite."""
        given = _checked(vectors, len(self.middle))
        signs = np.packbits((given - self.middle) @ self.turn > 0, axis=1)
        return signs.view(np.uint64).reshape(len(given), self.bits // WORD)

    def save(self, folder: Path) -> None:
        """Write `middle.npy` and `turn.npy` into a new folder."""
        with new_folder(folder) as part:
            write_arrays(part, {"middle": self.middle, "turn": self.turn})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map what `save` wrote; `BuildError` where it is damaged."""
        middle, turn = read_array(folder, "middle"), read_array(folder, "turn")
        fits = middle.ndim == 1 and turn.ndim == 2 and len(turn) == len(middle) and turn.shape[1] % WORD == 0
        if not fits or middle.dtype != np.float32 or turn.dtype != np.float32:
            raise BuildError(
                str(folder),
                f"arrays {middle.shape} of {middle.dtype} and {turn.shape} of {turn.dtype}",
                "(d,) and (d, bits) of float32",
                "learn the codes again, or restore the folder from a copy",
            )
        return cls(middle, turn)


def nearest(queries: Bits, items: Bits, k: int) -> tuple[Codes, Codes]:
    """The k items whose codes differ from the query's in the fewest bits, nearest first, ties by lower place.

    It reads every item; a query costs time in proportion to their number, and memory for one number each.

    queries: (q, w) uint64. items: (n, w) uint64. k: at least 1. Gives places (q, k) int32 and differing bits (q, k)
    int32; where there are fewer items, the rest is −1 and −1. Raises `DataError` for other shapes and k under 1.
    """
    from bottega.models.binary_codes_kernel import nearest_bits

    for name, words in (("queries", queries), ("items", items)):
        if words.ndim != 2 or words.dtype != np.uint64 or words.shape[1] != items.shape[1] or not words.shape[1]:
            allowed = f"(n, {items.shape[-1]}) of uint64"
            raise DataError(name, f"an array {words.shape} of {words.dtype}", allowed, "BinaryCodes.encode(vectors)")
    if k < 1:
        raise DataError("k", k, "1 or more", "k=10")
    places = np.full((len(queries), k), -1, dtype=np.int32)
    apart = np.full((len(queries), k), -1, dtype=np.int32)
    nearest_bits(np.ascontiguousarray(queries), np.ascontiguousarray(items), places, apart)
    return places, apart


def refined(queries: Vectors, vectors: Vectors, places: Codes, k: int) -> tuple[Codes, Vectors]:
    """The k best of each query's places by the product of the vectors themselves, best first, ties by lower place.

    queries: (q, d). vectors: (n, d) of all items. places: (q, r) from `nearest`, −1 where there is none; a larger r
    loses less and costs more. Gives places (q, k) int32 and products (q, k) float32; the rest is −1 and 0.
    """
    best = np.full((len(queries), k), -1, dtype=np.int32)
    products = np.zeros((len(queries), k), dtype=np.float32)
    for row, (query, own) in enumerate(zip(queries, places, strict=True)):
        there = own[own >= 0]
        found = vectors[there] @ query
        order = np.lexsort((there, -found))[:k]
        best[row, : len(order)], products[row, : len(order)] = there[order], found[order]
    return best, products


def _rotation(centred: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """The rotation (bits, bits) that brings the rows nearest to their signs."""
    bits = centred.shape[1]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))
    for _ in range(_TURNS):
        signs = np.where(centred @ turn > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(centred.T @ signs)
        turn = left @ right
    return turn


def _checked(vectors: npt.ArrayLike, size: int | None = None) -> Vectors:
    given = np.asarray(vectors, dtype=np.float32)
    if given.ndim != 2 or not given.shape[1] or size not in (None, given.shape[1]):
        allowed = f"(n, {'d' if size is None else size})"
        raise DataError("vectors", f"an array {given.shape}", allowed, "encode with the encoder of these codes")
    if not np.isfinite(given).all():
        raise DataError("vectors", "nan or infinity", "finite numbers", "look at the encoder, or leave such rows out")
    return given
