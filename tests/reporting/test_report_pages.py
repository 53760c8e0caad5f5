"""Both pages: whole with any part missing, and every number in them comes from the scorecard."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_cards import fraud, full, measured
from report_cards import shop as design

from bottega.reporting.html import html
from bottega.reporting.markdown import escaped, markdown
from bottega.reporting.screen import summary

GOLDEN = Path(__file__).parent / "golden"
PAGES = [markdown, html]
FIRST = "From ingestion to prediction"
STEPS = ["Scope", "Data", "Features", "Models", "Evaluation", "Serving", "Monitoring"]
# what no page shows: sizes but the ladder's, one metric's n, seconds of what was cached, slices of other rungs
UNSHOWN = re.compile(
    r"comparisons/\d+/n|choice/comparisons/\d+/n|goals/\d+/n|(funnel|ablation)/.*/n|ceiling/.*/n|steps/0/seconds"
    r"|models/[01]/.*/n|models/[01]/(slices|items)/.*|models/2/(metrics|views/new items)/recall@20/n"
)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, f"{path}/{place}")
    else:
        yield path.lstrip("/"), value


def replaced(card: Any, path: str, value: Any) -> Any:
    card = copy.deepcopy(card)
    at = card
    *before, last = path.split("/")
    for key in before:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    return card


NUMBERS = [
    path
    for path, value in leaves(full())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not UNSHOWN.fullmatch(path)
]


@pytest.mark.parametrize("write", PAGES)
def test_every_number_of_the_scorecard_shows(write: Callable[..., str]) -> None:
    card = full()
    before = write(design, card)
    at = dict(leaves(card))
    other = {path: type(at[path])(at[path] * 1.37 + 1) for path in NUMBERS}
    same = [path for path in NUMBERS if write(design, replaced(card, path, other[path])) == before]
    assert same == []
    assert len(NUMBERS) > 90


@pytest.mark.parametrize("write", PAGES)
@pytest.mark.parametrize("given_design", [design, fraud], ids=["shop", "fraud"])
def test_any_part_may_be_missing(write: Callable[..., str], given_design: Any) -> None:
    card = full()
    for key in card.keys() - {"design", "champions"}:  # the design has its name, and `choice` its champion
        for empty in (None, {} if isinstance(card[key], dict) else []):
            assert write(given_design, {**card, key: empty}) != write(given_design, card)
        write(given_design, {name: part for name, part in card.items() if name != key})
    assert all(f"{step}" in write(given_design, {}) for step in STEPS)


@pytest.mark.parametrize("write", PAGES)
def test_any_value_may_be_null(write: Callable[..., str]) -> None:
    """Names excepted, every value of every part can be null, and no `None` or `nan` shows."""
    card = full()
    for path, value in leaves(card):
        if isinstance(value, (int, float)) or path.endswith(("low", "high", "met", "detail", "view", "slice")):
            told = write(design, replaced(card, path, None))
            assert not re.search(r"\b(None|nan)\b", told), path


def test_what_is_missing_is_said() -> None:
    told = markdown(design, {})
    for part in ("Models.", "Goals.", "Latencies under load.", "Parity of training and serving.", "Release gates."):
        assert f"- {part}" in told
    assert "The funnel" not in markdown(design, full()).partition("## Open")[2]


def test_a_part_earns_its_place_costs_or_cannot_be_told() -> None:
    card = full()
    card["ablation"][1]["difference"] |= {"value": -0.02, "low": -0.03, "high": -0.01}
    card["ablation"][3] |= {"value": None, "difference": None, "undefined": "no request has something relevant"}
    told = markdown(design, card).partition("### What each part earns")[2].partition("### Slices")[0]
    assert re.search(r"without Popularity +\| source +\| ✗ costs", told)
    assert re.search(r"without PersonalHistory +\| source +\| – not told apart", told)
    assert re.search(r"without rank \(BoostedTrees\) +\| stage +\| – no request has something relevant", told)
    assert "What each part earns" not in markdown(design, {**card, "ablation": card["ablation"][:1]})


def test_a_table_of_which_less_than_half_is_left_is_a_notice() -> None:
    card = full()
    ((name, rows),) = list(card["data"]["tables"].items())[:1]
    assert "of the rows of" not in markdown(design, card)
    offered = rows["offered"]
    rows |= {
        "accepted": offered - 9 * offered // 10,
        "quarantined": 9 * offered // 10,
        "reasons": {"time: missing": 3, "n: bad": 9},
    }
    told = markdown(design, card)
    assert f"90 % of the rows of {name} are quarantined, most of them for “n: bad”" in told


def test_what_is_undecided_is_said() -> None:
    card = full()
    card["choice"] |= {"decided": False, "reason": "Undecided: more requests would decide."}
    card["goals"][1] |= {"met": None, "reason": "no request in this slice"}
    card["serving"]["saturated"] = True
    told = markdown(design, card).partition("## Open")[2]
    assert "The champion of rank: Undecided: more requests would decide." in told
    assert "- The latencies: The generator of the load was late by itself" in told
    assert "Goal NDCG@20 at least 0.157, new items, cold: no request in this slice." in told


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "✗ **1 of 2 goals met, missed: NDCG@20 at least 0.157, new items, cold; not released: failed gate goals"),
        ({"goals": full()["goals"][:1], "release": {"released": True}}, "✓ **The one goal is met; released.**"),
        (
            {
                "goals": full()["goals"][:1],
                "release": {"released": True},
                "serving": {"p99_ms": 74.0, "limit": {"p99_ms": 20, "met": False}},
            },
            "✗ **The one goal is met; p99 74.0 ms is over the limit of 20 ms; released.**",
        ),
        ({"goals": [], "release": None}, "**No goal was judged; whether it is released is not known.**"),
        ({"goals": full()["goals"][:1], "release": {"released": False}}, "**The one goal is met; not released: no g"),
    ],
)
def test_the_verdict_comes_first(change: dict[str, Any], verdict: str) -> None:
    assert markdown(design, {**full(), **change}).split("\n\n")[2].startswith(verdict)


def test_sections_follow_the_seven_steps() -> None:
    heads = re.findall(r"^## (.*)$", markdown(design, full()), re.MULTILINE)
    assert heads[:8] == [FIRST, *(f"{place}. {step}" for place, step in enumerate(STEPS, 1))]


def test_failures_are_told_by_kind() -> None:
    card = full()
    card["serving"]["errors"] = {"503": 2, "timeout": 5}
    assert "- **Failed**: 7 (timeout: 5 ×, 503: 2 ×)" in markdown(design, card)
    assert "7 failed" in summary(card)


def test_rungs_of_one_name_are_told_apart() -> None:
    card = full()
    card["models"].append({**copy.deepcopy(card["models"][1]), "stage": "retrieve"})
    told = markdown(design, card)
    assert "| rank.Logistic | rank |" in told
    assert "| retrieve.Logistic | retrieve |" in told


def test_the_best_possible_order_has_no_coverage() -> None:
    """What the best order covers bounds nothing: another one may cover more."""
    card = full()
    card["models"][0]["metrics"]["coverage@20"] = measured(0.9, 0.01)
    card["ceiling"]["metrics"]["coverage@20"] = measured(0.64, 0.01)
    rows = [line for line in markdown(design, card).splitlines() if line.startswith("| best possible")]
    assert rows[0].count("±") == 1
    assert "0.640" not in summary(card, 200).splitlines()[4]


def test_a_metric_to_hold_near_one_has_no_better_side() -> None:
    gap = {"metric": "predicted_over_observed", "difference": 0.1, "low": 0.05, "high": 0.15}
    card = {
        "models": [{"name": "Logistic", "stage": "score", "metrics": {"predicted_over_observed": measured(1.1, 0.02)}}],
        "comparisons": [{"a": "BoostedTrees", "b": "Logistic", **gap}],
    }
    assert "– larger" in markdown(fraud, card)
    assert "nearest to 1 is best" in html(fraud, card)


def test_the_markdown_page_is_the_golden_one() -> None:
    assert markdown(design, full()) == (GOLDEN / "page.md").read_text("utf-8")


def test_the_screen_is_the_golden_one() -> None:
    told = summary(full(), 80, report=".bottega/shop/report.html", following="bottega serve shop-recommendation")
    assert told + "\n" == (GOLDEN / "screen.txt").read_text("utf-8")


def test_markdown_tables_are_tables() -> None:
    """By a parser of its own: as many tables and rows as the page was made of, none broken by a bar or a line."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(design, full()))
    lines = [line for line in markdown(design, full()).splitlines() if line.startswith("|")]
    kinds = [token.type for token in tokens]
    rules = sum(set(line) <= set("| -:") for line in lines)
    assert kinds.count("table_open") == rules > 10
    assert kinds.count("tr_open") == len(lines) - rules
    assert kinds.count("html_block") == kinds.count("html_inline") == 0


