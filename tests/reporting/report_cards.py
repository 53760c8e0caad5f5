"""A small scorecard with every part, its design, and a design without candidates, for the tests of the report."""

from __future__ import annotations

from typing import Any

import bottega as bt

shop = bt.Design(
    name="shop-recommendation",
    scope=bt.Scope(
        question="Which twenty products do we show this customer next?",
        decision="A bad list costs a visit, a good one earns a larger basket.",
        objective=bt.Objective("revenue per visit", "up"),
        guardrails=["visits that end without a look"],
        traffic=bt.Traffic(daily_users=100_000, requests_per_user=3, peak_factor=4, candidates=400),
        limits=bt.Limits(p99_ms=20, availability=0.999, memory_gb=2),
        assumptions=["A purchase stands for interest."],
    ),
    data=bt.Data(
        tables=[bt.Table("orders", "orders.csv", time="time", licence="CC BY 4.0")],
        examples=bt.FromPositives("orders", request=["customer"], candidate="product", horizon="39d"),
        labels=[bt.Label("bought", matures_after="39d")],
        split=bt.TimeSplit(test="38d"),
    ),
    features=[
        bt.Window("orders", by=["customer", "product"], values={"times": "count(*)", "last": "last(time)"}),
        bt.Window("orders", by="product", over=["7d", "30d"], values={"buyers": "count(distinct customer)"}),
        bt.Lookup("orders", by="customer", columns=["country"]),
        bt.Expression({"trend": "product_buyers_7d / product_buyers_30d"}),
    ],
    models={"retrieve": [bt.Popularity()], "rank": [bt.Logistic(), bt.BoostedTrees(objective="lambdarank")]},
    evaluation=bt.Evaluation(
        primary="ndcg@20",
        metrics=["recall@20"],
        slices=["cold", "customer_country"],
        views=[bt.View("new items", where="customer_product_times_all = 0")],
        goals=[
            bt.Goal("ndcg@20", above="Popularity"),
            bt.Goal("ndcg@20", at_least=0.157, view="new items", slices=["cold"]),
        ],
        experiment=bt.Experiment("revenue per visit", unit="customer", minimum_effect=0.02),
    ),
    serving=bt.Serving(path=[bt.Retrieve(k=400), bt.Rank(budget_ms=15), bt.Show(k=20)]),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("recall@20", within=(0.15, 0.4), every="7d")],
        retrain=bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)

fraud = bt.Design(
    name="card-fraud",
    scope=bt.Scope(question="Do we approve this payment, or block it?", error_costs={"missed fraud": 120}),
    data=bt.Data(
        tables=[bt.Table("payments", "payments.parquet", time="paid_at")],
        examples=bt.Logged("payments", request=["card", "amount"]),
        labels=[bt.Label("fraud", matures_after="7d")],
        split=bt.TimeSplit(test="28d"),
        sampling=bt.Downsample(keep_negatives=0.1),
    ),
    features=[
        bt.Window("payments", by="card", over=["1d", "7d"], values={"n": "count(*)"}, where="amount > 0"),
        bt.Cross("card", "amount"),
    ],
    models={"score": [bt.Logistic(), bt.BoostedTrees()]},
    evaluation=bt.Evaluation(primary="pr_auc", goals=[bt.Goal("predicted_over_observed", within=(0.9, 1.1))]),
    serving=bt.Serving(path=[bt.Score(), bt.Decide(["approve", "block"], {"approve": (0, 120), "block": (15, 0)})]),
)


def measured(value: float, half: float, n: int = 1540) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def rung(name: str, stage: str, value: float, seconds: float) -> dict[str, Any]:
    metrics = {"ndcg@20": measured(value, 0.013), "recall@20": measured(value - 0.1, 0.012)}
    return {
        "name": name,
        "stage": stage,
        "metrics": metrics,
        "views": {"new items": {name: measured(at["value"] / 3, 0.008, 1449) for name, at in metrics.items()}},
        "slices": {
            "cold": {"cold": {"ndcg@20": {"value": 0.31, "low": 0.25, "high": 0.41, "n": 50}}},
            "interactions": {"1 to 5": {"ndcg@20": {"value": 0.29, "low": 0.23, "high": 0.39, "n": 47}}},
        },
        "items": {
            "0": {"ndcg@20": {"value": 0.04, "low": 0.01, "high": 0.07, "n": 31}},
            "over 5": {"ndcg@20": {"value": 0.38, "low": 0.36, "high": 0.4, "n": 1536}},
        },
        "left_out": {"customer_country": ["Malta", "Spain"]},
        "undefined": {},
        "seconds": seconds,
    }


def pair(b: str, difference: float, view: str | None = None) -> dict[str, Any]:
    bounds = {"difference": difference, "low": difference - 0.006, "high": difference + 0.005, "n": 1540}
    found = {"a": "BoostedTrees", "b": b, "metric": "ndcg@20", **bounds}
    return found if view is None else {**found, "view": view}


def stage(stage: str, name: str, kept: float, **parts: Any) -> dict[str, Any]:
    empty = {"lost": None, "alone": None, "unavoidable": None, "candidates": None}
    return {"stage": stage, "name": name, "view": None, "kept": measured(kept, 0.012), **empty, **parts}


