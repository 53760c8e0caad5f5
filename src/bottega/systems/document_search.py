"""Document search: which documents answer this question?

A corpus (`corpus`: doc_id, text, and title where it has one), questions (`queries`: query_id, text) and which documents
are right for each (`qrels`: query_id, doc_id, grade); sets of the BEIR kind (`corpus.jsonl`, `queries.jsonl`,
`qrels/test.tsv`) are read by their own names, and XQuAD's `passages` and `questions`, which name the right passage
themselves, will do too. Without a `split` a fifth of the questions is held out for the test, so that values of BEIR's
own test, which is all of them, are of others. Name the folder with `--data`; without it the design searches the
documentation of Python's own standard library, with questions made from it by a stated rule. A pretrained encoder of
sentences is a setting of `Dense`: `encoder="/path/to/its/folder"`.
"""

import bottega as bt

design = bt.Design(
    name="document-search",
    scope=bt.Scope(
        question="Which ten documents answer this question?",
        decision="They fill the first page of results, and are what an assistant reads before it answers.",
        objective=bt.Objective("share of questions answered on the first page", "up"),
        guardrails=["share of searches that are typed again in other words"],
        traffic=bt.Traffic(daily_users=200_000, requests_per_user=4, peak_factor=4, candidates=200),
        limits=bt.Limits(p99_ms=50, availability=0.999, memory_gb=2),
        assumptions=[
            "A document that nobody judged does not answer the question, which is hard on new ways of search."
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "documents",
                "corpus|passages|scifact/corpus",
                key="doc_id",
                columns={"doc_id": "doc_id|_id|id", "title": "title|text", "text": "text"},
                checks=[bt.NotNull(["doc_id"]), bt.Unique(["doc_id"])],
                licence="SciFact: CC BY-NC 2.0; XQuAD: CC BY-SA 4.0; Python's documentation: PSF licence",
            ),
            bt.Table(
                "queries",
                "queries|questions|scifact/queries",
                key="query_id",
                columns={"query_id": "query_id|_id|id"},
            ),
            bt.Table(
                "judgements",
                "qrels/test|qrels|questions|scifact/qrels",
                columns={"query_id": "query_id|query-id", "doc_id": "doc_id|corpus-id", "grade": "grade|score|"},
            ),
        ],
        examples=bt.Judged(
            "judgements",
            query="query_id",
            candidate="doc_id",
            requests="queries",
            request=["text"],
            catalogue="documents",
        ),
        labels=[bt.Label("grade")],
        split=bt.GivenSplit("split", validate=0.2, test="validation", otherwise=0.2),
        world="library",
    ),
    features=[
        bt.Expression(
            {
                "words_and_meaning": "bm25_score * dense_score",
                "length": "length(text)",
            }
        ),
    ],
    models={
        "retrieve": [
            bt.BM25(query="text", over=["title", "text"], k=150),
            bt.Dense(query="text", over=["title", "text"], k=100),
        ],
        "rank": [
            # meaning orders what shares no word with the question, and moves nothing that does
            bt.Fusion(over=["bm25_score", "dense_score"], weights=[1, 0.001], name="Words"),
            bt.Fusion(over=["bm25_score", "dense_score"], weights=[3, 1]),
            bt.Logistic(),
            bt.BoostedTrees(objective="lambdarank", trees=60, leaves=7, min_leaf=50, learning_rate=0.05),
        ],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        metrics=["recall@10", "recall@100", "mrr"],
        unit="request",
        goals=[
            bt.Goal("ndcg@10", at_least=0.3),
            bt.Goal("recall@100", at_least=0.7),
        ],
        experiment=bt.Experiment("share of searches that end on the first page", unit="session", minimum_effect=0.01),
    ),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=200, merge="rrf", quotas={"BM25": 100}, budget_ms=25),
            bt.Rank(budget_ms=15),
            bt.Show(k=10),
        ]
    ),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("recall@100", at_least=0.7, every="7d")],
        retrain=bt.Retrain(every="30d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
