"""Tables of one's own that lack a column which the design does without."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottega.data.source import Place
from bottega.runs.steps.fitting import without_missing
from bottega.systems import news_feed


@pytest.mark.parametrize(
    ("head", "timed", "gone"),
    [
        ("content_id", False, {"published_at", "author", "topic", "language"}),
        ("content_id,topic", False, {"published_at", "author", "language"}),
        ("content_id,timestamp", True, {"author", "topic", "language"}),
    ],
)
def test_contents_need_no_column_that_may_be_missing(head: str, timed: bool, gone: set[str], tmp_path: Path) -> None:
    values = {"content_id": "c1", "topic": "sports", "timestamp": "1600000000"}
    row = ",".join(values[name] for name in head.split(","))
    (tmp_path / "contents.csv").write_text(f"{head}\n{row}\n")
    (tmp_path / "events.csv").write_text("person_id,content_id,timestamp\np,c1,1600000001\n")
    design, told = without_missing(news_feed.design, Place(tmp_path))
    table = next(table for table in design.data.tables if table.name == "contents")
    assert table.time == ("published_at" if timed else None)
    assert "not there, left out" in told[0]
    assert all(name in told[0] for name in gone)
    looked = {column for part in design.features for column in getattr(part, "columns", ())}
    assert not looked & gone
    assert ("since_published" in repr(design.features)) == timed