def removed(kind: str, name: str, value: float, difference: float | None) -> dict[str, Any]:
    gap = None if difference is None else measured(difference, 0.011)
    return {"kind": kind, "name": name, "metric": "ndcg@20", "value": measured(value, 0.014), "difference": gap}


def full() -> dict[str, Any]:
    """Every part filled in; a new value for each call."""
    choice = {
        "name": "BoostedTrees",
        "stage": "rank",
        "decided": True,
        "best": "BoostedTrees",
        "reason": "BoostedTrees is the best (ndcg@20 0.3142); every simpler rung is worse by more than 0.002.",
        "within_budget": True,
        "comparisons": [{**pair("BoostedTrees", -0.041), "a": "Logistic", "n": 1203, "verdict": "worse"}],
        "undefined": {},
    }
    return {
        "design": "shop-recommendation",
        "build": "b-0001",
        "data": {
            "offered": 541_909,
            "accepted": 396_337,
            "quarantined": 145_572,
            "tables": {
                "orders": {
                    "offered": 541_909,
                    "accepted": 396_337,
                    "quarantined": 145_572,
                    "reasons": {"price: not above 0": 1_492, "customer: missing": 144_080},
                }
            },
        },
        "models": [
            rung("Popularity", "retrieve", 0.128, 5.8),
            rung("Logistic", "rank", 0.331, 23.5),
            rung("BoostedTrees", "rank", 0.372, 130.3),
        ],
        "comparisons": [pair("Popularity", 0.244), pair("Logistic", 0.041), pair("Popularity", 0.081, "new items")],
        "champions": {"rank": "BoostedTrees"},
        "choice": choice,
        "funnel": [
            stage("source", "Popularity", 0.241, alone=measured(0.058, 0.004), candidates=111.3),
            stage("retrieve", "union", 0.608, lost=measured(0.392, 0.012)),
            stage("cut", "path", 0.602, lost=measured(0.006, 0.001), candidates=279.4),
            stage(
                *("show", "BoostedTrees@20", 0.261),
                lost=measured(0.341, 0.009),
                unavoidable=measured(0.078, 0.007),
                candidates=20.0,
            ),
        ],
        "ablation": [
            removed("path", "path", 0.371, None),
            removed("source", "Popularity", 0.351, 0.022),
            removed("source", "PersonalHistory", 0.367, 0.005),
            removed("stage", "rank (BoostedTrees)", 0.131, 0.241),
        ],
        "goals": [
            {
                "metric": "ndcg@20",
                "slice": None,
                "view": None,
                "value": 0.244,
                "low": 0.238,
                "high": 0.249,
                "n": 1540,
                "limit": "above Popularity",
                "met": True,
            },
            {
                "metric": "ndcg@20",
                "slice": "cold",
                "view": "new items",
                "value": 0.11,
                "low": 0.08,
                "high": 0.14,
                "n": 50,
                "limit": "at least 0.157",
                "met": False,
            },
        ],
        "parity": {
            "compared": 43_000,
            "mismatches": 3,
            "by_feature": {"product_buyers_7d": 3},
            "worst": [
                {
                    "feature": "product_buyers_7d",
                    "request": {"customer": "17850"},
                    "candidate": "85123A",
                    "training": 12.0,
                    "serving": 13.0,
                }
            ],
        },
        "serving": {
            "p50_ms": 4.1,
            "p95_ms": 7.9,
            "p99_ms": 11.3,
            "requests_per_s": 199.2,
            "requests": 2000,
            "rate": 200.0,
            "errors": 7,
            "degraded": 0.021,
            "degradations": {"rank: left out": 42},
            "shortfalls": {"k: n of n found": 61},
            "saturated": False,
            "workers": 2,
            "intervals": {"p50_ms": [4.0, 4.2], "p95_ms": [7.4, 8.5], "p99_ms": [9.9, 13.0]},
            "stages_ms": {"retrieve": 0.9, "features": 1.4, "rank": 1.1},
            "limit": {"p99_ms": 20.0, "met": True},
        },
        "steps": [
            {"name": "data-orders", "seconds": 1.2, "cached": True},
            {"name": "train-boosted-trees", "seconds": 130.3, "cached": False},
        ],
        "peak_rss_mb": 1432,
        "release": {
            "released": False,
            "current": "b-0000",
            "gates": [
                {"name": "goals", "passed": False, "detail": "1 of 2 met"},
                {"name": "p99", "passed": True, "detail": "11.3 ms, limit 20 ms"},
            ],
        },
        "ceiling": {
            "metrics": {"ndcg@20": measured(0.61, 0.004)},
            "views": {"new items": {"ndcg@20": measured(0.42, 0.005)}},
        },
        "source": {"kind": "world", "text": "the shop world, seed 0"},
        "machine": {"cores": 2, "memory_mb": 24_105, "cpu": "a processor", "versions": {"numpy": "2.4.6"}},
        "seed": 0,
        "created": "2025-11-21T06:10:42Z",
    }
