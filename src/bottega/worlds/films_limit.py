"""What could be known in a films world: the true chance that a person rates a film well."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.errors import DesignError
from bottega.worlds.films_truth import DAY, Floats, Ints, Truth, chance_of_good, share_of_day

RATINGS = "ratings.parquet"
_TINY = 1e-30  # below every sum that means something
_LONG = 1e30  # the clock of a person who has met all there is
_RARE = 2e-3  # share of the visits, those of most ratings, that is left out
_STEPS = 3
_BLOCK = 128  # people scored together; bounds the memory


def best_scores(folder: Path, people: NDArray[Any], items: NDArray[Any], at: int, horizon: int) -> Floats:
    """Give the true P(person rates film at least 4 in [at, at + horizon)): no ranking can be expected to beat theirs.

    A film is rated once, on the day on which it is met, so P = Σ_days P(not met before) · v · m · g, with v the chance
    of a visit, m the chance that the visit meets the film, g that of a rating of at least 4 on that day. Films that are
    drawn by interest, none twice, come in the order of clocks that ring after an exponential time of that rate, so a
    visit of n ratings meets a film with chance 1 − exp(−interest · τ), where

        Σ over all films of P(not met in the horizon so far) · (1 − exp(−interest · τ)) = n

    and m is the mean over n = 1 + Poisson(more). What was rated before `at` is read from the log, and scores 0.

    It is wrong in one thing: what is left of the films is replaced by its mean, and so is τ. It knows the films that
    come out inside the horizon, when people leave, and their tastes, which a model must learn from few ratings; a part
    of its lead cannot be learnt.

    folder: where `FilmsWorld.write` wrote. people, items: (n,) user and item, whole numbers or their text; unknown ones
        score 0.
    at: microseconds since 1970-01-01 UTC.
    horizon: microseconds, above 0; larger gives larger scores.

    Returns (n,) float64 in 0..1. Raises `DesignError` for arrays or a horizon that cannot be, `DataError` where no
    films world was written.

    >>> import tempfile
    >>> from bottega.worlds.films import FilmsWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> FilmsWorld(rows=1_000, days=60).write(home)
    >>> june = int(np.datetime64("2022-02-01", "us").astype(int))
    >>> best_scores(home, np.array([0]), np.array(["0"]), june, 30 * DAY)
    array([0.])

    Source: B. Rosén, Asymptotic theory for successive sampling, Annals of Mathematical Statistics 43 (1972).
    """
    people, items = np.asarray(people), np.asarray(items)
    if people.ndim != 1 or people.shape != items.shape:
        found = f"shapes {people.shape} and {items.shape}"
        raise DesignError("best_scores(people, items)", found, "two arrays of one shape (n,)", "give pairs")
    if horizon <= 0:
        raise DesignError("best_scores(horizon)", horizon, "microseconds above 0", "30 days: 30 * 86_400_000_000")
    truth = Truth.load(folder / "truth")
    who, what = places_of(people, truth.people.id), places_of(items, truth.films.id)
    scores, asking = np.zeros(len(people)), np.unique(who[who >= 0])
    past = _past(truth, folder, at)
    for low in range(0, len(asking), _BLOCK):
        block = asking[low : low + _BLOCK]
        rows = np.flatnonzero((who >= block[0]) & (who <= block[-1]) & (what >= 0))
        scores[rows] = _good(truth, block, past, at, horizon)[np.searchsorted(block, who[rows]), what[rows]]
    return scores


def places_of(values: NDArray[Any], ids: Ints) -> Ints:
    """Give the row of each id, whole numbers or their text; −1 where it is none."""
    found = pa.array(ids).cast(pa.string())
    places = pc.fill_null(pc.index_in(pa.array(values).cast(pa.string()), value_set=found), -1)
    return np.asarray(places.to_numpy(zero_copy_only=False), np.int64)


def _past(truth: Truth, folder: Path, at: int) -> tuple[Ints, Ints]:
    """Give who rated what before a moment, rows of people and films."""
    log = pq.read_table(folder / RATINGS, columns=["user", "item", "time"])
    log = log.filter(pc.less(log["time"].cast(pa.int64()), at))
    return places_of(log["user"].to_numpy(), truth.people.id), places_of(log["item"].to_numpy(), truth.films.id)


def _good(truth: Truth, people: Ints, past: tuple[Ints, Ints], at: int, horizon: int) -> Floats:
    """Give the chance of a good rating in the horizon for some people, ascending, and all films: (p, f)."""
    settings, liking = truth.settings, truth.liking(people)
    person, film = past
    mine = np.isin(person, people)
    fresh = np.ones(liking.shape)
    fresh[np.searchsorted(people, person[mine]), film[mine]] = 0
    left, good = fresh.copy(), np.zeros(liking.shape)  # left: the chance that it is still to be met
    begin, end = at - settings.start, at - settings.start + horizon
    for day in range(max(begin // DAY, 0), min(-(-end // DAY), settings.days)):
        inside = share_of_day(min(end - day * DAY, DAY)) - share_of_day(max(begin - day * DAY, 0))
        come = np.flatnonzero(visits := truth.visits(people, day) * inside)
        if len(come):
            interest = np.exp(truth.pull(liking[come], day)) * fresh[come]
            met = visits[come, None] * left[come] * _met(interest, left[come], settings.more)
            good[come] += met * chance_of_good(truth.expected(people[come], liking[come], day))
            left[come] -= met
    return good


def _met(interest: Floats, left: Floats, more: float) -> Floats:
    """Give the chance that a visit of 1 + Poisson(more) ratings meets each film, if it was not met before: (p, f).

    left: the chance that each is still there.
    """
    weight = interest / np.maximum((interest * left).sum(axis=1, keepdims=True), _TINY)
    time, found, open_ = np.zeros((len(weight), 1)), np.zeros(weight.shape), left
    chance, count = 1.0, 1  # chance: that there are so many ratings
    while chance > _RARE:
        for _ in range(_STEPS):  # Newton's, from below, since the sum is concave
            slope = np.maximum((weight * open_).sum(axis=1, keepdims=True), _TINY)
            time = np.minimum(time + (count - (left - open_).sum(axis=1, keepdims=True)) / slope, _LONG)
            open_ = left * np.exp(-weight * time)
        exactly = math.exp(-more) * more ** (count - 1) / math.factorial(count - 1)
        found += exactly * -np.expm1(-weight * time)
        chance, count = chance - exactly, count + 1
    return np.asarray(found / (1 - chance), np.float64)
