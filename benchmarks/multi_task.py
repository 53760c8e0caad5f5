"""Multi-task ranking: is one network for several labels as good on each as a network of its own, and how much cheaper?

On a feed: what is read next, and liked, bookmarked, commented on or followed. Each label has a network of its own,
beside one with a shared bottom of the same size and a mixture of experts. Goals: no label loses by a paired interval;
less training than the single networks together, and less time to score a request.

python benchmarks/multi_task.py --data DESKDROP      # a folder with users_interactions.parquet
python benchmarks/multi_task.py                       # the feed world alone
python benchmarks/multi_task.py --rows 2_000 --epochs 1      # tiny
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import arguments, write

TASKS = {"read": 1.0, "like": 3.0, "bookmark": 3.0, "comment": 5.0, "follow": 5.0}
SEVERAL = ("shared_bottom", "mmoe")
METRICS = ("ndcg@10", "roc_auc")
TABLES = {
    "deskdrop": {
        "source": "users_interactions.parquet",
        "time": "timestamp",
        "time_format": "%s",
        "columns": {"content_id": "contentId", "person_id": "personId", "event": "eventType"},
    },
    "world": {"source": "events.parquet", "time": "time"},
}
EVENTS = {
    "deskdrop": {"like": "LIKE", "bookmark": "BOOKMARK", "comment": "COMMENT CREATED", "follow": "FOLLOW"},
    "world": {"like": "LIKE", "bookmark": "BOOKMARK", "comment": "COMMENT", "follow": "FOLLOW"},
}


def design(kind: str, epochs: int, seed: int) -> Any:
    """Give the feed: its labels from one table of events, and a network for each, for all, and for all with experts."""
    import bottega as bt

    events, time = EVENTS[kind], TABLES[kind]["time"]
    net: dict[str, Any] = {"embedding_size": 8, "layers": (64, 32), "tower": (16,), "epochs": epochs, "patience": 2,
                           "stop_on": "roc_auc", "seed": seed}  # fmt: skip
    counts = {f"h{hours}": f"decayed_sum(1, '{hours}h')" for hours in (1, 6, 24, 168)}
    seen = {"first": f"min({time})", "last": f"last({time})", "people": "count(distinct person_id)", "n": "count(*)"}
    return bt.Design(
        name="multi-task",
        scope=bt.Scope(question="What does this person read next, and like?"),
        data=bt.Data(
            tables=[bt.Table("events", **TABLES[kind])],
            examples=bt.FromPositives(
                "events",
                request=["person_id"],
                candidate="content_id",
                horizon="0s",
                requests=bt.Each(train="150d", warm_up="30d"),
                newcomers=True,
            ),
            labels=[
                bt.Label("read"),
                *(bt.Label(name, when=f"event = '{event}'", matures_after="1d") for name, event in events.items()),
            ],
            split=bt.TimeSplit(test="60d", validate="30d"),
        ),
        features=[
            bt.Window("events", by="content_id", values={**counts, **seen}),
            bt.Window("events", by="person_id", values={"n": "count(*)", "last": f"last({time})"}),
            *(
                bt.Window(
                    "events", by=by, values={name: "count(*)", f"{name}_lately": "decayed_sum(1, '7d')"},
                    where=f"event = '{event}'",
                )
                for name, event in events.items()
                for by in ("content_id", "person_id")
            ),
            bt.Expression(
                {
                    "age": "(epoch(request_time) - epoch(content_id_first_all)) / 3600",
                    "quiet": "(epoch(request_time) - epoch(content_id_last_all)) / 3600",
                    "away": "(epoch(request_time) - epoch(person_id_last_all)) / 3600",
                    "hour": "extract(hour from request_time)",
                }
            ),
        ],
        models={
            "retrieve": [bt.Trending(half_life="6h", k=0, unseen=200), bt.Newest(k=0, unseen=100)],
            "rank": [
                *(
                    bt.MultiTask(objectives={task: 1.0}, sharing="shared-bottom", name=f"only_{task}", **net)
                    for task in TASKS
                ),
                bt.MultiTask(objectives=TASKS, sharing="shared-bottom", name="shared_bottom", **net),
                bt.MultiTask(objectives=TASKS, experts=3, name="mmoe", **net),
            ],
        },
        evaluation=bt.Evaluation(primary="ndcg@10"),
        serving=bt.Serving(path=[bt.Retrieve(k=250), bt.Rank(), bt.Show(k=10)]),
    )  # fmt: skip


def measure(kind: str, data: Path, chosen: argparse.Namespace, seed: int, workspace: Path) -> dict[str, Any]:
    """Run the design; give each label's metrics, the paired differences, and what training and scoring cost."""
    import bottega as bt
    from bottega.files import read_json

    card = bt.run(design(kind, chosen.epochs, seed), data=data, workspace=workspace, seed=seed).scorecard
    steps = workspace / "multi-task" / "steps"
    cost = {}
    for model in card["models"]:
        name = model["name"]
        for folder in steps.glob(f"refit-{name.lower().replace('_', '-')}-*"):
            took = read_json(folder / "timing.json")["scoring_ms"]
            passes = read_json(folder / "training.json")["epochs"]
            cost[name] = {"train_s": model["seconds"], "score_ms": took, "epochs": passes}
    only = [cost[f"only_{task}"] for task in TASKS]
    cost["all single networks"] = {key: sum(one[key] for one in only) for key in only[0]}
    tasks = {}
    for task in card["tasks"]:
        label = task["label"]
        pairs = {(pair["a"], pair["b"], pair["metric"]): pair for pair in task["comparisons"]}
        tasks[label] = {
            "positives": task["positives"],
            "metrics": {
                each["name"]: {name: found["value"] for name, found in each["metrics"].items()}
                for each in task["models"]
            },
            "less_single": {
                name: {metric: pairs[name, f"only_{label}", metric] for metric in METRICS} for name in SEVERAL
            },
        }
    lost = [
        f"{name} on {label} by {metric}"
        for label, task in tasks.items()
        for name, found in task["less_single"].items()
        for metric, pair in found.items()
        if pair["high"] < 0
    ]
    gained = [
        f"{name} on {label} by {metric}"
        for label, task in tasks.items()
        for name, found in task["less_single"].items()
        for metric, pair in found.items()
        if pair["low"] > 0
    ]
    return {"tasks": tasks, "cost": cost, "lost": lost, "gained": gained}


