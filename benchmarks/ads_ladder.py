"""The ads ladder: does sponsored-search's ladder find the right rung on three worlds, and how near does it come?

On worlds without interactions, with interactions of few values, and with interactions between ids. Goals at two million
impressions: the champion within 3 % of the best prediction that sees the same fields; predicted over observed within
5 % of 1, and within 10 % on slices of 10,000 impressions; the right rung by a paired interval; 5 minutes and 4 GB.

python benchmarks/ads_ladder.py
python benchmarks/ads_ladder.py --kinds ids --seed 2 --rows 500_000
python benchmarks/ads_ladder.py --rows 20_000 --models HistoricalRate Logistic --runs 1      # tiny
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from common import arguments, run_alone, write

GOALS = {
    "gap": 0.03,
    "global": 0.05,
    "slice": 0.10,
    "seconds": 300.0,
    "mb": 4096.0,
}
SIZE = 2_000_000  # impressions, at which time and memory count
KINDS = {"none": ("Logistic", None), "few": ("BoostedTrees", "Logistic"), "ids": ("DCN", "BoostedTrees")}
"""The right rung of each world, and the one that it has to beat; nothing: it must not be worse than any other."""
SMALLEST = 10_000  # impressions of a slice that is judged
RESAMPLES = 1_000
RUN = """
import json, sys
import bottega as bt
from bottega.systems.sponsored_search import design
ran = bt.run(design, data=sys.argv[1], workspace=sys.argv[2], seed=int(sys.argv[3]), models=sys.argv[4:])
print(json.dumps({"build": str(ran.build.folder), "peak_mb": ran.scorecard["peak_rss_mb"]}))
"""


def make(folder: Path, kind: str, rows: int, seed: int) -> None:
    """Write one of the three worlds."""
    from bottega.worlds.ads import AdsWorld

    AdsWorld(rows=rows, seed=seed, interactions=kind).write(folder)  # type: ignore[arg-type]


def run(world: Path, workspace: Path, seed: int, models: Sequence[str]) -> tuple[Path, dict[str, float]]:
    """Run the design on a world's tables in a process of its own; give the build, seconds and the peak of memory."""
    found, used = run_alone(sys.executable, "-c", RUN, world, workspace, str(seed), *models)
    figures = {"seconds": used["wall_s"], "peak_mb": found["peak_mb"]}
    return Path(found["build"]), {**figures, "largest_process_mb": used["largest_process_mb"]}


