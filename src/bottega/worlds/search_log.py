"""A day of a search world: what is searched for, which ten are shown, and what is clicked; and the world's tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.worlds.ads_log import HOURS
from bottega.worlds.ads_tables import MOMENT, write_table
from bottega.worlds.ads_truth import DAY, HOUR
from bottega.worlds.search_draw import FEATURES, TOPICS, Seen
from bottega.worlds.search_truth import Floats, Ints, Truth, attraction, examination

PARTS = ("train", "validate", "test")


@dataclass(frozen=True)
class Shown:
    """What was shown, (n,) each, in order of time and place. pair: row of the truth's pairs; search: from 0."""

    search: Ints
    user: Ints
    at: Ints
    pair: Ints
    position: Ints
    shuffled: NDArray[np.bool_]
    clicked: NDArray[np.bool_]


def draw_day(truth: Truth, rng: np.random.Generator, day: int, searches: int, people: Floats) -> Shown:
    """Draw a day's searches, the pages that the log's ranker makes, and their clicks; people: each one's share of them.

    The ranker sorts by its score and a noise of the moment, so that a document stands in several places for a query;
    some pages come in random order altogether. A place is looked at by itself, and then what it holds attracts or not.
    """
    settings, pairs = truth.settings, truth.pairs
    over = np.append(0.0, np.cumsum(HOURS) / HOURS.sum())  # share of a day's searches by the begin of each hour
    at = np.sort(np.interp(rng.random(searches), over, np.arange(25.0) * HOUR)).astype(np.int64)
    query = rng.choice(len(truth.queries.id), searches, p=truth.queries.weight)
    user = rng.choice(len(people), searches, p=people)
    offered = np.diff(pairs.begin)
    widest = int(offered.max())
    column = np.arange(widest)
    row = pairs.begin[query][:, None] + column  # (s, widest) the query's pairs
    there = column < offered[query][:, None]
    score = pairs.score[np.where(there, row, 0)] + settings.noise * rng.standard_normal(row.shape)
    best = np.argsort(np.where(there, -score, np.inf), axis=1, kind="stable")[:, : settings.slots]
    shuffled = rng.random(searches) < settings.shuffled
    filled = np.take_along_axis(there, best, axis=1)
    luck = np.where(filled, rng.random(best.shape), 2.0)  # what is empty stays last
    mixed = np.take_along_axis(best, np.argsort(luck, axis=1), axis=1)
    best = np.where(shuffled[:, None], mixed, best)
    search, place = np.nonzero(filled)
    pair = row[search, best[search, place]]
    chance = examination(place + 1, settings.bias) * attraction(pairs.grade[pair])
    clicked = rng.random(len(pair)) < chance
    moment = settings.start + day * DAY + at
    return Shown(search, user[search], moment[search], pair, place + 1, shuffled[search], clicked)


def write_day(folder: Path, truth: Truth, seen: Seen, shown: Shown, first: int) -> None:
    """Write a day's impressions; first: the number of its first search."""
    pairs, moments = truth.pairs, pa.array(shown.at, pa.int64()).cast(MOMENT)
    query = pairs.query[shown.pair]
    columns = {
        "shown_at": moments,
        "search_id": shown.search + first,
        "user_id": 10_000 + shown.user,
        "query_id": truth.queries.id[query],
        "query": pa.array(truth.queries.text, pa.string()).take(query),
        "document_id": truth.documents.id[pairs.document[shown.pair]],
        "position": shown.position.astype(np.int32),
        "shuffled": shown.shuffled.astype(np.int8),
        "clicked": shown.clicked.astype(np.int8),
    }
    name = str(shown.at[0].astype("M8[us]").astype("M8[D]"))
    write_table(folder / "impressions" / f"{name}.parquet", pa.table(columns | features(seen, shown.pair)))
    free = truth.queries.part[query] <= 0  # what editors judge for validation or the test is learnt by nobody
    rows = {
        "query": _named("search-", shown.search[free] + first),
        "row": _named("", columns["document_id"][free]),
        "part": pa.array(["train"] * int(free.sum()), pa.string()),
        "label": shown.clicked[free].astype(np.float32),
        "position": shown.position[free].astype(np.int32),
    }
    write_table(folder / "rows" / f"{name}.parquet", pa.table(rows | features(seen, shown.pair[free])))


def write_static(folder: Path, truth: Truth, seen: Seen) -> None:
    """Write `queries.parquet`, `documents.parquet`, `judgements.parquet`, and of these what is held out in `rows/`."""
    queries, documents, pairs = truth.queries, truth.documents, truth.pairs
    topics = pa.array(TOPICS, pa.string())
    judged = np.flatnonzero(queries.part[pairs.query] >= 0)
    tables = {
        "queries": {"query_id": queries.id, "query": pa.array(queries.text), "topic": topics.take(queries.topic)},
        "documents": {
            "document_id": documents.id,
            "topic": topics.take(documents.topic),
            "published_at": pa.array(documents.published, pa.int64()).cast(MOMENT),
            "words": documents.words,
        },
        "judgements": {
            "query_id": queries.id[pairs.query[judged]],
            "query": pa.array(queries.text, pa.string()).take(pairs.query[judged]),
            "document_id": documents.id[pairs.document[judged]],
            "grade": pairs.grade[judged].astype(np.int8),
            "split": pa.array(PARTS, pa.string()).take(queries.part[pairs.query[judged]]),
            **features(seen, judged),
        },
    }
    held = np.flatnonzero(queries.part[pairs.query] >= 1)
    tables["rows/judged"] = {
        "query": _named("judged-", queries.id[pairs.query[held]]),
        "row": _named("", documents.id[pairs.document[held]]),
        "part": pa.array(PARTS, pa.string()).take(queries.part[pairs.query[held]]),
        "label": pairs.grade[held].astype(np.float32),
        "position": pa.nulls(len(held), pa.int32()),
        **features(seen, held),
    }
    for name, columns in tables.items():
        write_table(folder / f"{name}.parquet", pa.table(columns))


def _named(prefix: str, numbers: Ints) -> pa.Array:
    return pa.array([f"{prefix}{number}" for number in numbers.tolist()], pa.string())


def features(seen: Seen, pair: Ints) -> dict[str, NDArray[np.float32]]:
    """Give the match features of pairs, by name."""
    return {name: seen.values[pair, place] for place, name in enumerate(FEATURES)}
