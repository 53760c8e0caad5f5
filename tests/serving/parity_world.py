"""A small shop window whose every request has its own time: the features of its examples, ready for the parity gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as Folder
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bottega as bt
from bottega.data.source import Place
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps import parity
from bottega.runs.steps.examples import make_examples, read_examples
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.serving.parity import Parity

SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
START, DAYS = 20_000 * DAY, 5
VISITS = {
    "n": "count(*)",
    "kinds": "count(distinct what)",
    "spent": "sum(amount)",
    "early": 'count(case when extract(hour from "when") < 12 then 1 end)',
    "first": 'min("when")',
}
NEWEST = {"high": "max(amount)", "what": "last(what)"}
FEATURES: list[Any] = [
    bt.Window("visits", by="user", over=["1h", "1d"], values=VISITS),
    bt.Window("visits", by="user", over=["1h"], hop="exact", values=NEWEST, name="now"),
    bt.Window("shown", by="item", over=["1d", "all"], values={"shows": "count(*)", "ctr": "avg(clicked)"}),
    bt.Lookup("profiles", by="user", columns=["city", "points"], ttl="6h"),
    bt.Lookup("items", by="item", columns=["colour"]),
    bt.Expression({"pace": "user_n_1h / user_n_1d"}),
]
COLUMNS = 20
"""That the features make."""


def changed(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)


def table(design: bt.Design, name: str, **fields: Any) -> bt.Design:
    """Give a design with another table of this name."""
    tables = [changed(one, **fields) if one.name == name else one for one in design.data.tables]
    return changed(design, data=changed(design.data, tables=tables))


def feature(design: bt.Design, place: int, **fields: Any) -> bt.Design:
    """Give a design with another feature at this place."""
    parts = [changed(one, **fields) if at == place else one for at, one in enumerate(design.features)]
    return changed(design, features=parts)


def small_design() -> bt.Design:
    """Give a design with a window, a look-up and an expression of each kind that can go wrong in its own way."""
    return bt.Design(
        name="window-shop",
        scope=bt.Scope(question="Which?", decision="Show them.", objective=bt.Objective("clicks", "up")),
        data=bt.Data(
            tables=[
                bt.Table("shown", "shown.parquet", time="at"),
                bt.Table(
                    "visits", "visits.parquet", time="when", created="told", event_id="visit", available_after="1min"
                ),
                bt.Table("profiles", "profiles.parquet", time="since"),
                bt.Table("items", "items.parquet", key="item"),
            ],
            examples=bt.Logged("shown", request=["user"], candidate="item"),
            labels=[bt.Label("clicked", matures_after="1h")],
            split=bt.TimeSplit(validate="1d", test="1d"),
        ),
        features=FEATURES,
        models={"rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="log_loss"),
        serving=bt.Serving(path=[bt.Candidates(at_most=50), bt.Rank(), bt.Show(k=5, at_most=20)]),
    )


def write_tables(folder: Folder, seed: int = 0) -> None:
    """Write five days of a shop: what was shown, visits that come late, profiles that change, and the items.

    Visits are at all moments, at the very time of a request, and at the very ends of its windows.
    """
    rng = np.random.default_rng(seed)
    requests = np.sort(rng.integers(START, START + DAYS * DAY, 700))
    users = rng.integers(0, 12, len(requests))
    at, user = np.repeat(requests, 2), np.repeat(users, 2)
    item = rng.integers(0, 9, len(at))
    _write(
        folder, "shown", at=_times(at), user=_names("u", user), item=_names("i", item),
        clicked=rng.integers(0, 2, len(at)), position=np.tile([1, 2], len(requests)),
    )  # fmt: skip
    near = requests[:, None] + np.array([0, -HOUR, 300 - HOUR, -DAY, -1])
    moments = np.concatenate([rng.integers(START, START + DAYS * DAY, 2500), near.ravel()])
    who = np.concatenate([rng.integers(0, 12, 2500), np.repeat(users, near.shape[1])])
    order = np.argsort(moments, kind="stable")
    moments, who, what = moments[order], who[order], _names("kind ", rng.integers(0, 5, len(order)))
    late = np.where(rng.random(len(moments)) < 0.2, rng.integers(0, HOUR, len(moments)), 0)
    amount = np.where(rng.random(len(moments)) < 0.1, np.nan, rng.normal(20, 50, len(moments)).round(2))
    _write(
        folder, "visits", visit=_names("v", np.arange(len(moments))), when=_times(moments), told=_times(moments + late),
        user=_names("u", who), amount=pa.array(amount, from_pandas=True), what=what,
    )  # fmt: skip
    since = np.sort(np.concatenate([rng.integers(START, START + DAYS * DAY, 150), requests[::20]]))
    _write(
        folder, "profiles", since=_times(since), user=_names("u", rng.integers(0, 12, len(since))),
        city=_names("city ", rng.integers(0, 9, len(since))), points=rng.random(len(since)),
    )  # fmt: skip
    _write(folder, "items", item=_names("i", np.arange(9)), colour=_names("colour ", np.arange(9) % 4))


def _write(folder: Folder, name: str, **columns: Any) -> None:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def _times(moments: np.ndarray) -> pa.Array:
    return pa.array(moments.astype("datetime64[us]"))


def _names(kind: str, numbers: np.ndarray) -> pa.Array:
    return pa.array([f"{kind}{number}" for number in numbers.tolist()])


@dataclass
class ParityWorld:
    """What training made: a job, its examples and their features."""

    job: Job
    examples: Result
    features: list[Result]

    def compare(self, folder: Folder, design: bt.Design | None = None) -> Parity:
        """Hold training's features against what serving reads by this design, else by the same one."""
        job = self.job
        if design is not None:
            kept: Mapping[object, object] = {("log", name): log for name, log in job.logs().items()}
            job = Job(design, job.place, job.runner, job.seed, ingested=job.ingested, _kept=dict(kept))
        return parity.compare(job, folder / "replay", read_examples(self.examples.folder), {}, {}, self.features)


def build(folder: Folder) -> ParityWorld:
    """Run the steps from the tables to the features of all examples."""
    write_tables(folder)
    (folder / "work").mkdir()
    with Runner(Workspace(folder / "work", "window-shop"), Silent()) as runner:
        job = Job(small_design(), Place(folder), runner)
        ingest_tables(job)
        examples = make_examples(job, None, {})
        return ParityWorld(job, examples, compute_features(job, examples, {})[FINAL])
