"""What could be known in a feed world: the true chance of each view, and of what follows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.worlds.feed_log import EVENTS
from bottega.worlds.feed_truth import DAY, HOUR, TASKS, Floats, Ints, Truth, traffic

Columns: TypeAlias = "pa.Table | Mapping[str, Any]"
_TINY = float(np.finfo(np.float64).tiny)
_VIEWS = 7  # of a visit that are looked at; one in a thousand has more


def true_probabilities(folder: Path, columns: Columns, position: None = None, label: str = "VIEW") -> Floats:
    """Give the true probability that a person views a content next, or does more with it.

    `VIEW`: given that the person views something at that time, the chance that it is this content,

        interest of the content / Σ interest of all contents published before, and not viewed by this person before

    with `Truth.interest`; 0 for what is not published yet, archived (30 days), or viewed before. What was viewed is
    read from the log. `LIKE`, `BOOKMARK`, `COMMENT`, `FOLLOW`: the chance that it follows the view, at any time.

    folder: where `FeedWorld.write` wrote.
    columns: a table, or arrays by name, (n,) each: person_id, content_id, and time (timestamps, or integers as
        microseconds since 1970 UTC) for views. Rows of one person and time cost little more than one.
    position: nothing; a feed of this world has no places.
    label: of `EVENTS`.

    Returns (n,) float64 in 0..1. Raises `DesignError` for an unknown label, or a place; `DataError` for a missing
    column, an id that the world does not know, or a folder without a truth.

    >>> import tempfile
    >>> from bottega.worlds.feed import FeedWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> FeedWorld(rows=1_000, days=20).write(home)
    >>> log = pq.read_table(home / "events.parquet")
    >>> likes = true_probabilities(home, log, label="LIKE")
    >>> bool(likes.min() > 0)
    True
    """
    if label not in EVENTS:
        raise DesignError("label", repr(label), f"one of {', '.join(EVENTS)}", "label='VIEW'")
    if position is not None:
        raise DesignError("position", repr(position), "nothing: this world has no places", "leave it out")
    truth = Truth.load(folder / "truth")
    person = _codes(columns, "person_id", truth.people.id)
    content = _codes(columns, "content_id", truth.contents.id)
    if len(person) != len(content):
        raise DataError("columns", f"lengths {len(person)} and {len(content)}", "one length (n,)", "give one table")
    if label != "VIEW":
        chances = truth.follows(person, content, np.array(truth.settings.levels))
        return np.asarray(chances[:, list(TASKS).index(label)], np.float64)
    at = _moments(columns)
    if len(at) != len(person):
        raise DataError("columns", f"lengths {len(person)} and {len(at)}", "one length (n,)", "give one table")
    history = _History(truth, folder)
    found = np.zeros(len(at))
    order = np.lexsort((at, person))
    new = np.append(True, (np.diff(person[order]) != 0) | (np.diff(at[order]) != 0))
    for rows in np.split(order, np.flatnonzero(new)[1:]) if len(order) else []:
        who, when = int(person[rows[0]]), int(at[rows[0]])
        offered, interest = history.interest(who, when, when)
        place = content[rows] - offered.start
        there = (place >= 0) & (place < len(interest))
        found[rows[there]] = interest[place[there]] / max(interest.sum(), _TINY)
    return found


def limits(folder: Path, columns: Columns, label: str = "VIEW") -> Floats:
    """Give the best prediction of an event from the log's columns, (n,): as `true_probabilities`.

    It knows tastes and favourites, which a model must learn from few views of each person.
    """
    return true_probabilities(folder, columns, None, label)


def best_scores(folder: Path, people: NDArray[Any], items: NDArray[Any], at: int, horizon: int) -> Floats:
    """Give the true P(person views content in [at, at + horizon)), for the first time: no ranking is expected better.

    Visits are Poisson, each of 1 + Poisson(m) views of different contents, so P = 1 − exp(−Σ_hours visits · h), with h
    the chance that a visit at the middle of the hour meets the content. Its first view does with

        p = interest / (interest + Σ over all others of interest · P(not viewed in the horizon so far))

    and each further one with p times the chance that no earlier one did, over the mean of that. Interest is as in
    `true_probabilities`.

    It is wrong in two things: what the others are left is replaced by its mean, and within an hour nothing fades or
    appears. The scores are right in sum to about one in a hundred by default, and 5 % low where a day brings so few
    contents that some view them all. They know what will be published inside the horizon, and how it will appeal, which
    no model can.

    people, items: (n,) person_id and content_id, whole numbers or their text; unknown ones score 0. at: microseconds
    since 1970-01-01 UTC. horizon: microseconds, above 0; larger gives larger scores.

    Returns (n,) float64 in 0..1. Raises `DesignError` for arrays or a horizon that cannot be, `DataError` where no
    feed world was written.
    """
    people, items = np.asarray(people), np.asarray(items)
    if people.ndim != 1 or people.shape != items.shape:
        found = f"shapes {people.shape} and {items.shape}"
        raise DesignError("best_scores(people, items)", found, "two arrays of one shape (n,)", "give pairs")
    if horizon <= 0:
        raise DesignError("best_scores(horizon)", horizon, "microseconds above 0", "a day: 86_400_000_000")
    truth = Truth.load(folder / "truth")
    settings, more = truth.settings, truth.settings.more
    who, what = _known(people, truth.people.id), _known(items, truth.contents.id)
    begin, end = max(at, settings.start), min(at + horizon, settings.start + settings.days * DAY)
    hours = range((begin - settings.start) // HOUR, -(-(end - settings.start) // HOUR))
    share, history = traffic(settings.start, settings.days), _History(truth, folder)
    scores, expected = np.zeros(len(people)), np.zeros(len(truth.contents.id))
    rows_of = np.split(np.argsort(who, kind="stable"), np.cumsum(np.bincount(who + 1, minlength=1))[:-1])
    for person, rows in enumerate(rows_of[1:]):
        if not len(rows):
            continue
        expected[:] = 0
        for hour in hours:
            low, high = settings.start + hour * HOUR, settings.start + (hour + 1) * HOUR
            inside = (min(high, end) - max(low, begin, truth.people.joined[person])) / HOUR
            if inside <= 0:
                continue
            middle = (max(low, begin) + min(high, end)) // 2
            offered, interest = history.interest(person, int(middle), at)
            visits = truth.people.rate[person] * share[hour] * inside
            expected[offered] += visits * _met(interest, np.exp(-expected[offered]), more)
        asked = what[rows]
        scores[rows] = np.where(asked >= 0, -np.expm1(-expected[asked]), 0)
    return scores


def _met(interest: Floats, left: Floats, more: float) -> Floats:
    """Give the chance that a visit of 1 + Poisson(more) views meets each content, if it was not viewed before: (rows,).

    left: the chance that each is still there to be viewed.
    """
    there = interest * left
    first = interest / np.maximum(there.sum() - there + interest, _TINY)
    share = there / max(there.sum(), _TINY)
    met, found, chance = first, first.copy(), 1.0  # met: by so many views
    for views in range(1, _VIEWS):
        chance -= math.exp(-more) * more ** (views - 1) / math.factorial(views - 1)  # that there is one more
        now = first * (1 - met) / max(share @ (1 - met), _TINY)
        met = np.minimum(met + now, 1.0)
        found += chance * now
    return np.asarray(np.minimum(found, 1.0), np.float64)


class _History:
    """What each person viewed, by time, from the log."""

    def __init__(self, truth: Truth, folder: Path) -> None:
        log = pq.read_table(folder / "events.parquet", columns=["time", "event", "content_id", "person_id"])
        views = log.filter(pc.equal(log["event"], "VIEW"))
        self._truth = truth
        person = _known(views["person_id"].to_numpy(), truth.people.id)
        order = np.argsort(person, kind="stable")
        self._ends = np.append(0, np.cumsum(np.bincount(person, minlength=len(truth.people.id))))
        self._content = _known(views["content_id"].to_numpy(), truth.contents.id)[order]
        self._at = views["time"].cast(pa.int64()).to_numpy()[order]

    def interest(self, person: int, at: int, known: int) -> tuple[slice, Floats]:
        """Give what can be found at a moment, and a person's interest in it, 0 where viewed before `known`."""
        rows = self._truth.offered(at)
        found = self._truth.interest(person, at, rows)
        own = slice(self._ends[person], self._ends[person + 1])
        viewed = self._content[own][self._at[own] < known] - rows.start
        found[viewed[(viewed >= 0) & (viewed < len(found))]] = 0
        return rows, found


