"""The search world: a seeded simulator of a search engine's log whose true relevance is known.

Modelled: queries and people whose frequencies fall by a Zipf law; about forty candidates a query, each seen by twenty
numbers as engines have them (text scores, title match, authority, popularity, freshness, rates of earlier clicks…);
queries that only new pages answer, and queries that look for one certain page; spam, whose words promise what is not
there; a ranker that sorts by text and authority, shows ten, and adds a noise of the moment, so that a page stands in
several places for a query; a share of pages in random order (`shuffled`), from which the bias of the places can be
read; clicks by examination of the place × attraction of the true grade; editors who judge all candidates of some
queries without error.

No number alone says the relevance: text scores count spam as well and grow with the query's length, newness counts for
some queries only, and quality adds to a match, and multiplies it. Two mislead: `past_ctr` and `past_shows` were counted
in the places where the same ranker put things, so that they praise what it liked.

Not modelled: pages that are looked at otherwise than place by place, and clicks that hang on the others of a page or on
the person; texts of documents; numbers that change while the log runs, and pages that come and go; editors who err or
disagree; queries that want several kinds of answers; people's tastes; robots.

Source: the examination hypothesis, Richardson and others, 2007; the attraction of graded relevance, Chapelle and
others, Expected Reciprocal Rank, 2009; the numbers are named after those of Microsoft's learning-to-rank sets (Qin and
Liu, arXiv 1306.2597).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bottega.errors import DesignError
from bottega.worlds import refuse_present
from bottega.worlds.ads_draw import zipf
from bottega.worlds.search_draw import draw_documents, draw_pairs, draw_queries
from bottega.worlds.search_limit import limits, true_probabilities, yardsticks
from bottega.worlds.search_log import draw_day, write_day, write_static
from bottega.worlds.search_truth import Settings, Truth, check_number

__all__ = ["SearchWorld", "limits", "true_probabilities", "world", "yardsticks"]

_EACH = 8  # searches of a person, on average
_WRITTEN = ("impressions", "rows", "truth", "queries.parquet", "documents.parquet", "judgements.parquet")


@dataclass(frozen=True)
class SearchWorld:
    """A search engine whose true relevance is known: it writes its log, its editors' grades, and the truth beside.

    P(click) = position^−bias · (0.04 + 0.66 (2^grade − 1) / 15).

    It is wrong wherever a result hangs on what the module's first lines list as not modelled. A ranker that wins here
    has shown that it learns relevance of this form through a bias of places, not that people find more.

    The same settings and seed give the same bytes, on one machine with the same versions of NumPy and PyArrow.

    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> home = Path(tempfile.mkdtemp())
    >>> SearchWorld(rows=2_000, days=2).write(home)
    >>> pq.read_schema(home / "judgements.parquet").names[:6]
    ['query_id', 'query', 'document_id', 'grade', 'split', 'bm25_body']
    """

    rows: int = 400_000
    """Impressions, 1,000 to 1,000,000,000; to the next whole page; some fewer where a query has
    fewer candidates than a page has places. Larger gives each model more to learn."""
    days: int = 14
    """Length of the log, 1 to 365; larger makes a day smaller. A day without a search has no file."""
    seed: int = 0
    """Start of the random numbers, from 0; another one is another world."""
    start: date = date(2024, 3, 4)
    """The first day, UTC."""
    queries: int | None = None
    """Texts searched for, 20 to 1,000,000; none: one for 250 rows. Larger leaves fewer clicks for each."""
    candidates: int = 40
    """Mean number of candidates of a query, 2 to 500; larger hides more behind the first page."""
    slots: int = 10
    """Places of a page, 1 to 50."""
    bias: float = 1.0
    """How fast places are looked at less, 0 to 3: 0 is no bias, and larger makes clicks say more about places."""
    noise: float = 0.4
    """Spread of the ranker's noise of the moment, 0 to 10, against a spread of its score of 1; larger lets each
    candidate stand in more places, and makes the pages worse."""
    shuffled: float = 0.05
    """Share of the pages in random order, 0 to 1."""
    judged: float = 0.5
    """Share of the queries that editors judge, above 0 to 1; larger gives more to learn from and surer tests."""

    def __post_init__(self) -> None:
        check_number(self, "rows", 1_000, 1_000_000_000)
        check_number(self, "days", 1, 365)
        check_number(self, "seed", 0, 2**63)
        check_number(self, "queries", 20, 1_000_000, none=True)
        check_number(self, "candidates", 2, 500)
        check_number(self, "slots", 1, 50)
        check_number(self, "bias", 0, 3, whole=False)
        check_number(self, "noise", 0, 10, whole=False)
        check_number(self, "shuffled", 0, 1, whole=False)
        check_number(self, "judged", 0.01, 1, whole=False)
        if type(self.start) is not date or not 1970 <= self.start.year <= 2200:
            raise DesignError(
                "SearchWorld.start", repr(self.start), "a date from 1970 to 2200", "start=date(2024, 3, 4)"
            )

    def write(self, folder: Path) -> None:
        """Write the log, its tables and the truth below a folder.

        `impressions/DATE.parquet` a day, in order of time and place; `queries.parquet`, `documents.parquet`;
        `judgements.parquet`, the editors' grades of all candidates of some queries, parted by query (`split`); `rows/`,
        one table to learn from clicks and to be judged by grades: the impressions of queries that nobody judges, and
        the judgements of validation and test, `query, row, part, label, position` and the match features;
        `truth/`, what `limits` and `true_probabilities` read. Memory grows as the candidates of all queries, and as a
        day's rows. Raises `DataError` where any of them is there.
        """
        refuse_present(folder, _WRITTEN)
        settings = Settings(
            start=int(np.datetime64(self.start, "us").astype(np.int64)),
            days=self.days,
            bias=float(self.bias),
            slots=self.slots,
            noise=float(self.noise),
            shuffled=float(self.shuffled),
        )
        rng, count = np.random.default_rng([self.seed, 0]), self.queries or max(20, self.rows // 250)
        searches = -(-self.rows // min(self.slots, self.candidates))
        queries = draw_queries(rng, count, self.judged)
        documents = draw_documents(rng, count, self.candidates, settings.start)
        pairs, seen = draw_pairs(rng, queries, documents, settings.start, self.candidates, searches // 2, settings.bias)
        truth = Truth(settings, queries, documents, pairs)
        people = zipf(rng, max(1, searches // _EACH), 0.7)
        truth.save(folder / "truth")
        write_static(folder, truth, seen)
        first = 1
        for day, some in enumerate(np.diff(np.arange(self.days + 1) * searches // self.days)):
            if some:
                shown = draw_day(truth, np.random.default_rng([self.seed, 1, day]), day, int(some), people)
                write_day(folder, truth, seen, shown, first)
                first += int(some)


def world(seed: int, rows: int | None = None, **settings: Any) -> SearchWorld:
    """Give the world as it stands in for a person's data; rows: of its own where none are given."""
    if rows is not None:
        settings["rows"] = rows
    return SearchWorld(seed=seed, **settings)
