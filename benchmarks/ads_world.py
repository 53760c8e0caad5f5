"""The ads world: how long two million impressions take to make, and how much memory (goal: 20 s and 1,024 MB).

python benchmarks/ads_world.py
python benchmarks/ads_world.py --rows 5_000 --runs 1      # tiny
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

from common import Figures, arguments, write

GOAL, MEMORY = 20.0, 1024.0  # seconds and MiB, at two million impressions
MAKE = """
import json, resource, sys, time
from pathlib import Path
from bottega.worlds.ads import AdsWorld
began = time.perf_counter()
AdsWorld(rows=int(sys.argv[2]), seed=int(sys.argv[3])).write(Path(sys.argv[1]))
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
print(json.dumps({"seconds": seconds, "peak_mb": peak}))
"""


def measure(rows: int, runs: int) -> dict[str, Any]:
    """Make so many worlds, each by a process and a seed of its own, and give seconds and the highest memory."""
    found = []
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", MAKE, folder, str(rows), str(seed)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the world ended with {done.returncode}: {done.stderr[-2000:]}")
        found.append(json.loads(done.stdout))
    seconds = Figures(tuple(one["seconds"] for one in found)).as_dict()
    return {**seconds, "peak_mb": max(one["peak_mb"] for one in found)}


def main() -> None:
    """Measure, print the table, write it to `ads_world.json`."""
    parser = arguments("making the ads world")
    parser.add_argument("--rows", type=int, default=2_000_000, help="impressions")
    chosen = parser.parse_args()
    found = measure(chosen.rows, chosen.runs)
    print("| ads world | median s | lowest–highest | goal | peak MB | goal |\n" + "| --- " * 6 + "|")
    print(
        f"| {chosen.rows:,} impressions | {found['median']:.2f} | {found['low']:.2f}–{found['high']:.2f} "
        f"| {GOAL:.0f} | {found['peak_mb']:,.0f} | {MEMORY:,.0f} |"
    )
    goals = {"seconds": GOAL, "mb": MEMORY, "at_rows": 2_000_000}
    write(
        "ads_world", chosen.out, {"rows": chosen.rows, "goals": goals, "world": found}, ["bottega", "numpy", "pyarrow"]
    )


if __name__ == "__main__":
    sys.exit(main())
