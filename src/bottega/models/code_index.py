"""Code index: items found by their binary codes; they come and go without building anew."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from bottega.errors import BuildError, DesignError
from bottega.files import write_json
from bottega.models.binary_codes import BinaryCodes, Bits, Vectors, nearest
from bottega.models.indexes.index import LeaveOut
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays
from bottega.models.vocabulary import Codes


class _Held(NamedTuple):
    """What a search reads, all of one moment. codes: (n,) rising. bits: (n, bits / 64)."""

    codes: Codes
    bits: Bits


class CodeIndex:
    """Finds the items whose binary codes differ least from a query's; the score is the share of bits that agree.

    An `Index`. A search reads every code, 8 bytes an item for 64 bits; adding and removing copy them, so do many at
    once. When it is wrong: the codes were learnt from the items of the beginning; when most have gone, learn them anew.

    binary: makes the codes. codes: (n,) of the items, from 0 up. bits: (n, bits / 64) of them.

    >>> rng = np.random.default_rng(0)
    >>> vectors = rng.normal(size=(50, 8)).astype(np.float32)
    >>> index = CodeIndex.of(np.arange(50, dtype=np.int32), vectors)
    >>> index.search(vectors[7:8], 2)[0][0, 0], index.search(vectors[7:8], 1)[1].tolist()
    (np.int32(7), [[1.0]])
    """

    def __init__(self, binary: BinaryCodes, codes: Codes, bits: Bits) -> None:
        order = np.argsort(codes, kind="stable")
        self.binary = binary
        self.facts: dict[str, Any] = {"kind": "codes", "built": f"{binary.bits} bits", "size": len(codes)}
        self._held = _Held(codes[order], bits[order])
        self._writing = threading.Lock()

    @classmethod
    def of(cls, codes: Codes, vectors: Vectors, bits: int = 64, seed: int = 0) -> Self:
        """Learn codes from the vectors (n, d) of items, and hold them."""
        binary = BinaryCodes.learnt(vectors, bits, seed)
        return cls(binary, codes, binary.encode(vectors))

    def __len__(self) -> int:
        return len(self._held.codes)

    def add(self, codes: Codes, vectors: Vectors) -> None:
        """Add items, or replace those of codes that it has. codes: (n,) from 0 up, each once. vectors: (n, d)."""
        new, bits = np.asarray(codes, dtype=np.int32), self.binary.encode(vectors)
        with self._writing:
            kept = ~np.isin(self._held.codes, new)
            every = np.concatenate([self._held.codes[kept], new])
            order = np.argsort(every, kind="stable")
            self._held = _Held(every[order], np.concatenate([self._held.bits[kept], bits])[order])

    def remove(self, codes: Codes) -> None:
        """Remove the items of these codes; a code that it does not have stays away."""
        with self._writing:
            kept = ~np.isin(self._held.codes, np.asarray(codes, dtype=np.int32))
            self._held = _Held(self._held.codes[kept], self._held.bits[kept])

    def search(self, queries: Vectors, k: int, leave_out: LeaveOut | None = None) -> tuple[Codes, Vectors]:
        """The k nearest for each query, nearest first, ties by lower code: codes (q, k), −1 where there are fewer, and
        the share of bits that agree (q, k), 0 there.

        queries: (q, d). k: at least 1. leave_out: (q,) codes that may not come, or nothing.
        """
        if k < 1:
            raise DesignError("k", k, "1 or more", "k=100")
        held, asked = self._held, self.binary.encode(queries)
        found = np.full((len(asked), k), -1, dtype=np.int32), np.zeros((len(asked), k), dtype=np.float32)
        out = [None] * len(asked) if leave_out is None else leave_out
        more = max((len(one) for one in out if one is not None), default=0)
        wide = min(k + more, len(held.codes))
        if not wide or not len(asked):
            return found
        places, apart = nearest(asked, held.bits, wide)
        scores = 1 - apart.astype(np.float32) / self.binary.bits
        for row, left in enumerate(out):
            best = held.codes[places[row]]
            stays = slice(None) if left is None else ~np.isin(best, left)
            best, score = best[stays][:k], scores[row][stays][:k]
            found[0][row, : len(best)], found[1][row, : len(best)] = best, score
        return found

    def products(self, query: Vectors, codes: Codes) -> Vectors:
        """The share of bits that agree with a query's, of each code, (n,) float32; NaN for a code that it has not."""
        held, asked = self._held, self.binary.encode(np.asarray(query)[None])
        wanted = np.asarray(codes, dtype=np.int32)
        total = np.full(len(wanted), np.nan, dtype=np.float32)
        if len(held.codes):
            place = np.minimum(np.searchsorted(held.codes, wanted), len(held.codes) - 1)
            known = held.codes[place] == wanted
            differ = np.unpackbits((held.bits[place[known]] ^ asked).view(np.uint8), axis=1).sum(axis=1)
            total[known] = 1 - differ.astype(np.float32) / self.binary.bits
        return total

    def save(self, folder: Path, version: str) -> None:
        """Write `index.json`, the codes and what makes them. version: of the model whose vectors they were made of."""
        with new_folder(folder) as part:
            self.binary.save(part / "binary")
            write_arrays(part, self._held._asdict())
            write_json(part / "index.json", {"version": version, "facts": self.facts})

    @classmethod
    def load(cls, folder: Path, version: str) -> Self:
        """Read what `save` wrote; `BuildError` where it is damaged, or of another version."""
        said = read_facts(folder, "index")
        if said["version"] != version:
            found, allowed = f"codes of version {said['version']!r}", f"{version!r}, the version of the model"
            raise BuildError(str(folder), found, allowed, "take index and model from one build")
        binary, codes, bits = (
            BinaryCodes.load(folder / "binary"),
            read_array(folder, "codes"),
            read_array(folder, "bits"),
        )
        fits = codes.ndim == 1 and bits.shape == (len(codes), binary.bits // 64)
        if not fits or codes.dtype != np.int32 or bits.dtype != np.uint64:
            found = f"codes {codes.shape} of {codes.dtype}, bits {bits.shape} of {bits.dtype}"
            raise BuildError(str(folder), found, "a code of int32 and its bits for each item", "build it again")
        return cls(binary, codes, bits)
