"""A shop that is built in seconds: the shop design made small, its log, and the command line as a process."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import msgspec

import bottega as bt
from bottega.systems.shop_recommendation import design as shop
from bottega.worlds.shop import ShopWorld

REQUESTS, WARM_UP = 100, 20  # of the measured path, instead of 2,000 and 200
NEW = 2  # items that are sent to be found, instead of 20
_HEAVY = (
    *(
        "bottega.verbs.run",
        "bottega.verbs.serve",
        "bottega.verbs.load",
        "bottega.verbs.explain",
        "bottega.verbs.report",
    ),
    *("bottega.features.kernels", "bottega.features.kernels_tree", "bottega.models.rows_kernel"),
    *("bottega.models.forest_kernel", "lightgbm", "sklearn.linear_model", "implicit", "scipy.optimize"),
)
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(list(_HEAVY))  # imported once, so that a command costs what it does itself


def changed(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)


def tiny_design(**fields: Any) -> bt.Design:
    """Give the shop design with few candidates, few trees, and a goal that it meets."""
    small = {
        "name": "tiny",
        "models": {
            "retrieve": [
                bt.Popularity(span="30d", k=30, unseen=10),
                bt.PersonalHistory(half_life="83d", k=30),
                bt.CoPurchase(k=30, unseen=10),
                bt.Factorization(k=30, unseen=10),
            ],
            "rank": [
                bt.HistoricalRate(by="product"),
                bt.Logistic(),
                bt.BoostedTrees(objective="lambdarank", trees=20, leaves=7),
            ],
        },
        "features": FEATURES,
        "evaluation": bt.Evaluation(
            primary="ndcg@20",
            metrics=["recall@20", "mrr"],
            slices=["cold"],
            views=[bt.View("new items", where="customer_product_times_all = 0")],
            goals=[bt.Goal("recall@20", at_least=0.01)],
        ),
        "serving": bt.Serving(path=[bt.Retrieve(k=60), bt.Rank(), bt.Show(k=20)], workers=1),
    }
    return changed(shop, **{**small, **fields})


FEATURES = [
    bt.Window(
        "orders",
        by=["customer", "product"],
        values={"times": "count(distinct invoice)", "last": "last(time)", "pieces": "sum(quantity)"},
    ),
    bt.Window("orders", by="customer", over=["30d", "all"], values={"visits": "count(distinct invoice)"}),
    bt.Window("orders", by="product", over=["7d", "30d", "all"], values={"buyers": "count(distinct customer)"}),
    bt.Window("orders", by="product", values={"price": "avg(price)"}),
    bt.Lookup("orders", by="customer", columns=["country"]),
    bt.Expression({"share_of_visits": "customer_product_times_all / customer_visits_all"}),
    bt.Expression({"trend": "product_buyers_7d / product_buyers_30d"}),
]


def write_shop(folder: Path) -> None:
    """Write the log of a small shop, as its publisher would give it."""
    ShopWorld(customers=200, products=120, seed=3).write(folder)


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Built:
    """A finished run: its design as a file, its data, its workspace, what the command said, and the scorecard."""

    design: Path
    data: Path
    workspace: Path
    said: Said
    card: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The design's folder in the workspace."""
        return self.workspace / "tiny"


class Command:
    """`bottega …` as a process of its own, leader of its group; `run` measures the path with 100 requests.

    slow: seconds that every step takes longer, after its work and before it is finished.
    """

    def __init__(self, *typed: object, folder: Path, slow: float = 0.0, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder
        number = len(list(folder.glob("*.out")))
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        self.process: ForkServerProcess = _FORKED.Process(
            target=_live, args=([str(part) for part in typed], self._out, self._err, slow, dict(env or {}))
        )
        self.process.start()

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return int(self.process.pid or 0)

    def ended(self) -> bool:
        """Say whether it has ended."""
        return not self.process.is_alive()

    def wait(self, timeout: float = 240) -> Said:
        """Wait for its end."""
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            raise TimeoutError(f"not ended after {timeout} s: {self.said()}")
        return Said(code, *self.said())

    def said(self) -> tuple[str, str]:
        """Give what it has printed so far."""
        return tuple(path.read_text("utf-8") if path.exists() else "" for path in (self._out, self._err))  # type: ignore[return-value]


def _live(typed: list[str], out: Path, err: Path, slow: float, env: dict[str, str]) -> None:
    os.setsid()
    for path, number in ((out, 1), (err, 2)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.pop("BOTTEGA_DATA", None)
    os.environ.update({"COLUMNS": "80", **env})
    quicken(slow)
    from bottega.cli import main

    sys.argv = ["bottega", *typed]
    main()


def quicken(slow: float = 0.0) -> None:
    """Measure the path with few requests, in this process."""
    from bottega.runs import runner
    from bottega.runs.steps import freshness, measuring

    measuring.REQUESTS, measuring.WARM_UP = REQUESTS, WARM_UP
    freshness.SENT = NEW
    describe = runner.describe_files
    if slow:

        def slowly(folder: Path) -> dict[str, dict[str, Any]]:
            time.sleep(slow)
            return describe(folder)

        runner.describe_files = slowly