PARTS = ["# a", "*b*", "_c_", "`d`", "[e](http://f)", "<g>", "|", "\\", "&lt;", "1. ", "- ", "~~h~~", "\n", "![]", "$"]


@given(st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PARTS), max_size=6).map("".join)))
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    source = f"| a | b |\n| --- | --- |\n| x{escaped(text)}x | y |\n"
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    cells = [token for token in tokens if token.type == "inline"]
    shown = "".join(child.content for child in cells[2].children or [])
    flat = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    assert {child.type for child in cells[2].children or []} <= {"text", "text_special"}
    assert shown == f"x{flat}x"
    assert len(cells) == 4


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=12), st.sampled_from(["design", "rung", "reason", "step", "gate", "slice"]))
def test_no_name_breaks_the_markdown(name: str, where: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(design, named(name, where)))
    heads = [
        after.content for token, after in itertools.pairwise(tokens) if token.tag == "h2" and after.type == "inline"
    ]
    assert heads[:8] == [FIRST, *(f"{place}. {step}" for place, step in enumerate(STEPS, 1))]
    assert all(token.type not in ("html_block", "code_block") for token in tokens)
    assert [token.info for token in tokens if token.type == "fence"] == ["mermaid"]


def named(name: str, where: str) -> dict[str, Any]:
    """A scorecard in which a person chose a strange name."""
    card = full()
    if where == "rung":
        card["models"][2]["name"] = card["choice"]["name"] = card["champions"]["rank"] = name
    elif where == "reason":
        card["data"]["tables"]["orders"]["reasons"][name] = 1
    elif where == "step":
        card["steps"][1]["name"] = name
    elif where == "gate":
        card["release"]["gates"][0] |= {"name": name, "detail": name}
    elif where == "slice":
        card["models"][2]["slices"]["cold"][name] = {"ndcg@20": measured(0.3, 0.1)}
    else:
        card |= {"build": name, "source": {"kind": "data", "text": name}, "machine": {"cpu": name}}
    return card
