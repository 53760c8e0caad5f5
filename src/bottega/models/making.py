"""From a part of the design to its model: one plain table, and no registry."""

from __future__ import annotations

from typing import Any, get_args

from bottega.design.encoders import ImageEncoder, OnnxImageEncoder, RawPixels
from bottega.design.models import Encoder as Encoding
from bottega.design.models import Model
from bottega.design.models import Retriever as Retrieving
from bottega.design.models import Scorer as Scoring
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
from bottega.errors import BuildError
from bottega.models.bm25 import BM25Model
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.co_purchase import CoPurchaseModel
from bottega.models.dense import DenseModel
from bottega.models.factorization import FactorizationModel
from bottega.models.fusion import FusionModel
from bottega.models.historical_rate import HistoricalRateModel
from bottega.models.images.encoder import ImageEncoderModel
from bottega.models.images.onnx_encoder import OnnxImageEncoderModel
from bottega.models.images.raw import RawPixelsModel
from bottega.models.logistic import LogisticModel
from bottega.models.networks.multi_task_network import MultiTaskModel
from bottega.models.networks.network import NetworkModel
from bottega.models.personal_history import PersonalHistoryModel
from bottega.models.popularity import PopularityModel
from bottega.models.protocols import Encoder, Retriever, Scorer
from bottega.models.text_similarity import TextSimilarityModel
from bottega.models.trending import NewestModel, TrendingModel
from bottega.models.two_tower.two_tower import TwoTowerModel


def make_retriever(setting: Model) -> Retriever:
    """A retriever of the design, not fitted yet; `BuildError` by name for any other model.

    >>> type(make_retriever(Popularity())).__name__
    'PopularityModel'
    """
    match setting:
        case Popularity():
            return PopularityModel(setting)
        case PersonalHistory():
            return PersonalHistoryModel(setting)
        case CoPurchase():
            return CoPurchaseModel(setting)
        case Factorization():
            return FactorizationModel(setting)
        case TextSimilarity():
            return TextSimilarityModel(setting)
        case BM25():
            return BM25Model(setting)
        case Trending():
            return TrendingModel(setting)
        case Newest():
            return NewestModel(setting)
        case Dense():
            return DenseModel(setting)
        case TwoTower():
            return TwoTowerModel(setting)
    raise _refused(setting, "retriever", Retrieving)


def make_scorer(setting: Model) -> Scorer:
    """A scorer of the design, not fitted yet; `BuildError` by name for any other model.

    >>> type(make_scorer(HistoricalRate(by="ad_id"))).__name__
    'HistoricalRateModel'
    """
    match setting:
        case HistoricalRate():
            return HistoricalRateModel(setting)
        case Fusion():
            return FusionModel(setting)
        case Logistic():
            return LogisticModel(setting)
        case BoostedTrees():
            return BoostedTreesModel(setting)
        case DCN() | DeepFM() | DLRM():
            return NetworkModel(setting)
        case MultiTask():
            return MultiTaskModel(setting)
    raise _refused(setting, "scorer", Scoring)


def make_encoder(setting: Model) -> Encoder:
    """An encoder of the design, not fitted yet; `BuildError` by name for any other model.

    >>> type(make_encoder(RawPixels())).__name__
    'RawPixelsModel'
    """
    match setting:
        case RawPixels():
            return RawPixelsModel(setting)
        case ImageEncoder():
            return ImageEncoderModel(setting)
        case OnnxImageEncoder():
            return OnnxImageEncoderModel(setting)
    raise _refused(setting, "encoder", Encoding)


def retriever_class(setting: Model) -> type[Retriever]:
    """The class of a retriever of the design, whose `load(folder, setting)` reads what was saved."""
    return type(make_retriever(setting))


def scorer_class(setting: Model) -> type[Scorer]:
    """The class of a scorer of the design, whose `load(folder, setting)` reads what was saved."""
    return type(make_scorer(setting))


def encoder_class(setting: Model) -> type[Encoder]:
    """The class of an encoder of the design, whose `load(folder, setting)` reads what was saved."""
    return type(make_encoder(setting))


def _refused(setting: Model, role: str, kinds: Any) -> BuildError:
    name = type(setting).__name__
    return BuildError(
        f"models: {name}",
        f"nothing builds {name} as a {role} yet",
        f"one of {', '.join(kind.__name__ for kind in get_args(kinds))}",
        "take the model out of this ladder",
    )
