"""Step 4, models: the ladder of each stage, from the simplest rung up."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.design.encoders import ImageEncoder, OnnxImageEncoder, RawPixels
from bottega.design.retrievers import (
    BM25,
    CoPurchase,
    Dense,
    Factorization,
    Newest,
    PersonalHistory,
    Popularity,
    TextSimilarity,
    Trending,
    TwoTower,
)
from bottega.design.scorers import DCN, DLRM, BoostedTrees, DeepFM, Fusion, HistoricalRate, Logistic, MultiTask

Retriever = (
    Popularity
    | PersonalHistory
    | CoPurchase
    | Factorization
    | TextSimilarity
    | BM25
    | Dense
    | Trending
    | Newest
    | TwoTower
)
Scorer = HistoricalRate | Fusion | Logistic | BoostedTrees | DCN | DeepFM | DLRM | MultiTask
Encoder = RawPixels | ImageEncoder | OnnxImageEncoder
Model = Retriever | Scorer | Encoder
Ladder = Sequence[Model]


def rung_name(model: Model) -> str:
    """Give the name by which the scorecard and the goals know a model: its own, else its kind.

    >>> rung_name(Popularity()), rung_name(Popularity(span="7d", name="Trending"))
    ('Popularity', 'Trending')
    """
    return model.name or type(model).__name__


def texts_read(model: Model) -> tuple[str, ...]:
    """Name the columns with a candidate's text that a retriever learns from.

    >>> texts_read(TextSimilarity("name")), texts_read(BM25(query="text", over=["title", "body"]))
    (('name',), ('title', 'body'))
    """
    over = getattr(model, "over", ()) if not isinstance(model, Fusion) else ()
    return tuple(name for name in (getattr(model, "column", None), getattr(model, "text", None), *over) if name)
