"""The page in a real browser: nothing is wider than the window, light and dark, and plots come to life by a click."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from report_cards import full, shop
from report_click_cards import ads, clicks
from test_report_documents import blocks, odd

from bottega import systems
from bottega.reporting.drawing.plan import plan
from bottega.reporting.drawing.svg import svg
from bottega.reporting.html import html

pytestmark = browser.needed
CASES = {"shop": (shop, full()), "ads": (ads, clicks()), "bare": (shop, {}), "odd": odd("x" * 90 + "<b>日本語🦊" * 9)}
CASES |= {name: (systems.find(name), {}) for name in systems.names()}
ALL = "[...document.querySelectorAll('figure button')]"
LIT = "[...document.querySelectorAll('.live svg')]"


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    with browser.tab() as found:
        yield found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_wider_than_the_window(case: str, width: int, dark: bool, tab: browser.Tab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(html(*CASES[case], interactive=case in ("shop", "ads", "odd")), "utf-8")
    tab.open(file, width, dark)
    assert tab.tell("innerWidth") == width
    assert tab.tell("document.documentElement.scrollWidth") <= width
    tab.tell(f"for (const each of {ALL}) each.click()")
    tab.tell(f"new Promise(done => setTimeout(done, {ALL}.length ? 300 : 0))")
    assert tab.tell("document.documentElement.scrollWidth") <= width
    assert tab.said == []


@pytest.mark.parametrize("case", ["shop", "ads", "odd"])
def test_plots_come_to_life_and_go_back(case: str, tab: browser.Tab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(html(*CASES[case], interactive=True), "utf-8")
    tab.open(file)
    many = len(blocks(*CASES[case]))
    assert tab.tell(f"{ALL}.length") == many > 4
    assert tab.tell(f"{LIT}.length") == 0
    tab.tell(f"for (const each of {ALL}) each.click()")
    there = f"{LIT}.filter(each => each.getBoundingClientRect().width > 200).length"
    tab.tell(f"new Promise(done => {{ const ask = () => {there} == {many} ? done() : setTimeout(ask, 50); ask(); }})")
    still = (
        "[...document.querySelectorAll('figure.wakes .rows, figure.wakes .field')].filter(each => each.offsetHeight)"
    )
    assert tab.tell(f"{still}.length") == 0
    tab.tell(f"for (const each of {ALL}) each.click()")
    assert tab.tell(f"{still}.length") == many
    assert tab.said == []


def test_a_damaged_plot_leaves_the_still_picture(tab: browser.Tab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(
        html(shop, full(), interactive=True).replace('"vega-lite/', '"other/').replace('"layer":', '"nolayer":'),
        "utf-8",
    )
    tab.open(file)
    shown = "document.querySelector('figure.wakes .rows').offsetHeight > 0"
    tab.tell(f"{ALL}[0].click()")
    tab.tell(f"new Promise(done => {{ const ask = () => {shown} ? done() : setTimeout(ask, 50); ask(); }})")
    tab.said.clear()


@pytest.mark.parametrize("case", [*systems.names(), "measured", "odd"])
def test_words_lie_inside_their_boxes_as_a_browser_sets_them(case: str, tab: browser.Tab, tmp_path: Path) -> None:
    """Widths are told by the browser's own fonts, and not by the table that the layout believes."""
    given = {"measured": (shop, full()), "odd": odd("Wm" * 60)}
    chart = plan(*given[case]) if case in given else plan(systems.find(case))
    file = tmp_path / "flow.svg"
    file.write_text(svg(chart), "utf-8")
    tab.open(file)
    wide = """
        [...document.querySelectorAll('g')].flatMap(group => {
          const around = group.querySelector('.flow-box, rect.flow-chip');
          if (!around) return [];
          const box = around.getBBox();
          return [...group.querySelectorAll('text')].map(each => [each.textContent, each.getBBox()])
            .filter(([, at]) => at.x < box.x || at.x + at.width > box.x + box.width
                                || at.y < box.y || at.y + at.height > box.y + box.height + 1)
            .map(([words, at]) => [words, at.width, box.width]);
        })"""
    assert tab.tell("document.querySelectorAll('text').length") > 30
    assert tab.tell(wide) == []
