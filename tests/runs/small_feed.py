"""A small feed: its tables, drawn with a seed, its design, and the steps of a run as far as its examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bottega as bt
from bottega.data.examples import Requests
from bottega.data.source import Place
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests
from bottega.runs.steps.examples import Examples, make_examples, make_requests, read_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.retrieving import LISTS, retrieve
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace

HOUR = 3_600_000_000
DAY = 24 * HOUR
ITEMS = [f"i{place:02}" for place in range(40)]
LANGUAGES = ["de", "en", "it"]
Row = dict[str, Any]


@dataclass
class Tables:
    """Rows of the feed: events with a time, and items, some of which nobody takes."""

    events: list[Row]
    items: dict[str, Row]
    _times: dict[Any, list[int]] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, n: int = 600, people: int = 15) -> Tables:
        draw = np.random.default_rng(seed)
        items = {
            name: {
                "item": name,
                "listed": int(draw.integers(0, 30)) * DAY if place % 3 else 0,
                "tongue": LANGUAGES[int(draw.integers(3))] if place % 7 else None,
                "stock": float(draw.integers(0, 4)) if place % 5 else None,
            }
            for place, name in enumerate(ITEMS)
        }
        events = []
        for at in np.sort(draw.integers(0, 60 * DAY, n)).tolist():
            there = [name for name, row in items.items() if row["listed"] < at][:-4]
            if there:
                person = int(min(draw.geometric(0.15), people))
                item = there[int(min(draw.geometric(0.08), len(there))) - 1]
                tongue = LANGUAGES[person % 3] if person % 4 else None
                events.append({"person": f"p{person:02}", "item": item, "tongue": tongue, "time": at})
        return cls(events, items)

    def times(self, **fields: Any) -> list[int]:
        """Give the times of the events with these values, ascending."""
        key = tuple(fields.items())
        if key not in self._times:
            rows = (row for row in self.events if all(row[name] == value for name, value in key))
            self._times[key] = [row["time"] for row in rows]
        return self._times[key]

    def write(self, folder: Path) -> None:
        """Write both as Parquet."""
        for name, rows, moment in (("events", self.events, "time"), ("items", [*self.items.values()], "listed")):
            table = pa.Table.from_pylist(rows)
            at = table.schema.get_field_index(moment)
            times = table.column(moment).cast(pa.timestamp("us", "UTC"))
            pq.write_table(table.set_column(at, moment, times), folder / f"{name}.parquet")


FEATURES = [
    bt.Lookup("items", by="item", columns=["tongue", "stock"]),
    bt.Window("events", by="item", over=["10d", "all"], values={"n": "count(*)"}),
    bt.Window("events", by=["person", "item"], values={"n": "count(*)"}),
    bt.Expression({"common": "coalesce(item_n_10d, 0) + coalesce(item_stock, 0)"}),
]
EACH = bt.Each(warm_up="1d", refresh="5d")


def design_of(retrievers: Sequence[Any], path: Sequence[Any], **examples: Any) -> bt.Design:
    """Give the feed's design with these retrievers and this path; fields of `examples` as they are given."""
    asked = {"requests": EACH, "newcomers": True, "horizon": "0s", "catalogue": "items", **examples}
    return bt.Design(
        name="small-feed",
        scope=bt.Scope(question="What does this person read next?"),
        data=bt.Data(
            tables=[
                bt.Table("events", "events.parquet", time="time"),
                bt.Table("items", "items.parquet", key="item", time="listed"),
            ],
            examples=bt.FromPositives("events", ["person", "tongue"], "item", **asked),
            labels=[bt.Label("read")],
            split=bt.TimeSplit(test="10d", validate="8d"),
        ),
        features=FEATURES,
        models={"retrieve": list(retrievers), "rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="ndcg@5", metrics=["recall@5"]),
        serving=bt.Serving(path=list(path), workers=1),
    )


@dataclass
class Made:
    """What the steps left, as far as the examples."""

    job: Job
    asked: Requests
    retrieved: dict[str, Result]
    examples: Result
    lists: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def rows(self) -> Examples:
        return read_examples(self.examples.folder)

    def named(self, name: str, row: int) -> list[str]:
        """Give what a retriever lists for a request, by name; `""` where a list has ended."""
        every = self.job.vocabulary.to_pylist()
        return [every[code] if code >= 0 else "" for code in self.lists[name][row].tolist()]


@contextmanager
def made(design: bt.Design, tables: Tables, folder: Path, models: Sequence[str] = ()) -> Iterator[Made]:
    """Run the steps from the tables to the examples; models: rungs to train later."""
    folder.mkdir(parents=True, exist_ok=True)
    tables.write(folder)
    with Runner(Workspace(folder / "work", design.name), Silent()) as runner:
        job = Job(design, Place(folder), runner, models=models)
        ingest_tables(job)
        asked = make_requests(job)
        retrieved = retrieve(job, asked)
        examples = make_examples(job, asked, retrieved)
        lists = {name: np.load(result.folder / LISTS) for name, result in retrieved.items()}
        yield Made(job, read_requests(asked.folder), retrieved, examples, lists)
