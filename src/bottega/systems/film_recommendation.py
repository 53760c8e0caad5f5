"""Film recommendation: which ten films will this person like that they have not seen yet?

A table of ratings of one's own, as CSV or Parquet: who, what, how many points, and when, in the columns of MovieLens
(`ratings.csv`: userId, movieId, rating, timestamp in seconds) or under the names below; and if there is one a table of
films (`movies` or `films`) with genres. Name their folder with `--data`; without it the design runs on the films world.
Liked is what has four fifths of the highest rating that one in a hundred reaches: 4 of 5 stars, 8 of 10 points, each
like where there are no others.
"""

import bottega as bt

ITEM = "movieId|movie_id|film|item|item_id|product|product_id"
RATINGS = {"user": "userId|user|user_id|person|customer|customer_id", "item": ITEM}
RATINGS |= {"rating": "rating|stars|score|points", "time": "timestamp|time|date|rated_at"}
FILMS = {"item": ITEM, "genres": "genres|genre|"}

design = bt.Design(
    name="film-recommendation",
    scope=bt.Scope(
        question="Which ten films will this person like that they have not seen yet?",
        decision="The first row of the start page: what stands there is watched, or the evening goes elsewhere.",
        objective=bt.Objective("films liked a month and person", "up"),
        guardrails=["share of films that are broken off within ten minutes"],
        traffic=bt.Traffic(daily_users=200_000, requests_per_user=2, peak_factor=5, candidates=300),
        limits=bt.Limits(p99_ms=50, availability=0.999, memory_gb=2),
        assumptions=[
            "Only what was watched is rated: a film without a rating is not a film that is disliked.",
            "A film is watched once: what was rated, well or not, is not shown again.",
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "ratings",
                "ratings|interactions|events",
                time="time",
                time_format="epoch",
                columns=RATINGS,
                constants={"liked_from": "0.8 * quantile(rating, 0.99)"},
                # below zero is an opinion too: a film that was disliked was seen
                checks=[bt.NotNull(["user", "item", "rating"]), bt.Range("rating", at_least=-100)],
                licence="Your own; MovieLens: for research, not to be passed on; people are numbers",
            ),
            bt.Table("films", "movies|films", key="item", columns=FILMS, optional=True),
        ],
        examples=bt.FromPositives(
            "ratings",
            request=["user"],
            candidate="item",
            horizon="30d",
            requests=bt.Cuts(slices=4),
            catalogue="films",
            newcomers=True,
            where="rating >= liked_from",
        ),
        labels=[bt.Label("liked", matures_after="30d")],
        split=bt.TimeSplit(test="30d", validate="30d", at_most=0.5),
        world="films",
    ),
    features=[
        bt.Window("ratings", by=["user", "item"], values={"ratings": "count(*)"}),
        bt.Window("ratings", by="item", over=["7d", "30d", "90d", "all"], values={"people": "count(distinct user)"}),
        bt.Window(
            "ratings",
            by="item",
            values={
                "points": "avg(rating)",
                "liked": "avg(case when rating >= liked_from then 1 else 0 end)",
                "lately": "decayed_sum(case when rating >= liked_from then 1 else 0 end, '14d')",
                "first": "min(time)",
                "last": "last(time)",
            },
        ),
        bt.Window("ratings", by="user", over=["30d", "all"], values={"films": "count(distinct item)"}),
        bt.Window(
            "ratings",
            by="user",
            values={
                "points": "avg(rating)",
                "liked": "avg(case when rating >= liked_from then 1 else 0 end)",
                "first": "min(time)",
                "last": "last(time)",
            },
        ),
        bt.Lookup("films", by="item", columns=["genres"]),
        bt.Expression(
            {
                "days_out": "(epoch(request_time) - epoch(item_first_all)) / 86400",
                "days_since_rated": "(epoch(request_time) - epoch(item_last_all)) / 86400",
                "days_known": "(epoch(request_time) - epoch(user_first_all)) / 86400",
                "days_away": "(epoch(request_time) - epoch(user_last_all)) / 86400",
                "rising": "item_people_7d / (item_people_30d + 1)",
                "fading": "item_people_30d / (item_people_90d + 1)",
                "sure_points": "(item_points_all * item_people_all + 5 * user_points_all) / (item_people_all + 5)",
                "points_for_user": "item_points_all - user_points_all",
            }
        ),
    ],
    models={
        "retrieve": [
            bt.Popularity(span="30d", k=100, unseen=0),
            bt.TextSimilarity("genres", half_life=None, k=100, unseen=0),
            bt.Factorization(method="als", factors=32, half_life=None, name="ALS", k=150, unseen=0),
            bt.Factorization(method="ease", half_life=None, name="EASE", k=150, unseen=0),
            bt.TwoTower(
                text="genres",
                embedding_size=32,
                layers=[64],
                epochs=4,
                batch=256,
                learning_rate=5e-3,
                half_life=None,
                unseen=0,
            ),
        ],
        "rank": [
            # popularity orders what the factors cannot tell apart: all films, for a newcomer
            bt.Fusion(over=["als_score", "ease_score", "popularity_score"], weights=[1, 1, 0.05], name="Factors"),
            bt.Logistic(),
            bt.BoostedTrees(objective="lambdarank", trees=100, min_leaf=100, reg=5.0, column_share=0.5),
        ],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        metrics=["recall@10", "mrr", "coverage@10"],
        slices=["cold"],
        views=[bt.View("new films", where="coalesce(item_people_all, 0) < 10")],
        goals=[
            bt.Goal("ndcg@10", above="Popularity"),
            bt.Goal("ndcg@10", above="ALS"),
            bt.Goal("ndcg@10", above="EASE"),
        ],
        experiment=bt.Experiment("films liked a month and person", unit="user", minimum_effect=0.02),
    ),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=300, where="coalesce(user_item_ratings_all, 0) = 0", budget_ms=25),
            bt.Rank(budget_ms=25),
            bt.Diversify(by=["item_genres"], weight=0.05, first=10),
            bt.Quota(where="coalesce(item_people_all, 0) < 10", at_least=1, first=10, name="a new film"),
            bt.Explore(epsilon=0.02, pool=50),
            bt.Show(k=10),
        ]
    ),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.3), bt.Watch("recall@10", at_least=0.05, every="7d")],
        retrain=bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