def show(kind: str, seed: int, found: dict[str, Any]) -> None:
    """Print one run: a row a label and network, the difference to the label's own network with its 95 % interval."""
    head = ["label", "positives", "network", *(cell for metric in METRICS for cell in (metric, "less its own"))]
    print(f"{kind}, seed {seed}\n\n| {' | '.join(head)} |\n" + "| --- " * len(head) + "|")
    for label, task in found["tasks"].items():
        for name in (f"only_{label}", *SEVERAL):
            cells = []
            for metric in METRICS:
                pair = task["less_single"].get(name, {}).get(metric)
                told = f"{pair['difference']:+.4f} ({pair['low']:+.4f}–{pair['high']:+.4f})" if pair else ""
                cells += [f"{task['metrics'][name][metric]:.4f}", told]
            print(f"| {label} | {task['positives']:,} | {name} | {' | '.join(cells)} |")
    print("\n| network | training, two fits, s | passes of the last | a request's scores, ms |\n" + "| --- " * 4 + "|")
    for name in ("all single networks", *SEVERAL):
        one = found["cost"][name]
        print(f"| {name} | {one['train_s']:.1f} | {one['epochs']} | {one['score_ms']:.2f} |")
    for word in ("lost", "gained"):
        print(f"{word}: {', '.join(found[word]) or 'nothing'}")
    print()


def main() -> None:
    """Measure the feeds, print their tables, write all to `multi_task.json`."""
    parser = arguments("one network for several labels beside one for each")
    parser.add_argument("--data", type=Path, help="folder of Deskdrop's users_interactions.parquet; none: not measured")
    parser.add_argument("--rows", type=int, default=20_000, help="first views of the feed world; 0: not measured")
    parser.add_argument("--epochs", type=int, default=12, help="passes at most")
    parser.set_defaults(runs=1)
    chosen = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for kind in TABLES:
        for seed in range(chosen.runs):
            with tempfile.TemporaryDirectory() as home:
                data = chosen.data
                if kind == "world":
                    if not chosen.rows:
                        continue
                    from bottega.worlds.feed import FeedWorld

                    data = Path(home) / "world"
                    FeedWorld(rows=chosen.rows, seed=seed).write(data)
                if data is None:
                    continue
                one = measure(kind, data.resolve(), chosen, seed, Path(home) / "workspace")
            found.setdefault(kind, {})[str(seed)] = one
            show(kind, seed, one)
    ratio = {
        kind: {
            key: statistics.median(
                run["cost"]["shared_bottom"][key] / run["cost"]["all single networks"][key] for run in runs.values()
            )
            for key in ("train_s", "score_ms")
        }
        for kind, runs in found.items()
    }
    print(f"cost of the shared bottom, as a share of all single networks: {ratio}")
    values = {"rows": chosen.rows, "epochs": chosen.epochs, "feeds": found, "shared_bottom_share": ratio}
    write("multi_task", chosen.out, values, ["bottega", "numpy", "torch", "onnxruntime"])


if __name__ == "__main__":
    sys.exit(main())
