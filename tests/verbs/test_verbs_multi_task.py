"""One network for several labels, from the design to the served path, on a small feed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import bottega as bt
from bottega.reporting.scorecard import read
from bottega.runs.steps import measuring
from bottega.worlds.feed import FeedWorld

for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'bottega[deep]'")

DAY = 86_400_000_000
WEIGHTS = {"read": 1.0, "like": 4.0, "bookmark": 2.0}
NET: dict[str, Any] = {
    "embedding_size": 2,
    "layers": [12],
    "tower": [6],
    "epochs": 2,
    "batch": 1024,
    "learning_rate": 0.01,
}


def a_design() -> bt.Design:
    return bt.Design(
        name="many-labels",
        scope=bt.Scope(question="What does this person read next, and like?"),
        data=bt.Data(
            tables=[bt.Table("events", "events.parquet", time="time")],
            examples=bt.FromPositives(
                "events",
                request=["person_id"],
                candidate="content_id",
                horizon="0s",
                requests=bt.Each(warm_up="5d"),
                newcomers=True,
                candidates=bt.Retrieved(negatives=15),
            ),
            labels=[
                bt.Label("read"),
                bt.Label("like", when="event = 'LIKE'", matures_after="12h"),
                bt.Label("bookmark", when="event = 'BOOKMARK'", matures_after="12h"),
            ],
            split=bt.TimeSplit(test="8d", validate="6d"),
        ),
        features=[
            bt.Window("events", by="content_id", values={"n": "count(*)", "h6": "decayed_sum(1, '6h')"}),
            bt.Window("events", by="content_id", values={"liked": "count(*)"}, where="event = 'LIKE'"),
            bt.Window("events", by="person_id", values={"likes": "count(*)"}, where="event = 'LIKE'"),
        ],
        models={
            "retrieve": [bt.Trending(half_life="6h", k=0, unseen=30)],
            "rank": [
                bt.Logistic(),
                bt.MultiTask(objectives={"like": 1.0}, sharing="shared-bottom", name="only_like", **NET),
                bt.MultiTask(objectives=WEIGHTS, experts=2, **NET),
            ],
        },
        evaluation=bt.Evaluation(primary="ndcg@10"),
        serving=bt.Serving(path=[bt.Retrieve(k=30), bt.Rank(), bt.Show(k=10)], workers=1),
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    home = tmp_path_factory.mktemp("feed")
    FeedWorld(rows=2_000, days=36, seed=1).write(home / "data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measuring, "REQUESTS", 60)
        patched.setattr(measuring, "WARM_UP", 10)
        yield home, bt.run(a_design(), data=home / "data", workspace=home / "w", models=())


def test_labels_of_the_test_are_those_of_the_log(built: tuple[Path, Any]) -> None:
    home, ran = built
    events = pq.read_table(home / "data" / "events.parquet").to_pylist()
    said = pq.read_table(ran.build.folder / "predictions.parquet")
    assert said.num_rows > 3000
    at: dict[tuple[str, str, str], list[Any]] = {}
    for row in events:
        at.setdefault((str(row["person_id"]), str(row["content_id"]), row["event"]), []).append(row["time"])
    last = max(row["time"].replace(tzinfo=None) for row in events)
    draw = np.random.default_rng(0)
    rows = np.union1d(draw.choice(said.num_rows, 500), np.flatnonzero(said["label: like"].to_numpy() > 0))
    for row in said.take(rows).to_pylist():
        for name in ("like", "bookmark"):
            times = at.get((row["person_id"], row["content_id"], name.upper()), [])
            days = [
                (time.replace(tzinfo=None) - row["request_time"].replace(tzinfo=None)).total_seconds() for time in times
            ]
            if (last - row["request_time"].replace(tzinfo=None)).total_seconds() < 12 * 3600:  # the log ends first
                assert np.isnan(row[f"label: {name}"])
            else:
                assert row[f"label: {name}"] == float(any(0 <= later <= 12 * 3600 for later in days))
    assert np.nansum(said["label: like"].to_numpy()) > 20


def test_the_score_is_the_weighted_sum_of_what_is_said_of_each_label(built: tuple[Path, Any]) -> None:
    said = pq.read_table(built[1].build.folder / "predictions.parquet")
    columns = [said[f"MultiTask: {name}"].to_numpy().astype(float) for name in WEIGHTS]
    expected = sum(weight * column for weight, column in zip(WEIGHTS.values(), columns, strict=True))
    np.testing.assert_allclose(said["MultiTask"].to_numpy(), expected, rtol=1e-4)
    assert all(column.min() > 0 and column.max() < 1 for column in columns)
    np.testing.assert_allclose(said["only_like"].to_numpy(), said["only_like: like"].to_numpy())


def test_each_label_is_judged_by_itself(built: tuple[Path, Any]) -> None:
    _, ran = built
    card, said = ran.scorecard, pq.read_table(ran.build.folder / "predictions.parquet")
    assert {model["name"] for model in card["models"]} == {"Trending", "Logistic", "only_like", "MultiTask"}
    tasks = {task["label"]: task for task in card["tasks"]}
    assert list(tasks) == ["like", "read", "bookmark"]
    assert [model["name"] for model in tasks["like"]["models"]] == ["Logistic", "only_like", "MultiTask"]
    assert [model["name"] for model in tasks["bookmark"]["models"]] == ["Logistic", "MultiTask"]
    truth = said["label: like"].to_numpy()
    there = said["retrieved"].to_numpy(zero_copy_only=False) & ~np.isnan(truth)
    assert tasks["like"]["positives"] == int((truth > 0).sum())
    for name, column in (("MultiTask", "MultiTask: like"), ("Logistic", "Logistic"), ("only_like", "only_like")):
        score = said[column].to_numpy()[there]
        high, low = score[truth[there] > 0], score[truth[there] == 0]
        area = float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)
        found = next(model for model in tasks["like"]["models"] if model["name"] == name)["metrics"]["roc_auc"]
        assert found["value"] == pytest.approx(area, abs=1e-6)
        assert found["low"] < found["value"] < found["high"]
    pairs = {(pair["a"], pair["b"], pair["metric"]) for pair in tasks["like"]["comparisons"]}
    assert ("MultiTask", "only_like", "roc_auc") in pairs
    assert ("MultiTask", "only_like", "ndcg@10") in pairs


def test_the_report_tells_it(built: tuple[Path, Any]) -> None:
    _home, ran = built
    text = ran.report.with_suffix(".md").read_text()
    assert "Each label by itself" in text
    assert "like (" in text
    assert len(read(ran.build.folder / "scorecard.json").tasks) == 3


def test_it_is_served_as_it_was_judged(built: tuple[Path, Any]) -> None:
    _, ran = built
    card = ran.scorecard
    assert card["parity"]["compared"] > 0
    assert card["parity"]["mismatches"] == 0
    assert card["serving"]["errors"] == 0
    told = json.loads((ran.build.folder / "scorecard.json").read_text())
    assert all(not math.isnan(model["metrics"]["ndcg@10"]["value"]) for model in told["models"])
