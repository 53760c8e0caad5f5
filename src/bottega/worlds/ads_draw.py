"""The people, queries, advertisers and ads of an ads world, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bottega.worlds.ads_truth import (
    AGES,
    BAND,
    DAY,
    DEVICE_SHARES,
    DEVICES,
    INTERESTS,
    Ads,
    Floats,
    Ints,
    Queries,
    Tables,
    Users,
)

WORDS = (
    "shoes", "flights", "insurance", "laptop", "yoga", "guitar", "mortgage", "hotel", "vitamins", "course", "sofa",
    "bicycle", "camera", "garden", "phone", "dentist", "tickets", "lawyer", "kitchen", "tyres", "perfume", "broadband",
    "dog food", "toys",
)  # fmt: skip
TWISTS = ("cheap", "best", "near me", "online", "used", "new", "red", "for men", "for women", "review", "sale", "2024")
_SIZE = 3  # of tastes, needs and styles
_SWAPPED = 0.8  # cosine and sine of the turn that a drift gives to tastes: what is kept is 0.6
_OLDEST = 60 * DAY


@dataclass(frozen=True)
class Sizes:
    """How many there are of each; ads: on an average day."""

    users: int
    queries: int
    advertisers: int
    ads: int

    @property
    def topics(self) -> int:
        """Topics of queries and ads: one for 50 ads, 6 to 24."""
        return int(np.clip(self.ads // 50, 6, len(WORDS)))


def zipf(rng: np.random.Generator, count: int, exponent: float) -> Floats:
    """Draw shares that fall as (rank + count / 50)^−exponent, whose order is random: (count,), in sum 1."""
    weight = (np.arange(count) + 1 + count / 50) ** -exponent
    return np.asarray(rng.permutation(weight / weight.sum()), np.float64)


def draw_users(rng: np.random.Generator, sizes: Sizes, start: int, days: int, drifts: bool) -> Users:
    """Draw the people; a tenth joins while the log runs."""
    n = sizes.users
    late = rng.random(n) < 0.1
    return Users(
        id=_ids(rng, n),
        weight=zipf(rng, n, 0.8),
        joined=np.where(late, start + rng.integers(0, days * DAY, n), start - rng.integers(1, _OLDEST, n)),
        age=rng.choice(len(AGES), n, p=[0.16, 0.24, 0.21, 0.17, 0.13, 0.09]),
        interest=rng.integers(0, len(INTERESTS), n),
        device=rng.choice(len(DEVICES), n, p=DEVICE_SHARES),
        level=rng.normal(0, 0.35, n),
        converts=rng.normal(0, 0.3, n),
        taste=_turned(rng, 0.8 * rng.standard_normal((n, _SIZE)) / np.sqrt(_SIZE), drifts),
    )


def draw_queries(rng: np.random.Generator, sizes: Sizes, drifts: bool) -> Queries:
    """Draw the texts: a word of the topic, a twist, a number."""
    n = sizes.queries
    topic, twist = rng.integers(0, sizes.topics, n), rng.integers(0, len(TWISTS), n)
    return Queries(
        text=np.array([f"{WORDS[topic[i]]} {TWISTS[twist[i]]} {i:04d}" for i in range(n)]),
        weight=zipf(rng, n, 0.9),
        topic=topic,
        level=rng.normal(0, 0.4, n),
        wide=rng.integers(10, 41, n),
        need=_turned(rng, 0.8 * rng.standard_normal((n, _SIZE)) / np.sqrt(_SIZE), drifts),
    )


def draw_ads(rng: np.random.Generator, sizes: Sizes, start: int, days: int, fresh: float, drifts: bool) -> Ads:
    """Draw the ads, the advertiser's share in each included; every day as many come new as end.

    fresh: share of the ads that are new on a day.
    """
    count, new = sizes.advertisers, round(sizes.ads * fresh)
    n = sizes.ads + new * days
    home = np.concatenate([np.arange(sizes.topics), rng.integers(0, sizes.topics, max(0, count - sizes.topics))])[
        :count
    ]
    owner = rng.choice(count, n, p=zipf(rng, count, 0.5))
    value, level, style = rng.normal(0, 0.45, count), rng.normal(0, 0.25, count), rng.standard_normal((count, _SIZE))
    topic = np.where(rng.random(n) < 0.5, home[owner], rng.integers(0, sizes.topics, n))
    born = start + np.repeat(np.arange(days), new) * DAY + np.sort(rng.integers(0, DAY, (days, new)), axis=1).ravel()
    old = start - rng.integers(1, _OLDEST, sizes.ads)
    ended = np.full(n, np.iinfo(np.int64).max)
    ended[: new * days] = start + (np.arange(new * days) // max(new, 1) + 1) * DAY  # the first ones end, some each day
    levels = level[owner] + rng.normal(0, 0.3, n)
    moved = 0.7 * levels + rng.normal(0, 0.28, n) - 0.2 if drifts else levels
    return Ads(
        id=_ids(rng, n),
        advertiser=owner,
        topic=topic,
        bid=np.round(np.exp(rng.normal(0.0, 0.45, n) + value[owner]), 2).clip(0.1),
        created=np.concatenate([old, born]),
        ended=ended,
        level=np.stack([levels, moved]),
        converts=rng.normal(0, 0.3, n),
        style=0.9 * style[owner] + np.sqrt(1 - 0.9**2) * rng.standard_normal((n, _SIZE)),
    )


def draw_tables(rng: np.random.Generator, sizes: Sizes, days: int, shock: float, drifts: bool) -> Tables:
    """Draw what holds for few values; the budgets are filled in later."""
    moment = rng.standard_normal((len(DEVICES), 24 // BAND, len(AGES)))
    match = rng.standard_normal((len(INTERESTS), sizes.topics))
    return Tables(
        device=np.array([0.1, -0.15, 0.0]),
        age=np.linspace(-0.15, 0.15, len(AGES)),
        moment=_turned(rng, moment, drifts),
        match=_turned(rng, match, drifts),
        mood=shock * rng.standard_normal(days),
        budget=np.full(sizes.advertisers, np.inf),
        topics=np.array(WORDS[: sizes.topics]),
    )


def _turned(rng: np.random.Generator, values: Floats, drifts: bool) -> Floats:
    """Give values before and after a drift, (2, …): after it a part of each is another."""
    other = rng.permutation(values.reshape(-1, values.shape[-1])).reshape(values.shape)
    after = np.sqrt(1 - _SWAPPED**2) * values + _SWAPPED * other if drifts else values
    return np.stack([values, after])


def _ids(rng: np.random.Generator, count: int) -> Ints:
    return np.asarray(10_000 + rng.choice(9 * count, count, replace=False), np.int64)
