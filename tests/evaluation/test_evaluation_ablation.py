"""The ablation and the slices by number of events, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import evaluation_worlds as worlds
import numpy as np
import pytest

from bottega.evaluation.ablation import Without, ablation, as_retrieved
from bottega.evaluation.outcome import Rung
from bottega.evaluation.slicing import by_interactions


def path_of(seed, requests=80, people=None):
    """An outcome with three sources, of whose union some is cut away."""
    outcome = worlds.lists({"Trees": 0.5}, seed=seed, requests=requests, missed=0.0, people=people)
    rng = np.random.default_rng(seed)
    rows = len(outcome.group)
    sources = {name: rng.random(rows) < share for name, share in (("A", 0.6), ("B", 0.3), ("nothing", 0.0))}
    found = np.any(list(sources.values()), axis=0)
    return replace(outcome, path=found & (rng.random(rows) < 0.9)), sources


def without(outcome, sources):
    """Each source taken out, and the ranker."""
    parts = [
        Without(
            "source", name, outcome.rungs[0], np.any([mask for other, mask in sources.items() if other != name], axis=0)
        )
        for name in sources
    ]
    return [*parts, Without("stage", "rank", as_retrieved(outcome))]


@pytest.mark.parametrize("people", [None, 15])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("primary", "metric", "k"), [("ndcg@5", worlds.ndcg, 5), ("recall@3", worlds.recall, 3)])
def test_each_part_taken_out_once_equals_a_count_by_hand(seed, primary, metric, k, people):
    outcome, sources = path_of(seed, people=people)
    told = ablation(outcome, outcome.rungs[0], without(outcome, sources), primary, seed=4)
    assert [(row["kind"], row["name"]) for row in told] == [
        ("path", "path"), ("source", "A"), ("source", "B"), ("source", "nothing"), ("stage", "rank"),
    ]  # fmt: skip
    assert {row["metric"] for row in told} == {primary}
    trees = outcome.rungs[0].scores
    whole, n = worlds.average(metric, outcome, trees, k)
    values = [whole]
    for name in sources:
        left = np.zeros(len(outcome.path), bool)
        for other, mask in sources.items():
            left |= mask if other != name else False
        values.append(worlds.average(metric, replace(outcome, path=outcome.path & left), trees, k)[0])
    values.append(worlds.average(metric, outcome, -np.arange(len(trees)), k)[0])
    assert told[0]["difference"] is None
    for row, value in zip(told, values, strict=True):
        assert row["value"]["value"] == pytest.approx(value)
        assert row["value"]["low"] <= row["value"]["value"] <= row["value"]["high"]
        assert row["value"]["n"] == (n if people is None else people)
    for row, value in zip(told[1:], values[1:], strict=True):
        assert row["difference"]["value"] == pytest.approx(whole - value)
        assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    nothing = next(row for row in told if row["name"] == "nothing")
    assert nothing["difference"]["low"] == nothing["difference"]["high"] == 0  # it brings nothing that another does not


def test_a_part_that_earns_its_place_lies_above_zero_and_one_that_harms_below():
    outcome, sources = path_of(1, requests=400)
    noise = np.random.default_rng(0).normal(size=len(outcome.group))
    bad = Rung("Noise", "rank", -outcome.rungs[0].scores + noise)
    told = ablation(outcome, outcome.rungs[0], without(outcome, sources), "ndcg@5")
    assert told[1]["difference"]["low"] > 0
    assert told[-1]["difference"]["low"] > 0
    worse = ablation(replace(outcome, rungs=[bad]), bad, [Without("stage", "rank", as_retrieved(outcome))], "ndcg@5")
    assert worse[-1]["difference"]["high"] < 0


def test_the_same_seed_gives_the_same_and_nothing_changes_the_outcome():
    outcome, sources = path_of(2)
    before = outcome.path.copy(), outcome.rungs[0].scores.copy()
    first, again = (ablation(outcome, outcome.rungs[0], without(outcome, sources), "mrr", seed=3) for _ in range(2))
    assert first == again
    assert (outcome.path == before[0]).all()
    assert (outcome.rungs[0].scores == before[1]).all()


def test_a_metric_of_single_rows_has_no_ablation_and_nothing_relevant_is_undefined():
    outcome, sources = path_of(2)
    assert ablation(outcome, outcome.rungs[0], without(outcome, sources), "roc_auc") == []
    empty = replace(outcome, label=np.zeros_like(outcome.label))
    for row in ablation(empty, empty.rungs[0], without(empty, sources), "ndcg@5"):
        assert (row["value"], row["difference"]) == (None, None)
        assert row["undefined"]


def test_slices_by_events():
    rng = np.random.default_rng(0)
    events = [*rng.integers(0, 9, 200).tolist(), float("nan"), 0, 1, 5, 6, 10**9]
    found = by_interactions(events)
    assert list(found) == ["0", "1 to 5", "over 5"]
    for row, count in enumerate(events):
        name = "0" if count != count or count == 0 else "1 to 5" if count <= 5 else "over 5"
        assert [title for title, mask in found.items() if mask[row]] == [name]
    assert list(by_interactions([7, 8])) == ["over 5"]
    assert by_interactions([]) == {}
