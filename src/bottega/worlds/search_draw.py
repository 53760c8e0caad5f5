"""The queries, documents and pairs of a search world, drawn at random, and the numbers by which pairs are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottega.worlds.ads_draw import zipf
from bottega.worlds.ads_truth import DAY
from bottega.worlds.search_truth import Documents, Floats, Ints, Pairs, Queries, Texts, attraction, examination

TOPICS = (
    "train", "visa", "python", "recipe", "mortgage", "marathon", "guitar", "camera", "vaccine", "election", "tax",
    "garden", "museum", "weather", "novel", "battery", "football", "school", "hotel", "yoga",
)  # fmt: skip
TWISTS = ("timetable", "how to", "near me", "review", "history", "news", "price", "login", "example", "best", "2024")
FEATURES = (
    "bm25_body", "bm25_title", "bm25_anchor", "title_words", "exact_title", "body_words", "proximity", "similarity",
    "authority", "linked", "popularity", "past_ctr", "past_shows", "document_ctr", "age_days", "document_words",
    "url_depth", "spam_score", "query_words", "freshness_need",
)  # fmt: skip
_CUTS = (0.55, 0.77, 0.90, 0.97)  # shares of the pairs below grade 1, 2, 3 and 4
_DOCUMENTS = 8  # for each query, and at least twice as many for a topic as a query has candidates
_EPOCH_DAYS = 60.0  # after which what is new has lost two thirds of its newness


@dataclass(frozen=True)
class Seen:
    """What an engine knows of each pair, (p, 20) float32, in the order of `FEATURES`."""

    values: NDArray[np.float32]


def draw_queries(rng: np.random.Generator, count: int, judged: float) -> Queries:
    """Draw the texts; a share of them is judged by editors, six in ten of these to train on."""
    topic = rng.integers(0, len(TOPICS), count)
    twist = rng.integers(0, len(TWISTS), count)
    luck = rng.random(count)
    part = np.where(rng.random(count) < 0.6, 0, rng.integers(1, 3, count))
    kind = rng.random(count)
    return Queries(
        id=_ids(rng, count),
        text=np.array([f"{TOPICS[topic[i]]} {TWISTS[twist[i]]} {i:04d}" for i in range(count)]),
        topic=topic,
        weight=zipf(rng, count, 0.9),
        fresh=np.asarray(kind < 0.3, np.int64),
        own=np.asarray(kind > 0.8, np.int64),
        part=np.where(luck < judged, part, -1),
    )


def draw_documents(rng: np.random.Generator, queries: int, most: int, start: int) -> Documents:
    """Draw what can be found, all published before the log begins; most: mean number of a query's candidates."""
    n = max(_DOCUMENTS * queries, 2 * most * len(TOPICS))
    age = np.ceil(rng.exponential(120, n) * DAY).astype(np.int64)
    spam = np.asarray(rng.random(n) < 0.12, np.int64)
    return Documents(
        id=_ids(rng, n),
        topic=np.concatenate([np.arange(len(TOPICS)), rng.integers(0, len(TOPICS), n)])[:n],
        published=start - age,
        quality=rng.standard_normal(n) - 0.8 * spam,
        spam=spam,
        words=np.exp(rng.normal(6.2 + 0.5 * spam, 0.7, n)).astype(np.int64) + 20,
    )


def draw_pairs(
    rng: np.random.Generator, queries: Queries, documents: Documents, start: int, most: int, searches: int, bias: float
) -> tuple[Pairs, Seen]:
    """Draw each query's candidates, how well they answer, and what the engine sees of that.

    relevance = match + 0.5 quality + 1.2 fresh · newness + 2.2 own − 1.3 spam + 0.35 match · quality + noise

    with the match and the noise (spread 0.35) of the pair alone; `own` marks the one document that such a query is
    about. most: mean number of candidates. searches: of the log before this one, in which clicks were counted.
    """
    document, begin = _candidates(rng, queries, documents, most)
    query = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    n = len(query)
    match = rng.standard_normal(n)
    aimed = np.zeros(n)
    about = np.flatnonzero(queries.own)
    aimed[begin[about] + (rng.random(len(about)) * np.diff(begin)[about]).astype(np.int64)] = 1
    age = (start - documents.published[document]) / DAY
    new = np.exp(-age / _EPOCH_DAYS)
    newness = (new - new.mean()) / new.std()
    quality, spam = documents.quality[document], documents.spam[document]
    relevance = match + 0.5 * quality + 1.2 * queries.fresh[query] * newness + 2.2 * aimed - 1.3 * spam
    relevance += 0.35 * match * quality + 0.35 * rng.standard_normal(n)
    grade = np.searchsorted(np.quantile(relevance, _CUTS), relevance, side="right")
    text = _texts(rng, queries, documents, query, document, match, aimed)
    known = _known(rng, queries, documents, query, document, age)
    score = 0.6 * text["bm25_body"] + 0.35 * text["bm25_title"] + 1.1 * known["authority"]
    score = (score - score.mean()) / score.std()
    pairs = Pairs(query, document, relevance, np.asarray(grade, np.int64), score, begin)
    seen = text | known | _clicked_before(rng, queries, pairs, searches, bias)
    return pairs, Seen(np.stack([seen[name] for name in FEATURES], axis=1).astype(np.float32))


