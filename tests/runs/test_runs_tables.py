"""What a run says of its tables beside the counts."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from small_feed import Tables, design_of

import bottega as bt
from bottega.data.source import Place
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.steps.job import Job
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.systems import visual_search


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def said(design: bt.Design, folder: Path) -> list[str]:
    """Give what a second run says, whose steps are those of the first."""
    for _ in range(2):
        heard = Heard()
        with Runner(Workspace(folder / "work", design.name), heard) as runner:
            ingest_tables(Job(design, Place(folder), runner))
    return heard.lines


def test_files_among_pictures_that_are_not_read(tmp_path: Path) -> None:
    for name in ("shoe/1.png", "bag/2.png", "bag/2.heic", "c/deep/1.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(b"x")
    told = "    pictures: 1 .heic and 1 picture deeper than label/name left out"
    assert [line for line in said(visual_search.design, tmp_path) if "left out" in line] == [told]


def test_a_table_of_which_more_than_half_is_put_aside(tmp_path: Path) -> None:
    Tables.drawn(1, n=60).write(tmp_path)
    plain = design_of([bt.Popularity()], [bt.Retrieve(k=5), bt.Rank(), bt.Show(k=5)])
    assert not [line for line in said(plain, tmp_path) if "warning" in line]
    events, items = plain.data.tables
    strict = replace(events, checks=[bt.Allowed("item", ["i00"])])
    design = replace(plain, data=replace(plain.data, tables=[strict, items]))
    (warned,) = [line for line in said(design, tmp_path) if "warning" in line]
    assert warned.startswith("warning: events: ")
    assert " % of the rows are quarantined, mostly: item: not among the values allowed; see " in warned
    assert Path(warned.rpartition("see ")[2]).is_file()
