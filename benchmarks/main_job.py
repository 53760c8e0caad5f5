"""The main job: `bottega run shop-recommendation` from nothing and again, in a fresh workspace; time and memory.

Goals on two cores: the real log under 180 s and 2 GB, the world under 60 s, a second run under 3 s.

    python benchmarks/main_job.py                 # on the shop world
    python benchmarks/main_job.py --data DIR      # and on the real log: DIR holds online_retail/
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from common import arguments, run_alone, write

DESIGN = "shop-recommendation"
GOALS = {"the shop world": 60.0, "the real log": 180.0}  # seconds, from nothing
AGAIN, MEMORY = 3.0, 2048.0  # seconds, MiB
COMMAND = [sys.executable, "-c", "from bottega.cli import main; main()"]


def run(workspace: Path, data: Path | None, design: str = DESIGN) -> dict[str, Any]:
    """Run the job once, and give wall time, processor time, the largest process and the scorecard."""
    given = ["--data", str(data)] if data else []
    card, used = run_alone(*COMMAND, "run", design, "--workspace", workspace, "--json", *given)
    return {**used, "scorecard": card}


def main_numbers(card: dict[str, Any]) -> list[str]:
    """Say what the scorecard found, in a few lines."""
    goals = card["goals"]
    lines = [
        f"rows: {card['data']['accepted']:,} accepted of {card['data']['offered']:,}; champions: {card['champions']}",
        f"goals: {sum(goal['met'] is True for goal in goals)} of {len(goals)} met; parity: "
        f"{card['parity']['compared']:,} compared, {card['parity']['mismatches']} differ",
        f"path: p50 {_value(card['serving']['p50_ms'])} ms, p99 {_value(card['serving']['p99_ms'])} ms",
    ]
    for model in card["models"]:
        metric, found = next(iter(model["metrics"].items()), ("", None))
        if found is not None:
            lines.append(f"{model['stage']} {model['name']}: {metric} {_value(found)}, {model['seconds'] or 0:.1f} s")
    return lines


def _value(found: Any) -> str:
    if not isinstance(found, dict):
        return "–" if found is None else f"{found:.3g}"
    if found.get("low") is None or found.get("high") is None:
        return _value(found["value"])
    return f"{found['value']:.3g} ({found['low']:.3g}–{found['high']:.3g})"


def measure(data: Path | None, runs: int, design: str = DESIGN) -> dict[str, Any]:
    """Run the job from nothing, and then again in the same workspace, so many times."""
    with tempfile.TemporaryDirectory() as folder:
        first = run(Path(folder) / "workspace", data, design)
        again = [run(Path(folder) / "workspace", data, design) for _ in range(runs)]
    executed = [step["name"] for step in again[-1]["scorecard"]["steps"] if not step["cached"]]
    return {
        "first": first,
        "again": [{key: one[key] for key in one if key != "scorecard"} for one in again],
        "executed_again": executed,
    }


def main() -> None:
    """Measure, print the table, write it to `main_job.json`."""
    parser = arguments("the main job from nothing, and again")
    parser.add_argument("--data", type=Path, help="the folder that holds online_retail/")
    parser.add_argument("--design", default=DESIGN, help="another design, such as a smaller one")
    parser.add_argument("--no-world", action="store_true", help="leave the world out")
    chosen = parser.parse_args()
    if chosen.no_world and not chosen.data:
        parser.error("--no-world without --data leaves nothing to run")
    inputs = {} if chosen.no_world else {"the shop world": None}
    if chosen.data:
        inputs["the real log"] = chosen.data
    found = {name: measure(data, chosen.runs, chosen.design) for name, data in inputs.items()}
    head = (
        "main job",
        "from nothing s",
        "goal",
        "of processors s",
        "again s",
        "goal",
        "peak MB, all",
        "largest",
        "goal",
    )
    print(f"| {' | '.join(head)} |\n" + "| --- " * len(head) + "|")
    for name, row in found.items():
        first = row["first"]
        again = sorted(one["wall_s"] for one in row["again"])
        print(
            f"| {name} | {first['wall_s']:.1f} | {GOALS[name]:.0f} | {first['cpu_s']:.1f} "
            f"| {again[len(again) // 2]:.2f} ({again[0]:.2f}–{again[-1]:.2f}) | {AGAIN:.0f} "
            f"| {first['scorecard']['peak_rss_mb']:,.0f} | {first['largest_process_mb']:,.0f} | {MEMORY:,.0f} |"
        )
    for name, row in found.items():
        print(f"\n{name}; steps that ran again: {', '.join(row['executed_again']) or 'none'}")
        print("\n".join(f"- {line}" for line in main_numbers(row["first"]["scorecard"])))
    write(
        "main_job", chosen.out, {"goals": {**GOALS, "again": AGAIN, "mb": MEMORY}, "runs": found}, ["bottega", "numpy"]
    )


if __name__ == "__main__":
    sys.exit(main())
