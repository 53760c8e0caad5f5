"""What the tests of the data room share: designs in one line, and the real log where there is one."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.log import Log

DAY = 86_400_000_000
BOUGHT = (bt.Label("bought"),)


@pytest.fixture
def make_design() -> Callable[..., bt.Design]:
    def make(examples, split, labels=BOUGHT, features=(), table=None, **data) -> bt.Design:
        table = table or bt.Table(examples.table, time="time")
        return bt.Design(
            name="test",
            scope=bt.Scope(question="Does it work?"),
            data=bt.Data(tables=[table], examples=examples, labels=labels, split=split, **data),
            features=features,
            models={"retrieve": [bt.Popularity()], "score": [bt.Logistic()]},
            evaluation=bt.Evaluation(primary="ndcg@20"),
            serving=bt.Serving(path=[bt.Retrieve(), bt.Score()]),
        )

    return make


@pytest.fixture
def make_log() -> Callable[..., Log]:
    def make(columns: dict[str, object], known=None) -> Log:
        rows = pa.table(columns)
        time = np.asarray(rows["time"].to_numpy(), np.int64) if "time" in columns else None
        return Log("log", rows, time, time if known is None else np.asarray(known, np.int64))

    return make


@pytest.fixture
def shop(make_log) -> Log:
    """A year of a small shop: 40 people, 30 items, 4,000 lines."""
    rng = np.random.default_rng(5)
    n = 4000
    item = np.minimum(rng.geometric(0.12, n), 30)
    return make_log(
        {
            "time": np.sort(rng.integers(0, 360 * DAY, n)),
            "customer": [f"c{value:02d}" for value in rng.integers(0, 40, n)],
            "product": [f"p{value:02d}" for value in item],
            "country": [["UK", "IE", None][value] for value in rng.integers(0, 3, n)],
        }
    )


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("BOTTEGA_DATA")
    if not folder:
        pytest.skip("BOTTEGA_DATA is not set: the real log is not part of the project")
    if not any((Path(folder) / "online_retail").glob("online_retail.*")):
        pytest.skip(f"BOTTEGA_DATA={folder} holds no online_retail/online_retail.*")
    return Path(folder)
