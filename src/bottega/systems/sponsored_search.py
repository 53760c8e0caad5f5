"""Sponsored search: which ads to show for a query, by the probability of a click on each."""

from typing import Any

import bottega as bt

RATE = {"shows": "count(*)", "ctr": "avg(clicked)"}
CROSSES = ["query_x_ad_id", "user_id_x_ad_id_advertiser"]  # trees and networks find crosses by themselves
WINDOWS = [f"{by}_{name}_7d" for by in ("ad_id", "query", "user_id") for name in RATE]
NETWORK: dict[str, Any] = {
    "embedding_size": 8,
    "layers": [64],
    "learning_rate": 1e-2,
    "reg": 1e-5,
    "epochs": 8,
    "without": [*CROSSES, *WINDOWS],  # and rates besides, from the ids themselves
}

design = bt.Design(
    name="sponsored-search",
    scope=bt.Scope(
        question="Which ads do we show for this query, and in what order?",
        decision="Ads are ordered by bid × P(click): an over-estimate shows the wrong ad and overcharges.",
        objective=bt.Objective("revenue per thousand searches", "up"),
        guardrails=["ad hides per thousand searches", "share of searches without an ad"],
        traffic=bt.Traffic(daily_users=50_000_000, requests_per_user=4, peak_factor=3, candidates=200),
        limits=bt.Limits(p99_ms=10, availability=0.999),
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "impressions",
                "impressions/*.parquet",
                time="shown_at",
                checks=[
                    bt.NotNull(["user_id", "query", "ad_id"]),
                    bt.Allowed("clicked", [0, 1]),
                    bt.Range("position", at_least=1),
                ],
                licence="made by the ads world; no person is in it",
            ),
            bt.Table("ads", "ads.parquet", key="ad_id"),
            bt.Table("users", "users.parquet", key="user_id"),
        ],
        examples=bt.Logged("impressions", request=["user_id", "query", "device"], candidate="ad_id"),
        labels=[bt.Label("clicked", matures_after="1h")],
        split=bt.TimeSplit(validate="1d", test="1d"),
        sampling=bt.Downsample(keep_negatives=0.5),
        position=bt.PositionFeature("position"),
        world="ads",
    ),
    features=[
        bt.Categories(["user_id", "query", "ad_id", "device"], own_from=10, hashed=1024),
        bt.Lookup("ads", by="ad_id", columns=["advertiser", "topic", "bid"]),
        bt.Lookup("users", by="user_id", columns=["age", "interest"]),
        bt.Window("impressions", by="ad_id", over=["7d"], values=RATE),
        bt.Window("impressions", by="query", over=["7d"], values=RATE),
        bt.Window("impressions", by="user_id", over=["7d"], values=RATE),
        bt.TargetRate(["query", "ad_id"], pairs=True),
        bt.Expression(
            {"hour": "cast(extract(hour from shown_at) as text)", "weekday": "cast(extract(dow from shown_at) as text)"}
        ),
        bt.Cross("query", "ad_id"),
        bt.Cross("user_id", "ad_id_advertiser"),
    ],
    models={
        "rank": [
            bt.HistoricalRate(by="ad_id"),
            bt.Logistic(without=WINDOWS),
            bt.BoostedTrees(trees=200, leaves=63, learning_rate=0.1, without=CROSSES),
            bt.DCN(experts=1, rank=16, **NETWORK),  # two experts cost twice the time, and gain 0.1 % here
            bt.DeepFM(**NETWORK, optional=True),
            bt.DLRM(**NETWORK, optional=True),
        ]
    },
    evaluation=bt.Evaluation(
        primary="normalized_entropy",
        metrics=["log_loss", "roc_auc", "predicted_over_observed", "ece"],
        slices=["device", "hour", "cold"],
        goals=[
            bt.Goal("normalized_entropy", below="HistoricalRate"),
            bt.Goal("predicted_over_observed", within=(0.95, 1.05)),
            bt.Goal("predicted_over_observed", within=(0.9, 1.1), slices=["device", "hour"], smallest=4_000),
        ],
        tolerance=0.0005,
        experiment=bt.Experiment("revenue per thousand searches", unit="user", minimum_effect=0.01),
    ),
    serving=bt.Serving(
        path=[bt.Candidates(at_most=300), bt.Rank(budget_ms=5), bt.Show(k=4)],
        compress=[bt.Quantize(tolerance=0.0005), bt.Prune(embeddings=0.3, tolerance=0.0005)],
    ),
    monitoring=bt.Monitoring(
        watches=[
            bt.Watch("drift", at_most=0.2),
            bt.Watch("predicted_over_observed", within=(0.9, 1.1)),
            bt.Watch("normalized_entropy", at_most=1.0),
        ],
        retrain=bt.Retrain(every="1d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