def losses(label: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Give the log loss of each row, (n,)."""
    said = np.clip(said.astype(np.float64), 1e-7, 1 - 1e-7)
    found: np.ndarray = -np.where(label > 0, np.log(said), np.log1p(-said))
    return found


class Resamples:
    """Means and ratios of a log with 95 % intervals, by drawing people again: the clicks of one hang together.

    person: (n,) code of the person of each row.
    """

    def __init__(self, person: np.ndarray, seed: int) -> None:
        self.person, self.count = person, int(person.max()) + 1
        rng = np.random.default_rng(seed)
        self.times = rng.multinomial(self.count, np.full(self.count, 1 / self.count), RESAMPLES).astype(np.float64)

    def ratio(self, above: np.ndarray, below: np.ndarray | None = None) -> dict[str, float]:
        """Give Σ above ÷ Σ below, or the mean of above; (n,) each."""
        below = np.ones(len(above)) if below is None else below
        sums = [np.bincount(self.person, values, self.count) for values in (above, below)]
        drawn = self.times @ sums[1]
        drawn = (self.times @ sums[0])[drawn > 0] / drawn[drawn > 0]  # not every draw has people of a small slice
        low, high = np.quantile(drawn, [0.025, 0.975])
        return {"value": float(sums[0].sum() / sums[1].sum()), "low": float(low), "high": float(high)}


def judge(kind: str, world: Path, build: Path, seed: int) -> dict[str, Any]:
    """Judge all rungs on the test, beside the best prediction that sees the same fields."""
    from bottega.worlds import limits

    card = json.loads((build / "scorecard.json").read_text())
    rows = pq.read_table(build / "predictions.parquet")
    rungs = [model["name"] for model in card["models"]]
    champion = card["champions"]["rank"]
    label = rows["label"].to_numpy()
    ids = {name: rows[name].cast(pa.int64()) for name in ("user_id", "ad_id")}
    asked = {**{name: rows[name] for name in ("query", "device", "position")}, **ids, "shown_at": rows["request_time"]}
    best = limits("ads", world, asked)
    draws = Resamples(np.unique(ids["user_id"].to_numpy(), return_inverse=True)[1], seed)
    loss = {name: losses(label, rows[name].to_numpy()) for name in rungs}
    least = losses(label, best)
    entropy = float(losses(label, np.full(len(label), label.mean())).mean())
    said = rows[champion].to_numpy().astype(np.float64)
    right, beaten = KINDS[kind]
    others = [name for name in rungs if name != right] if beaten is None else [beaten]
    return {
        "champion": champion,
        "decided": card["choice"]["rank"]["decided"],
        "right": right,
        "test_rows": len(label),
        "limit": {"log_loss": draws.ratio(least), "normalized_entropy": float(least.mean()) / entropy},
        "rungs": {
            name: {
                "log_loss": draws.ratio(values),
                "normalized_entropy": draws.ratio(values / entropy),
                "gap": draws.ratio(values - least, least),
                "predicted_over_observed": draws.ratio(rows[name].to_numpy().astype(np.float64), label),
                "seconds": next(model["seconds"] for model in card["models"] if model["name"] == name),
            }
            for name, values in loss.items()
        },
        "predicted_over_observed": draws.ratio(said, label),
        "limit_over_observed": draws.ratio(best, label),
        "slices": judge_slices(sliced(world, rows, card), said, best, label, draws),
        "right_less": {
            name: draws.ratio(loss[right] - loss[name])
            for name in others
            if right in loss and name in loss and name != right
        },
    }


def sliced(world: Path, rows: pa.Table, card: dict[str, Any]) -> dict[str, np.ndarray]:
    """Give what the scorecard slices by, of each row of the test, (n,) texts: from the world's own tables."""

    def looked_up(table: str, key: str, column: str) -> pa.ChunkedArray:
        other = pq.read_table(world / f"{table}.parquet", columns=[key, column])
        return other.column(column).take(pc.index_in(rows[key].cast(pa.int64()), value_set=other[key].combine_chunks()))

    at = rows["request_time"].cast(pa.timestamp("us"))
    columns = {
        **{name: rows[name] for name in ("device", "position", "query", "ad_id", "user_id")},
        **{f"user_id_{name}": looked_up("users", "user_id", name) for name in ("age", "interest")},
        **{f"ad_id_{name}": looked_up("ads", "ad_id", name) for name in ("advertiser", "topic")},
        "hour": pc.hour(at),
        "weekday": pc.day_of_week(at),  # Monday 0; the slices are the same ones, however they are named
    }
    if unknown := set(card["calibration"]["rank"]["slices"]) - set(columns):
        raise SystemExit(f"the scorecard slices by {', '.join(sorted(unknown))} too: judge them here")
    return {name: column.cast(pa.string()).to_numpy(zero_copy_only=False) for name, column in columns.items()}


def judge_slices(
    columns: dict[str, np.ndarray], said: np.ndarray, best: np.ndarray, label: np.ndarray, draws: Resamples
) -> dict[str, Any]:
    """Judge predicted over observed on each slice of enough impressions; those off by the goal, and the farthest one.

    Of each it tells the interval, and the same ratio of the best prediction, which a day's mood moves as well.
    """
    found: list[tuple[float, str, np.ndarray]] = []
    for name, column in columns.items():
        values, code = np.unique(column, return_inverse=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.bincount(code, said) / np.bincount(code, label) - 1)
        large = np.flatnonzero(np.bincount(code) >= SMALLEST)
        found += [(float(off[place]), f"{name} = {values[place]}", code == place) for place in large]
    found.sort(key=lambda one: -one[0])
    told = [
        {
            "slice": name,
            "rows": int(inside.sum()),
            **draws.ratio(said * inside, label * inside),
            "limit": draws.ratio(best * inside, label * inside),
        }
        for place, (off, name, inside) in enumerate(found)
        if off > GOALS["slice"] or not place
    ]
    wrong = [one for one, (off, _, _) in zip(told, found, strict=False) if off > GOALS["slice"]]
    clear = [one for one in wrong if one["low"] > 1 + GOALS["slice"] or one["high"] < 1 - GOALS["slice"]]
    by = {name: sum(one[1].startswith(f"{name} = ") for one in found) for name in columns}
    return {"count": len(found), "by": by, "worst": told[0] if told else None, "off": wrong, "clearly_off": len(clear)}


def missed(kind: str, found: dict[str, Any], at_size: bool) -> list[str]:
    """Name the goals that a world misses; those of time and memory count at the size that they are set for."""
    gap, overall = found["rungs"][found["champion"]]["gap"], found["predicted_over_observed"]
    least = 0.0 if KINDS[kind][1] is not None else None  # the right rung beats the next, or is not worse
    said = []
    if gap["value"] > GOALS["gap"]:
        said.append("gap")
    if abs(overall["value"] - 1) > GOALS["global"]:
        said.append("predicted / observed")
    if off := found["slices"]["off"]:
        said.append(f"{len(off)} of {found['slices']['count']} slices")
    pairs = found["right_less"].values()
    if not pairs or any(pair["high"] >= least if least is not None else pair["low"] > 0 for pair in pairs):
        said.append("the right rung")
    if at_size and found["run"]["seconds"] > GOALS["seconds"]:
        said.append("time")
    if at_size and found["run"]["peak_mb"] > GOALS["mb"]:
        said.append("memory")
    return said


def measure(kind: str, rows: int, seed: int, models: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write a world, run the design on it, and judge its rungs."""
    world = folder / "world"
    began = time.perf_counter()
    make(world, kind, rows, seed)
    made = time.perf_counter() - began
    build, used = run(world, folder / "workspace", seed, models)
    found = judge(kind, world, build, seed)
    used["seconds"] += made  # the whole of `bottega run` where the world stands in for data
    found["run"] = {**used, "world_seconds": made}
    found["missed"] = missed(kind, found, rows == SIZE)
    return found


def text(found: dict[str, float], digits: int = 4) -> str:
    """Write a value with its interval."""
    return f"{found['value']:.{digits}f} ({found['low']:.{digits}f}–{found['high']:.{digits}f})"


def show(kind: str, found: dict[str, Any]) -> None:
    """Print what was found on a world."""
    head = ("interactions: " + kind, "log loss", "normalized entropy", "gap %", "predicted / observed", "s")
    print(f"| {' | '.join(head)} |\n" + "| --- " * len(head) + "|")
    limit = found["limit"]
    print(f"| the limit | {text(limit['log_loss'])} | {limit['normalized_entropy']:.4f} | 0 "
          f"| {text(found['limit_over_observed'], 3)} | |")  # fmt: skip
    for name, one in found["rungs"].items():
        gap = {key: 100 * value for key, value in one["gap"].items()}
        mark = "**" if name == found["champion"] else ""
        print(f"| {mark}{name}{mark} | {text(one['log_loss'])} | {text(one['normalized_entropy'])} | {text(gap, 2)} "
              f"| {text(one['predicted_over_observed'], 3)} | {one['seconds'] or 0:.0f} |")  # fmt: skip
    decided = "" if found["decided"] else ", undecided"
    print(f"\nchampion {found['champion']}{decided}; right would be {found['right']}")
    for name, pair in found["right_less"].items():
        print(f"{found['right']} less {name}, log loss: {text(pair, 5)}")
    slices = found["slices"]
    by = ", ".join(f"{name} {count}" for name, count in slices["by"].items() if count)
    print(f"{slices['count']} slices of {SMALLEST:,} impressions ({by}), {len(slices['off'])} off by more than "
          f"{GOALS['slice']:.0%}, {slices['clearly_off']} of them with the whole interval")  # fmt: skip
    for one in slices["off"] or [slices["worst"]] * (slices["worst"] is not None):
        print(f"- {one['slice']}, {one['rows']:,} rows: {text(one, 3)}; the limit's {text(one['limit'], 3)}")
    used = found["run"]
    print(f"{used['seconds']:.0f} s with the world's {used['world_seconds']:.0f} s, {used['peak_mb']:,.0f} MB; "
          f"missed: {', '.join(found['missed']) or 'nothing'}\n")  # fmt: skip


def main() -> None:
    """Measure each world, print its table, write all to `ads_ladder.json`."""
    parser = arguments("the ads ladder on three worlds")
    parser.add_argument("--rows", type=int, default=SIZE, help="impressions")
    parser.add_argument("--seed", type=int, default=1, help="of the first world and its run; each further run one more")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--models", nargs="*", default=[], help="rungs to train, all by default")
    parser.set_defaults(runs=1)
    chosen = parser.parse_args()
    found: dict[str, dict[str, Any]] = {kind: {} for kind in chosen.kinds}
    for seed in range(chosen.seed, chosen.seed + chosen.runs):
        for kind in chosen.kinds:
            with tempfile.TemporaryDirectory() as folder:
                one = measure(kind, chosen.rows, seed, chosen.models, Path(folder))
            found[kind][str(seed)] = one
            print(f"seed {seed}, {chosen.rows:,} impressions\n")
            show(kind, one)
    values = {"rows": chosen.rows, "goals": {**GOALS, "at_rows": SIZE}, "worlds": found}
    write("ads_ladder", chosen.out, values, ["bottega", "numpy", "lightgbm", "torch"])


if __name__ == "__main__":
    sys.exit(main())
