"""A fix stands in the language of the design: held against what Python and YAML make of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

import bottega as bt
from bottega.design.reading import load
from bottega.reviewing.fixes import in_language
from bottega.reviewing.judging import judge
from bottega.reviewing.lines import lines_of
from bottega.reviewing.rules import RULES
from bottega.reviewing.writing_sarif import sarif
from bottega.reviewing.writing_text import label

DESIGNS = Path(__file__).parent / "designs"

FIXES = [
    'split=bt.TimeSplit(test="7d")',
    "rollout=[bt.Shadow(), bt.Canary(0.05)]",
    'bt.Goal("ndcg@10", above="Popularity")',
    "traffic=bt.Traffic(daily_users=100_000, requests_per_user=3, peak_factor=4)",
    'experiment=bt.Experiment("revenue: per visit", unit="user", minimum_effect=0.02)',
    'error_costs={"false alarm": 1, "missed fraud": 40}',
    "censored_when=\"action = 'block'\"",
    'bt.Goal("predicted_over_observed", within=(0.95, 1.05))',
    'licence="yes"',
    "log=True",
    "reserve=-1",
]


@pytest.mark.parametrize("fix", FIXES)
def test_what_is_python_is_the_same_in_yaml_and_json(fix: str) -> None:
    keyword = re.match(r"\w+=", fix)
    value = eval(fix[keyword.end() :] if keyword else fix, {"bt": bt})
    plain = json.loads(msgspec.json.encode(value))
    expected = {fix[: keyword.end() - 1]: plain} if keyword else plain
    assert yaml.safe_load(in_language(fix, ".yaml")) == expected
    written = in_language(fix, ".json")
    assert json.loads(f"{{{written}}}" if keyword else written) == expected
    assert in_language(fix, ".py") == fix


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ('split=bt.TimeSplit(test="7d") on a long log', "split: {kind: TimeSplit, test: 7d} on a long log"),
        ("budgets of at most 40, or p99_ms=82", "budgets of at most 40, or p99_ms: 82"),
        ('event_id="…", or checks=[bt.Unique([…])]', "event_id: …, or checks: [{kind: Unique, columns: […]}]"),
        ("within=(0.9, 1.1), or less", "within: [0.9, 1.1], or less"),
        ('over=["7d"], or a smaller one', "over: [7d], or a smaller one"),
        ("a longer log", "a longer log"),
        ("did you mean 'device'?", "did you mean 'device'?"),
        ("name=f(x), x=y(, bt.no(", "name=f(x), x=y(, bt.no("),
    ],
)
def test_words_stay(fix: str, told: str) -> None:
    assert in_language(fix, ".yaml") == told


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_no_fix_of_a_rule_is_python_in_another_language(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DESIGNS)
    for rule in RULES:
        if rule.needs_data:
            continue
        file, design = tmp_path / f"{rule.code}{suffix}", load(f"{rule.code}.py")
        file.write_bytes(bt.to_yaml(design).encode() if suffix == ".yaml" else bt.to_json(design))
        for finding in judge(load(file), None, str(file), lines_of(file)).open:
            assert not re.search(r"bt\.|\w=[^=]", finding.fix.replace("log=False", "")), finding
        (first, *_) = sarif(judge(load(file), None, str(file), lines_of(file)))["runs"][0]["results"]
        assert "Use did" not in first["message"]["text"]


@pytest.mark.parametrize(
    ("fix", "word"),
    [("p99_ms=50", "Use"), ("p99_ms: 50", "Use"), ('"p99_ms": 50', "Use"), ("{metric: mrr}", "Use"), ("less", "Fix")],
)
def test_code_is_used_and_words_are_told(fix: str, word: str) -> None:
    assert label(fix) == word
