"""A small shop, built by the steps of a run up to its bundle, and a second bundle that stands at the test's moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as Folder
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bottega as bt
from bottega.data.examples import TEST
from bottega.data.source import Place
from bottega.features.filling import fill
from bottega.features.reader import Reader
from bottega.features.stores.opening import open_store
from bottega.features.tracked import layout
from bottega.files import read_json
from bottega.models.making import retriever_class
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE, fill_store, make_bundle, refresh
from bottega.runs.steps.examples import Examples, make_examples, make_requests, read_examples
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.job import Job
from bottega.runs.steps.judging import evaluate_ladders
from bottega.runs.steps.lessons import FINAL, make_lessons
from bottega.runs.steps.retrieving import retrieve, score
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.training import Trained, train
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import FORMAT, Bundle, Champion, Facts, Ranked, fields_of, load_bundle, load_scorer
from bottega.systems.shop_recommendation import design as shop
from bottega.worlds.shop import ShopWorld

CUSTOMERS, PRODUCTS = 150, 120
FEATURES = [
    bt.Window(
        "orders",
        by=["customer", "product"],
        values={"times": "count(distinct invoice)", "last": "last(time)", "pieces": "sum(quantity)"},
    ),
    bt.Window("orders", by="customer", over=["30d", "all"], values={"visits": "count(distinct invoice)"}),
    bt.Window("orders", by="product", over=["7d", "all"], values={"buyers": "count(distinct customer)"}),
    bt.Window("orders", by="product", values={"price": "avg(price)", "first": "min(time)"}),
    bt.Lookup("orders", by="customer", columns=["country"]),
    bt.Lookup("orders", by="product", columns=["description"]),
    bt.Expression(
        {
            "days_since": "(epoch(request_time) - epoch(customer_product_last_all)) / 86400",
            "share": "customer_product_times_all / customer_visits_all",
            "liked": "ln(1 + co_purchase_score)",
            "named": "length(product_description)",
        }
    ),
    bt.Cross("customer_country", "product", buckets=64),
]
RETRIEVERS = [
    bt.Popularity(span="30d", k=30, unseen=10),
    bt.PersonalHistory(half_life="83d", k=30),
    bt.CoPurchase(k=30, unseen=10),
    bt.Factorization(k=30, unseen=10),
]


def changed(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)


def small_design() -> bt.Design:
    """Give the shop design with few candidates, small trees and one feature of each kind."""
    views = [
        bt.View("new items", where="customer_product_times_all = 0"),
        bt.View("nothing", where="customer_product_times_all < 0"),
    ]
    return changed(
        shop,
        name="small",
        features=FEATURES,
        models={
            "retrieve": RETRIEVERS,
            "rank": [
                bt.HistoricalRate(by="product"),
                bt.BoostedTrees(objective="lambdarank", trees=15, leaves=7),
            ],
        },
        evaluation=bt.Evaluation(primary="ndcg@20", metrics=["recall@20"], views=views, tolerance=0.0),
        serving=bt.Serving(path=[bt.Candidates(at_most=80), bt.Retrieve(k=60), bt.Rank(), bt.Show(k=20, at_most=50)]),
    )


@dataclass
class World:
    """What the steps left."""

    job: Job
    examples: Result
    retrievers: dict[str, Result]
    scores: dict[str, Result]
    features: list[Result]
    trained: Trained
    judged: Result
    folder: Folder
    """The bundle."""

    @property
    def rows(self) -> Examples:
        """The examples."""
        return read_examples(self.examples.folder)

    @property
    def predictions(self) -> pa.Table:
        """Each rung's score of each test example."""
        return pq.read_table(self.judged.folder / "predictions.parquet")

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle as a worker loads it, once in a process."""
        return load_bundle(self.folder)

    def at_test(self, folder: Folder, rung: str) -> Bundle:
        """Give a bundle as it would have stood at the test's moment, with this rung as its champion."""
        rows = self.rows
        at = int(rows.requests.time[rows.requests.part == TEST].max())
        cut = len(np.unique(rows.requests.time)) - 1
        logs = self.job.logs()
        groups = layout(self.job.design, logs)
        store = open_store("memory:", folder)
        fill(store, self.job.design, logs, groups, at)
        ladders = self.job.design.models
        models = {
            type(setting).__name__: retriever_class(setting).load(
                self.retrievers[type(setting).__name__].folder / f"cut-{cut}", setting
            )
            for setting in ladders["retrieve"]
        }
        setting = next(item for item in ladders["rank"] if type(item).__name__ == rung)
        source = self.trained["rank", rung, FINAL].folder
        said = read_json(source / "columns.json")
        ranked = Ranked(rung, tuple(said["names"]), tuple(said["kinds"]))
        words = self.bundle.champions["rank"].words
        champion = Champion(ranked, load_scorer(source / "model", setting), words)
        fields = fields_of(rows.requests.columns.schema)
        facts = Facts({"rank": ranked}, fields, tuple(groups), FORMAT)
        return Bundle("test", folder, self.job.design, facts, models, {"rank": champion}, Reader(store, groups))


def build(folder: Folder) -> World:
    """Run the steps from the log to the bundle."""
    ShopWorld(customers=CUSTOMERS, products=PRODUCTS, seed=5).write(folder)
    design = small_design()
    (folder / "work").mkdir()
    with Runner(Workspace(folder / "work", "small"), Silent()) as runner:
        job = Job(design, Place(folder), runner)
        ingest_tables(job)
        asked = make_requests(job)
        retrievers = retrieve(job, asked)
        examples = make_examples(job, asked, retrievers)
        lessons = make_lessons(job, examples)
        scores = score(job, retrievers, examples)
        features = compute_features(job, examples, scores)
        trained = train(job, examples, lessons, scores, features)
        judged = evaluate_ladders(job, examples, lessons, retrievers, scores, trained, features[FINAL])
        made = make_bundle(job, examples, refresh(job), trained, judged, None, fill_store(job), None)
    return World(job, examples, retrievers, scores, features[FINAL], trained, judged, made.folder / BUNDLE)
