"""Ads of known click and conversion probability, budgets and advertisers, as a loaded bundle without any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pyarrow as pa

import bottega as bt
from bottega.data.log import Log
from bottega.features.filling import fill
from bottega.features.reader import Reader
from bottega.features.stores.memory import MemoryStore
from bottega.features.tracked import layout
from bottega.models.inputs import Inputs
from bottega.serving.answerer import Served
from bottega.serving.bundle import FORMAT, Bundle, Champion, Facts, Ranked
from bottega.serving.path import Path
from bottega.serving.spending import Spending

ADS = {  # id: P(click), P(conversion | click), bid, budget, advertiser
    "a": (0.10, 0.50, 2.0, 50.0, "adv-1"),
    "b": (0.20, 0.10, 1.0, 50.0, "adv-2"),
    "c": (0.05, 0.20, 8.0, 50.0, "adv-3"),
    "d": (0.30, 0.30, 0.5, 50.0, "adv-1"),
    "poor": (0.40, 0.40, 3.0, 0.0, "adv-4"),
    "mute": (0.40, 0.40, None, 50.0, "adv-5"),
    "endless": (0.40, 0.40, 3.0, None, "adv-6"),
    "nobody": (0.40, 0.40, 3.0, 50.0, None),
}
NONE = pa.array([], pa.string())
SHOWN = Log("shown", pa.table({"ad": NONE, "user": NONE}), np.zeros(0, np.int64), np.zeros(0, np.int64))


class Reads:
    """A model that gives the probability that stands in its one column."""

    def __init__(self, setting: Any) -> None:
        self.setting = setting

    def score(self, inputs: Inputs) -> np.ndarray:
        return np.nan_to_num(inputs.values[:, 0], nan=0.01)


def design(*path: Any, position: Any = None, features: Sequence[Any] = ()) -> bt.Design:
    """Give a design of ads that ends with these stages."""
    return bt.Design(
        name="ads",
        scope=bt.Scope(question="Which ads?", decision="Sell them.", objective=bt.Objective("revenue", "up")),
        data=bt.Data(
            tables=[bt.Table("shown", "shown.parquet", time="at"), bt.Table("ads", "ads.parquet", key="ad")],
            examples=bt.Logged("shown", request=["user"], candidate="ad"),
            labels=[bt.Label("clicked"), bt.Label("bought", given="clicked")],
            split=bt.TimeSplit(test="1d"),
            position=position,
        ),
        features=[bt.Lookup("ads", by="ad", columns=["click", "convert", "bid", "budget", "advertiser"]), *features],
        models={"rank": [bt.Logistic()], "buy": [bt.Logistic(), bt.BoostedTrees(objective="lambdarank")]},
        evaluation=bt.Evaluation(primary="log_loss", views=[bt.View("dear", where="ad_bid >= 1")]),
        serving=bt.Serving(path=[bt.Candidates(at_most=500, columns=["bid", "budget"]), *path]),
    )


def bundle(made: bt.Design, ads: Any = None, rung: str = "Logistic") -> Bundle:
    """Give the bundle of such a design."""
    ads = ADS if ads is None else ads
    columns: dict[str, Any] = {"ad": pa.array(list(ads))}
    for place, name in enumerate(("click", "convert", "bid", "budget", "advertiser")):
        kind = pa.float64() if place < 4 else pa.string()
        columns[name] = pa.array([ad[place] for ad in ads.values()], kind)
    logs = {"shown": SHOWN, "ads": Log("ads", pa.table(columns), None, None)}
    store, groups = MemoryStore(), layout(made, logs)
    fill(store, made, logs, groups, 0)
    ladders = [stage.ladder for stage in made.serving.path if isinstance(stage, bt.Rank)]
    champions = {}
    for ladder in ladders:
        facts = Ranked(rung, ("ad_click",) if ladder == "rank" else ("ad_convert",), ("number",))
        setting = next(each for each in made.models[ladder] if type(each).__name__ == rung)
        champions[ladder] = Champion(facts, Reads(setting), {})  # type: ignore[arg-type]
    facts = Facts({name: one.facts for name, one in champions.items()}, {"user": "id"}, tuple(groups), FORMAT)
    return Bundle("v1", Folder(), made, facts, {}, champions, Reader(store, groups))


def path(*stages: Any, spending: Spending | None = None, **more: Any) -> Path:
    """Give the path that sells by these stages, P(click) ranked before them."""
    return Path(bundle(design(bt.Rank(), *stages), **more), spending)


def auction(**fields: Any) -> bt.Auction:
    """Give the auction over the travelling columns, else the features that the look-up names."""
    return bt.Auction(**{"bid": "ad_bid", "budget": "ad_budget", "advertiser": "ad_advertiser", **fields})


def load_ads(folder: Folder, store: str, accounts: Folder, clock: str = "log") -> Served:
    """Load what the service is tested with; the build's name says when it charges."""
    del store, clock
    pays = folder.name.split("-")[0]
    ads = {f"ad-{n}": (0.5, 0.1, 1.0 + n / 8, 12.0, f"adv-{n % 3}") for n in range(9)}
    return Served("ads", {}, path(auction(slots=2, reserve=0.5, pays=pays), spending=Spending.open(accounts), ads=ads))
