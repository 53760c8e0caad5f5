"""Write a machine-learning system design in its seven steps; bottega builds it, serves it and measures it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bottega.design.data import (
    Data,
    Downsample,
    GivenSplit,
    GroupSplit,
    InversePropensity,
    Label,
    PositionFeature,
    RandomSplit,
    TimeSplit,
    Upsample,
)
from bottega.design.design import Design
from bottega.design.encoders import ImageEncoder, OnnxImageEncoder, RawPixels
from bottega.design.evaluation import Evaluation, Experiment, Goal, View
from bottega.design.examples import Cuts, Each, FromPositives, Judged, Logged, Retrieved, SameValue, Sampled
from bottega.design.features import Categories, Cross, Expression, Given, Image, Lookup, TargetRate, Window
from bottega.design.indexes import Index
from bottega.design.monitoring import Canary, Monitoring, Retrain, Shadow, Watch
from bottega.design.reading import load as load_design
from bottega.design.reranking import Deduplicate, Diversify, Explore, Quota, Rule
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
from bottega.design.scope import Limits, Objective, Scope, Traffic
from bottega.design.scorers import DCN, DLRM, BoostedTrees, DeepFM, Fusion, HistoricalRate, Logistic, MultiTask
from bottega.design.serving import (
    Auction,
    Candidates,
    Decide,
    Distill,
    Nearest,
    Pace,
    Prune,
    Quantize,
    Rank,
    Retrieve,
    Score,
    Serving,
    Show,
)
from bottega.design.tables import Allowed, MonotoneTime, NotNull, Pattern, Range, Table, Unique
from bottega.design.writing import schema, to_json, to_python, to_yaml

if TYPE_CHECKING:
    from bottega.verbs.consistency import consistency
    from bottega.verbs.draw import draw
    from bottega.verbs.explain import explain
    from bottega.verbs.flink import flink
    from bottega.verbs.load import load
    from bottega.verbs.new import new
    from bottega.verbs.release import release
    from bottega.verbs.report import report
    from bottega.verbs.review import review
    from bottega.verbs.rollback import rollback
    from bottega.verbs.run import run
    from bottega.verbs.serve import serve
    from bottega.verbs.stream import stream

_VERBS = (
    "consistency",
    "draw",
    "explain",
    "flink",
    "load",
    "new",
    "release",
    "report",
    "review",
    "rollback",
    "run",
    "serve",
    "stream",
)

__all__ = [
    "BM25",
    "DCN",
    "DLRM",
    "Allowed",
    "Auction",
    "BoostedTrees",
    "Canary",
    "Candidates",
    "Categories",
    "CoPurchase",
    "Cross",
    "Cuts",
    "Data",
    "Decide",
    "Deduplicate",
    "DeepFM",
    "Dense",
    "Design",
    "Distill",
    "Diversify",
    "Downsample",
    "Each",
    "Evaluation",
    "Experiment",
    "Explore",
    "Expression",
    "Factorization",
    "FromPositives",
    "Fusion",
    "Given",
    "GivenSplit",
    "Goal",
    "GroupSplit",
    "HistoricalRate",
    "Image",
    "ImageEncoder",
    "Index",
    "InversePropensity",
    "Judged",
    "Label",
    "Limits",
    "Logged",
    "Logistic",
    "Lookup",
    "Monitoring",
    "MonotoneTime",
    "MultiTask",
    "Nearest",
    "Newest",
    "NotNull",
    "Objective",
    "OnnxImageEncoder",
    "Pace",
    "Pattern",
    "PersonalHistory",
    "Popularity",
    "PositionFeature",
    "Prune",
    "Quantize",
    "Quota",
    "RandomSplit",
    "Range",
    "Rank",
    "RawPixels",
    "Retrain",
    "Retrieve",
    "Retrieved",
    "Rule",
    "SameValue",
    "Sampled",
    "Scope",
    "Score",
    "Serving",
    "Shadow",
    "Show",
    "Table",
    "TargetRate",
    "TextSimilarity",
    "TimeSplit",
    "Traffic",
    "Trending",
    "TwoTower",
    "Unique",
    "Upsample",
    "View",
    "Watch",
    "Window",
    "consistency",
    "draw",
    "explain",
    "flink",
    "load",
    "load_design",
    "new",
    "release",
    "report",
    "review",
    "rollback",
    "run",
    "schema",
    "serve",
    "stream",
    "to_json",
    "to_python",
    "to_yaml",
]


def __getattr__(name: str) -> Any:
    """Fetch a verb when it is asked for: a design alone needs nothing heavy."""
    if name in _VERBS:
        return getattr(importlib.import_module(f"bottega.verbs.{name}"), name)
    raise AttributeError(f"module 'bottega' has no attribute {name!r}")
