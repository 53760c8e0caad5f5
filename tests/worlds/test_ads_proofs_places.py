"""The ads world knows which ordering is nearer the truth: places kept apart from worth beat places left in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ads_proofs import Traffic
from numpy.typing import NDArray

import bottega as bt
from bottega.worlds.ads import AdsWorld, true_probabilities

ASKED = ["query", "ad_id", "device"]
WAYS = {
    "nothing": (ASKED, None),
    "a feature": ([*ASKED, "position"], bt.PositionFeature("position")),
    "inverse propensity": (ASKED, bt.InversePropensity("position")),
}
SLOTS = 5


@dataclass(frozen=True)
class Ordered:
    """What each way says of all ads of the last day's searches in the best place, and what is true."""

    group: NDArray[np.int64]
    truth: NDArray[np.float64]
    scores: Mapping[str, NDArray[np.float32]]
    chances: Mapping[str, Mapping[int, float]]

    def right(self, name: str) -> NDArray[np.float64]:
        """Give the share of pairs of ads in the true order, of each search with two ads or more."""
        return right_pairs(self.group, self.scores[name], self.truth)


def right_pairs(
    group: NDArray[np.int64], score: NDArray[np.float32], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Count the pairs in the true order, search by search; equal scores are wrong."""
    found = []
    for rows in np.split(np.arange(len(group)), np.flatnonzero(np.diff(group)) + 1):
        first, second = np.triu_indices(len(rows), 1)
        true = truth[rows][first] - truth[rows][second]
        said = score[rows][first].astype(np.float64) - score[rows][second]
        if len(true):
            found.append(float((true * said > 0).mean()))
    return np.array(found)


def bootstrapped(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Give a 95 % interval of the mean, by drawing searches again."""
    rng = np.random.default_rng(0)
    means = [rng.choice(differences, len(differences)).mean() for _ in range(500)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Ordered:
    """A log whose policy puts dear ads on top, which are no better for it; each way learns from the same rows."""
    folder: Path = tmp_path_factory.mktemp("ads")
    still = {"interactions": "none", "shock": 0, "new_ads": 0, "auctions": 1_000, "slots": SLOTS, "click_rate": 0.1}
    AdsWorld(200_000, days=5, start=date(2024, 3, 4), users=200, queries=20, ads=80, **still).write(folder)  # type: ignore[arg-type]
    offered: pa.Table = pq.read_table(folder / "auctions")
    scores, chances = {}, {}
    for name, (columns, position) in WAYS.items():
        traffic = Traffic.read(folder, columns, position=position)
        lesson = traffic.lesson()
        scores[name] = traffic.taught(bt.Logistic(), lesson).score(traffic.inputs(offered, place=1))
        chances[name] = lesson.chances
    truth = true_probabilities(folder, offered, position=1)
    return Ordered(offered["search_id"].to_numpy(), truth, scores, chances)


@pytest.mark.parametrize("way", ["a feature", "inverse propensity"])
def test_places_kept_apart_order_more_pairs_as_they_truly_are(ordered: Ordered, way: str) -> None:
    low, high = bootstrapped(ordered.right(way) - ordered.right("nothing"))
    assert low > 0.01
    assert high - low < 0.01  # the interval says something
    assert ordered.right(way).mean() > 0.9


def test_what_takes_places_for_worth_under_estimates_the_best_place(ordered: Ordered) -> None:
    said = {name: scores.mean() / ordered.truth.mean() for name, scores in ordered.scores.items()}
    assert said["nothing"] < 0.75
    assert said["a feature"] == pytest.approx(1, rel=0.1)
    assert said["inverse propensity"] == pytest.approx(1, rel=0.1)


def test_the_chances_are_those_by_which_places_are_looked_at(ordered: Ordered) -> None:
    got = ordered.chances["inverse propensity"]
    assert list(got) == list(range(1, SLOTS + 1))
    true = [place**-0.7 for place in got]
    np.testing.assert_allclose(list(got.values())[:-1], true[:-1], rtol=0.1)
    assert got[SLOTS] == pytest.approx(true[-1], rel=0.25)  # few pages have so many ads
    assert not ordered.chances["nothing"]


@pytest.mark.parametrize(
    ("score", "share"), [([3, 2, 1, 9, 8], [1.0, 0.0]), ([1, 2, 3, 8, 9], [0.0, 1.0]), ([2, 2, 1, 1, 1], [2 / 3, 0.0])]
)
def test_the_count_of_right_pairs(score: Sequence[float], share: Sequence[float]) -> None:
    got = right_pairs(np.array([1, 1, 1, 2, 2]), np.array(score, np.float32), np.array([0.3, 0.2, 0.1, 0.1, 0.2]))
    assert got.tolist() == pytest.approx(share)
