"""Three small designs that no rule finds anything in; those beside this file change one thing each."""

import bottega as bt

WATCHED = bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)])

ads = bt.Design(
    name="ads",
    scope=bt.Scope(
        question="Which ads are shown?",
        objective=bt.Objective("revenue per search", "up"),
        guardrails=["hides per thousand searches"],
        traffic=bt.Traffic(daily_users=5_000_000, requests_per_user=4, candidates=50),
        limits=bt.Limits(p99_ms=20, availability=0.999),
    ),
    data=bt.Data(
        tables=[
            bt.Table("shown", "shown.parquet", time="at", licence="made up"),
            bt.Table("ads", "ads.parquet", key="ad"),
        ],
        examples=bt.Logged("shown", request=["user", "device"], candidate="ad"),
        labels=[bt.Label("clicked", matures_after="1h")],
        split=bt.TimeSplit(validate="7d", test="7d"),
        position=bt.PositionFeature("position"),
    ),
    features=[
        bt.Categories(["user", "device", "ad"], own_from=5, hashed=1024),
        bt.Window("shown", by="ad", over=["7d"], values={"rate": "avg(clicked)"}),
        bt.Lookup("ads", by="ad", columns=["advertiser", "bid"]),
    ],
    models={"rank": [bt.HistoricalRate(by="ad"), bt.Logistic(), bt.BoostedTrees()]},
    evaluation=bt.Evaluation(
        primary="log_loss",
        slices=["device"],
        goals=[
            bt.Goal("log_loss", below="HistoricalRate"),
            bt.Goal("predicted_over_observed", within=(0.9, 1.1)),
        ],
        experiment=bt.Experiment("revenue per search", unit="user", minimum_effect=0.02),
    ),
    serving=bt.Serving(path=[bt.Candidates(at_most=100), bt.Rank(budget_ms=10), bt.Show(k=4)]),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("predicted_over_observed", within=(0.9, 1.1))],
        retrain=WATCHED,
    ),
)

shop = bt.Design(
    name="shop",
    scope=bt.Scope(
        question="Which ten products are shown?",
        objective=bt.Objective("revenue per visit", "up"),
        traffic=bt.Traffic(daily_users=100_000, candidates=60),
        limits=bt.Limits(p99_ms=50, availability=0.999),
    ),
    data=bt.Data(
        tables=[bt.Table("orders", "orders.parquet", time="at", event_id="line", licence="made up")],
        examples=bt.FromPositives("orders", request=["customer"], candidate="product", horizon="7d"),
        labels=[bt.Label("bought", matures_after="7d")],
        split=bt.TimeSplit(test="7d"),
    ),
    features=[bt.Window("orders", by="product", over=["7d"], values={"buyers": "count(distinct customer)"})],
    models={
        "retrieve": [bt.Popularity(span="7d"), bt.CoPurchase()],
        "rank": [bt.HistoricalRate(by="product"), bt.BoostedTrees(objective="lambdarank")],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        slices=["cold"],
        goals=[bt.Goal("ndcg@10", above="Popularity")],
        experiment=bt.Experiment("revenue per visit", unit="customer", minimum_effect=0.02),
    ),
    serving=bt.Serving(path=[bt.Retrieve(k=60), bt.Rank(budget_ms=25), bt.Explore(epsilon=0.01), bt.Show(k=10)]),
    monitoring=bt.Monitoring(watches=[bt.Watch("recall@10", at_least=0.05)], retrain=WATCHED),
)

payments = bt.Design(
    name="payments",
    scope=bt.Scope(
        question="Is this payment fraud?",
        objective=bt.Objective("losses per thousand payments", "down"),
        traffic=bt.Traffic(daily_users=2_000_000),
        limits=bt.Limits(p99_ms=50, availability=0.999),
        error_costs={"false alarm": 1, "missed fraud": 40},
    ),
    data=bt.Data(
        tables=[bt.Table("payments", "payments.parquet", time="at", licence="made up")],
        examples=bt.Logged("payments", request=["customer", "amount"]),
        labels=[bt.Label("fraud", matures_after="1d", censored_when="action = 'block'")],
        split=bt.TimeSplit(test="14d"),
    ),
    features=[bt.Window("payments", by="customer", over=["7d"], values={"paid": "sum(amount)"})],
    models={"score": [bt.HistoricalRate(by="customer"), bt.BoostedTrees()]},
    evaluation=bt.Evaluation(
        primary="pr_auc",
        goals=[bt.Goal("pr_auc", at_least=0.2)],
        experiment=bt.Experiment("losses per thousand payments", unit="customer", minimum_effect=0.05),
    ),
    serving=bt.Serving(
        path=[
            bt.Score(budget_ms=20),
            bt.Decide(["approve", "block"], costs={"approve": (0, 40), "block": (1, 0)}),
        ]
    ),
    monitoring=bt.Monitoring(watches=[bt.Watch("pr_auc", at_least=0.15)], retrain=WATCHED),
)
