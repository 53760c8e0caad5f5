"""What the proofs on the feed world share: first views with what followed, and frequencies held to chances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.worlds.feed import FeedWorld
from bottega.worlds.feed_truth import TASKS, Truth

HOUR = 3_600_000_000
DAY = 24 * HOUR
SMALL: dict[str, Any] = {"rows": 5_000, "days": 60}


@dataclass
class Feed:
    """A written world, and its first views in order: rows of people and contents, and what followed each."""

    folder: Path
    truth: Truth
    person: NDArray[np.int64]
    content: NDArray[np.int64]
    at: NDArray[np.int64]
    follows: NDArray[np.bool_]


def open_feed(folder: Path, **settings: Any) -> Feed:
    FeedWorld(**settings).write(folder)
    truth, log = Truth.load(folder / "truth"), pq.read_table(folder / "events.parquet")
    people, contents = ({int(one): row for row, one in enumerate(part.id)} for part in (truth.people, truth.contents))
    person = np.array([people[one] for one in log["person_id"].to_pylist()])
    content = np.array([contents[one] for one in log["content_id"].to_pylist()])
    pair, at = person * len(contents) + content, moments(log)
    event = np.array(log["event"])
    pairs, first = np.unique(np.where(event == "VIEW", pair, -1), return_index=True)
    first = np.sort(first[pairs >= 0])
    followed = [np.isin(pair[first], pair[event == task]) for task in TASKS]
    return Feed(folder, truth, person[first], content[first], at[first], np.stack(followed, axis=1))


def moments(log: pa.Table) -> NDArray[np.int64]:
    return np.asarray(log["time"].cast(pa.int64()))


def far(chance: NDArray[Any], happened: NDArray[Any]) -> list[float]:
    """The deciles in which more, or less, happened than four standard deviations allow, in such."""
    groups = np.array_split(np.argsort(chance, kind="stable"), 10)
    off = [(happened[rows].sum() - chance[rows].sum()) / np.sqrt(chance[rows].sum() + 1) for rows in groups]
    return [each for each in off if abs(each) > 4]
