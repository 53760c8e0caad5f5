"""Step 4, indexes: how the nearest vectors are found among many."""

from __future__ import annotations

from typing import Literal

from bottega.design.part import Part


class Index(Part, frozen=True):
    """Find the items whose vectors have the largest product with that of a request.

    Wrong where the best item must never be missed: then `exact`, at a cost that grows with the catalogue.
    """

    kind: Literal["auto", "exact", "ivf", "hnsw", "int8"] = "auto"
    """`exact` compares with every vector. The others look at a part of them and need `pip install 'bottega[vectors]'`:
    `ivf` in lists of near vectors, kept in 4 bits a number, `int8` in such lists in 8 bits, `hnsw` along a graph; what
    they find is ordered by exact products. `auto` is `exact` up to 20,000 vectors, or where the extra is missing, and
    `ivf` above, the quickest when they were measured."""
    recall: float = 0.95
    """Share of the exact best that it must find, of lists as long as its retriever's (100 at least), above 0 to 1, on
    queries held out when it is built; larger looks at more vectors and takes longer."""
    seed: int = 0
    """Another seed makes other lists, and holds out other queries."""

    def check(self) -> None:
        self.check_range("recall", 0, 1, low_open=True)
