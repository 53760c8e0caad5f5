"""The whole path of a recommendation under open-loop load, and how it goes as the catalogue grows from 10 k to 1 M.

Three sources (two towers with an index, what is taken together, what is trending), 500 candidates with their features,
ranked by 100 trees, re-ranked (diversity, a quota for new items, exploration), 20 shown; two workers, and the generator
on the same machine. Goal: at least 300 requests a second at p99 ≤ 30 ms. The log is generated: people of 50 tastes, of
whom each takes items of its own taste by a Zipf law, and one in five any item.

    python benchmarks/full_path.py                  # 100 k items: the highest rate that holds p99 ≤ 30 ms
    python benchmarks/full_path.py --growth         # 10 k, 100 k and 1 M items at one rate, with time and memory
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import arguments, draw_keys, write

from bottega.files import read_json
from bottega.runs.workspace import Workspace
from bottega.serving.load import highest_rate
from bottega.serving.load import load as load_once
from bottega.serving.load_report import LoadResult
from bottega.serving.requests import bodies_of
from bottega.serving.service import Settings
from bottega.serving.workers import running
from bottega.verbs.finding import find_design
from bottega.verbs.load import asked

GOAL, LIMIT, RATE, WORKERS = 300.0, 30.0, 200.0, 2
GROWTH = (10_000, 100_000, 1_000_000)
TASTES, PEOPLE, DAYS, DAY = 50, 20_000, 30, 86_400_000_000
BEGIN = 1_700_000_000_000_000
DESIGN = '''
"""Twenty items for a person, by three sources, a ranker and re-ranking."""

import bottega as bt

design = bt.Design(
    name="full-path",
    scope=bt.Scope(question="Which twenty items next?", limits=bt.Limits(p99_ms=30)),
    data=bt.Data(
        tables=[
            bt.Table("events", time="time"),
            bt.Table("items", key="item", time="since"),
        ],
        examples=bt.FromPositives(
            "events", request=["person"], candidate="item", horizon="1h", requests=bt.Cuts(slices=1),
            catalogue="items",
        ),
        labels=[bt.Label("taken")],
        split=bt.TimeSplit(test="1h", validate="1h"),
    ),
    features=[
        bt.Window("events", by="item", over=["1d", "7d", "all"], values={"people": "count(distinct person)"}),
        bt.Window("events", by="item", values={"last": "last(time)", "lately": "decayed_sum(1, '3d')"}),
        bt.Window("events", by="person", over=["1d", "all"], values={"events": "count(*)"}),
        bt.Window("events", by=["person", "item"], values={"events": "count(*)"}),
        bt.Lookup("items", by="item", columns=["kind", "price", "since"]),
        bt.Expression(
            {
                "age": "(epoch(request_time) - epoch(item_since)) / 86400",
                "quiet": "(epoch(request_time) - epoch(item_last_all)) / 3600",
                "rising": "item_people_1d / (item_people_7d + 1)",
            }
        ),
    ],
    models={
        "retrieve": [
            bt.TwoTower(embedding_size=64, epochs=1, batch=1024, hard_negatives=0, k=300,
                        index=bt.Index("auto", recall=0.95)),
            bt.CoPurchase(k=200),
            bt.Trending(half_life="1d", k=200),
        ],
        "rank": [bt.BoostedTrees(objective="lambdarank", trees=100)],
    },
    evaluation=bt.Evaluation(primary="ndcg@20", metrics=["recall@20"]),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=500),
            bt.Rank(),
            bt.Diversify(by=["item_kind"], weight=0.1, first=20),
            bt.Quota(where="age < 3", at_least=1, first=20),
            bt.Explore(epsilon=0.01, pool=50),
            bt.Show(k=20),
        ],
        workers=2,
    ),
)
'''


def make(folder: Path, items: int, seed: int) -> None:
    """Write the tables: 500 k events of so many items, which came over the last year."""
    rng = np.random.default_rng(seed)
    rows = 500_000
    person = draw_keys(rng, rows, PEOPLE)
    own = draw_keys(rng, rows, max(1, items // TASTES)) * TASTES + person % TASTES
    item = np.where(rng.random(rows) < 0.8, own, rng.integers(0, items, rows)) % items
    at = np.sort(rng.integers(BEGIN, BEGIN + DAYS * DAY, rows))
    born = BEGIN - rng.integers(0, 300 * DAY, items)
    stamp = pa.timestamp("us", "UTC")
    names = pa.array([f"i{code:07}" for code in range(items)])
    events = {
        "person": pa.array([f"p{code:05}" for code in range(PEOPLE)]).take(pa.array(person)),
        "item": names.take(pa.array(item)),
        "time": pa.array(at).cast(stamp),
    }
    listed = {
        "item": names,
        "kind": pa.array([f"k{code}" for code in range(200)]).take(pa.array(rng.integers(0, 200, items))),
        "price": pa.array(rng.gamma(2.0, 10.0, items)),
        "since": pa.array(born).cast(stamp),
    }
    pq.write_table(pa.table(events), folder / "events.parquet")
    pq.write_table(pa.table(listed), folder / "items.parquet")


def build(folder: Path, items: int, seed: int) -> tuple[Path, float]:
    """Run the design on a log of so many items; give its file, and the seconds that it took."""
    data, design = folder / "data", folder / "full_path.py"
    data.mkdir()
    make(data, items, seed)
    design.write_text(DESIGN)
    begin = time.perf_counter()
    command = [sys.executable, "-c", "from bottega.cli import main; main()", "run", str(design)]
    command += ["--data", str(data), "--workspace", str(folder / "w"), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return design, time.perf_counter() - begin


def measure(folder: Path, design: Path, chosen: Any, search: bool) -> dict[str, Any]:
    """Serve the build, warm it, and load it: at the highest rate that holds the limit, or at one rate."""
    found = find_design(design)
    space = Workspace(folder / "w", found.name)
    ask = bodies_of(asked(space))
    settings = Settings(space.folder.absolute(), workers=WORKERS, port=0, log=found.serving.log)
    with running(settings) as url:
        load_once(f"{url}/rank", ask(chosen.seed + 1), chosen.rate, 3_000, seed=chosen.seed + 1)
        if search:
            best, tried = highest_rate(
                f"{url}/rank", ask, LIMIT, start=chosen.rate, requests=chosen.requests, seed=chosen.seed, say=say
            )
            test = best or tried[-1]
        else:
            test = load_once(f"{url}/rank", ask(chosen.seed), chosen.rate, chosen.requests, seed=chosen.seed)
            say(test)
        memory = proportional_mb()
    return {**test.as_dict(), "holds": test.holds(LIMIT), "memory_mb": memory}


def proportional_mb() -> float:
    """Give the memory of the processes that this one started, what they share counted once, in MB."""
    total = 0
    for folder in Path("/proc").iterdir():
        command = folder / "cmdline"
        try:
            if folder.name.isdigit() and b"bottega.serving" in command.read_bytes():
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:  # it ended meanwhile
            continue
    return total / 1024


def say(test: LoadResult) -> None:
    """Tell how a test went."""
    print(f"  {test.rate:,.0f}/s: p99 {test.p99.value:.2f} ms, {test.failed} failed", file=sys.stderr)


def main() -> None:
    """Build, load, print the table, write it to `full_path.json`."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--growth", action="store_true", help="several catalogues, at one rate")
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=list(GROWTH))
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second; the search begins here")
    parser.add_argument("--requests", type=int, default=20_000)
    chosen = parser.parse_args()
    rows = []
    print("| items | build s | index recall | requests/s | p50 ms | p99 ms (95 %) | degraded | p99 ≤ 30 ms | MB |")
    print("| --- " * 9 + "|")
    for items in chosen.sizes if chosen.growth else [chosen.items]:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home)
            design, seconds = build(folder, items, chosen.seed)
            (facts,) = (folder / "w").rglob("builds/*/models/retrieve/TwoTower/index/index.json")
            recall = read_json(facts)["facts"].get("recall", {}).get("value", 1.0)
            test = measure(folder, design, chosen, not chosen.growth)
        rows.append({"items": items, "build_s": seconds, "recall": recall, **test})
        p99 = test["p99"]
        print(
            f"| {items:,} | {seconds:.0f} | {recall:.3f} | {test['requests_per_s']:,.0f} | {test['p50']['value']:.1f} "
            f"| {p99['value']:.1f} ({p99['low']:.1f}–{p99['high']:.1f}) | {test['degraded']:.1%} "
            f"| {'yes' if test['holds'] else 'no'} | {test['memory_mb']:,.0f} |",
            flush=True,
        )
    print(f"goal: {GOAL:.0f} requests/s at p99 ≤ {LIMIT:g} ms with {WORKERS} workers")
    found = {"goal": GOAL, "limit_ms": LIMIT, "rows": rows}
    write("full_path", chosen.out, found, ["bottega", "faiss-cpu", "lightgbm"])


if __name__ == "__main__":
    sys.exit(main())
