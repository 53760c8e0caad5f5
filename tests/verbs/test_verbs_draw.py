"""`bottega draw`: a file of the kind that was asked for, before and after a run, and one clear error else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from tiny_shop import Built, changed, tiny_design

import bottega as bt
from bottega.errors import BuildError, DataError, DesignError
from bottega.verbs import draw as module
from bottega.verbs.draw import draw

STARTS = {"svg": b"<svg", "mmd": b"flowchart LR\n", "png": b"\x89PNG", "pdf": b"%PDF-"}


@pytest.mark.parametrize("kind", STARTS)
def test_each_kind_by_its_ending_and_by_its_name(kind: str, tmp_path: Path) -> None:
    by_ending = draw("news-feed", workspace=tmp_path, out=tmp_path / f"feed.{kind}")
    assert by_ending.read_bytes().startswith(STARTS[kind])
    by_name = draw("news-feed", workspace=tmp_path, out=tmp_path / "feed", format=kind)
    assert by_name == tmp_path / "feed"
    assert by_name.read_bytes().startswith(STARTS[kind])


def test_it_stands_in_the_workspace_where_nothing_is_said(tmp_path: Path) -> None:
    assert draw("news-feed", workspace=tmp_path) == tmp_path / "news-feed" / "flowchart.svg"
    assert draw("news-feed", workspace=tmp_path, format="mmd") == tmp_path / "news-feed" / "flowchart.mmd"


def test_before_and_after_a_run(built: Built, tmp_path: Path) -> None:
    bare = draw(built.design, workspace=tmp_path, out=tmp_path / "bare.mmd").read_text()
    assert "slowest" not in bare
    assert "champion" not in bare.replace("by the champion of", "").replace("champions", "")
    told = draw(built.design, workspace=built.workspace, out=tmp_path / "measured.mmd").read_text()
    assert told.count("slowest: ") == 1
    assert f"★ {built.card['champions']['rank']}, champion" in told
    assert f"{built.card['data']['accepted']:,} rows" in told
    again = draw(built.design, workspace=built.workspace, build=built.card["build"], out=tmp_path / "build.mmd")
    assert again.read_text() == told.replace('-->|"released"| bundle', "--> bundle")


def test_names_in_any_script_are_drawn(tmp_path: Path) -> None:
    odd = 'x<y & "z" 🦊 مرحبا ' + "w" * 80
    design = tiny_design()
    path = [*design.serving.path[:-1], bt.Quota(by="product", at_most=1, first=5, name=odd), design.serving.path[-1]]
    design = changed(design, serving=changed(design.serving, path=path))
    drawn = draw(design, workspace=tmp_path, out=tmp_path / "odd.svg").read_text("utf-8")
    titles = [each.text or "" for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")]
    assert any(odd in title for title in titles)
    assert draw(design, workspace=tmp_path, out=tmp_path / "odd.png").read_bytes().startswith(STARTS["png"])


def test_what_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match="one of svg, mmd, png, pdf"):
        draw("news-feed", workspace=tmp_path, out=tmp_path / "feed.jpg")
    with pytest.raises(BuildError, match="whose ending says no format"):
        draw("news-feed", workspace=tmp_path, out=tmp_path / "feed")
    with pytest.raises(BuildError, match="svg"):
        draw("news-feed", workspace=tmp_path, format="swg")
    with pytest.raises(BuildError, match="b1"):
        draw("news-feed", workspace=tmp_path, build="b1")
    with pytest.raises(DesignError, match="news-feed"):
        draw("news-fed", workspace=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="--out"):
        draw("news-feed", workspace=tmp_path, out=tmp_path / "file" / "feed.svg")
    monkeypatch.setattr(module, "available", lambda: False)
    with pytest.raises(BuildError, match=r"pip install 'bottega\[report\]'"):
        draw("news-feed", workspace=tmp_path, format="png")
    assert draw("news-feed", workspace=tmp_path).is_file()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": 7}', "\x00"])
def test_a_damaged_scorecard_is_one_clear_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "news-feed").mkdir()
    (tmp_path / "news-feed" / "scorecard.json").write_text(content)
    with pytest.raises(DataError, match="bottega run"):
        draw("news-feed", workspace=tmp_path)


def test_parts_of_a_scorecard_may_be_missing(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for part in built.card:
        card = {name: value for name, value in built.card.items() if name != part}
        (folder / "scorecard.json").write_bytes(msgspec.json.encode(card))
        assert draw(built.design, workspace=tmp_path).read_bytes().startswith(b"<svg")
