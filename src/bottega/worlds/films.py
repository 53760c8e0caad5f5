"""The films world: a seeded simulator of people who rate films, whose true tastes are known.

Modelled: people who join and leave, whose activity falls by a log-normal law; films that come out while the log runs,
draw most in their first weeks, and are known by title, genres and year; a few films that very many watch; tastes by
genre, which the films' table tells, and by traits that nothing tells; visits of one rating or more, mostly in the
evening and at the week's end; ratings from 1 to 5 in halves, by a person's level, the film's quality and the taste,
with noise; levels that drift, most of them down. A film is watched by interest, once, and only what was watched is
rated: what is missing is not missing at random, and the mean of the ratings is above what a random film would get.

Not modelled: what was watched and not rated; what a page suggested; series, casts and directors; tastes that change;
people who hear of films from each other; a liking for whole numbers; several people behind one account; ratings that
are changed, or entered twice; titles whose words say more than the genres.

By default about 120,000 ratings of 1,500 people and 1,200 films in two years: a tenth of the people give about four of
ten ratings, a tenth of the films get about four of ten, and half of the ratings are at least 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bottega.errors import DesignError
from bottega.worlds import refuse_present
from bottega.worlds.ads_tables import write_table
from bottega.worlds.films_draw import draw_films, draw_people
from bottega.worlds.films_limit import RATINGS, best_scores
from bottega.worlds.films_log import ratings_table, write_films
from bottega.worlds.films_truth import Settings, Truth
from bottega.worlds.search_truth import check_number

__all__ = ["FilmsWorld", "best_scores", "world"]

_WRITTEN = (RATINGS, "films.parquet", "truth")
_MORE = 3.0  # mean ratings of a visit after its first


@dataclass(frozen=True)
class FilmsWorld:
    """Ratings of films whose true tastes are known: it writes the log, and what could be known from it beside.

    It is wrong wherever a result hangs on what the module's first lines list as not modelled. A model that wins here
    has shown that it finds tastes of this form in what people chose to watch, not that they enjoy their evenings more.

    The same settings and seed give the same bytes, on one machine with the same versions of NumPy and PyArrow.

    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> home = Path(tempfile.mkdtemp())
    >>> FilmsWorld(rows=1_000, days=60).write(home)
    >>> pq.read_schema(home / "ratings.parquet").names
    ['user', 'item', 'rating', 'time']
    """

    rows: int = 120_000
    """Ratings, 1,000 to 2,000,000, by chance some more or fewer; larger gives more people, and more films."""
    days: int = 730
    """Length of the log, 2 to 3,650; larger spreads a person's ratings over more time."""
    seed: int = 0
    """Start of the random numbers, from 0; another one is another world."""
    start: date = date(2022, 1, 3)
    """The first day, UTC; it says where the week's ends lie."""
    people: int | None = None
    """Who may watch, 10 to 1,000,000; not all do. None: one for 80 rows. Larger leaves fewer ratings for each."""
    films: int | None = None
    """What is ever out, 10 to 100,000. None: 1,200, and twice as many for four times the rows. Larger makes each rarer,
    so that ranking is harder."""

    def __post_init__(self) -> None:
        check_number(self, "rows", 1_000, 2_000_000)
        check_number(self, "days", 2, 3_650)
        check_number(self, "seed", 0, 2**63)
        check_number(self, "people", 10, 1_000_000, none=True)
        check_number(self, "films", 10, 100_000, none=True)
        if type(self.start) is not date or not 1971 <= self.start.year <= 2200:
            raise DesignError(
                "FilmsWorld.start", repr(self.start), "a date from 1971 to 2200", "start=date(2022, 1, 3)"
            )

    def write(self, folder: Path) -> None:
        """Write `ratings.parquet`, `films.parquet` and `truth/`, what `best_scores` reads, below a folder.

        Time grows as visits × films, memory as people × films. Raises `DataError` where one of them is there.
        """
        refuse_present(folder, _WRITTEN)
        films = self.films or max(10, round(1_200 * (self.rows / 120_000) ** 0.5))
        streams = [np.random.default_rng([self.seed, part]) for part in range(4)]
        truth = Truth(
            Settings(int(np.datetime64(self.start, "us").astype(np.int64)), self.days, _MORE),
            draw_people(streams[0], self.people or max(10, self.rows // 80), self.days, self.rows / (1 + _MORE)),
            draw_films(streams[1], films, self.days),
        )
        truth.save(folder / "truth")
        write_films(folder, truth, streams[2])
        write_table(folder / RATINGS, ratings_table(truth, streams[3]))


def world(seed: int, rows: int | None = None, **settings: Any) -> FilmsWorld:
    """Give the world as it stands in for a person's data; rows: of its own where none are given."""
    if rows is not None:
        settings["rows"] = rows
    return FilmsWorld(seed=seed, **settings)
