"""The contract suites: every bundled model meets them, and a model that breaks a promise is caught."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bottega.design.models import (
    DCN,
    DLRM,
    BoostedTrees,
    CoPurchase,
    DeepFM,
    Factorization,
    HistoricalRate,
    ImageEncoder,
    Logistic,
    Newest,
    PersonalHistory,
    Popularity,
    TextSimilarity,
    Trending,
)
from bottega.errors import BuildError
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.historical_rate import HistoricalRateModel
from bottega.models.inputs import Inputs
from bottega.models.interactions import Interactions
from bottega.models.making import make_retriever, make_scorer, retriever_class, scorer_class
from bottega.models.networks.network import NetworkModel
from bottega.models.personal_history import PersonalHistoryModel
from bottega.models.popularity import PopularityModel
from bottega.models.retrieving import Scored
from bottega.models.trending import TrendingModel
from bottega.testing.arrival_checks import check_arrivals
from bottega.testing.model_checks import RETRIEVER_CHECKS, SCORER_CHECKS, check_retriever, check_scorer

RETRIEVERS: list[Any] = [
    Popularity(),
    Popularity(span=None),
    Trending(),
    Trending(half_life="20d"),
    PersonalHistory(half_life="20d"),
    CoPurchase(),
    CoPurchase(neighbours=3, half_life=None),
    Factorization(),
    Factorization(half_life="30d", reg=5.0),
    Factorization(method="als", factors=8, iterations=5),
    Factorization(method="ease", half_life=None),
    TextSimilarity(column="text"),
    TextSimilarity(column="text", half_life=None),
]
SCORERS: list[Any] = [
    HistoricalRate(by="item"),
    HistoricalRate(by="item", prior=0.0),
    Logistic(),
    BoostedTrees(trees=12, leaves=8, min_leaf=10),
    BoostedTrees(trees=12, leaves=40, min_leaf=5),
    BoostedTrees(trees=3, leaves=80, min_leaf=2),
    BoostedTrees(trees=12, leaves=8, min_leaf=10, objective="lambdarank"),
]
LEARNS: dict[str, Any] = {"embedding_size": 4, "batch": 64, "epochs": 3, "learning_rate": 0.01}
NETWORKS: list[Any] = [
    DCN(**LEARNS, layers=[16], rank=4, cross_layers=1),
    DCN(**LEARNS, layers=[16], rank=2, cross_layers=2, experts=1, dropout=0.1, stop_on="roc_auc"),
    DeepFM(**LEARNS, layers=[16]),
    DeepFM(**LEARNS, layers=[16], loss="focal", positive_weight=3.0),
    DLRM(**LEARNS, layers=[16], bottom=[8]),
]
MISSING = [package for package in ("torch", "onnx", "onnxruntime") if find_spec(package) is None]
needs_networks = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install 'bottega[deep]')"
)


@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
def test_newest(check: Any) -> None:
    """It meets all but one: in the shop of the suite nobody takes what is new."""
    if check.__name__ != "check_finds_what_comes":
        check(lambda: make_retriever(Newest()))
        return
    with pytest.raises(AssertionError, match="NewestModel: check_finds_what_comes"):
        check(lambda: make_retriever(Newest()))


@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", RETRIEVERS, ids=repr)
def test_retriever(setting: Any, check: Any) -> None:
    check(lambda: make_retriever(setting))


@pytest.mark.parametrize("check", SCORER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", SCORERS, ids=repr)
def test_scorer(setting: Any, check: Any) -> None:
    check(lambda: make_scorer(setting))


@needs_networks
@pytest.mark.parametrize("check", SCORER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("setting", NETWORKS, ids=repr)
def test_network(setting: Any, check: Any) -> None:
    check(lambda: make_scorer(setting))


class Leaking(PopularityModel):
    """Counts the rows after the cut too."""

    def fit(self, log: Interactions, at: int) -> None:
        super().fit(log, max(at, int(log.time.max()) + 1))


class Learning(PopularityModel):
    """Counts the questions that it is asked."""

    def ask(self, person: str, request: Any) -> Any:  # noqa: ARG002
        self.people_by_item = self.people_by_item + 1
        return Scored(self.people_by_item)

    def ask_all(self, people: Any, requests: Any) -> Any:
        return (self.ask(person, request) for person, request in zip(people, requests, strict=True))


class ShowingSeen(PopularityModel):
    """Does not leave out what was taken."""

    def ask(self, person: str, request: Any) -> Any:
        return Keeping(super().ask(person, request).scores)

    def ask_all(self, people: Any, requests: Any) -> Any:
        return (Keeping(one.scores) for one in super().ask_all(people, requests))


class Keeping(Scored):
    """Leaves nothing out."""

    def best(self, k: int, leave_out: Any = None) -> Any:  # noqa: ARG002
        return super().best(k)


class Rounding(PopularityModel):
    """Knows less of many than of one."""

    def ask_all(self, people: Any, requests: Any) -> Any:
        return (Scored(np.round(one.scores / 2)) for one in super().ask_all(people, requests))


class Forgetful(PersonalHistoryModel):
    """Loses its half-life's weights on the disk."""

    def restore(self, folder: Path) -> None:
        super().restore(folder)
        history = self.history
        self.history = type(history)(history.people, history.start, history.item, np.ones_like(history.weight))


