"""The people and films of a films world, drawn at random, and the words that titles are made of."""

from __future__ import annotations

import numpy as np

from bottega.worlds.films_truth import Films, Floats, Ints, People

# Words of titles, and how many films have the genre, relative to the others.
GENRES = {
    "Action": (("Strike", "Bullet", "Fury", "Chase"), 14),
    "Adventure": (("Voyage", "Summit", "Treasure", "Island"), 10),
    "Animation": (("Moonbeam", "Robot", "Paper", "Acorn"), 5),
    "Comedy": (("Wedding", "Neighbours", "Holiday", "Uncle"), 22),
    "Crime": (("Heist", "Detective", "Alibi", "Syndicate"), 10),
    "Documentary": (("Planet", "Archive", "Testimony", "Harvest"), 5),
    "Drama": (("Daughter", "Letters", "Silence", "Winter"), 28),
    "Family": (("Puppy", "Circus", "Grandmother", "Treehouse"), 6),
    "Fantasy": (("Dragon", "Kingdom", "Spell", "Mirror"), 6),
    "Horror": (("Cellar", "Whisper", "Blood", "Asylum"), 8),
    "Romance": (("Kiss", "Paris", "Heart", "Promise"), 12),
    "Science-Fiction": (("Orbit", "Signal", "Android", "Colony"), 7),
    "Thriller": (("Witness", "Shadow", "Deadline", "Stranger"), 13),
    "War": (("Trench", "Bridge", "Regiment", "Armistice"), 4),
    "Western": (("Canyon", "Sheriff", "Saddle", "Dust"), 2),
}
_COMMON = ("Last", "Golden", "Lost", "Night", "Second", "Broken", "Little", "City", "Long", "Hidden", "Blue", "Return")
_FACTORS = 6
_SHAPES = ("{1} {0}", "The {1} {0}", "{0} of the {2}", "{0} and {2}")


def draw_people(rng: np.random.Generator, count: int, days: int, visits: float) -> People:
    """Draw who watches: a third are there when the log begins, the others join, and all leave after a while.

    visits: of all people together, in the mean.
    """
    joined = np.maximum(0, rng.integers(-(days // 2), days, count))
    left = joined + 1 + rng.exponential(0.7 * days, count).astype(np.int64)
    rate = np.exp(rng.normal(0, 1.1, count)).clip(max=8)
    there = np.minimum(left, days) - joined
    for _ in range(50):  # nobody comes twice on a day, so that rates are above the visits that they bring
        rate *= visits / (-np.expm1(-rate) * there).sum()
    return People(
        id=_ids(rng, count),
        rate=np.minimum(rate, 3),
        joined=joined,
        left=left,
        level=rng.normal(3.2, 0.4, count),
        drift=rng.normal(-0.12, 0.3, count),
        genres=rng.normal(0, 1.1, (count, len(GENRES))),
        traits=rng.normal(0, 1, (count, _FACTORS)),
    )


def draw_films(rng: np.random.Generator, count: int, days: int) -> Films:
    """Draw what is watched: seven of ten are there when the log begins, the others come evenly."""
    weight = np.array([weight for _, weight in GENRES.values()], np.float64)
    turn = np.argsort(np.argsort(-(np.log(weight) + rng.gumbel(size=(count, len(weight)))), axis=1), axis=1)
    some = rng.choice([1, 2, 3], count, p=[0.4, 0.4, 0.2])
    later = rng.random(count) < 0.3
    earlier = 1 + rng.exponential(8 * 365, count).astype(np.int64)
    appeal = rng.standard_normal(count)
    return Films(
        id=_ids(rng, count),
        genres=np.asarray(turn < some[:, None], np.int64),
        traits=rng.normal(0, 0.9 / np.sqrt(_FACTORS), (count, _FACTORS)),
        released=np.where(later, rng.integers(0, days, count), -earlier),
        appeal=1.6 * appeal,
        quality=0.2 * appeal + rng.normal(0, 0.35, count),
        fade=30 * np.exp(rng.normal(0, 0.4, count)),
    )


def draw_titles(rng: np.random.Generator, genres: Ints) -> list[str]:
    """Draw a title for each film, (f,): words of its genres, and one of all."""
    words = np.array([words for words, _ in GENRES.values()])  # (genres, 4)
    share: Floats = np.cumsum(genres / genres.sum(axis=1, keepdims=True), axis=1)
    n, last = len(genres), genres.shape[1] - 1
    which = np.array([(luck[:, None] > share).sum(axis=1) for luck in rng.random((2, n))])  # (2, f) one of its genres
    own = words[np.minimum(which, last), rng.integers(0, words.shape[1], (2, n))]
    common, shape = (rng.choice(of, n) for of in (_COMMON, _SHAPES))
    return [str(form).format(*parts) for form, *parts in zip(shape, own[0], common, own[1], strict=True)]


def _ids(rng: np.random.Generator, count: int) -> Ints:
    return np.asarray(1 + rng.choice(3 * count, count, replace=False), np.int64)
