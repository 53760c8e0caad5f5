"""News feed: what does this person read next?

A log of what people did with contents, a row an event, in the columns of CI&T Deskdrop (`users_interactions`: timestamp
in seconds, eventType, contentId, personId) or of the feed world (`events`: time, event, content_id, person_id), and if
there is one a table `contents` with authors and topics. Name its folder with `--data`; without it the design runs on
the feed world. Each first reading is a request of its own: at its time, among all that anybody has met so far.
"""

import bottega as bt

EVENTS = {
    "time": "timestamp|time",
    "event": "eventType|event",
    "content": "contentId|content_id",
    "person": "personId|person_id",
}
SIZE = "epoch"  # seconds or milliseconds: the size of the numbers tells
CONTENTS = {"content": "content_id|contentId", "author": "author|authorPersonId|", "topic": "topic|"}
CONTENTS |= {"language": "language|lang|", "published_at": "published_at|timestamp|"}

design = bt.Design(
    name="news-feed",
    scope=bt.Scope(
        question="What does this person read next?",
        decision="The order of the feed's first ten places; what stands below is hardly seen.",
        objective=bt.Objective("contents read a day and person", "up"),
        guardrails=["share of contents that their readers hide"],
        traffic=bt.Traffic(daily_users=500_000, requests_per_user=8, peak_factor=4, candidates=250),
        limits=bt.Limits(p99_ms=50, availability=0.999, memory_gb=2),
        assumptions=[
            "What was shown and not read is not logged: other contents that were there stand for it.",
            "Recency beats taste: most of what is read was written on the same day.",
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "events",
                "users_interactions|deskdrop/users_interactions|events",
                time="time",
                time_format=SIZE,
                columns=EVENTS,
                checks=[bt.NotNull(["person", "content"])],
                licence="Deskdrop: believed ODbL, people are numbers; the world is our own",
            ),
            bt.Table("contents", key="content", time="published_at", time_format=SIZE, columns=CONTENTS, optional=True),
        ],
        examples=bt.FromPositives(
            "events",
            request=["person"],
            candidate="content",
            horizon="0s",
            requests=bt.Each(train="150d", warm_up="7d"),
            candidates=bt.Retrieved(negatives=40),
            catalogue="contents",
            newcomers=True,
        ),
        labels=[
            bt.Label("read"),
            bt.Label("like", when="event = 'LIKE'", matures_after="1d"),
            bt.Label("bookmark", when="event = 'BOOKMARK'", matures_after="1d"),
            bt.Label("comment", when="event = 'COMMENT' or event = 'COMMENT CREATED'", matures_after="1d"),
            bt.Label("follow", when="event = 'FOLLOW'", matures_after="1d"),
        ],
        split=bt.TimeSplit(test="90d", validate="30d", at_most=0.5),
        world="feed",
    ),
    features=[
        bt.Window(
            "events",
            by="content",
            values={
                "hour": "decayed_sum(1, '1h')",
                "hours": "decayed_sum(1, '6h')",
                "day": "decayed_sum(1, '1d')",
                "week": "decayed_sum(1, '7d')",
                "first": "min(time)",
                "last": "last(time)",
                "people": "count(distinct person)",
                "events": "count(*)",
            },
        ),
        bt.Window("events", by="content", over=["1h", "1d"], values={"people": "count(distinct person)"}),
        bt.Window(
            "events",
            by="person",
            values={"events": "count(*)", "contents": "count(distinct content)", "last": "last(time)"},
        ),
        bt.Lookup("contents", by="content", columns=["author", "topic", "language", "published_at"]),
        bt.Window(
            "events",
            by=["person", "content_author"],
            values={"met": "count(distinct content)", "lately": "decayed_sum(1, '30d')"},
            name="person_author",
        ),
        bt.Expression(
            {
                "age": "(epoch(request_time) - epoch(content_first_all)) / 3600",
                "gravity": "content_people_all / exp(1.8 * ln(age + 2))",
                "quiet": "(epoch(request_time) - epoch(content_last_all)) / 3600",
                "away": "(epoch(request_time) - epoch(person_last_all)) / 3600",
                "affinity": "person_author_met_all / (person_contents_all + 3)",
                "rereading": "content_events_all / content_people_all",
                "rising": "content_hour_all / (content_day_all + 0.1)",
                "hour_of_day": "extract(hour from request_time)",
                "since_published": "(epoch(request_time) - epoch(content_published_at)) / 3600",
            }
        ),
    ],
    models={
        "retrieve": [
            bt.Trending(half_life="6h", k=0, unseen=200),
            bt.Newest(k=0, unseen=100),
        ],
        "rank": [
            bt.Fusion(over=["gravity"], name="Gravity"),
            bt.MultiTask(
                objectives={"read": 1, "like": 2, "bookmark": 3, "comment": 3, "follow": 3},
                sharing="shared-bottom",
                optional=True,
            ),
            bt.BoostedTrees(objective="lambdarank", trees=150),
        ],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        metrics=["recall@10", "mrr", "coverage@10"],
        slices=["cold"],
        goals=[
            bt.Goal("ndcg@10", above="Newest"),
            bt.Goal("ndcg@10", above="Trending"),
            bt.Goal("ndcg@10", at_least=0.45),
        ],
        experiment=bt.Experiment("contents read a day and person", unit="person", minimum_effect=0.01),
    ),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=250, budget_ms=25),
            bt.Rank(budget_ms=25),
            bt.Quota(where="age < 24", at_least=2, first=10, name="of today"),
            bt.Quota(by="content_author", at_most=3, first=10, name="one author"),
            bt.Explore(epsilon=0.01, pool=50),
            bt.Show(k=10),
        ]
    ),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.3), bt.Watch("recall@10", at_least=0.6, every="1d")],
        retrain=bt.Retrain(every="1d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
