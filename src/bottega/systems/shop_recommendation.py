"""Shop recommendation: which twenty products do we show this customer next?

The log is the one that UCI publishes as "Online Retail" (Chen 2015, CC BY 4.0, https://doi.org/10.24432/C5BW33):
the order lines of a year of a British shop. Save it as `online_retail/online_retail.csv`, or `.parquet`, and name the
folder above that one with `--data`. Without it the design runs on the shop world, which has the same columns.
"""

import bottega as bt

COLUMNS = {"invoice": "InvoiceNo", "product": "StockCode", "description": "Description", "quantity": "Quantity"}
COLUMNS |= {"time": "InvoiceDate", "price": "UnitPrice", "customer": "CustomerID", "country": "Country"}
PRICED = {"price": "avg(price)", "pieces": "avg(quantity)", "last": "last(time)", "first": "min(time)"}
COUNTED = {"visits": "count(distinct invoice)", "lines": "count(*)", "products": "count(distinct product)"}
SIMPLER = ("Popularity", "PersonalHistory", "CoPurchase", "ALS", "EASE")
PLAIN = bt.BoostedTrees(  # LightGBM's own defaults
    objective="lambdarank", trees=100, learning_rate=0.1, min_leaf=20, reg=0, column_share=1, name="PlainLightGBM"
)

design = bt.Design(
    name="shop-recommendation",
    scope=bt.Scope(
        question="Which twenty products do we show this customer next?",
        decision="The list fills the shop's first page; a bad one costs a visit, a good one a larger basket.",
        objective=bt.Objective("revenue per visit", "up"),
        guardrails=["share of visits that end without a look at any product"],
        traffic=bt.Traffic(daily_users=100_000, requests_per_user=3, peak_factor=4, candidates=400),
        limits=bt.Limits(p99_ms=20, availability=0.999, memory_gb=2),
        assumptions=[
            "A purchase within the horizon stands for interest; what was seen and not bought is not logged.",
            "The shop's assortment changes by season, so the newest year is the one to learn from.",
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "orders",
                "online_retail/online_retail",
                time="time",
                time_format="%m/%d/%Y %H:%M",
                columns=COLUMNS,
                checks=[
                    bt.NotNull(["customer"]),
                    bt.Pattern("invoice", r"[^C].*"),
                    bt.Pattern("product", r"\d{5}[A-Za-z]*"),
                    bt.Range("quantity", above=0),
                    bt.Range("price", above=0),
                ],
                licence="CC BY 4.0; customers are numbers, without a name",
            )
        ],
        examples=bt.FromPositives(
            "orders", request=["customer"], candidate="product", horizon="39d", requests=bt.Cuts(slices=3)
        ),
        labels=[bt.Label("bought", matures_after="39d")],
        split=bt.TimeSplit(test="39d"),
        world="shop",
    ),
    features=[
        bt.Window(
            "orders",
            by=["customer", "product"],
            values={
                "times": "count(distinct invoice)",
                "pieces": "sum(quantity)",
                "habit": "decayed_sum(1, '83d')",
                "lately": "decayed_sum(1, '21d')",
                "last": "last(time)",
                "first": "min(time)",
            },
        ),
        bt.Window("orders", by=["customer", "product"], over=["90d"], values={"lines": "count(*)"}),
        bt.Window("orders", by="customer", over=["90d", "all"], values=COUNTED),
        bt.Window("orders", by="customer", values={"spent": "sum(quantity * price)", **PRICED}),
        bt.Window(
            "orders", by="product", over=["7d", "30d", "90d", "all"], values={"buyers": "count(distinct customer)"}
        ),
        bt.Window(
            "orders",
            by="product",
            values={"lines": "count(*)", "price": "avg(price)", "last_price": "last(price)", **PRICED},
        ),
        bt.Lookup("orders", by="customer", columns=["country"]),
        bt.Expression(
            {
                "days_since_bought": "(epoch(request_time) - epoch(customer_product_last_all)) / 86400",
                "days_since_visit": "(epoch(request_time) - epoch(customer_last_all)) / 86400",
                "days_known": "(epoch(request_time) - epoch(customer_first_all)) / 86400",
                "days_since_sold": "(epoch(request_time) - epoch(product_last_all)) / 86400",
                "days_on_sale": "(epoch(request_time) - epoch(product_first_all)) / 86400",
                "visits_since_bought": "(epoch(customer_last_all) - epoch(customer_product_last_all)) / 86400",
                "repeat_gap": "(epoch(customer_product_last_all) - epoch(customer_product_first_all)) / 86400"
                " / nullif(customer_product_times_all - 1, 0)",
                "visit_gap": "(epoch(customer_last_all) - epoch(customer_first_all)) / 86400"
                " / nullif(customer_visits_all - 1, 0)",
                "share_of_visits": "customer_product_times_all / customer_visits_all",
                "basket": "customer_lines_all / customer_visits_all",
                "novelty": "customer_products_all / customer_lines_all",
                "lines_a_buyer": "product_lines_all / product_buyers_all",
                "trend": "product_buyers_7d / (product_buyers_30d + 1)",
                "season": "product_buyers_30d / (product_buyers_90d + 1)",
                "price_for_customer": "product_last_price_all / customer_price_all",
                "discount": "product_last_price_all / product_price_all",
            }
        ),
        bt.Expression({"due": "days_since_bought / greatest(repeat_gap, 0.5)"}),
        bt.Expression({"visit_due": "days_since_visit / greatest(visit_gap, 0.5)"}),
    ],
    models={
        "retrieve": [
            bt.Popularity(span="7d", k=100, unseen=100),
            bt.PersonalHistory(half_life="120d", k=100),
            bt.CoPurchase(k=100, unseen=100),
            bt.TextSimilarity("description", k=100, unseen=100),
            bt.Factorization(method="als", half_life="60d", name="ALS", k=100, unseen=100),
            bt.Factorization(method="ease", name="EASE", k=100, unseen=100),
        ],
        "rank": [
            bt.HistoricalRate(by="product"),
            bt.Logistic(),
            PLAIN,
            bt.BoostedTrees(
                objective="lambdarank", trees=400, learning_rate=0.03, min_leaf=100, reg=5, column_share=0.5
            ),
        ],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@20",
        metrics=["recall@20", "map@20", "mrr", "coverage@20"],
        slices=["cold", "customer_country"],
        views=[bt.View("new items", where="customer_product_times_all = 0")],
        goals=[
            *(bt.Goal("ndcg@20", above=rung) for rung in (*SIMPLER, "PlainLightGBM")),
            *(bt.Goal("ndcg@20", above=rung, view="new items") for rung in SIMPLER),
        ],
        experiment=bt.Experiment("revenue per visit", unit="customer", minimum_effect=0.02),
    ),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=300),
            bt.Rank(budget_ms=15),
            bt.Quota(where="coalesce(customer_product_times_all, 0) = 0", at_least=4, first=20, name="something new"),
            bt.Explore(epsilon=0.01, pool=60),
            bt.Show(k=20),
        ]
    ),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("recall@20", at_least=0.15, every="7d")],
        retrain=bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
