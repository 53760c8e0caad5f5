"""The ladder on real categorical clicks without a time: the Frappe part, beside the best yardstick for it.

Goal: the champion at least as good as the best yardstick, trees on out-of-fold pairwise target rates: ROC-AUC .969
[.967, .971], log loss .160 [.154, .166]. All choices are made on a part of the training rows; the test is read once.

    python benchmarks/frappe_ladder.py --data DIR      # DIR holds frappe_part/
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, write

FIELDS = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
GOAL = {"roc_auc": 0.969, "log_loss": 0.160}
VALIDATE = 0.15  # of the training rows


def table(source: Path, target: Path) -> None:
    """Write training and test rows as one table with their part, a share of the training rows for choosing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    train, test = (pq.read_table(source / f"{part}.parquet") for part in ("train", "test"))
    chosen = np.random.default_rng(0).random(len(train)) < VALIDATE
    part = np.concatenate([np.where(chosen, "validate", "train"), np.full(len(test), "test")])
    rows = pa.concat_tables([train, test]).append_column("part", pa.array(part))
    pq.write_table(rows.append_column("row", pa.array(np.arange(len(rows)).astype(str))), target)


def frappe() -> Any:
    """Give the design: target rates of all fields and their pairs, and a ladder over them."""
    import bottega as bt

    return bt.Design(
        name="frappe",
        scope=bt.Scope(
            question="Was this app used in this context?",
            traffic=bt.Traffic(daily_users=1_000, candidates=100),
        ),
        data=bt.Data(
            tables=[bt.Table("uses", "frappe.parquet")],
            examples=bt.Logged("uses", request=["user", "row", *FIELDS[2:]], candidate="item"),
            labels=[bt.Label("label")],
            split=bt.GivenSplit("part"),
        ),
        features=[bt.Categories(FIELDS, own_from=2, hashed=64), bt.TargetRate(FIELDS, pairs=True, prior=2, folds=20)],
        models={
            "rank": [
                bt.HistoricalRate(by="item"),
                bt.Logistic(),
                bt.BoostedTrees(
                    trees=600, leaves=63, learning_rate=0.025, min_leaf=50, column_share=0.3, without=FIELDS
                ),
                bt.DCN(stop_on="roc_auc", calibrate="beta", epochs=15, patience=2),
            ]
        },
        evaluation=bt.Evaluation(
            primary="log_loss",
            metrics=["roc_auc", "predicted_over_observed"],
            unit="request",
            goals=[bt.Goal("roc_auc", at_least=GOAL["roc_auc"]), bt.Goal("log_loss", at_most=GOAL["log_loss"])],
        ),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=10)]),
    )


def main() -> None:
    """Run the ladder, print each rung on the test, and write the JSON."""
    parser = arguments("the ladder on the Frappe part")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds frappe_part/")
    asked = parser.parse_args()
    import bottega as bt

    with tempfile.TemporaryDirectory() as folder:
        table(asked.data / "frappe_part", Path(folder) / "frappe.parquet")
        card = bt.run(frappe(), data=folder, workspace=Path(folder) / "w").scorecard
    champion = card["champions"]["rank"]
    for model in card["models"]:
        found = [f"{name} {_told(each)}" for name, each in model["metrics"].items()]
        print(f"{'*' if model['name'] == champion else ' '} {model['name']:<15} {'   '.join(found)}")
    print(f"goals: {sum(bool(goal['met']) for goal in card['goals'])} of {len(card['goals'])} met")
    kept = {name: card[name] for name in ("models", "champions", "choice", "comparisons", "goals", "parity")}
    write("frappe_ladder", asked.out, kept, ["bottega", "lightgbm", "torch"])


def _told(found: dict[str, Any]) -> str:
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


if __name__ == "__main__":
    main()
