"""Visual search: which pictures show the same kind of thing as this one?

The pictures are Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, MIT, https://github.com/zalandoresearch/fashion-mnist).
Put its original files into a folder `fashion_mnist`, or your own pictures into a folder `pictures` with a folder for
each label (`pictures/shoe/17.png`), or into a table `pictures` of Parquet (id, image, label), the image being the bytes
of a file; and name the folder above it with `--data`. Without it the design runs on the sample that the package
carries: 600 pictures of each class. Every picture is read as 28 × 28 points of grey, as those are: where colours or
small parts tell things apart, copy the design and give `bt.Image("image", size=(64, 64), channels=3)`.
"""

import bottega as bt

design = bt.Design(
    name="visual-search",
    scope=bt.Scope(
        question="Which pictures show the same kind of thing as this one?",
        decision="The pictures found stand beside the one that was sent; a wrong kind among them costs trust.",
        objective=bt.Objective("looks at a found picture per search", "up"),
        guardrails=["share of searches that are given up after the first answer"],
        traffic=bt.Traffic(daily_users=200_000, requests_per_user=2, peak_factor=4),
        limits=bt.Limits(p99_ms=25, availability=0.999, memory_gb=2),
        assumptions=[
            "What has the same class is alike; whether people find it alike is not in the data.",
            "Questions look like the pictures that are searched: one thing, cut out, on black.",
        ],
    ),
    data=bt.Data(
        tables=[
            bt.Table(
                "pictures",
                "pictures|fashion_mnist",
                key="id",
                checks=[bt.NotNull(["label"])],
                licence="MIT; pictures of clothes, nobody is on them",
            )
        ],
        examples=bt.SameValue("pictures", column="label"),
        labels=[bt.Label("alike")],
        split=bt.GivenSplit("part", validate=0.1, otherwise=0.2),
        sample="fashion_mnist",
    ),
    features=[bt.Image("image", size=(28, 28))],
    models={"encode": [bt.RawPixels(), bt.ImageEncoder(mirror=True)]},
    evaluation=bt.Evaluation(
        primary="map@100",
        metrics=["precision@1", "precision@10", "recall@100"],
        slices=["label"],
        goals=[
            bt.Goal("map@100", above="RawPixels"),
            bt.Goal("precision@1", at_least=0.8),
            bt.Goal("map@100", at_least=0.7),
        ],
        experiment=bt.Experiment("looks at a found picture per search", unit="visitor", minimum_effect=0.02),
    ),
    serving=bt.Serving(path=[bt.Nearest(k=20, binary=True, tolerance=0.01, budget_ms=10)]),
    monitoring=bt.Monitoring(
        watches=[bt.Watch("drift", at_most=0.2), bt.Watch("precision@1", at_least=0.8, every="7d")],
        retrain=bt.Retrain(every="7d", rollout=[bt.Shadow(), bt.Canary(0.05)]),
    ),
)
