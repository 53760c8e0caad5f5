"""The ad auction: slots sold at a second price for a click, by bid, quality and the advertisers' budgets."""

import bottega as bt

design = bt.Design(
    name="ad-auction",
    scope=bt.Scope(
        question="Which ads are shown for this search, and what does a click on each cost?",
        decision="Slots go by bid × P(click); the winner pays the least that keeps its slot, out of the day's budget.",
        objective=bt.Objective("revenue per thousand searches", "up"),
        guardrails=["clicks per thousand searches", "advertisers charged beyond their budget"],
        traffic=bt.Traffic(daily_users=50_000_000, requests_per_user=4, peak_factor=3, candidates=40),
        limits=bt.Limits(p99_ms=20, availability=0.999),
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "impressions",
                "impressions/*.parquet",
                time="shown_at",
                checks=[bt.NotNull(["user_id", "query", "ad_id"]), bt.Allowed("clicked", [0, 1])],
                licence="made by the ads world; no person is in it",
            ),
            bt.Table("ads", "ads.parquet", key="ad_id", checks=[bt.Range("bid", above=0)]),
            bt.Table("auctions", "auctions/*.parquet", time="shown_at"),
        ],
        examples=bt.Logged("impressions", request=["user_id", "query", "device"], candidate="ad_id"),
        labels=[
            bt.Label("clicked", matures_after="1h"),
            bt.Label("converted", given="clicked", matures_after="2d", window="12h", observed_at="converted_at"),
        ],
        split=bt.TimeSplit(validate="3d", test="3d"),
        position=bt.PositionFeature("position"),
        world="ads",
    ),
    features=[
        bt.Categories(["query", "ad_id", "device"], own_from=50, hashed=1024),
        bt.Lookup("ads", by="ad_id", columns=["advertiser", "topic", "bid", "budget"]),
        bt.Window("impressions", by="ad_id", over=["1d", "7d"], values={"shows": "count(*)", "ctr": "avg(clicked)"}),
        bt.Window("impressions", by="query", over=["7d"], values={"shows": "count(*)", "ctr": "avg(clicked)"}),
        bt.Window("impressions", by="user_id", over=["7d"], values={"shows": "count(*)", "ctr": "avg(clicked)"}),
        bt.Expression(
            {"hour": "cast(extract(hour from shown_at) as text)", "bid": "ad_id_bid", "budget": "ad_id_budget"}
        ),
    ],
    models={
        "click": [bt.HistoricalRate(by="ad_id"), bt.Logistic(), bt.BoostedTrees(trees=100)],
        "convert": [bt.HistoricalRate(by="ad_id"), bt.Logistic(reg=10.0), bt.BoostedTrees(trees=50, leaves=15)],
    },
    evaluation=bt.Evaluation(
        primary="log_loss",
        metrics=["normalized_entropy", "roc_auc", "predicted_over_observed"],
        slices=["device", "cold"],
        goals=[
            bt.Goal("log_loss", below="HistoricalRate"),
            bt.Goal("predicted_over_observed", within=(0.95, 1.05)),
            bt.Goal("predicted_over_observed", within=(0.8, 1.25), ladder="convert"),
        ],
        tolerance=0.0005,
        experiment=bt.Experiment("revenue per thousand searches", unit="user", minimum_effect=0.01),
    ),
    serving=bt.Serving(
        path=[
            bt.Candidates(at_most=300, columns=["bid", "budget"]),
            bt.Rank("click", budget_ms=5),
            bt.Rank("convert", budget_ms=5, label="converted"),
            bt.Pace(),
            bt.Auction(
                slots=4,
                advertiser="ad_id_advertiser",
                reserve=0.05,
                click="click",
                replay="auctions",
            ),
        ]
    ),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("predicted_over_observed", within=(0.9, 1.1))],
        retrain=bt.Retrain(every="1d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
