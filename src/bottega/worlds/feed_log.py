"""How a feed world's days go by: who views what, what follows a view, and the tables that say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.worlds.ads_tables import MOMENT, write_table
from bottega.worlds.feed_draw import LANGUAGES, TOPICS, draw_texts, draw_visits
from bottega.worlds.feed_truth import HOUR, TASKS, Floats, Ints, Truth

EVENTS = ("VIEW", *TASKS)
_PAUSE = 60_000_000  # microseconds: shortest time between two views of a visit
_AGAIN = 0.3  # chance that a view is followed by another one of the same content


@dataclass(frozen=True)
class Views:
    """First views, (n,) each, in order of time: rows of people and contents."""

    person: Ints
    content: Ints
    at: Ints


def draw_views(truth: Truth, rng: np.random.Generator) -> Views:
    """Let the days go by: each visitor views one content after the other that was not viewed before, by interest."""
    people, settings = truth.people, truth.settings
    who, begins = draw_visits(rng, people, settings.start, settings.days)
    count = 1 + rng.poisson(settings.more, len(who))
    first = np.repeat(np.cumsum(count) - count, count)
    pauses = _PAUSE + rng.exponential(2 * _PAUSE, int(count.sum())).astype(np.int64)
    passed = np.append(0, np.cumsum(pauses))
    person = np.repeat(who, count)
    at = np.repeat(begins, count) + passed[:-1] - passed[first]
    order = np.argsort(at, kind="stable")
    person, at = person[order], at[order]
    luck = rng.random(len(at))
    viewed: list[list[int]] = [[] for _ in people.id]
    found = np.full(len(at), -1)
    for i in range(len(at)):
        rows, own = truth.offered(int(at[i])), viewed[person[i]]
        interest = truth.interest(int(person[i]), int(at[i]), rows)
        known = np.array(own, np.int64) - rows.start
        interest[known[(known >= 0) & (known < len(interest))]] = 0
        sums = np.cumsum(interest)
        if len(sums) and sums[-1] > 0:
            found[i] = rows.start + min(int(np.searchsorted(sums, luck[i] * sums[-1], side="right")), len(sums) - 1)
            own.append(int(found[i]))
    end = settings.start + settings.days * 24 * HOUR
    kept = (found >= 0) & (at < end)
    return Views(person[kept], found[kept], at[kept])


def levels_of(truth: Truth, views: Views) -> Floats:
    """Give the level of each task, (4,), by which it follows a view as often as it shall."""
    low, high = np.full(len(TASKS), -20.0), np.full(len(TASKS), 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        over = truth.follows(views.person, views.content, middle).mean(axis=0) > np.array(list(TASKS.values()))
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.asarray((low + high) / 2, np.float64)


def events_table(truth: Truth, rng: np.random.Generator, views: Views) -> pa.Table:
    """Give the log in order of time: each view, some once more within hours, and what followed within minutes."""
    n = len(views.at)
    chances = truth.follows(views.person, views.content, np.array(truth.settings.levels))
    row, task = np.nonzero(rng.random((n, len(TASKS))) < chances)
    again = np.flatnonzero(rng.random(n) < _AGAIN)
    late = views.at[again] + rng.exponential(6 * HOUR, len(again)).astype(np.int64) + _PAUSE
    soon = views.at[row] + rng.exponential(3 * _PAUSE, len(row)).astype(np.int64) + _PAUSE // 60
    at = np.concatenate([views.at, late, soon])
    view = np.concatenate([np.arange(n), again, row])
    event = np.concatenate([np.zeros(n + len(again), np.int64), task + 1])
    end = truth.settings.start + truth.settings.days * 24 * HOUR
    kept = np.flatnonzero(at < end)
    kept = kept[np.lexsort((event[kept], view[kept], at[kept]))]
    columns = {
        "time": pa.array(at[kept], pa.int64()).cast(MOMENT),
        "event": pa.array(EVENTS, pa.string()).take(pa.array(event[kept])),
        "content_id": truth.contents.id[views.content[view[kept]]],
        "person_id": truth.people.id[views.person[view[kept]]],
    }
    return pa.table(columns)


def write_contents(folder: Path, truth: Truth, rng: np.random.Generator) -> None:
    """Write `contents.parquet`, in order of publication."""
    contents = truth.contents
    columns = {
        "content_id": contents.id,
        "author": pa.array([f"author-{code:04d}" for code in contents.author.tolist()]),
        "topic": pa.array(list(TOPICS), pa.string()).take(pa.array(contents.topic)),
        "text": pa.array(draw_texts(rng, contents.topic), pa.string()),
        "language": pa.array(LANGUAGES, pa.string()).take(pa.array(contents.language)),
        "published_at": pa.array(contents.published, pa.int64()).cast(MOMENT),
    }
    write_table(folder / "contents.parquet", pa.table(columns))
