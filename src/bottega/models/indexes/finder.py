"""Finder: faiss behind one small contract; it names rows that may be near, and their order is not its business."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.indexes.index import Vectors
from bottega.models.indexes.table import Rows

Kind = Literal["ivf", "hnsw", "int8"]
FEWEST = 1000  # vectors; under that there is nothing to gain
DEPTH = 100  # of the lists by which the effort is chosen, at least
_A_LIST = 39  # vectors to learn a list's centre from, as faiss advises
_ROUNDS = 8  # of k-means
_LINKS, _BREADTH = 16, 100  # of a graph: links of a vector, and how many are looked at to choose them
_PARTS = 256  # of a vector at most: sums over more do not fit the 16 bits of faiss's fast scan


@dataclass(frozen=True, eq=False)
class Finder:
    """What faiss has built over rows of vectors. index: faiss's own. effort: lists visited, or breadth of the search,
    for the best of so many as `depth`."""

    kind: Kind
    index: Any
    effort: int
    depth: int = DEPTH

    @classmethod
    def of(cls, kind: Kind, vectors: Vectors, seed: int) -> Self:
        """Build it over (n, d) vectors, at least `FEWEST`, in one thread: the same vectors and seed give the same."""
        faiss = needed()
        count, width = vectors.shape
        with one_thread(faiss):
            if kind == "hnsw":
                index = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT)
                index.hnsw.efConstruction = _BREADTH
            else:
                lists = max(1, min(round(2 * math.sqrt(count)), count // _A_LIST))
                what = f"PQ{_parts(width)}x4fs" if kind == "ivf" else "SQ8"
                index = faiss.index_factory(width, f"IVF{lists},{what}", faiss.METRIC_INNER_PRODUCT)
                index.by_residual = True  # of near vectors only the differences are left to tell
                index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = seed + 1, _ROUNDS, _A_LIST
            taken = min(count, max(lists_of(index) * _A_LIST, 65_536))
            sample = np.sort(np.random.default_rng(seed).choice(count, taken, replace=False))
            index.train(vectors[sample])
            index.add(vectors)
        return cls(kind, index, 1)

    @property
    def rows(self) -> int:
        """Rows that it knows, from the first on."""
        return int(self.index.ntotal)

    @property
    def most(self) -> int:
        """The largest effort."""
        return lists_of(self.index) if self.kind != "hnsw" else self.rows

    def find(self, queries: Vectors, count: int, depth: int) -> Rows:
        """Rows that may be near, (q, count), −1 where it found fewer.

        depth: how many of the best are wanted; beyond those by which the effort was chosen it looks further.
        """
        faiss = needed()
        effort = min(math.ceil(self.effort * max(1.0, depth / self.depth)), self.most)
        settings = _settings(self.kind, max(effort, count) if self.kind == "hnsw" else effort)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        found: Rows = self.index.search(queries, count, params=settings)[1]
        faiss.omp_set_num_threads(threads)
        return found

    def grown(self, vectors: Vectors) -> Self:
        """The same over more rows, which come after those it knows; this one stays as it is."""
        faiss = needed()
        with one_thread(faiss):
            index = faiss.clone_index(self.index)
            index.add(vectors)
        return replace(self, index=index)

    def bytes(self) -> npt.NDArray[np.uint8]:
        """Faiss's own form of it."""
        found: npt.NDArray[np.uint8] = needed().serialize_index(self.index)
        return found

    @classmethod
    def read(
        cls, kind: Kind, effort: int, depth: int, held: npt.NDArray[np.uint8], rows: int, width: int, where: str
    ) -> Self:
        """Read what `bytes` gave; `BuildError` where it is damaged or over other vectors."""
        faiss = needed()
        try:
            index = faiss.deserialize_index(np.array(held))
            found = f"an index over {index.ntotal} vectors of {index.d} numbers"
        except RuntimeError as error:
            index, found = None, f"faiss cannot read it ({str(error).splitlines()[0]})"
        if index is None or index.ntotal > rows or index.d != width:
            raise BuildError(
                where,
                found,
                f"the index as it was written, over {rows} vectors of {width} numbers",
                "build and save the index again, or restore the folder from a copy",
            )
        return cls(kind, index, effort, depth)


def lists_of(index: Any) -> int:
    """How many lists an index of faiss has; a graph has none."""
    return int(getattr(index, "nlist", 0))


@lru_cache(maxsize=1)
def needed() -> ModuleType:
    """Import faiss; `BuildError` where it is not installed."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise BuildError(
            "index",
            "the package faiss is not installed",
            "faiss for the kinds ivf, hnsw and int8",
            "pip install 'bottega[vectors]', or kind='exact'",
        ) from None
    return faiss


@lru_cache(maxsize=256)
def _settings(kind: Kind, effort: int) -> Any:
    """What faiss is told of the effort."""
    faiss = needed()
    if kind == "hnsw":
        return faiss.SearchParametersHNSW(efSearch=effort)
    return faiss.SearchParametersIVF(nprobe=effort)


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """Let faiss use one thread in this thread of ours: more wait for each other on a busy machine, and move bits."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _parts(width: int) -> int:
    """Into how many parts a vector is cut, each of 4 bits: as many as may be."""
    return max(parts for parts in range(1, min(width, _PARTS) + 1) if width % parts == 0)
