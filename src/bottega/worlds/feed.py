"""The feed world: a seeded simulator of a company's news feed whose true interests are known.

Modelled, after the figures of CI&T Deskdrop (2016-03 to 2017-02): contents that come all the time and fade within hours
to a day, so that most of what is read later does not exist yet when a log is split; people whose activity falls by a
log-normal law, and who join while the log runs; visits in working hours, of one view or more; tastes by topic,
favourite authors, a language that some do not read, headlines that appeal; no content viewed for the first time twice;
views, and what follows them: likes, bookmarks, comments, follows, of which all are more likely for whom much pleases,
for contents that please, and for what fits the taste.

Not modelled: what was shown and not viewed; places; contents that are shared, grow popular by word of mouth, or answer
to news; people who change their taste, or leave; authors who are readers; a feed whose own ranking decides what is
seen; sessions, devices and countries; texts whose words say more than the topic.

Deskdrop's figures, and those here by default: first views 40,710 and about 39,000; people 1,895 and about 1,550;
contents 2,987 and about 2,900; half of the first views within 13 hours of a content's first one and about 7; a tenth
of the people with 59 % of them and about 56 %; likes after 13.9 % of them and 12 %, bookmarks 5.4 and 5, comments 3.5
and 3, follows 3.4 and 4.

Source: G. Moreira, CI&T Deskdrop, Articles sharing and reading, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bottega.errors import DesignError
from bottega.worlds import refuse_present
from bottega.worlds.ads_tables import write_table
from bottega.worlds.feed_draw import Sizes, draw_contents, draw_people
from bottega.worlds.feed_limit import best_scores, limits, true_probabilities
from bottega.worlds.feed_log import draw_views, events_table, levels_of, write_contents
from bottega.worlds.feed_truth import Settings, Truth
from bottega.worlds.search_truth import check_number

__all__ = ["FeedWorld", "best_scores", "limits", "true_probabilities", "world"]

_WRITTEN = ("events.parquet", "contents.parquet", "truth")
_MORE = 0.8  # mean views of a visit after its first


@dataclass(frozen=True)
class FeedWorld:
    """A news feed whose true interests are known: it writes its log, and what could be known from it beside.

    It is wrong wherever a result hangs on what the module's first lines list as not modelled. A model that wins here
    has shown that it finds recency, tastes and loyalty of this form, not that people read with more profit.

    The same settings and seed give the same bytes, on one machine with the same versions of NumPy and PyArrow.

    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> home = Path(tempfile.mkdtemp())
    >>> FeedWorld(rows=1_000, days=20).write(home)
    >>> pq.read_schema(home / "events.parquet").names
    ['time', 'event', 'content_id', 'person_id']
    """

    rows: int = 40_000
    """First views, 500 to 10,000,000, by chance some more or fewer; larger gives more people, contents and authors."""
    days: int = 350
    """Length of the log, 2 to 3,650; larger leaves fewer contents a day."""
    seed: int = 0
    """Start of the random numbers, from 0; another one is another feed."""
    start: date = date(2016, 3, 14)
    """The first day, UTC; it says where the weekends lie."""
    people: int | None = None
    """Who may read, 10 to 10,000,000; not all do. None: one for 20 rows. Larger leaves fewer views for each."""
    contents: int | None = None
    """What is published, 10 to 10,000,000, a part of it in the thirty days before the log. None: one for 13 rows.
    Larger makes each rarer, so that ranking is harder."""

    def __post_init__(self) -> None:
        check_number(self, "rows", 500, 10_000_000)
        check_number(self, "days", 2, 3_650)
        check_number(self, "seed", 0, 2**63)
        check_number(self, "people", 10, 10_000_000, none=True)
        check_number(self, "contents", 10, 10_000_000, none=True)
        if type(self.start) is not date or not 1971 <= self.start.year <= 2200:
            raise DesignError(
                "FeedWorld.start", repr(self.start), "a date from 1971 to 2200", "start=date(2016, 3, 14)"
            )

    def write(self, folder: Path) -> None:
        """Write `events.parquet`, `contents.parquet` and `truth/`, what `best_scores` reads, below a folder.

        Time grows as views × contents of thirty days. Raises `DataError` where one of them is there.
        """
        refuse_present(folder, _WRITTEN)
        contents = self.contents or max(10, self.rows // 13)
        sizes = Sizes(self.people or max(10, self.rows // 20), contents, max(5, contents // 25))
        start = int(np.datetime64(self.start, "us").astype(np.int64))
        streams = [np.random.default_rng([self.seed, part]) for part in range(4)]
        truth = Truth(
            Settings(start, self.days, _MORE, []),
            draw_people(streams[0], sizes, start, self.days, self.rows / (1 + _MORE)),
            draw_contents(streams[1], sizes, start, self.days),
        )
        views = draw_views(truth, streams[2])
        levels = [round(level, 9) for level in levels_of(truth, views).tolist()]
        truth = replace(truth, settings=replace(truth.settings, levels=levels))
        truth.save(folder / "truth")
        write_contents(folder, truth, streams[3])
        write_table(folder / "events.parquet", events_table(truth, streams[2], views))


def world(seed: int, rows: int | None = None, **settings: Any) -> FeedWorld:
    """Give the world as it stands in for a person's data; rows: of its own where none are given."""
    if rows is not None:
        settings["rows"] = rows
    return FeedWorld(seed=seed, **settings)
