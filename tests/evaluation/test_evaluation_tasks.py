"""Each label by itself: against areas counted pair by pair, with rows whose label is not known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bottega.evaluation.outcome import Outcome, Rung
from bottega.evaluation.tasks import judge_tasks


def counted(label: Any, score: Any) -> float:
    high, low = score[label > 0], score[label == 0]
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def drawn() -> tuple[Outcome, dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(0)
    n, group = 600, np.repeat(np.arange(60), 10)
    scores = {name: rng.random(n).astype(np.float32) for name in ("Logistic", "one", "several", "Popularity")}
    labels = {name: (rng.random(n) < scores["several"]).astype(np.float32) for name in ("read", "like", "kept")}
    labels["like"][::3] = np.nan
    rungs = [Rung("Popularity", "retrieve", scores["Popularity"])]
    rungs += [
        Rung(name, "rank", scores[name], probability=name == "Logistic") for name in ("Logistic", "one", "several")
    ]
    candidate = np.tile(np.arange(10), 60)
    outcome = Outcome(group, np.arange(60), candidate, labels["read"], np.ones(n, bool), {}, {}, rungs, 10)
    chances = {
        "one": {"like": rng.random(n).astype(np.float32)},
        "several": {name: np.clip(scores["several"] + rng.normal(0, 0.1, n), 0.01, 0.99) for name in ("read", "like")},
    }
    return outcome, labels, chances


def test_each_label_is_judged_by_what_was_said_of_it() -> None:
    outcome, labels, chances = drawn()
    asked = {name: labels[name] for name in ("read", "like")}
    found = {task["label"]: task for task in judge_tasks(outcome, asked, chances, "ndcg@5")}
    assert [model["name"] for model in found["read"]["models"]] == ["Logistic", "several"]
    assert [model["name"] for model in found["like"]["models"]] == ["Logistic", "one", "several"]
    for name, task in found.items():
        there = ~np.isnan(labels[name])
        truth = labels[name][there]
        assert task["positives"] == int(truth.sum())
        areas = {}
        for model in task["models"]:
            own = chances.get(model["name"], {}).get(name, outcome.rung(model["name"]).scores)
            areas[model["name"]] = counted(truth, own[there])
            assert model["metrics"]["roc_auc"]["value"] == pytest.approx(areas[model["name"]], abs=1e-9)
            assert set(model["metrics"]) == {"ndcg@5", "roc_auc"}
        gaps = {(pair["a"], pair["b"]): pair for pair in task["comparisons"] if pair["metric"] == "roc_auc"}
        assert set(gaps) == {("several", name) for name in areas if name != "several"}
        for (_, other), pair in gaps.items():
            assert pair["difference"] == pytest.approx(areas["several"] - areas[other], abs=1e-9)
            assert pair["low"] <= pair["difference"] <= pair["high"]


def test_what_is_no_probability_of_a_label_has_no_loss_of_it() -> None:
    outcome, labels, chances = drawn()
    (task,) = judge_tasks(outcome, {"read": labels["read"]}, chances, "log_loss")
    plain, several = task["models"]
    assert "log_loss" in several["metrics"]
    assert "log_loss" not in plain["metrics"]
    assert "no probabilities" in plain["undefined"]["log_loss"]


def test_several_networks_are_each_held_against_the_rest() -> None:
    outcome, labels, chances = drawn()
    chances["one"]["read"] = chances["one"]["like"]
    (task,) = judge_tasks(outcome, {"like": labels["like"]}, chances, "roc_auc")
    pairs = [(pair["a"], pair["b"]) for pair in task["comparisons"]]
    assert sorted(pairs) == [("one", "Logistic"), ("one", "several"), ("several", "Logistic")]
