"""A click log that grows by days, in whose every day there are ads that no day had before, and what learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bottega as bt
from bottega.data.source import Place
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.steps.examples import make_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import make_lessons
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.warming import find_starts
from bottega.runs.workspace import Workspace
from bottega.verbs.run import Ran

DAYS, A_DAY, USERS, ADS = 4, 2000, 40, 15


def write_day(folder: Path, day: int) -> None:
    """Write the impressions of a day; a click hangs on the ad and the kind of user, and tastes move with the days."""
    rng, tastes = np.random.default_rng([7, day]), np.random.default_rng(8)
    liked = tastes.normal(-0.5, 1, 100) + day * tastes.normal(0, 0.4, 100)
    second = np.sort(rng.integers(86_400, size=A_DAY))
    user, ad = rng.integers(USERS, size=A_DAY), rng.integers(2 * day, ADS + 2 * day, size=A_DAY)
    clicked = rng.random(A_DAY) < 1 / (1 + np.exp(-liked[ad] - (user % 2)))
    time = np.datetime64("2026-03-01T00:00:00") + (day * 86_400 + second).astype("timedelta64[s]")
    columns: dict[str, Any] = {"shown_at": time.astype("datetime64[us]"), "clicked": clicked.astype(np.int8)}
    columns |= {name: np.char.add(name[0], codes.astype(str)) for name, codes in (("user", user), ("ad", ad))}
    columns["place"] = rng.integers(1, 4, A_DAY)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{day:02}.parquet")


def design(models: Sequence[Any], features: Sequence[Any] | None = None, **data: Any) -> bt.Design:
    """Give a design of the log; features and parts of the data can be others."""
    parts: Mapping[str, Any] = {
        "tables": [bt.Table("shown", "shown/*.parquet", time="shown_at")],
        "examples": bt.Logged("shown", request=["user"], candidate="ad"),
        "labels": [bt.Label("clicked")],
        "split": bt.TimeSplit(validate="1d", test="1d"),
        **data,
    }
    return bt.Design(
        name="clicks",
        scope=bt.Scope(question="Which ad?"),
        data=bt.Data(**parts),
        features=features or [bt.Categories(["ad", "user"], own_from=2, hashed=8)],
        models={"rank": models},
        evaluation=bt.Evaluation(primary="log_loss", metrics=["roc_auc"]),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=4)], workers=1),
    )


@dataclass
class GrowingLog:
    """The log, and the workspace of what learns from it; `days` are written so far."""

    folder: Path
    days: int = 0

    def grow(self, days: int = 1) -> None:
        """Write further days."""
        for day in range(self.days, self.days + days):
            write_day(self.folder / "data" / "shown", day)
        self.days += days

    def rows(self, day: int) -> pa.Table:
        """Read a day, the newest by −1."""
        return pq.read_table(self.folder / "data" / "shown" / f"{day % self.days:02}.parquet")

    def run(self, plan: bt.Design, workspace: str = "w", **settings: Any) -> Ran:
        """Run a design on the log, in its own workspace or in another one."""
        return bt.run(plan, data=self.folder / "data", workspace=self.folder / workspace, **settings)

    def starts(self, plan: bt.Design) -> dict[str, Any]:
        """Find where the fits of the only ladder would begin, by the first steps of a run alone."""
        with Runner(Workspace(self.folder / "w", plan.name), Silent()) as runner:
            job = Job(plan, Place(self.folder / "data"), runner)
            ingest_tables(job)
            lessons = make_lessons(job, make_examples(job, None, {}))
            return find_starts(job, lessons)["rank"]


def changed(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)
