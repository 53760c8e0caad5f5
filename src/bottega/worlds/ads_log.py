"""A day of an ads world: who searches, which ads come in, in which order they are shown, and what is clicked.

The log's policy knows queries and ads, not people: it ranks by bid × noisy quality, so that an ad stands in several
places, and lets each ad into a part of its auctions only, so that competition is thin and prices are low.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bottega.worlds.ads_truth import (
    DAY,
    DEVICE_SHARES,
    DEVICES,
    HOUR,
    INTERESTS,
    Events,
    Floats,
    Ints,
    Truth,
    attraction,
    examination,
)

HOURS = np.array([8, 5, 3, 2, 2, 4, 10, 20, 32, 42, 48, 50, 52, 50, 48, 47, 48, 50, 54, 60, 64, 58, 40, 20])
WEEKDAYS = np.array([1.06, 1.05, 1.04, 1.03, 0.98, 0.88, 0.96])  # Monday first
RESERVE = 0.035  # the lowest price of a click in any search
_FLOOR = 0.9  # how far the lowest price of a search lies above it, in logarithms
_TICK = DAY // 144  # so often the advertisers' spending is counted: every ten minutes
_WIDEST = 40  # ads that compete for a query, at most
_SHY = 0.45  # how much of an ad's strength the log's policy saw
_NOISE = 1.8  # and how far off it was each time
_LOYAL = 0.8  # share of searches on the device mostly used
_KEEN = 0.5  # share of searches for a topic of the user's interest


@dataclass(frozen=True)
class Rules:
    """How the log's auctions were held. slots: on a desktop. entering: share of its searches that an ad is let into."""

    slots: int
    entering: float

    def places(self, device: Ints) -> Ints:
        """Give how many ads a page has: one less on a tablet, two less on a phone, (n,)."""
        return np.asarray(np.maximum(1, self.slots - np.array([0, 2, 1])[device]), np.int64)


@dataclass(frozen=True)
class Searches:
    """The searches of a day in order of time, (n,) each.

    ads: (n, 40) the eligible ones, −1 where there is none. quality: (n, 40) its logarithm as the log's policy saw it.
    entered: (n, 40) let into the auction. floor: (n,) the lowest price of a click.
    """

    user: Ints
    query: Ints
    device: Ints
    at: Ints
    ads: Ints
    quality: NDArray[np.float32]
    entered: NDArray[np.bool_]
    floor: Floats


@dataclass(frozen=True)
class Shown:
    """What was shown, (n,) each. search: row of the searches. price: of a click. strength, intent: of the truth."""

    search: Ints
    ad: Ints
    position: Ints
    price: Floats
    strength: Floats
    intent: Floats
    clicked: NDArray[np.bool_]


def eligible(truth: Truth, day: int) -> tuple[Ints, NDArray[np.float32]]:
    """Give each query's ads of a day and what the log's policy knows of each, (q, 40) twice.

    The nearest ads compete, as many as the query is wide, those of its topic before others. The policy knows a part of
    the ad's level and of how it fits the query; of people it knows nothing.
    """
    start = truth.settings.start + day * DAY
    queries, ads = truth.queries, truth.ads
    phase = int(start >= truth.settings.drift)
    live = np.flatnonzero((ads.created < start + DAY) & (ads.ended > start))
    found = np.full((len(queries.text), _WIDEST), -1)
    known = np.full(found.shape, -np.inf, np.float32)
    for topic in range(len(truth.tables.topics)):
        asked, own = np.flatnonzero(queries.topic == topic), live[ads.topic[live] == topic]
        others = np.setdiff1d(live, own)
        filling = others[np.argsort(_luck(topic, others))][: max(0, _WIDEST - len(own))]
        offered = np.concatenate([own, filling])
        if not len(asked) or not len(offered):
            continue
        far = np.arange(len(offered)) >= len(own)
        near = np.argsort(_luck(asked[:, None], offered) + far, axis=1)[:, :_WIDEST]
        near = np.where(np.arange(near.shape[1]) < queries.wide[asked, None], offered[near], -1)
        found[asked, : near.shape[1]] = near
        fit = np.einsum("qd,qad->qa", queries.need[phase, asked], ads.style[near]) if truth.settings.ids else 0.0
        seen = _SHY * (ads.level[phase, near] + fit)
        known[asked, : near.shape[1]] = np.where(near >= 0, seen, -np.inf)
    return found, known


