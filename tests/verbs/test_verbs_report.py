"""`bottega report`: the document of a design, before and after a run, and one clear error else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tiny_shop import Built

from bottega import systems
from bottega.errors import BuildError, DataError
from bottega.reporting.documents import FOLDER
from bottega.verbs.report import report


def test_before_any_run_it_says_what_is_missing(tmp_path: Path) -> None:
    for name in systems.names():
        pages = report(name, workspace=tmp_path, formats=["html", "md"])
        assert [page.name for page in pages] == ["report.md", "report.html"]
        told = pages[0].read_text("utf-8")
        assert "A design that was not run" in told
        assert "- Release gates." in told
        assert "- Parity of training and serving." in told


def test_after_a_run_it_holds_what_was_measured(built: Built, tmp_path: Path) -> None:
    pages = report(built.design, workspace=built.workspace, out=tmp_path)
    assert [page.name for page in pages] == ["report.md", "report.html", "report.pdf"]
    told = pages[0].read_text("utf-8")
    assert "not run" not in told
    assert built.card["build"] in told
    assert sorted(f"{FOLDER}/{path.name}" for path in (tmp_path / FOLDER).iterdir()) == [
        line.rpartition("(")[2].rstrip(")") for line in told.splitlines() if line.startswith("![")
    ]
    assert pages[2].read_bytes().startswith(b"%PDF-")
    assert [page.read_bytes() for page in report(built.design, workspace=built.workspace, out=tmp_path / "again")] == [
        page.read_bytes() for page in pages
    ]


def test_one_format_alone(tmp_path: Path) -> None:
    assert report("news-feed", workspace=tmp_path, formats=["pdf"]) == [tmp_path / "news-feed" / "report.pdf"]
    with pytest.raises(BuildError, match="docx"):
        report("news-feed", workspace=tmp_path, formats=["docx"])


def test_a_build_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="b1"):
        report("news-feed", workspace=tmp_path, build="b1")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": 7}'])
def test_a_damaged_scorecard_is_one_clear_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "news-feed").mkdir()
    (tmp_path / "news-feed" / "scorecard.json").write_text(content)
    with pytest.raises(DataError, match="bottega run"):
        report("news-feed", workspace=tmp_path)
    assert [path.name for path in (tmp_path / "news-feed").iterdir()] == ["scorecard.json"]


def test_parts_of_a_scorecard_may_be_missing(built: Built, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    for part in built.card:
        card = {name: value for name, value in built.card.items() if name != part}
        (tmp_path / "tiny" / "scorecard.json").write_bytes(msgspec.json.encode(card))
        assert len(report(built.design, workspace=tmp_path, formats=["html", "md"])) == 2
