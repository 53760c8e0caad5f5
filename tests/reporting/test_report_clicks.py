"""Pages of designs about clicks: every part shows, any part may be missing, and few clicks are said to be few."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_cards import full, shop
from report_click_cards import ads, banner, clicks, few
from rich.cells import cell_len
from test_report_html import Tree
from test_report_pages import GOLDEN, leaves, replaced

from bottega.evaluation.calibration import by_slice, calibration_of
from bottega.reporting.chapters.calibration import off, wrong_slices
from bottega.reporting.doubts import doubts
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.reporting.measured import Measured
from bottega.reporting.planes import decades
from bottega.reporting.scorecard import of
from bottega.reporting.screen import summary

PARTS = [
    *("calibration", "compression", "auction", "categories", "training", "left_out", "position", "labels", "ceiling"),
    *("crosses", "ladders", "choice", "warm"),
]
# what no page shows: sizes behind all but a first metric, a difference, or what is tried
UNSHOWN = re.compile(
    r"models/\d/metrics/(?!normalized).*/n|(choice/rank/)?comparisons/\d/n|goals/\d/n|ceiling/.*/n|compression/.*/n"
)


def thin() -> dict[str, Any]:
    """The full card with few hours, few tenths and no slices of models, so that each of its numbers can be tried."""
    card = clicks()
    for each in card["models"]:
        each["slices"] = {}
    card["auction"]["by_hour"] = card["auction"]["by_hour"][:2]
    for found in card["calibration"].values():
        found["deciles"], found["raw"] = found["deciles"][:2], (found["raw"] or [])[:2]
    return card


def numbers_of(card: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(path, at) for path, at in leaves(card) if isinstance(at, (int, float)) and not isinstance(at, bool)]


def test_every_number_shows() -> None:
    card = thin()
    before = markdown(ads, card)
    tried = [(path, at) for path, at in numbers_of(card) if not UNSHOWN.fullmatch(path)]
    same = [path for path, at in tried if markdown(ads, replaced(card, path, type(at)(at * 1.37 + 1))) == before]
    assert same == []
    assert len(tried) > 200


def test_every_number_of_the_new_parts_shows_in_html() -> None:
    card = thin()
    before = html(ads, card)
    tried = [
        (path, at)
        for path, at in numbers_of({part: card[part] for part in PARTS if part in card})
        if not UNSHOWN.fullmatch(path)
    ][::5]
    same = [path for path, at in tried if html(ads, replaced(card, path, type(at)(at * 1.37 + 1))) == before]
    assert same == []


def test_any_number_may_be_null() -> None:
    card = thin()
    for place, (path, _) in enumerate(numbers_of(card)):
        empty = replaced(card, path, None)
        told = [markdown(ads, empty)] if place % 8 else [markdown(ads, empty), html(ads, empty), summary(empty)]
        assert not any(re.search(r"\b(None|nan)\b", page) for page in told), path


@pytest.mark.parametrize("write", [markdown, html])
@pytest.mark.parametrize("part", PARTS)
def test_any_part_may_be_missing(part: str, write: Callable[..., str]) -> None:
    card = clicks()
    gone = write(ads, {name: value for name, value in card.items() if name != part})
    assert gone != write(ads, card)
    for empty in (None, [] if isinstance(card[part], list) else {}):
        assert write(ads, {**card, part: empty}) == gone


def test_a_card_without_the_new_parts_has_none_of_their_headings() -> None:
    told = markdown(shop, full())
    for heading in (
        "Calibration",
        "auction",
        "Compression",
        "Left out",
        "Wide intervals",
        "Labels",
        "Position",
        "models began",
    ):
        assert heading not in told


def test_the_pages_are_the_golden_ones() -> None:
    assert markdown(ads, clicks()) == (GOLDEN / "clicks.md").read_text("utf-8")
    told = f"{summary(clicks(), 80)}\n\n{summary(few(), 80)}\n"
    assert told == (GOLDEN / "clicks_screen.txt").read_text("utf-8")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_no_line_is_too_wide(width: int) -> None:
    assert max(cell_len(line) for card in (clicks(), few()) for line in summary(card, width).splitlines()) <= width


@pytest.mark.parametrize(("design", "card"), [(ads, clicks()), (banner, few()), (ads, {}), (banner, {})])
def test_it_is_well_formed(design: Any, card: dict[str, Any]) -> None:
    found = Tree(html(design, card))
    ids = [attributes["id"] for _, attributes, _ in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert len(found.all("a")) == (10 if card else 9)  # how a design was made that was not run is no chapter
    plots = [at for at in found.all("svg") if "plot" in (at.get("class") or "")]
    assert all(at["role"] == "img" and at["aria-label"] for at in plots)
    assert not [data for tag, data in found.text if tag == "svg"]  # words stand in elements that show them
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(design, card))
    assert all(token.type not in ("html_block", "code_block") for token in tokens)
    assert [token.info for token in tokens if token.type == "fence"] == ["mermaid"]


def test_where_fits_began_is_told_with_their_rows_or_the_reason() -> None:
    told = markdown(ads, clicks()).partition("### Where the models began")[2].partition("###")[0]
    went, scratch = "from release 20251120-07c1, which had learnt until 2025-11-20", "learnt from scratch, because"
    rows = "141,870 new rows, of 1,800,313 in all"
    assert re.findall("^- (.*)$", told.replace("\\", ""), re.M) == [
        f"rank, for the choice on validation: every rung {scratch} nothing was released yet.",
        f"rank, for the test and for serving: Logistic went on {went}, and learnt {rows}.",
        f"convert, for the test and for serving: Logistic {scratch} the features changed since release 20251120-07c1.",
    ]


def test_a_share_that_could_not_be_measured_is_none_and_its_reason_shows() -> None:
    card, why = clicks(), "no bought above 0 was final before 2025-11-20: what comes after the window is not corrected"
    card["labels"][1] |= {"window_share": None, "window_note": why}
    for told in (markdown(ads, card), html(ads, card)):
        assert "within 1d (share not measured), all after 3d" in told
        assert f"bought: {why}." in told.replace("\\", "")


def test_each_ladder_has_its_champion_and_its_own_rungs() -> None:
    card = of(clicks())
    assert [(each.name, each.label) for each in card.judged] == [("rank", "clicked"), ("convert", "bought")]
    assert [each.champion and each.champion.name for each in card.judged] == ["DCN", "Logistic"]
    assert [len(each.rungs) for each in card.judged] == [4, 2]
    assert card.champion is card.judged[0].champion
    told = markdown(ads, clicks())
    rank, convert = (told.partition(f"### {name}: P(")[2].partition("\n### ")[0] for name in ("rank", "convert"))
    assert "★ DCN" in rank
    assert "best possible" in rank
    assert "★ Logistic" in convert
    assert "BoostedTrees" not in convert
    assert "best possible" not in convert


def test_the_ladder_that_was_chosen_first_comes_first() -> None:
    card = clicks()
    card["choice"] = dict(reversed(card["choice"].items()))
    assert [each.name for each in of(card).judged] == ["convert", "rank"]
    del card["choice"]
    assert [each.champion and each.champion.name for each in of(card).judged] == ["DCN", "Logistic"]


def test_retrievers_stand_beside_the_ladder_that_they_were_judged_with() -> None:
    card = clicks()
    found = {**copy.deepcopy(card["models"][0]), "name": "Popularity", "stage": "retrieve"}
    card["models"] = [found, *card["models"][:4], found, *card["models"][4:]]
    assert [each.rungs[0].name for each in of(card).judged] == ["Popularity", "Popularity"]
    assert [len(each.rungs) for each in of(card).judged] == [5, 3]
    assert markdown(ads, card).count("| Popularity | retrieve |") == 2


def test_spots_of_the_reliability_plot_lie_where_their_numbers_say() -> None:
    """On logarithmic axes: the same line of log(value) for all, across and up, and equal scales on both."""
    page = html(ads, clicks()).partition("Predicted and observed by tenths")[2].partition("</figure>")[0]
    circles = re.findall(r'<circle cx="([\d.]+)%" cy="([\d.]+)%"', page)
    squares = re.findall(r'<svg x="([\d.]+)%" y="([\d.]+)%"', page)
    found = clicks()["calibration"]["rank"]
    bins = [*found["raw"], *found["deciles"]]
    spots = [(float(x), 100 - float(y)) for x, y in [*circles, *squares]]
    assert len(spots) == len(bins) == 20
    wanted = [(math.log(each["predicted"]), math.log(each["observed"])) for each in bins]
    scale = (spots[-1][0] - spots[0][0]) / (wanted[-1][0] - wanted[0][0])
    start = spots[0][0] - scale * wanted[0][0]
    for spot, (x, y) in zip(spots, wanted, strict=True):
        assert spot == pytest.approx((start + scale * x, start + scale * y), abs=0.02)
        assert all(0 <= at <= 100 for at in spot)


def test_likely_events_are_drawn_on_plain_axes() -> None:
    card = clicks()
    card["calibration"] = {"rank": {"rung": "DCN", "deciles": [
        {"predicted": 0.1 * place, "observed": 0.1 * place, "low": 0.0, "high": 0.2 + 0.05 * place, "n": 9}
        for place in range(2, 10)
    ]}}  # fmt: skip
    page = html(ads, card).partition("Predicted and observed by 8 parts")[2].partition("</figure>")[0]
    spots = [float(x) for x in re.findall(r'<svg x="([\d.]+)%"', page)]
    steps = [after - before for before, after in itertools.pairwise(spots)]
    assert steps == pytest.approx([steps[0]] * 7, abs=0.02)


def test_a_tenth_without_a_positive_stands_at_the_edge_and_says_so() -> None:
    page = html(banner, few()).partition("Predicted and observed by tenths")[2].partition("</figure>")[0]
    assert "without a positive stands at the lower edge" in page
    assert page.count('y="100.00%" overflow') == 2


@given(st.floats(1e-6, 0.5), st.floats(1.5, 1e5))
def test_ticks_of_a_logarithmic_axis_are_inside(low: float, times: float) -> None:
    high = low * times
    found = decades(low, high)
    assert all(low * 0.999 <= mark <= high * 1.001 for mark in found)
    assert found == sorted(set(found))
    assert len(found) <= 7
    assert found or times < 10


@pytest.mark.parametrize(
    ("value", "low", "high", "judged"),
    [
        (1.05, 1.04, 1.06, True),
        (0.91, None, None, True),
        (1.2, 1.1, 1.3, False),
        (0.7, 0.6, 0.8, False),
        (1.2, 0.9, 1.5, None),
        (1.2, None, None, None),
        (None, 0.1, 0.2, None),
    ],
)
def test_a_slice_is_off_only_where_the_interval_says_so(
    value: float | None, low: float | None, high: float | None, judged: bool | None
) -> None:
    assert off(Measured(value, low, high, 100)) is judged


def test_few_positives_are_said_to_be_few_before_anything_else() -> None:
    told = "67 of the 287 positives of click lie in the test; no rung can be told from the base rate"
    assert doubts(of(few())) == told
    assert summary(few(), 200).splitlines()[3] == f"intervals       wide: {told}"
    assert markdown(banner, few()).index(told) < markdown(banner, few()).index("## 1.")
    assert html(banner, few()).index(told) < html(banner, few()).index("<nav")


def test_the_positives_of_the_test_are_those_of_the_tenths() -> None:
    tenths = few()["calibration"]["rank"]["deciles"]
    assert round(sum(each["observed"] * each["n"] for each in tenths)) == 67
    card = few()
    card["labels"][0]["test_positives"] = 61
    assert doubts(of(card)).startswith("61 of the 287")
    del card["labels"][0]["test_positives"]
    del card["calibration"]
    card["labels"][0]["positives"] = 48
    assert doubts(of(card)).startswith("the data have 48 positives of click")


def entropies(card: dict[str, Any], first: float, second: float, half: float) -> dict[str, Any]:
    for each, value in zip(card["models"], (first, second), strict=True):
        each["metrics"] = {"normalized_entropy": {"value": value, "low": value - half, "high": value + half, "n": 900}}
    return card


@pytest.mark.parametrize(
    ("first", "second", "half", "ending"),
    [
        (1.3, 1.1, 0.05, "no rung can be shown to be better than the base rate"),
        (0.90, 0.85, 0.02, "Logistic cannot be told from HistoricalRate; the champion is not decided"),
    ],
)
def test_what_cannot_be_told_is_named(first: float, second: float, half: float, ending: str) -> None:
    assert doubts(of(entropies(few(), first, second, half))).endswith(ending)


def test_many_positives_and_narrow_intervals_raise_no_doubt() -> None:
    card = entropies(few(), 0.95, 0.85, 0.01)
    card["labels"][0]["test_positives"] = 100
    assert doubts(of(card)) == ""
    card["labels"][0]["test_positives"] = 99
    assert doubts(of(card)).startswith("99 of the 287")
    assert doubts(of(full())) == ""
    assert doubts(of({})) == ""


def test_a_metric_of_few_units_is_told_as_such_whatever_its_intervals_say() -> None:
    card = clicks()
    ladder = of(card).judged[0]
    name = ladder.champion.name if ladder.champion is not None else ""
    for n, told in ((7, True), (29, True), (30, False)):
        rung = next(one for one in card["models"] if one["name"] == name)
        rung["metrics"][ladder.primary]["n"] = n
        found = doubts(of(card))
        assert (f"rests on {n} independent units of the test, too few" in found) == told
    assert "told apart all the same" not in found or not told


def test_an_interval_wider_than_half_of_what_separates_the_rungs_is_said() -> None:
    card = entropies(few(), 0.95, 0.85, 0.0249)
    card["labels"][0]["test_positives"] = 5000
    assert doubts(of(card)) == ""
    card = entropies(card, 0.95, 0.85, 0.0251)
    told = "the interval of normalised entropy is 0.0502 wide, and the rungs lie within 0.1000"
    assert doubts(of(card)).startswith(told)
    card["comparisons"][0] |= {"low": -0.12, "high": -0.08}
    card["choice"]["decided"] = True
    assert doubts(of(card)) == f"{told}; paired on the same rows, the rungs can be told apart all the same"


def test_the_evaluation_room_fills_the_calibration() -> None:
    """Its rows, as they come, show: the tenths, the three numbers or why one has no value, and the slices."""
    rng = np.random.default_rng(0)
    chance = rng.beta(1, 30, 20_000)
    label = (rng.random(20_000) < chance).astype(int)
    device = pa.array(np.where(rng.random(20_000) < 0.5, "mobile", "desktop"))
    wrong = np.where(np.array(device.to_pylist()) == "mobile", 1.5 * chance, chance)
    overall = calibration_of(label, wrong)
    found = {"rung": "DCN", "deciles": overall.pop("deciles"), "raw": None, "overall": overall}
    card = of({"calibration": {"rank": {**found, "slices": by_slice(label, wrong, {"device": device})}}})
    assert [each.n for each in card.calibration["rank"].deciles] == [2000] * 10
    assert wrong_slices(card.calibration["rank"]) == ["device mobile"]
    told = markdown(ads, card)
    assert all(f"- **{name}**: " in told for name in ("Predicted/observed", "ECE", "Normalised entropy"))
    assert "**Undefined**" not in told


@pytest.mark.parametrize("name", ["<b>x</b>", "a|b", "\n# x", "x\x1b[2J", "`", "*"])
def test_no_name_breaks_a_page(name: str) -> None:
    card = clicks()
    card["auction"]["advertisers"][0]["advertiser"] = card["categories"][0]["column"] = name
    card["crosses"][0]["column"] = name
    card["calibration"]["rank"]["slices"][name] = {name: {"value": 1.5, "low": 1.4, "high": 1.6, "n": 9}}
    card["position"]["chances"] = {name: 0.5}
    card["left_out"][name] = card["compression"]["rank"]["tried"][0]["reason"] = card["auction"]["clicks_from"] = name
    card["training"][name] = {"device": name}
    found = Tree(html(ads, card))
    assert not found.all("b")
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(ads, card))
    assert all(token.type not in ("html_block", "html_inline") for token in tokens)
    lines = [line for line in markdown(ads, card).splitlines() if line.startswith("|")]
    rules = sum(set(line) <= set("| -:") for line in lines)
    assert [token.type for token in tokens].count("tr_open") == len(lines) - rules
    assert all(line.isprintable() for line in summary(card).splitlines())


def test_the_golden_files_stand_where_they_are_looked_for() -> None:
    files = {path.name for path in Path(GOLDEN).iterdir() if path.is_file()}  # flowcharts have a folder of their own
    assert files == {"page.md", "screen.txt", "clicks.md", "clicks_screen.txt"}
