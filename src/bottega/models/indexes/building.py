"""Building an index: the kind is chosen, and it looks as far as the asked recall needs, on held-out queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from bottega.design.indexes import Index as Setting
from bottega.errors import DataError
from bottega.metrics.estimate import bootstrap
from bottega.models.indexes.finder import DEPTH, FEWEST, Finder, Kind, lists_of
from bottega.models.indexes.index import Vectors
from bottega.models.indexes.table import Table, checked
from bottega.models.indexes.vector_index import VectorIndex
from bottega.models.networks.fields import frozen
from bottega.models.vocabulary import Codes

EXACT_UP_TO = 20_000  # vectors of 64 numbers: comparing them all takes 0.2 ms
_QUERIES = 1024  # half to choose by, half to say what was reached
_SPARES: dict[str, Sequence[float]] = {"ivf": (1, 1.5, 2, 3, 4, 6, 8, 12), "int8": (1, 1.5, 2), "hnsw": (1, 1.5, 2)}
_COST = {"ivf": 0.3, "int8": 2.0}  # of a row in a visited list, beside _NAMED for one that it names; nanoseconds
_NAMED = 60.0


def build_index(
    setting: Setting, codes: Codes, vectors: Vectors, queries: Vectors | None = None, depth: int = DEPTH
) -> VectorIndex:
    """Build an index over vectors (n, d) with codes (n,), and measure what it finds.

    The recall of a query is the share of its list whose products reach the last one of the exact list. It looks as far
    as needed for the mean recall on some of the queries to reach `setting.recall` and its standard error more;
    `facts["recall"]` is the mean on others, with its interval. Without queries, some of the vectors stand for them:
    where real queries lie elsewhere, as those of people do, it says too much.

    queries: (q, d) as they will come, some hundreds. depth: how long the lists are that will be asked for; at least 100
    are measured, since short lists tell little. Longer ones than measured cost in proportion. Raises `BuildError` where
    the kind needs a package that is not installed, `DataError` for vectors that an index refuses.

    >>> rng = np.random.default_rng(0)
    >>> index = build_index(Setting(), np.arange(50, dtype=np.int32), rng.normal(size=(50, 8)).astype(np.float32))
    >>> index.facts["built"], index.facts["why"]
    ('exact', 'up to 20,000 vectors')
    """
    kind, why = _kind(setting, len(codes))
    table = Table.of(codes, vectors)
    facts: dict[str, Any] = {"kind": setting.kind, "built": "exact", "why": why, "size": len(table)}
    whole = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 0}
    depth = min(max(depth, DEPTH), len(table))
    facts |= {"recall": {**whole, "at": depth}, "wanted": setting.recall, "seed": setting.seed}
    exact = VectorIndex(table, None, 1.0, facts)
    if kind is None:
        return exact
    asked = _held_out(table, queries, setting.seed)
    border = exact.search(asked, depth)[1][:, -1]  # (q,) the product that a good answer reaches
    finder = Finder.of(kind, table.held.base, setting.seed)
    tuned = _tuned(table, finder, asked[::2], border[::2], depth, setting.recall)
    if tuned is None:
        return VectorIndex(table, None, 1.0, facts | {"why": f"{kind} does not reach the recall on these vectors"})
    finder, spare = tuned
    index = VectorIndex(table, finder, spare, {})
    reached = bootstrap(_recalls(index, asked[1::2], border[1::2], depth), seed=setting.seed)
    found = {"built": kind, "recall": {**reached.to_dict(), "at": depth}, "effort": finder.effort, "spare": spare}
    index.facts = facts | found | {"lists": lists_of(finder.index), "finder_bytes": finder.bytes().nbytes,
                                   "queries": "vectors" if queries is None else "given"}  # fmt: skip
    return index


def _kind(setting: Setting, size: int) -> tuple[Kind | None, str]:
    """The finder that is built, or none for an exact index; and why."""
    if setting.kind == "exact":
        return None, "as asked"
    if setting.kind == "auto":
        if size <= EXACT_UP_TO:
            return None, f"up to {EXACT_UP_TO:,} vectors"
        if find_spec("faiss") is None:
            return None, "the package faiss is not installed: pip install 'bottega[vectors]'"
        return "ivf", f"more than {EXACT_UP_TO:,} vectors"
    if size < FEWEST:
        return None, f"under {FEWEST:,} vectors"
    return setting.kind, "as asked"


def _held_out(table: Table, queries: Vectors | None, seed: int) -> Vectors:
    """Up to `_QUERIES` queries, drawn from those given, else from the vectors; (q, d)."""
    source = table.held.base if queries is None else queries
    if queries is not None:
        source = checked(np.arange(len(queries), dtype=np.int32), queries, table.width)[1]
        if len(source) < 2:
            raise DataError("index", f"{len(source)} queries", "2 or more", "queries=None, to take some of the vectors")
    rng = np.random.default_rng(seed + 1)
    return source[np.sort(rng.choice(len(source), min(_QUERIES, len(source)), replace=False))]


def _tuned(
    table: Table, finder: Finder, asked: Vectors, border: Vectors, depth: int, wanted: float
) -> tuple[Finder, float] | None:
    """The finder with the least effort, and the spare rows, that reach the recall at the lowest cost; or nothing."""
    options: list[tuple[float, Finder, float]] = []
    for spare in _SPARES[finder.kind]:
        low, high = 0, len(ladder := _efforts(finder)) - 1

        def reaches(step: int, spare: float = spare, ladder: list[int] = ladder) -> bool:
            tried = replace(finder, effort=ladder[step], depth=depth)
            found = _named(table, tried, spare, asked, border, depth)
            return bool(found.mean() - found.std() / len(found) ** 0.5 >= wanted) or bool(found.min() == 1)

        if not reaches(high):
            continue
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if reaches(middle) else (middle + 1, high)
        found = replace(finder, effort=ladder[low], depth=depth)
        options.append((_cost(found, spare), found, spare))
    if not options:
        return None
    _, chosen, spare = min(options, key=lambda option: option[0])
    return chosen, spare


def _efforts(finder: Finder) -> list[int]:
    """The efforts that are tried, each about a third above the last."""
    low = 1 if finder.kind != "hnsw" else 16
    steps = np.unique((low * 1.3 ** np.arange(64)).astype(np.int64))
    limit = min(finder.most, 4096)
    return [*(int(step) for step in steps if step < limit), limit]


def _cost(finder: Finder, spare: float) -> float:
    """About the nanoseconds of a query; only which of two is larger counts."""
    if finder.kind == "hnsw":
        return finder.effort * 1000.0 + _NAMED * finder.depth * spare
    return finder.effort * finder.rows / lists_of(finder.index) * _COST[finder.kind] + _NAMED * finder.depth * spare


def _named(table: Table, finder: Finder, spare: float, asked: Vectors, border: Vectors, depth: int) -> Vectors:
    """The share of each query's list that the finder names, (q,), without the comparing of all that would fill it."""
    from bottega.models.indexes.products_kernel import products

    rows = finder.find(asked, min(math.ceil(depth * spare), finder.rows), depth)
    total = np.full(rows.shape, -np.inf, dtype=np.float32)
    products(frozen(table.held.base), table.held.more, rows, asked, total)
    found: Vectors = np.minimum((total >= border[:, None]).sum(axis=1) / depth, 1)
    return found


def _recalls(index: VectorIndex, asked: Vectors, border: Vectors, depth: int) -> Vectors:
    """The share of each query's list that is as good as the exact one, (q,)."""
    codes, scores = index.search(asked, depth)
    found: Vectors = ((scores >= border[:, None]) & (codes >= 0)).mean(axis=1, dtype=np.float64)
    return found
