"""The people and contents of a feed world, drawn at random, and the words that contents are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.worlds.ads_draw import zipf
from bottega.worlds.feed_truth import ARCHIVED, DAY, HOUR, Contents, Floats, Ints, People, traffic

TOPICS = {
    "mobile": ("android", "ios", "app", "tablet", "swift", "kotlin", "push", "screen"),
    "cloud": ("server", "aws", "deploy", "docker", "cluster", "region", "latency", "storage"),
    "design": ("ux", "typeface", "layout", "prototype", "color", "usability", "journey", "sketch"),
    "agile": ("scrum", "sprint", "kanban", "backlog", "retrospective", "lean", "velocity", "estimate"),
    "data": ("model", "neural", "dataset", "spark", "forecast", "cluster", "python", "feature"),
    "marketing": ("brand", "campaign", "customer", "conversion", "email", "audience", "loyalty", "ads"),
    "startups": ("founder", "funding", "pivot", "market", "venture", "growth", "pitch", "equity"),
    "security": ("password", "attack", "encryption", "leak", "patch", "firewall", "token", "audit"),
    "java": ("spring", "jvm", "maven", "thread", "garbage", "bytecode", "stream", "microservice"),
    "web": ("javascript", "react", "browser", "css", "angular", "bundle", "render", "accessibility"),
    "bitcoin": ("blockchain", "wallet", "mining", "ledger", "contract", "exchange", "token", "payment"),
    "people": ("career", "leadership", "feedback", "remote", "hiring", "culture", "mentor", "habit"),
}
COMMON = ("new", "guide", "why", "first", "lessons", "future", "team", "project", "year", "better", "case", "tools")
LANGUAGES = ("pt", "en")
_FAVOURITES = 4


@dataclass(frozen=True)
class Sizes:
    """How many there are of each."""

    people: int
    contents: int
    authors: int


def draw_people(rng: np.random.Generator, sizes: Sizes, start: int, days: int, visits: float) -> People:
    """Draw who reads: half are there when the log begins; visits: of all people together, in the mean."""
    n = sizes.people
    joined = start + np.where(rng.random(n) < 0.5, 0, rng.integers(0, days * DAY, n))
    passed = np.append(0.0, np.cumsum(traffic(start, days)))
    span = passed[-1] - np.interp(joined, start + np.arange(days * 24 + 1) * HOUR, passed)
    rate = np.exp(rng.normal(0, 1.5, n))
    common = rng.normal(0, 1.0, n)
    return People(
        id=_ids(rng, n),
        rate=rate * visits / (rate * span).sum(),
        joined=joined,
        taste=rng.normal(0, 0.8, (n, len(TOPICS))),
        favourites=rng.choice(sizes.authors, (n, _FAVOURITES), p=zipf(rng, sizes.authors, 0.5)),
        reads=np.asarray(rng.random(n) < 0.7, np.int64),
        eager=common[:, None] + rng.normal(0, 0.4, (n, 4)),
    )


def draw_contents(rng: np.random.Generator, sizes: Sizes, start: int, days: int) -> Contents:
    """Draw what is read: published in working hours, from thirty days before the log's begin, at an even pace."""
    n, before = sizes.contents, ARCHIVED // DAY
    passed = np.append(0.0, np.cumsum(traffic(start - ARCHIVED, days + before)))
    hours = start - ARCHIVED + np.arange(len(passed)) * HOUR
    published = np.interp(np.sort(rng.random(n)) * passed[-1], passed, hours).astype(np.int64)
    author = rng.choice(sizes.authors, n, p=zipf(rng, sizes.authors, 0.8))
    home = rng.integers(0, len(TOPICS), sizes.authors)
    return Contents(
        id=_ids(rng, n),
        author=author,
        topic=np.where(rng.random(n) < 0.6, home[author], rng.integers(0, len(TOPICS), n)),
        language=np.asarray(rng.random(n) < 0.4, np.int64),
        published=published,
        appeal=rng.normal(0, 0.8, n),
        quality=rng.normal(0, 0.8, n),
        fade=HOUR * np.exp(rng.normal(np.log(6), 0.5, n)),
    )


def draw_texts(rng: np.random.Generator, topic: Ints) -> list[str]:
    """Draw a headline for each content, (c,): seven words, most of its topic, some of all, few of another topic."""
    words = np.array(list(TOPICS.values()))  # (topics, 8)
    n, size = len(topic), 7
    own = words[topic[:, None], rng.integers(0, words.shape[1], (n, size))]
    shared = np.array(COMMON)[rng.integers(0, len(COMMON), (n, size))]
    other = words[rng.integers(0, len(words), (n, size)), rng.integers(0, words.shape[1], (n, size))]
    luck: NDArray[np.float64] = rng.random((n, size))
    drawn = np.where(luck < 0.55, own, np.where(luck < 0.85, shared, other))
    return [" ".join(each) for each in drawn.tolist()]


def draw_visits(rng: np.random.Generator, people: People, start: int, days: int) -> tuple[Ints, Ints]:
    """Draw who comes when, (v,) twice, in order of time."""
    passed = np.append(0.0, np.cumsum(traffic(start, days)))
    hours = start + np.arange(len(passed)) * HOUR
    since = np.interp(people.joined, hours, passed)
    who = np.repeat(np.arange(len(people.id)), rng.poisson(people.rate * (passed[-1] - since)))
    turn: Floats = since[who] + rng.random(len(who)) * (passed[-1] - since[who])
    at = np.interp(turn, passed, hours).astype(np.int64)
    order = np.argsort(at, kind="stable")
    return who[order], at[order]


def _ids(rng: np.random.Generator, count: int) -> Ints:
    return np.asarray(10_000 + rng.choice(9 * count, count, replace=False), np.int64)
