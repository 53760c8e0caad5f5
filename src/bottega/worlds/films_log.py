"""How a films world's days go by: who comes, what they watch, how they rate it, and the tables that say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.worlds.ads_tables import MOMENT, write_table
from bottega.worlds.films_draw import GENRES, draw_titles
from bottega.worlds.films_truth import DAY, HOUR, HOURS, Floats, Ints, Truth, rated

_PAUSE = 40_000_000  # microseconds: mean time between two ratings of a visit


def ratings_table(truth: Truth, rng: np.random.Generator) -> pa.Table:
    """Let the days go by, and give the log in order of time.

    Each visitor rates one film, and a Poisson number more, drawn by interest among those that are out and that they
    have not rated before.
    """
    people, settings = truth.people, truth.settings
    everybody = np.arange(len(people.id))
    seen = np.zeros((len(people.id), len(truth.films.id)), np.bool_)
    parts: list[tuple[Ints, Ints, Floats, Ints]] = []
    for day in range(settings.days):
        who = everybody[rng.random(len(everybody)) < truth.visits(everybody, day)]
        count = 1 + rng.poisson(settings.more, len(who))
        liking = truth.liking(who)
        pull = np.where(seen[who], -np.inf, truth.pull(liking, day)) + rng.gumbel(size=liking.shape)
        film = _largest(pull, count.max(initial=0))  # in the order of the draws
        there = np.take_along_axis(pull, film, axis=1) > -np.inf
        row, turn = np.nonzero(there & (np.arange(film.shape[1]) < count[:, None]))
        met = film[row, turn]
        seen[who[row], met] = True
        points = rated(rng, truth.expected(who, liking, day)[row, met])
        moments = settings.start + day * DAY + _moments(rng, *film.shape)
        parts.append((who[row], met, points, moments[row, turn]))
    person, film, points, at = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    by_time = np.lexsort((person, at))
    columns = {
        "user": people.id[person[by_time]],
        "item": truth.films.id[film[by_time]],
        "rating": points[by_time],
        "time": pa.array(at[by_time], pa.int64()).cast(MOMENT),
    }
    return pa.table(columns)


def write_films(folder: Path, truth: Truth, rng: np.random.Generator) -> None:
    """Write `films.parquet`, in order of release."""
    films, names = truth.films, np.array(list(GENRES))
    order = np.argsort(films.released, kind="stable")
    released = np.datetime64(truth.settings.start, "us").astype("M8[D]") + films.released
    columns = {
        "item": films.id,
        "title": pa.array(draw_titles(rng, films.genres), pa.string()),
        "genres": pa.array(["|".join(names[own == 1].tolist()) for own in films.genres], pa.string()),
        "year": released.astype("M8[Y]").astype(np.int64) + 1970,
    }
    write_table(folder / "films.parquet", pa.table(columns).take(pa.array(order)))


def _largest(values: Floats, count: int) -> Ints:
    """Give the places of the largest values of each row, in falling order: (n, count), or all there are."""
    count = min(count, values.shape[1])
    some = np.argpartition(-values, max(count - 1, 0), axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1)
    return np.asarray(np.take_along_axis(some, order, axis=1), np.int64)


def _moments(rng: np.random.Generator, visits: int, most: int) -> Ints:
    """Draw when each rating of a visit comes, from midnight on, (visits, most): in order, and on the visit's day."""
    hour = rng.choice(len(HOURS), visits, p=HOURS / HOURS.sum())
    begin = hour * HOUR + rng.integers(0, HOUR, visits)
    pauses = np.cumsum(rng.exponential(_PAUSE, (visits, most)), axis=1)
    pauses *= np.minimum(1, 0.9 * HOUR / np.maximum(pauses[:, -1:], 1)) if most else 1
    return np.asarray(begin[:, None] + pauses.astype(np.int64), np.int64)
