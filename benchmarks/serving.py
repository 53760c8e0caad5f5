"""The served path under open-loop load: the highest rate whose p99 stays within the limit, beside a bare server.

Goal: at least 500 requests a second at p99 ≤ 20 ms with two workers, for the path with 200 candidates. The bare server
answers the same requests with a ready list: same server, workers, generator and limit, and nothing computed. The
generator runs on the same machine as both.

    python benchmarks/serving.py --workspace .bottega      # of a design that was run there
    python benchmarks/serving.py                           # builds the design on the shop world first
    python benchmarks/serving.py --design sponsored-search --rows 2_000_000 --rate 1500 --runs 6

With `--rate` each run is a service of its own that is warmed and then loaded at this rate; goal: `sponsored-search`
with 200 candidates answers 1,500 a second at p99 ≤ 10 ms.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import service_frameworks
from common import arguments, write

from bottega.runs.workspace import Workspace
from bottega.serving.load import highest_rate
from bottega.serving.load import load as load_once
from bottega.serving.load_report import LoadResult
from bottega.serving.requests import bodies_of
from bottega.serving.service import Settings
from bottega.serving.workers import running
from bottega.verbs.finding import find_design
from bottega.verbs.load import asked, load

GOAL, LIMIT = 500.0, 20.0  # requests a second, ms
BARE = "RSGI, embedded (ours)"


WARM = 3_000  # requests before a rate is measured


@contextmanager
def bare() -> Iterator[str]:
    """Run the bare server, and give its address."""
    service_frameworks.OUT.mkdir(exist_ok=True)
    (service_frameworks.OUT / "service_apps.py").write_text(service_frameworks.APPS)
    (service_frameworks.OUT / "service_embedded.py").write_text(service_frameworks.EMBEDDED)
    service_frameworks.PEERS = Path(sys.prefix)  # the server is a dependency of ours
    command, settings = service_frameworks.servers()[BARE]
    with service_frameworks.serving(command, settings, 0.0) as url:
        yield url


def highest(workspace: Path, chosen: Namespace, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the highest rate that holds the limit, of the path and of the bare server."""
    ours = load(
        chosen.design, workspace=workspace, requests=chosen.requests, connections=chosen.connections, workers=2,
        seed=seed, say=say,
    )  # fmt: skip
    with bare() as url:
        best, tried = highest_rate(
            url, bodies(workspace, chosen), LIMIT, requests=chosen.requests, connections=chosen.connections, seed=seed,
            say=say,
        )  # fmt: skip
    return ours, {**(best or tried[-1]).as_dict(), "holds": best is not None}


def at_rate(workspace: Path, chosen: Namespace, seed: int) -> dict[str, Any]:
    """Load the path at one rate, warmed before: the bare server knows the shop's requests alone."""
    found = find_design(chosen.design)
    limit = found.scope.limits.p99_ms or LIMIT
    ask = bodies(workspace, chosen)
    with running(Settings(workspace.absolute() / found.name, workers=2, port=0, log=found.serving.log)) as url:
        load_once(f"{url}/rank", ask(seed + 1), chosen.rate, WARM, chosen.connections, seed + 1)
        test = load_once(f"{url}/rank", ask(seed), chosen.rate, chosen.requests, chosen.connections, seed)
    say(test)
    return {**test.as_dict(), "holds": test.holds(limit), "limit_ms": limit}


def bodies(workspace: Path, chosen: Namespace) -> Callable[[int], Iterator[bytes]]:
    """Give the requests of the current release's test, in an order by seed."""
    return bodies_of(asked(Workspace(workspace, find_design(chosen.design).name)))


def say(test: LoadResult) -> None:
    """Tell how a test went."""
    print(f"  {test.rate:,.0f}/s: p99 {test.p99.value:.2f} ms, {test.failed} failed", file=sys.stderr)


def main() -> None:
    """Measure in turn, print the table, write it to `serving.json`."""
    parser = arguments("the served path, and a bare server")
    parser.set_defaults(runs=1)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--design", default="shop-recommendation")
    parser.add_argument("--requests", type=int, default=20_000, help="behind the p99 that is told")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, help="requests a second; without it the highest is searched")
    parser.add_argument("--rows", type=int, help="of the world")
    chosen = parser.parse_args()
    seen: dict[str, list[dict[str, Any]]] = {"the path": [], "bare server": []}
    with ExitStack() as stack:
        workspace = chosen.workspace
        if workspace is None:
            workspace = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "workspace"
            command = "from bottega.cli import main; main()"
            given = ["run", chosen.design, "--workspace", str(workspace), "--quiet"]
            given += ["--rows", str(chosen.rows)] if chosen.rows else []
            subprocess.run([sys.executable, "-c", command, *given], check=True, stdout=subprocess.DEVNULL)
        for number in range(chosen.runs):
            if chosen.rate is not None:
                seen["the path"].append(at_rate(workspace, chosen, number))
                continue
            ours, theirs = highest(workspace, chosen, number)
            seen["the path"].append(ours)
            seen["bare server"].append(theirs)
    print(
        "| 2 workers | requests/s | p50 ms | p99 ms (95 %) | failed | degraded | holds the limit |\n"
        + "| --- " * 7
        + "|"
    )
    for name, runs in seen.items():
        for one in runs:
            p99 = one["p99"]
            holds = f"{one.get('limit_ms', LIMIT):g} ms: {'yes' if one['holds'] else 'no'}"
            print(
                f"| {name} | {one['requests_per_s']:,.0f} | {one['p50']['value']:.2f} | {p99['value']:.2f} "
                f"({p99['low']:.2f}–{p99['high']:.2f}) | {one['failed']} | {one['degraded']:.1%} | {holds} |"
            )
    if chosen.rate is None:
        ratio = seen["the path"][0]["requests_per_s"] / seen["bare server"][0]["requests_per_s"]
        print(f"the path answers {ratio:.2f} of what the bare server does")
        print(f"goal: {GOAL:.0f} requests/s at p99 ≤ {LIMIT:g} ms")
    else:
        found = sorted(one["p99"]["value"] for one in seen["the path"])
        told = ", ".join(f"{value:.1f}" for value in found)
        print(f"p99 of the path at {chosen.rate:,.0f}/s, ms: {told}; median {median(found):.1f}")
    write("serving", chosen.out, {"goal": GOAL, "limit_ms": LIMIT, "runs": seen}, ["bottega", "granian", "lightgbm"])


if __name__ == "__main__":
    sys.exit(main())
