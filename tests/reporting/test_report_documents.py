"""The document as files: what stands in them, with and without the parts for plots and paper, whatever the names."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from report_cards import fraud, full, shop
from report_click_cards import ads, clicks
from test_report_html import Tree

import bottega as bt
from bottega import systems
from bottega.errors import BuildError, DataError
from bottega.reporting import documents as made
from bottega.reporting import plots
from bottega.reporting.blocks import Bars, Dots, Plane, Plot
from bottega.reporting.documents import FOLDER, documents
from bottega.reporting.figures import span
from bottega.reporting.html import html
from bottega.reporting.markdown import markdown
from bottega.reporting.page import page
from bottega.reporting.typst import markup, text

CASES: dict[str, tuple[bt.Design, dict[str, Any]]] = {
    "shop": (shop, full()),
    "ads": (ads, clicks()),
    "bare": (fraud, {}),
}


def blocks(design: bt.Design, card: dict[str, Any]) -> list[Plot]:
    return [block for section in page(design, card).sections for block in section.blocks if isinstance(block, Plot)]


@pytest.mark.parametrize("case", CASES)
def test_the_same_scorecard_gives_the_same_bytes(case: str) -> None:
    design, card = CASES[case]
    found = documents(design, card)
    assert found == documents(design, card)
    assert set(found) >= {"report.html", "report.md", "report.pdf"}
    assert len([name for name in found if name.startswith(FOLDER)]) == len(blocks(design, card))


def test_the_page_lets_its_own_script_run_and_no_other() -> None:
    found = Tree(html(shop, full(), interactive=True))
    scripts = [
        (at, data) for (tag, at, _), data in zip(_elements(found), _texts(found), strict=True) if tag == "script"
    ]
    running = [data for at, data in scripts if at.get("type") == "module"]
    assert len(running) == 1
    (policy,) = [at["content"] for at in found.all("meta") if "http-equiv" in at]
    digest = base64.b64encode(hashlib.sha256(running[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert {at.get("type") for at, _ in scripts} == {"module", "application/json"}
    assert [json.loads(data) for at, data in scripts if at["type"] != "module"] == [
        plots.spec(each) for each in blocks(shop, full())
    ]


def test_without_scripts_the_still_pictures_are_there() -> None:
    """The interactive page is the still one, with a place and a specification for each picture, and the script."""
    lively, still = html(shop, full(), interactive=True), html(shop, full())
    bare = re.sub(r'<div class="live" hidden=""></div><script type="application/json">.*?</script>', "", lively)
    bare = re.sub(r'<script type="module">.*</script>', "", bare, flags=re.DOTALL).replace('class="wakes ', 'class="')
    assert re.sub(r"; script-src &#x27;sha256-.*?&#x27;", "", bare) == still
    assert len(lively) - len(still) < 1_000_000


@pytest.mark.parametrize("case", ["shop", "ads"])
def test_plots_hold_the_numbers_of_the_page(case: str) -> None:
    for block in blocks(*CASES[case]):
        told = plots.spec(block)
        rows = [row for values in told["datasets"].values() for row in values]
        if isinstance(block, Dots):
            for dot in block.dots:
                assert {"label": dot.label, "value": dot.value, "low": dot.low, "high": dot.high} in [
                    {name: row.get(name) for name in ("label", "value", "low", "high")} for row in rows
                ]
            assert told["layer"][-1]["encoding"]["x"]["scale"]["domain"] == list(span(block)[:2])
        elif isinstance(block, Bars):
            assert {(bar.label, bar.share) for bar in block.bars} <= {(row["label"], row["share"]) for row in rows}
        elif isinstance(block, Plane):
            spots = {spot.told for series in block.series for spot in series.spots}
            assert spots <= {row.get("told") for row in rows}


def test_markdown_names_each_picture_that_is_written() -> None:
    found = documents(ads, clicks(), ["md"])
    named = re.findall(r"!\[.*\]\((.+?)\)$", found["report.md"].decode(), re.MULTILINE)
    assert named == sorted(set(found) - {"report.md"})
    assert all(found[name].startswith(b"<svg") for name in named)
    assert not re.search(rb"var\(--", b"".join(found[name] for name in named))


def test_a_design_that_was_not_run_is_a_document_too() -> None:
    for name in systems.names():
        found = documents(systems.find(name), {}, ["html", "md"])
        told = found["report.md"].decode()
        assert "A design that was not run" in told
        assert "### Not measured: the design was not run" in told
        assert "- Latencies under load." in told
        Tree(found["report.html"].decode())


@pytest.mark.parametrize("name", systems.names())
def test_a_design_that_was_not_run_says_once_what_is_missing(name: str) -> None:
    """No chapter speaks of a build that is not there, no sign where nothing is judged, no heading is bare."""
    told = markdown(systems.find(name), {})
    assert "build" not in re.sub(r"`.*?`", "", told.partition("## 1. Scope")[2]).partition("## Open")[0]
    assert not re.search(r"^(> )?– ", told, re.MULTILINE)
    assert not re.search(r"^#+ .*\n+(?=#+ |\Z)(?!### )", told, re.MULTILINE)
    assert not re.search(r"\ba [aeiou]\w* for\b", told)


def test_what_is_not_decided_is_listed_and_no_more() -> None:
    told = markdown(fraud, {}).partition("### Not decided by the design")[2].partition("###")[0]
    assert "How soon an answer must come." in told
    assert "When it learns again." in told
    assert "payments" in told  # its licence
    assert "there is no goal" not in told
    assert "What each kind of error costs" not in told
    whole = markdown(shop, {}).partition("### Not decided by the design")[2].partition("###")[0]
    assert [line for line in whole.splitlines() if line] == []


def test_what_was_silenced_is_told_with_its_reason() -> None:
    silent = msgspec.structs.replace(shop, silenced={"R5<b>": "we *know*"})
    assert "### Findings of review that are silenced\n\n- `R5<b>`: we \\*know\\*" in markdown(silent, full())
    assert "<code>R5&lt;b&gt;</code>: we *know*" in html(silent, full())


def test_formats_are_what_was_asked_for() -> None:
    assert set(documents(shop, {}, ["pdf"])) == {"report.pdf"}
    assert documents(shop, {}, ["pdf"])["report.pdf"].startswith(b"%PDF-")
    with pytest.raises(BuildError, match="docx"):
        documents(shop, {}, ["docx"])


def test_without_the_parts_for_plots_it_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made.plots, "available", lambda: False)
    found = documents(shop, full())
    assert set(found) == {"report.html", "report.md"}
    assert found["report.html"].decode() == html(shop, full())
    assert found["report.md"].decode() == markdown(shop, full())
    with pytest.raises(BuildError, match=re.escape("pip install 'bottega[report]'")):
        documents(shop, full(), ["pdf"])


def test_a_scorecard_of_the_wrong_shape_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="bottega run"):
        documents(shop, {"models": 7})


ODD = st.one_of(
    st.text(max_size=60),
    st.sampled_from(['#"]', "\\u{41}", "$x$ @y <z>", "[a](b) *c* _d_", "//", "a" * 300, "مرحبا 🦊 日本"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=4))
def test_any_text_is_itself_on_paper(words: list[str]) -> None:
    """Typst reads its strings again: nothing of a name is markup, and only places to break it were added."""
    source = "\n".join(f"#metadata({text(each)}) <word>" for each in words)
    found = [entry["value"] for entry in json.loads(typst.query(source.encode(), "<word>"))]
    flat = ["".join(sign if sign.isprintable() else " " for sign in each) for each in words]
    assert [each.replace("\u200b", "") for each in found] == [each.replace("\u200b", "") for each in flat]


@pytest.mark.parametrize(
    "name",
    ['#panic("x")', "<script>", "x" * 400, "مرحبا " * 30, "日本語🦊" * 40, "\\", '"', "]]", "\ud800x\x00\u202e"],
)
def test_any_name_can_be_set(name: str) -> None:
    assert documents(*odd(name))["report.pdf"].startswith(b"%PDF-")


@pytest.mark.parametrize("case", [*CASES, "odd"])
def test_nothing_reaches_into_the_margins_of_the_paper(case: str) -> None:
    """The pages are looked at: left and right of the words there is paper alone."""
    design, card = CASES.get(case) or odd("x" * 90 + "_" * 60 + "日本語🦊" * 40)
    drawn = [plots.printed(block) for block in blocks(design, card)]
    found = typst.compile(markup(page(design, card), drawn).encode(), format="png", ppi=72)
    for drawing in found if isinstance(found, list) else [found]:
        paper = Image.open(io.BytesIO(drawing)).convert("L")
        wide, high = paper.size
        margin = int(14 / 25.4 * 72)  # of the 17 mm that they have
        assert paper.crop((0, 0, margin, high)).getextrema() == (255, 255)
        assert paper.crop((wide - margin, 0, wide, high)).getextrema() == (255, 255)


def odd(name: str) -> tuple[bt.Design, dict[str, Any]]:
    """A design and its scorecard in which a person chose a strange name."""
    scope = msgspec.structs.replace(shop.scope, question=name, decision=name, guardrails=[name], assumptions=[name])
    design = msgspec.structs.replace(shop, scope=scope, silenced={name: name})
    card = full()
    values = {name: {"ndcg@20": {"value": 0.3, "low": 0.2, "high": 0.4, "n": 9}}}
    card["models"][2]["slices"] = {name: values, "cold": values}
    card["steps"][0]["name"] = card["release"]["gates"][0]["detail"] = name
    return design, card


def _elements(found: Tree) -> Iterator[tuple[str, dict[str, str | None], tuple[str, ...]]]:
    return (each for each in found.elements if each[0] == "script")


def _texts(found: Tree) -> Iterator[str]:
    return (data for tag, data in found.text if tag == "script")
