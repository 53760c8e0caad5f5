"""The end of a path that ranks: its stages of re-ranking, over the candidates of one request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import get_args

import numpy as np

from bottega.design.reranking import Diversify, Explore, Reranking
from bottega.features.frame import Frame, Values, objects
from bottega.models.protocols import Source
from bottega.serving.finding import Candidacy
from bottega.serving.ordering import Rows, best
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.conditions import needed_columns
from bottega.serving.reranking.slate import Array, Slate


class Reorderer:
    """Changes the order of ranked candidates by the path's stages; it learns nothing, and threads may share it.

    stages: of a path, of whatever kind. version: the build's: with the request's id it decides what exploration draws,
    so that an explanation repeats it.
    """

    def __init__(self, stages: Sequence[object], version: str) -> None:
        self.stages = [stage for stage in stages if isinstance(stage, get_args(Reranking))]
        self.columns = needed_columns(self.stages)
        """The names of the features that the stages read."""
        self._version = version
        self._vectors = any(isinstance(stage, Diversify) and stage.vectors for stage in self.stages)
        self._draws = any(isinstance(stage, Explore) for stage in self.stages)

    def order(
        self,
        found: Candidacy,
        frame: Frame,
        scores: np.ndarray | None,
        rows: Rows,
        name: str,
        retrievers: Sequence[Source],
    ) -> Slate:
        """Give the candidates in the order in which they are shown.

        scores: (n,) of the last stage that ranked; nothing: retrieval's order stands. rows: those that its view leaves.
        name: the request's id. retrievers: the first one with vectors of items gives them.
        """
        count = len(found.ids)
        ranked = rows if scores is None else best(scores, rows, len(rows), found.ids)
        every = Values({**frame.requests, **found.values.request}, found.values.row)
        slate = Slate(
            ranked,
            -np.arange(count, dtype=np.float64) if scores is None else scores.astype(np.float64),
            {column: objects(every.at_rows(column, frame.group)) for column in self.columns},
            found.ids,
            found.asked.k,
            self._of_items(found, retrievers),
        )
        return rerank(self.stages, slate, np.random.default_rng(self._seed(name) if self._draws else 0))

    def _of_items(self, found: Candidacy, retrievers: Sequence[Source]) -> Array | None:
        if not self._vectors:
            return None
        gives = next((one for model in retrievers if (one := getattr(model, "item_vectors", None)) is not None), None)
        if gives is None:
            return None
        vectors: Array = np.where(found.codes[:, None] < 0, np.float32(0), gives(np.maximum(found.codes, 0)))
        return vectors

    def _seed(self, name: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._version}\0{name}".encode()).digest()[:16], "big")