def draw_searches(truth: Truth, rules: Rules, rng: np.random.Generator, day: int, rows: int) -> Searches:
    """Draw a day's searches, so many that about `rows` ads are shown."""
    users, queries, start = truth.users, truth.queries, truth.settings.start + day * DAY
    offered, known = eligible(truth, day)
    n = int(1.6 * rows / rules.places(np.arange(len(DEVICES))).min()) + 10  # too many; cut below
    over = np.append(0.0, np.cumsum(HOURS) / HOURS.sum())  # share of a day's searches by the begin of each hour
    begins = np.arange(25.0) * HOUR
    missed = np.interp(users.joined - start, begins, over)  # of those whom this day brings
    user = _pick(rng, users.weight * (1 - missed), n)
    device = np.where(rng.random(n) < _LOYAL, users.device[user], _pick(rng, DEVICE_SHARES, n))
    query = _pick(rng, queries.weight, n)
    keen = rng.random(n) < _KEEN
    for interest in range(len(INTERESTS)):
        chosen = np.flatnonzero(keen & (users.interest[user] == interest))
        liked = queries.weight * (queries.topic % len(INTERESTS) == interest)
        if liked.any():
            query[chosen] = _pick(rng, liked, len(chosen))
    passed = missed[user] + (1 - missed[user]) * rng.random(n)
    at = start + np.interp(passed, over, begins).astype(np.int64)
    at = np.minimum(np.maximum(at, users.joined[user]), start + DAY - 1)
    floor = RESERVE * np.exp(_FLOOR * np.abs(rng.standard_normal(n)))
    ads = offered[query]
    entered = (rng.random(ads.shape, np.float32) < rules.entering) & (ads >= 0)
    entered &= (truth.ads.created[ads] <= at[:, None]) & (truth.ads.bid[ads] >= floor[:, None])
    shown = np.minimum(entered.sum(axis=1), rules.places(device))
    keep = np.flatnonzero((np.cumsum(shown) <= rows) & (shown > 0))
    keep = keep[np.argsort(at[keep], kind="stable")]
    quality = known[query[keep]] + np.float32(_NOISE) * rng.standard_normal(ads[keep].shape, np.float32)
    return Searches(user[keep], query[keep], device[keep], at[keep], ads[keep], quality, entered[keep], floor[keep])


def hold(truth: Truth, rules: Rules, rng: np.random.Generator, searches: Searches) -> Shown:
    """Let a day's auctions go by: rank by bid × quality among advertisers with budget left, price, draw the clicks.

    A click costs the least bid that would have kept the place, at least the search's lowest price; spending is counted
    every ten minutes, so that a budget can be passed by what is sold in them.
    """
    ads = truth.ads
    score = np.where(searches.entered, np.log(ads.bid)[searches.ads].astype(np.float32) + searches.quality, -np.inf)
    order = np.argsort(-score, axis=1)
    ranked = np.take_along_axis(searches.ads, order, axis=1)
    score, quality = np.take_along_axis(score, order, axis=1), np.take_along_axis(searches.quality, order, axis=1)
    entered = score > -np.inf
    owner = np.where(entered, ads.advertiser[ranked], -1)
    places = rules.places(searches.device)
    intent = truth.settings.intent * rng.standard_normal(len(order))
    tick = searches.at % DAY // _TICK
    edges = np.searchsorted(tick, np.arange(DAY // _TICK + 1))
    left, parts = truth.tables.budget.copy(), []
    for low, high in pairwise(edges):
        rows = slice(low, high)
        open_ = entered[rows] & (left > 0)[owner[rows]]
        place = np.cumsum(open_, axis=1)  # among those that take part, 1 the best
        row, column = np.nonzero(open_ & (place <= places[rows, None] + 1))
        position = place[row, column]
        search, worth = row + low, score[rows][row, column].astype(np.float64)
        following = np.append(np.where(row[1:] == row[:-1], worth[1:], -np.inf), -np.inf)
        price = np.exp(following - quality[rows][row, column])
        keep = position <= places[search]
        search, position, ad = search[keep], position[keep], ranked[search[keep], column[keep]]
        price = np.round(np.clip(price[keep], searches.floor[search], ads.bid[ad]), 4)
        events = _events(searches, search, ad)
        strength = truth.strength(events)
        chance = examination(position) * attraction(strength + intent[search] + truth.mood(events.at))
        clicked = rng.random(len(ad)) < chance
        left -= np.bincount(ads.advertiser[ad], price * clicked, minlength=len(left))
        parts.append((search, ad, position, price, strength, intent[search], clicked))
    return Shown(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def asked_events(searches: Searches, shown: Shown) -> Events:
    """Give what was shown as the truth reads it."""
    return _events(searches, shown.search, shown.ad)


def _events(searches: Searches, row: Ints, ad: Ints) -> Events:
    return Events(searches.user[row], searches.query[row], ad, searches.device[row], searches.at[row])


def _luck(one: Ints | int, other: Ints) -> Floats:
    """Give a number from 0 to 1 for each pair, as good as random, the same on every day."""
    return np.asarray((one * 7919 + other * 104_729) * 2_654_435_761 % 2**32 / 2**32, np.float64)


def _pick(rng: np.random.Generator, weight: Floats, count: int) -> Ints:
    ends = np.cumsum(weight)
    place = np.searchsorted(ends, rng.random(count) * ends[-1], side="right")
    return np.asarray(np.minimum(place, len(weight) - 1), np.int64)
