"""What a champion says where a source tells it nothing, against the same scores worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from small_feed import Made, Tables, design_of, made

import bottega as bt
from bottega.files import read_json
from bottega.runs.step import Result
from bottega.runs.steps.blind import Blind
from bottega.runs.steps.examples import read_examples
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.judging import evaluate_ladders
from bottega.runs.steps.lessons import FINAL, lesson_of, make_lessons
from bottega.runs.steps.retrieving import score
from bottega.runs.steps.training import train

OVER = ["popularity_score", "co_purchase_score"]


def places(scores: np.ndarray, group: np.ndarray) -> np.ndarray:
    """1 ÷ (60 + place) of each row in its request, 0 for a score of 0."""
    better = (scores[None, :] > scores[:, None]) & (group[None, :] == group[:, None])
    return np.where(scores > 0, 1 / (61 + better.sum(axis=1)), 0)


@dataclass
class Trial:
    """A trained fusion: what is blind, the rows' requests, each source's scores of them, and the fusion's own."""

    blind: Blind
    group: np.ndarray
    scores: dict[str, np.ndarray]
    whole: np.ndarray
    steps: Made
    judged: Callable[[], Result]


@contextmanager
def blinded(
    folder: Path, over: Sequence[str], features: Sequence[Any] = (), stages: Sequence[Any] = ()
) -> Iterator[Trial]:
    """Train a fusion of these orders."""
    plain = design_of(
        [bt.Popularity(k=20, unseen=5), bt.CoPurchase(k=20, unseen=5), bt.PersonalHistory(k=5)],
        [bt.Retrieve(k=20), bt.Rank(), *stages, bt.Show(k=5)],
    )
    design = replace(
        plain,
        models={**plain.models, "rank": [bt.Fusion(over=over)]},
        features=[*plain.features, *features],
        evaluation=bt.Evaluation(primary="recall@5"),
    )
    with made(design, Tables.drawn(1, n=300), folder) as steps:
        job, examples = steps.job, steps.examples
        scores = score(job, steps.retrieved, examples)
        computed = compute_features(job, examples, scores)
        lessons = make_lessons(job, examples)
        trained = train(job, examples, lessons, scores, computed)
        (ladder,) = job.ladders
        rows = lesson_of(lessons, ladder, ladder.rungs[0], FINAL).judged
        blind = Blind(job, ladder, "Fusion", examples, scores, trained, computed[FINAL], rows)
        group = read_examples(examples.folder).group[rows]
        each = {name: np.load(scores[name].folder / "scores.npy")[rows].astype(float) for name in scores}
        whole = np.load(trained["rank", "Fusion", FINAL].folder / "scores.npy")[rows]
        judge = partial(evaluate_ladders, job, examples, lessons, steps.retrieved, scores, trained, computed[FINAL])
        yield Trial(blind, group, each, whole, steps, judge)


def test_a_champion_without_a_source_has_its_scores_left_out(tmp_path: Path) -> None:
    with blinded(tmp_path, OVER) as trial:
        blind, group, scores, whole = trial.blind, trial.group, trial.scores, trial.whole
        each = {name: places(scores[name], group) for name in ("Popularity", "CoPurchase")}
        assert whole == pytest.approx(each["Popularity"] + each["CoPurchase"], rel=1e-5)
        for gone, left in (("Popularity", "CoPurchase"), ("CoPurchase", "Popularity")):
            found, _ = blind(gone)
            assert found is not None
            assert found.scores == pytest.approx(each[left], rel=1e-5)
            assert each[gone].any()
        history, _ = blind("PersonalHistory")  # among the inputs, and no order of the fusion
        assert history is not None
        np.testing.assert_array_equal(history.scores, whole)
        assert blind("Nobody") == (None, {})


def test_what_is_derived_from_a_score_is_derived_without_it(tmp_path: Path) -> None:
    derived = [
        bt.Expression({"both": "popularity_score + 1000 * co_purchase_score", "common_too": "common + 1"}),
        bt.Cross("both", "item", buckets=8),
        bt.Expression({"again": "case when popularity_score > 0 then both end", "plain": "common_too * 2"}),
    ]
    with blinded(tmp_path, ["both", "again"], derived) as trial:
        blind, group, whole = trial.blind, trial.group, trial.whole
        popular, bought = trial.scores["Popularity"], trial.scores["CoPurchase"]
        again = np.where(popular > 0, popular + 1000 * bought, 0)
        assert whole == pytest.approx(places(popular + 1000 * bought, group) + places(again, group), rel=1e-5)
        without_popular, changed = blind("Popularity")
        assert without_popular is not None
        assert without_popular.scores == pytest.approx(places(bought, group), rel=1e-5)  # and again is null
        assert changed["both"] == pytest.approx(1000 * bought)
        assert np.isnan(changed["again"]).all()
        assert set(changed) == {"popularity_score", "both", "both_x_item", "again"}
        without_bought, changed = blind("CoPurchase")
        assert without_bought is not None
        assert without_bought.scores == pytest.approx(2 * places(popular, group), rel=1e-5)
        assert changed["again"] == pytest.approx(np.where(popular > 0, popular, np.nan), nan_ok=True)
        assert not np.allclose(places(popular, group), places(bought, group))


def test_stages_see_no_score_of_a_source_that_is_left_out(tmp_path: Path) -> None:
    rule = bt.Rule(where="twice > 0", drop=True)
    features = [bt.Expression({"twice": "case when popularity_score > 0 then 2 else 0 end"})]
    least = bt.Quota(where="co_purchase_score > 0", at_least=1, first=5)
    with blinded(tmp_path, OVER, features, [rule, least]) as trial:
        judged = trial.judged().folder
        told = {row["name"]: row["value"]["value"] for row in read_json(judged / "evaluation.json")["ablation"]}
        rows = pq.read_table(judged / "predictions.parquet").to_pylist()
        popular, bought = trial.scores["Popularity"], trial.scores["CoPurchase"]
        listed = [
            {*trial.steps.named("CoPurchase", request), *trial.steps.named("PersonalHistory", request)}
            for request in range(trial.group.max() + 1)
        ]
        after = places(bought, trial.group)
        recalls: dict[str, list[float]] = {"path": [], "Popularity": []}
        for request in np.unique(trial.group):
            here = np.flatnonzero(trial.group == request)
            right = sum(rows[row]["label"] > 0 for row in here)
            there = [row for row in here if rows[row]["retrieved"]]
            whole = sorted(
                (row for row in there if popular[row] <= 0), key=lambda r: (-trial.whole[r], rows[r]["item"])
            )
            left = (row for row in there if rows[row]["item"] in listed[request])
            blind = sorted(left, key=lambda r: (-after[r], rows[r]["item"]))
            for name, order in (("path", whole), ("Popularity", blind)):
                if right:
                    recalls[name].append(sum(rows[row]["label"] > 0 for row in order[:5]) / right)
        assert np.mean(recalls["path"]) < np.mean(recalls["Popularity"])  # the rule drops what is popular
        for name, values in recalls.items():
            assert told[name] == pytest.approx(np.mean(values))