def _candidates(rng: np.random.Generator, queries: Queries, documents: Documents, most: int) -> tuple[Ints, Ints]:
    """Draw each query's candidates among the documents of its topic, sorted: (p,) and where each query begins."""
    count = rng.integers(max(1, most * 3 // 4), most + most // 4 + 1, len(queries.id))
    found = [np.zeros(0, np.int64)] * len(count)
    for topic in range(len(TOPICS)):
        offered = np.flatnonzero(documents.topic == topic)
        for i in np.flatnonzero(queries.topic == topic):
            found[i] = np.sort(rng.choice(offered, min(count[i], len(offered)), replace=False))
    sizes = np.array([len(each) for each in found])
    return np.concatenate(found), np.append(0, np.cumsum(sizes))


def _texts(
    rng: np.random.Generator,
    queries: Queries,
    documents: Documents,
    query: Ints,
    document: Ints,
    match: Floats,
    aimed: Floats,
) -> dict[str, Floats]:
    """Give what is seen of how the words meet; spam repeats the words that are looked for."""
    n, spam = len(query), documents.spam[document]
    length = _lengths(queries.text)[query]

    def noisy(spread: float) -> Floats:
        return np.asarray(spread * rng.standard_normal(n), np.float64)

    long = np.log(documents.words[document]) - 6.2
    exact = rng.random(n) < np.where(aimed > 0, 0.9, np.where(match > 1, 0.2, 0.03) + 0.15 * spam)
    return {
        "bm25_body": length * np.logaddexp(0, 1.5 + 0.9 * match + 1.5 * spam + 0.5 * long + noisy(0.8)),
        "bm25_title": length * np.logaddexp(0, 0.5 + 0.8 * match + 0.9 * spam + 0.8 * aimed + noisy(0.9)),
        "bm25_anchor": length * np.logaddexp(0, 0.5 * match + 0.6 * documents.quality[document] + aimed + noisy(1.0)),
        "title_words": _share(0.8 * match + 0.5 * spam + exact + noisy(1.0), length),
        "exact_title": exact.astype(np.float64),
        "body_words": _share(1.2 + 0.9 * match + spam + noisy(1.0), length),
        "proximity": 1 / (1 + np.exp(-(0.7 * match + noisy(1.1)))),
        "similarity": np.tanh(0.45 * match + 0.1 * aimed + noisy(0.4)),
        "query_words": length,
    }


def _known(
    rng: np.random.Generator, queries: Queries, documents: Documents, query: Ints, document: Ints, age: Floats
) -> dict[str, Floats]:
    """Give what is seen of documents and queries alone: the same in each pair of theirs."""
    d, quality, spam = len(documents.id), documents.quality, documents.spam
    authority = 1 / (1 + np.exp(-(0.9 * quality + rng.normal(0, 0.8, d))))
    linked = np.exp(2 + 0.7 * quality + 0.8 * spam + rng.normal(0, 1.0, d)).round()
    visited = np.exp(4 + 0.6 * quality - 0.5 * spam + rng.normal(0, 1.0, d)).round()
    clicked = 1 / (1 + np.exp(2.2 - 0.5 * quality + 0.6 * spam - rng.normal(0, 0.4, d)))
    suspected = 1 / (1 + np.exp(1.5 - 3.0 * spam - rng.normal(0, 1.2, d)))
    needed = 1 / (1 + np.exp(1.2 - 2.4 * queries.fresh - rng.normal(0, 0.9, len(queries.id))))
    return {
        "authority": authority[document],
        "linked": linked[document],
        "popularity": visited[document],
        "document_ctr": clicked[document],
        "age_days": np.round(age, 2),
        "document_words": documents.words[document].astype(np.float64),
        "url_depth": rng.poisson(np.exp(0.7 - 0.25 * quality))[document].astype(np.float64),
        "spam_score": suspected[document],
        "freshness_need": needed[query],
    }


def _clicked_before(
    rng: np.random.Generator, queries: Queries, pairs: Pairs, searches: int, bias: float
) -> dict[str, Floats]:
    """Give the rates that the engine counted before, in the places where its ranker put things: they say those too."""
    order = np.lexsort((-pairs.score, pairs.query))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - pairs.begin[pairs.query[order]] + 1
    shows = rng.poisson(searches * queries.weight)[pairs.query] * (place <= 10)
    clicks = rng.binomial(shows, examination(place, bias) * attraction(pairs.grade))
    return {"past_ctr": (clicks + 0.1) / (shows + 2.0), "past_shows": shows.astype(np.float64)}


def _share(strength: Floats, length: Floats) -> Floats:
    """Give a share of the query's words, in whole words."""
    return np.asarray(np.round(length / (1 + np.exp(-strength))) / length, np.float64)


def _lengths(texts: Texts) -> Floats:
    return np.array([len(text.split()) for text in texts], np.float64)


def _ids(rng: np.random.Generator, count: int) -> Ints:
    return np.asarray(10_000 + rng.choice(9 * count, count, replace=False), np.int64)