class Backwards(PopularityModel):
    """Takes the least popular for the best."""

    def learn(self, past: Interactions, at: int) -> None:
        super().learn(past, at)
        self.people_by_item = 1 + self.people_by_item.max() - self.people_by_item


class Pickling(PopularityModel):
    """Writes a file of pickle."""

    def store(self, folder: Path) -> None:
        super().store(folder)
        (folder / "model.pkl").write_bytes(b"")


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Leaking, "check_no_leak"),
        (Learning, "check_answers_are_pure|check_lists|check_reads_back"),
        (ShowingSeen, "check_unseen"),
        (Rounding, "check_asked_together"),
        (Backwards, "check_finds_what_comes"),
        (Pickling, "check_same_bytes"),
    ],
)
def test_broken_retriever_is_caught(broken: type[PopularityModel], caught: str) -> None:
    with pytest.raises(AssertionError, match=caught):
        check_retriever(lambda: broken(Popularity(span="30d")))


class InPlace(TrendingModel):
    """Takes in what arrives itself, under the eyes of who asks."""

    def with_arrived(self, arrived: Any) -> Any:
        self.weight = np.concatenate([self.weight, np.zeros(len(arrived.names))])
        for item, time in zip(arrived.item.tolist(), arrived.time.tolist(), strict=True):
            self.take(item, time)
        self.changed()
        return self


class Deaf(PopularityModel):
    """Says that it takes in what arrives, and has no room for it."""

    def with_arrived(self, arrived: Any) -> Any:  # noqa: ARG002
        return self


@pytest.mark.parametrize(("broken", "setting"), [(InPlace, Trending()), (Deaf, Popularity())])
def test_retriever_that_takes_in_wrongly_is_caught(broken: Any, setting: Any) -> None:
    with pytest.raises(AssertionError, match="check_arrivals"):
        check_arrivals(lambda: broken(setting))


def test_retriever_that_forgets_is_caught() -> None:
    with pytest.raises(AssertionError, match="check_reads_back"):
        check_retriever(lambda: Forgetful(PersonalHistory()))


class Writing(HistoricalRateModel):
    """Writes into its inputs."""

    def score(self, inputs: Inputs) -> Any:
        scores = super().score(inputs)
        if len(inputs) and inputs.values.flags.writeable:
            inputs.values[0, 0] += 1
        return scores + inputs.values[:, 0].astype(np.float32) * np.float32(1e-3)


class ByPlace(HistoricalRateModel):
    """Prefers the rows that come first."""

    def score(self, inputs: Inputs) -> Any:
        return super().score(inputs) - np.arange(len(inputs), dtype=np.float32)


class Reversed(HistoricalRateModel):
    """Puts the best rows last."""

    def score(self, inputs: Inputs) -> Any:
        return -super().score(inputs)


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Writing, "check_scorer_reads_back|check_rows_alone|check_unknowns"),
        (ByPlace, "check_rows_alone"),
        (Reversed, "check_learns"),
    ],
)
def test_broken_scorer_is_caught(broken: type[HistoricalRateModel], caught: str) -> None:
    with pytest.raises(AssertionError, match=caught):
        check_scorer(lambda: broken(HistoricalRate(by="item")))


def test_making_names_what_it_does_not_build() -> None:
    for make in (make_retriever, make_scorer, retriever_class, scorer_class):
        with pytest.raises(BuildError, match="ImageEncoder"):
            make(ImageEncoder())
    with pytest.raises(BuildError, match="Popularity"):
        make_scorer(Popularity())
    with pytest.raises(BuildError, match="Logistic"):
        make_retriever(Logistic())


def test_classes_are_those_of_what_is_made() -> None:
    assert [retriever_class(setting) for setting in RETRIEVERS[:2]] == [PopularityModel, PopularityModel]
    assert scorer_class(BoostedTrees()) is BoostedTreesModel
    assert {scorer_class(setting) for setting in NETWORKS} == {NetworkModel}


def test_a_folder_is_written_once_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    model = make_retriever(Popularity(span=None))
    model.fit(Interactions.of(["ann"], ["tea"], [1]), 9)
    model.save(tmp_path / "model")
    with pytest.raises(BuildError, match="exists already"):
        model.save(tmp_path / "model")
    for name in ("people_by_item.npy", "items.arrow"):
        path = tmp_path / "model" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BuildError, match=name):
            PopularityModel.load(tmp_path / "model", Popularity())
        path.unlink()
        with pytest.raises(BuildError, match=name):
            PopularityModel.load(tmp_path / "model", Popularity())
        path.write_bytes(whole)
    read = PopularityModel.load(tmp_path / "model", Popularity())
    assert read.items == pa.array(["tea"])
