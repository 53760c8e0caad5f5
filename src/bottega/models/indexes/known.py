"""The best among the first codes of an index: what came later is not there for who knows only these."""

from __future__ import annotations

from bottega.models.indexes.index import Vectors
from bottega.models.indexes.vector_index import VectorIndex
from bottega.models.vocabulary import Codes


def best_known(
    index: VectorIndex, query: Vectors, k: int, known: int, leave_out: Codes | None = None
) -> tuple[Codes, Vectors]:
    """The k best codes for a query among 0 to known − 1, and their products, both (up to k,), best first.

    index: holds the codes from 0 up without a gap. query: (d,). k: at least 1. leave_out: codes that may not come.
    """
    more = max(0, len(index) - known)  # each may stand in the list, and is passed over
    (codes,), (products,) = index.search(
        query[None], max(1, min(k, known)) + more, None if leave_out is None else [leave_out]
    )
    there = (codes >= 0) & (codes < known)
    return codes[there][:k], products[there][:k]
