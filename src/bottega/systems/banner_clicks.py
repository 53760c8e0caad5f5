"""Will this visitor click this banner? Sixty thousand real impressions of a fashion shop, two policies, few clicks."""

import bottega as bt

VISITOR = [
    "user_feature_0",
    "user_feature_1",
    "user_feature_2",
    "user_feature_3",
]  # hashed categories, of no known name

design = bt.Design(
    name="banner-clicks",
    scope=bt.Scope(
        question="Will this visitor click this item, in this place of the page?",
        decision="The page shows the items of highest click probability; a wrong one costs a view, and little more.",
        objective=bt.Objective("clicks per thousand impressions", "up"),
        guardrails=["share of the catalogue that is ever shown"],
        traffic=bt.Traffic(daily_users=1_000_000, requests_per_user=3, peak_factor=3, candidates=80),
        limits=bt.Limits(p99_ms=50, availability=0.999),
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "impressions",
                "obd_small/obd.parquet",
                time="timestamp",
                checks=[bt.NotNull(["item_id", "campaign"]), bt.Range("position", at_least=1, at_most=3),
                        bt.Range("propensity_score", above=0, at_most=1), bt.Allowed("click", [0, 1])],
                licence="Open Bandit Dataset, Apache-2.0; visitors are hashed categories, not persons",
            )
        ],
        examples=bt.Logged(
            "impressions",
            request=["campaign", "policy", *VISITOR],
            candidate="item_id",
            propensity="propensity_score",
        ),
        labels=[bt.Label("click", matures_after="1min")],
        split=bt.TimeSplit(validate="1d", test="2d"),
        position=bt.PositionFeature("position"),
        sample="obd_small",
    ),
    features=[
        bt.Categories(["campaign", *VISITOR], own_from=200, hashed=4),
        bt.Window("impressions", by=["campaign", "item_id"], values={"shown": "count(*)", "clicks": "sum(click)"},
                  name="item"),
        bt.Window("impressions", by="campaign", values={"shown": "count(*)", "clicks": "sum(click)"}),
        bt.Expression({
            "item_rate": "(item_clicks_all + 2) / (item_shown_all + 2 / 0.005)",
            "hour": "extract(hour from request_time)",
        }),
    ],
    models={"rank": [
        bt.HistoricalRate(by="campaign", prior=200),
        bt.Logistic(reg=10.0),
        bt.BoostedTrees(trees=30, leaves=4, min_leaf=500, learning_rate=0.05),
    ]},
    evaluation=bt.Evaluation(
        primary="log_loss",
        metrics=["normalized_entropy", "roc_auc", "predicted_over_observed"],
        slices=["campaign", "policy"],
        goals=[bt.Goal("normalized_entropy", at_most=1.05), bt.Goal("predicted_over_observed", within=(0.7, 1.4))],
        unit="request",  # visitors have no names here
        tolerance=0.001,
        experiment=bt.Experiment("clicks per thousand impressions", unit="impression", minimum_effect=0.02),
    ),
    serving=bt.Serving(path=[bt.Candidates(at_most=80), bt.Rank(budget_ms=10), bt.Show(k=3)]),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("predicted_over_observed", within=(0.7, 1.4), every="7d")],
        retrain=bt.Retrain(every="1d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)  # fmt: skip
