"""Search ranking: in which order do we show the documents that match this query?

Learning to rank from numbers that a search engine has for each pair of a query and a document. A ranking set in
svmlight's form lies in the folder that `--data` names: LightGBM's example (`rank.train`, `rank.test`, packed or not,
and their `.query` files), a fold of MSLR (`train.txt`, `vali.txt`, `test.txt`), or files that end in `.svm`. Where
their names part nothing, a fifth of the queries is held out for validation, and another for the test. Without `--data`
the design runs on the search world: it learns from clicks, which a place at the top of the page brings by itself, and
is judged by the true grades of other queries. `ExampleSettings` are those of LightGBM's example, to measure by.
"""

import bottega as bt

design = bt.Design(
    name="search-ranking",
    scope=bt.Scope(
        question="In which order do we show the documents that match this query?",
        decision="The order of the first page; people look at the first places, and hardly at the others.",
        objective=bt.Objective("searches that end with a satisfied reader", "up"),
        guardrails=["share of searches that are typed again in other words"],
        traffic=bt.Traffic(daily_users=2_000_000, requests_per_user=5, peak_factor=3, candidates=40),
        limits=bt.Limits(p99_ms=20, availability=0.999),
        assumptions=[
            "The engine matches and measures; it sends its numbers with each candidate.",
            "A click says that a document was looked at and attracted; how often it is looked at hangs on its place.",
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "rows",
                "rows|rank.*.gz|rank.*|lightgbm_rank/rank.*.gz|[tv][rea][als]*.txt|*.svm|*.svm.gz",
                format="svmlight",
                licence="LightGBM's example: MIT, of undocumented origin; the world is our own",
            )
        ],
        examples=bt.Logged("rows", request=["query"], candidate="row"),
        labels=[bt.Label("label")],
        split=bt.GivenSplit("part", otherwise=0.2, refit="held out"),
        position=bt.InversePropensity("position", optional=True),
        world="search",
    ),
    features=[bt.Given()],
    models={
        "rank": [
            bt.Logistic(),
            bt.BoostedTrees(name="Pointwise"),
            bt.BoostedTrees(
                name="ExampleSettings",
                objective="lambdarank",
                trees=100,
                leaves=31,
                min_leaf=50,
                min_hessian=5.0,
                learning_rate=0.1,
                column_share=1.0,
                row_share=0.9,
                reg=0.0,
            ),
            bt.BoostedTrees(
                name="LambdaMART",
                objective="lambdarank",
                trees=200,
                leaves=15,
                min_leaf=20,
                learning_rate=0.05,
                column_share=0.3,
                reg=5.0,
            ),
        ]
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        metrics=["ndcg@5", "mrr"],
        unit="request",
        goals=[
            bt.Goal("ndcg@10", at_least=0.72),
        ],
        experiment=bt.Experiment("searches that are not typed again", unit="query", minimum_effect=0.01),
    ),
    serving=bt.Serving(path=[bt.Candidates(at_most=1000), bt.Rank(budget_ms=10), bt.Show(k=10)]),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("ndcg@10", at_least=0.7, every="7d")],
        retrain=bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