def _known(values: NDArray[Any], ids: Ints) -> Ints:
    """Give the row of each id, whole numbers or their text; −1 where it is none."""
    found = pa.array(ids).cast(pa.string())
    places = pc.fill_null(pc.index_in(pa.array(values).cast(pa.string()), value_set=found), -1)
    return np.asarray(places.to_numpy(zero_copy_only=False), np.int64)


def _codes(columns: Columns, name: str, ids: Ints) -> Ints:
    values = _column(columns, name).to_numpy(zero_copy_only=False)
    codes = _known(values, ids)
    if (codes < 0).any():
        allowed = f"one that the world has, such as {ids[0]}"
        fix = "ask about the rows of the world's own log"
        raise DataError(f"columns[{name!r}]", repr(values[int(np.argmin(codes))].item()), allowed, fix)
    return codes


def _moments(columns: Columns) -> Ints:
    at = _column(columns, "time")
    if pa.types.is_timestamp(at.type):
        at = at.cast(pa.timestamp("us", at.type.tz), safe=False)
    elif not pa.types.is_integer(at.type):
        raise DataError("columns['time']", f"{at.type}", "timestamps, or integers as microseconds since 1970 UTC")
    if at.null_count:
        raise DataError("columns['time']", f"{at.null_count} nulls", "a time in each row", "drop the rows")
    return np.asarray(at.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _column(columns: Columns, name: str) -> pa.Array:
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    if name not in names:
        raise DataError("columns", f"no {name} among {', '.join(names)}", "the log's columns", f"add {name}")
    values = columns[name]
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values)
