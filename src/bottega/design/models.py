"""Step 4, models: the ladder of each stage, from the simplest rung up."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.design.encoders import ImageEncoder
from bottega.design.retrievers import CoPurchase, Factorization, PersonalHistory, Popularity, TextSimilarity
from bottega.design.scorers import DCN, DLRM, BoostedTrees, DeepFM, HistoricalRate, Logistic

Retriever = Popularity | PersonalHistory | CoPurchase | Factorization | TextSimilarity
Scorer = HistoricalRate | Logistic | BoostedTrees | DCN | DeepFM | DLRM
Model = Retriever | Scorer | ImageEncoder
Ladder = Sequence[Model]


def rung_name(model: Model) -> str:
    """Give the name by which the scorecard and the goals know a model: its own, else its kind.

    >>> rung_name(Popularity()), rung_name(Popularity(span="7d", name="Trending"))
    ('Popularity', 'Trending')
    """
    return model.name or type(model).__name__
