"""The scorecard read and written, and fed by what the other rooms give."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from report_cards import full

from bottega.design.evaluation import Evaluation, Goal
from bottega.errors import DataError
from bottega.evaluation.ablation import Without, ablation, as_retrieved
from bottega.evaluation.champion import choose
from bottega.evaluation.comparing import compare
from bottega.evaluation.funnel import funnel
from bottega.evaluation.goals import judge_goals
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Outcome, Rung
from bottega.reporting.scorecard import of, read, write
from bottega.runs.resources import machine
from bottega.serving.parity import summarise


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write(tmp_path / "scorecard.json", full())
    assert json.loads((tmp_path / "scorecard.json").read_text()) == full()
    assert read(tmp_path / "scorecard.json") == of(full())


def test_what_is_no_number_becomes_null(tmp_path: Path) -> None:
    card = full()
    card["serving"]["p99_ms"] = np.float64("nan")
    card["peak_rss_mb"] = np.int64(7)
    card["models"][0]["metrics"]["ndcg@20"]["low"] = float("-inf")
    write(tmp_path / "scorecard.json", card)
    text = (tmp_path / "scorecard.json").read_text()
    assert not any(word in text for word in ("NaN", "Infinity"))
    found = read(tmp_path / "scorecard.json")
    assert found.serving is not None
    assert found.serving.p99_ms is None
    assert found.peak_rss_mb == 7
    assert found.models[0].metrics["ndcg@20"].low is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff", '{"models": 3}', '{"goals": [{"limit": "x"}]}'])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scorecard.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"scorecard\.json"):
        read(path)


def test_a_missing_file_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bottega run"):
        read(tmp_path / "scorecard.json")


def test_an_error_names_the_place() -> None:
    card = full()
    card["models"][1]["metrics"]["ndcg@20"]["value"] = "high"
    with pytest.raises(DataError, match=r"models\[1\]\.metrics"):
        of(card)


def test_the_evaluation_room_fills_it() -> None:
    """Its rows, as they come, are read without a loss that shows."""
    rng = np.random.default_rng(0)
    people, each = 40, 5
    label = rng.integers(0, 2, people * each)
    rungs = [
        Rung("Popularity", "retrieve", rng.random(people * each), seconds=1.0),
        Rung("Logistic", "rank", label + rng.random(people * each), seconds=2.0),
    ]
    outcome = Outcome(
        group=np.repeat(np.arange(people), each),
        entity=np.arange(people),
        candidate=np.tile(np.arange(each), people),
        label=label,
        path=np.ones(people * each, bool),
        views={"new items": rng.random(people * each) < 0.5},
        slices={"cold": {"cold": np.arange(people) < 35, "warm": np.arange(people) >= 35}},
        rungs=rungs,
        catalogue=each,
    )
    plan = Evaluation("mrr", metrics=["recall@2"], goals=[Goal("mrr", above="Popularity")])
    champion = choose(outcome, "rank", "mrr", 0.002)
    rows = {
        "models": judge(outcome, plan),
        "comparisons": compare(outcome, plan, "Logistic"),
        "champions": {"rank": champion.name},
        "choice": champion.to_dict(),
        "goals": judge_goals(outcome, plan, "Logistic"),
        "funnel": funnel(outcome, "Logistic", 2, {"Popularity": np.arange(people * each) % 2 == 0}),
        "ablation": ablation(outcome, rungs[1], [Without("stage", "rank", as_retrieved(outcome))], "mrr"),
    }
    rows["models"][1]["items"] = rows["models"][1]["views"]  # the run judges items as it judges views
    card = of(rows)
    assert [row.difference and row.difference.value for row in card.ablation] == [
        row["difference"] and row["difference"]["value"] for row in rows["ablation"]
    ]
    assert card.models[1].items["new items"] == card.models[1].views["new items"]
    assert msgspec.to_builtins(card.goals[0])["value"] == rows["goals"][0]["value"]
    assert card.champion is not None
    assert card.champion.metrics["mrr"].value == rows["models"][1]["metrics"]["mrr"]["value"]
    assert [row.stage for row in card.funnel] == [row["stage"] for row in rows["funnel"]]
    assert card.views == [None, "new items"]


def test_the_parity_gate_and_the_machine_fill_it() -> None:
    columns = [("visits", np.array([1.0, np.nan]), np.array([2.0, np.nan]))]
    found = summarise(columns, frozenset(), [({"customer": None}, "7"), ({"customer": "5"}, None)], {})
    card = of({"parity": msgspec.to_builtins(found), "machine": machine()})
    assert card.parity is not None
    assert (card.parity.compared, card.parity.mismatches) == (2, 1)
    assert card.parity.worst[0].training == 1.0
    assert card.machine["cores"] >= 1
