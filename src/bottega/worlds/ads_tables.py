"""The tables of an ads world as a person would have them, and what the log's end cuts off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.files import writing
from bottega.worlds.ads_draw import TWISTS
from bottega.worlds.ads_log import Searches, Shown, asked_events
from bottega.worlds.ads_truth import AGES, DAY, DEVICES, HOUR, INTERESTS, Ints, Truth, attraction

MOMENT = pa.timestamp("us", "UTC")
_NEVER = np.iinfo(np.int64).max
_CLICK = 9_000_000  # microseconds: median time from showing to click
_SLOWEST = HOUR // 2  # a click later than this is none


@dataclass(frozen=True)
class Outcomes:
    """When what was shown was clicked, and when that led to a conversion, (n,) microseconds; far off where never."""

    clicked_at: Ints
    converted_at: Ints


def draw_outcomes(
    truth: Truth, rng: np.random.Generator, searches: Searches, shown: Shown, slow: float, days: float
) -> Outcomes:
    """Draw the moments of clicks and conversions.

    slow: share of the conversions whose delay is exponential with a mean of so many `days`; the others' has an hour.
    """
    row, n = shown.search, len(shown.ad)
    wait = np.minimum(_CLICK * np.exp(rng.standard_normal(n)), _SLOWEST).astype(np.int64)
    clicked_at = np.where(shown.clicked, searches.at[row] + wait, _NEVER)
    strength = truth.conversion_strength(asked_events(searches, shown)) + truth.settings.carried * shown.intent
    converted = shown.clicked & (rng.random(n) < attraction(strength))
    mean = np.where(rng.random(n) < slow, days * DAY, HOUR)
    delay = np.ceil(rng.exponential(mean)).astype(np.int64)
    return Outcomes(clicked_at, np.where(converted, np.where(converted, clicked_at, 0) + delay, _NEVER))


def write_static(folder: Path, truth: Truth) -> None:
    """Write `ads.parquet`, `advertisers.parquet` and `users.parquet`."""
    ads, users, budget = truth.ads, truth.users, truth.tables.budget
    topics = truth.tables.topics[ads.topic]
    words = [f"{topic} {TWISTS[number % len(TWISTS)]}" for topic, number in zip(topics, ads.id, strict=True)]
    tables = {
        "ads": {
            "ad_id": ads.id,
            "advertiser": advertisers(ads.advertiser),
            "topic": pa.array(topics),
            "keywords": pa.array(words),
            "bid": ads.bid,
            "budget": budget[ads.advertiser],
            "created_at": _moments(ads.created),
        },
        "advertisers": {"advertiser": advertisers(np.arange(len(budget))), "budget": budget},
        "users": {
            "user_id": users.id,
            "age": pa.array(np.array(AGES)[users.age]),
            "interest": pa.array(np.array(INTERESTS)[users.interest]),
            "joined_at": _moments(users.joined),
        },
    }
    for name, columns in tables.items():
        write_table(folder / f"{name}.parquet", pa.table(columns))


def write_day(folder: Path, truth: Truth, outcomes: Outcomes, searches: Searches, shown: Shown, first: int) -> None:
    """Write a day's impressions as the log has them at its end, in order of time and place.

    first: the number of the day's first search.
    """
    end = truth.settings.start + truth.settings.days * DAY
    row, seen = shown.search, (outcomes.clicked_at < end, outcomes.converted_at < end)
    columns = {
        "shown_at": _moments(searches.at[row]),
        **_asked(truth, searches, row, first),
        "ad_id": truth.ads.id[shown.ad],
        "position": shown.position.astype(np.int32),
        "price": shown.price,
        "clicked": seen[0].astype(np.int8),
        "clicked_at": _moments(outcomes.clicked_at, ~seen[0]),
        "converted": seen[1].astype(np.int8),
        "converted_at": _moments(outcomes.converted_at, ~seen[1]),
    }
    write_table(folder / "impressions" / f"{_date(searches.at)}.parquet", pa.table(columns))


def write_auctions(folder: Path, truth: Truth, searches: Searches, most: int, first: int) -> None:
    """Write all eligible ads of a day's searches, of at most so many, spread evenly over the day.

    The budgets are those of the same share of a day, so that they bind as they did.
    """
    kept = np.unique(np.linspace(0, len(searches.at) - 1, min(most, len(searches.at))).astype(np.int64))
    row, column = np.nonzero(
        (searches.ads[kept] >= 0) & (truth.ads.created[searches.ads[kept]] <= searches.at[kept, None])
    )
    row = kept[row]
    ad = searches.ads[row, column]
    owner = truth.ads.advertiser[ad]
    columns = {
        "shown_at": _moments(searches.at[row]),
        **_asked(truth, searches, row, first),
        "ad_id": truth.ads.id[ad],
        "advertiser": advertisers(owner),
        "bid": truth.ads.bid[ad],
        "budget": truth.tables.budget[owner] * (len(kept) / len(searches.at)),
        "entered": searches.entered[row, column].astype(np.int8),
    }
    write_table(folder / "auctions" / f"{_date(searches.at)}.parquet", pa.table(columns))


def late_rows(truth: Truth, outcomes: Outcomes, shown: Shown, first: int) -> pa.Table:
    """Give the clicks and conversions that come after the log's end, whole: what the log does not say."""
    end = truth.settings.start + truth.settings.days * DAY
    clicked, converted = outcomes.clicked_at < _NEVER, outcomes.converted_at < _NEVER
    rows = np.flatnonzero((clicked & (outcomes.clicked_at >= end)) | (converted & (outcomes.converted_at >= end)))
    columns = {
        "search_id": shown.search[rows] + first,
        "ad_id": truth.ads.id[shown.ad[rows]],
        "clicked_at": _moments(outcomes.clicked_at[rows]),
        "converted_at": _moments(outcomes.converted_at[rows], ~converted[rows]),
    }
    return pa.table(columns)


def advertisers(codes: Ints) -> pa.Array:
    """Give the names of advertisers, (n,)."""
    return pa.array([f"adv-{code:04d}" for code in range(int(codes.max(initial=-1)) + 1)], pa.string()).take(codes)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole or not at all."""
    with writing(path) as part:
        pq.write_table(table, part)


def _asked(truth: Truth, searches: Searches, row: Ints, first: int) -> dict[str, object]:
    return {
        "search_id": row + first,
        "user_id": truth.users.id[searches.user[row]],
        "query": pa.array(truth.queries.text, pa.string()).take(searches.query[row]),
        "device": pa.array(DEVICES, pa.string()).take(searches.device[row]),
    }


def _moments(at: Ints, null: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(at, pa.int64(), mask=null).cast(MOMENT)


def _date(at: Ints) -> str:
    return str(at[0].astype("M8[us]").astype("M8[D]"))
