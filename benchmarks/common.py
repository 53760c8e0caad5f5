"""What all benchmarks share: sides in processes of their own, run in turn; medians with their spread; the file of it.

This file and the sides of a benchmark are also read by the environments of peers: at the top it needs NumPy alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

HERE = Path(__file__).parent
OUT = HERE / "out"
Answer = Mapping[str, np.ndarray]  # name -> (n,) in the order of the rows asked
Prepared = tuple[Callable[[], Any], Callable[[Any], Answer]]  # what is timed; what makes its result comparable
PINS = {  # peers that are no dependency of ours
    "pandas": ["pandas==3.1.1", "pyarrow==26.0.1"],
    "feast": [
        *("feast[redis,duckdb]==0.67.0", "pandas==2.3.3", "pyarrow==26.0.1", "dask==2026.8.0", "duckdb==2.0.0"),
        *("ibis-framework==12.0.0", "redis==7.4.1"),
    ],
}


@dataclass(frozen=True)
class Figures:
    """Some runs of one thing, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Give median, lowest, highest and every run, for JSON."""
        return {"median": self.median, "low": min(self.seconds), "high": max(self.seconds), "runs": list(self.seconds)}


def python_of(peer: str, install: bool) -> Path | None:
    """Give the Python that has a peer: this one where it is installed, else that of `.venv-{peer}`; else nothing.

    install: make the environment of a peer that is no dependency.
    """
    if peer not in PINS:
        return Path(sys.executable) if find_spec(peer) else None
    folder = HERE / f".venv-{peer}"
    python = folder / "bin" / "python"
    if install and not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS[peer]], check=True)
    return python if python.exists() else None


class Side:
    """A process that holds the input, and runs one side of a benchmark whenever it is told to.

    module, function: what prepares the side from the input's folder. threads: that it may use.
    """

    def __init__(self, python: Path, module: str, function: str, inputs: Path, threads: int) -> None:
        names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SIDE_THREADS")
        self.name, self.answer = function, inputs / f"answer-{function}.npz"
        self.process = subprocess.Popen(
            [python, HERE / "common.py", module, function, inputs, self.answer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(names, str(threads))},
        )

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise SystemExit(f"{self.name}: no process")
        return pipe

    def tell(self, word: str) -> dict[str, Any]:
        """Send `load`, `run` or `answer`, and give what the process says."""
        pipe = self._pipe(self.process.stdin)
        pipe.write(word + "\n")
        pipe.flush()
        line = self._pipe(self.process.stdout).readline()
        if not line:
            raise SystemExit(f"{self.name}: the process ended with {self.process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process."""
        self._pipe(self.process.stdin).close()
        self.process.wait()
        self._pipe(self.process.stdout).close()


def compare(
    module: str,
    sides: Mapping[str, Path],
    inputs: Path,
    runs: int,
    threads: int,
    check: Callable[[Answer, Answer], str],
) -> dict[str, dict[str, Any]]:
    """Run the sides in turn, the first one ours: one run each to warm up and to compare answers, then `runs` each.

    sides: function -> Python. check: says how an answer differs from ours; empty where it does not.
    Gives for each side its seconds and its process's peak memory, after loading the input and in all; `SystemExit` for
    another answer.
    """
    opened: list[Side] = []
    loaded: dict[str, float] = {}
    try:
        truth: Answer | None = None
        for name, python in sides.items():
            side = Side(python, module, name, inputs, threads)
            opened.append(side)
            for word in ("load", "run", "answer"):
                said = side.tell(word)
                if word == "load":
                    loaded[name] = said["peak_mb"]
                print(f"  {name}: {word} {said['seconds']:.2f} s", file=sys.stderr)
            with np.load(side.answer, allow_pickle=False) as file:
                answer = dict(file)
            side.answer.unlink()
            truth = answer if truth is None else truth
            wrong = check(truth, answer)
            if wrong:
                raise SystemExit(f"{name} gives another answer: {wrong}")
        found: dict[str, list[float]] = {name: [] for name in sides}
        peak: dict[str, float] = {}
        for number in range(runs):
            for side in opened:
                said = side.tell("run")
                found[side.name].append(said["seconds"])
                peak[side.name] = said["peak_mb"]
                print(f"  round {number + 1}, {side.name}: {said['seconds']:.2f} s", file=sys.stderr)
    finally:
        for side in opened:
            side.close()
    return {
        name: {**Figures(tuple(found[name])).as_dict(), "peak_mb": peak[name], "loaded_mb": loaded[name]}
        for name in sides
    }


def run_alone(*command: str | Path) -> tuple[Any, dict[str, float]]:
    """Run a command in a process of its own, without `BOTTEGA_DATA`.

    Gives the JSON that it prints; and its wall and processor seconds and the largest memory of a process of it in MiB.
    `SystemExit` where it fails.
    """
    env = {name: value for name, value in os.environ.items() if name != "BOTTEGA_DATA"}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=said, stderr=told, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"the run ended with {process.returncode}: {told.read()[-2000:]}")
        found = json.loads(said.read())
    used = {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "largest_process_mb": _mb(usage.ru_maxrss)}
    return found, used


def _mb(peak: float) -> float:
    """Give the system's figure of a peak of memory in MiB."""
    return peak / (1024 if sys.platform != "darwin" else 2**20)


def differs(
    ours: Answer, theirs: Answer, exact: Sequence[str] = (), relative: float = 1e-9, absolute: float = 1e-6
) -> str:
    """Say where two answers differ: by over `absolute + relative · |ours|`, or at all in the columns of `exact`."""
    if set(ours) != set(theirs):
        return f"columns {sorted(theirs)} in place of {sorted(ours)}"
    for name in ours:
        left, right = ours[name], theirs[name]
        if left.shape != right.shape:
            return f"{name}: shape {right.shape} in place of {left.shape}"
        if name in exact:
            same = (left == right) | (np.isnan(left) & np.isnan(right))
        else:
            same = np.isclose(right, left, rtol=relative, atol=absolute, equal_nan=True)
        if not same.all():
            row = int(np.flatnonzero(~same)[0])
            return f"{name}: {right[row]} in place of {left[row]} in row {row}, {(~same).sum()} rows"
    return ""


def choose(peers: Mapping[str, str], wanted: Sequence[str], install: bool) -> tuple[dict[str, Path], list[str]]:
    """Give the sides that can run, ours first, with their Python, and a line on each peer that is not installed.

    peers: function -> name of the package. wanted: functions.
    """
    sides, missing = {"ours": Path(sys.executable)}, []
    for name in wanted:
        python = python_of(peers[name], install)
        if python is None:
            missing.append(f"{peers[name]}: not installed, so {name} is left out; --install makes its environment")
        else:
            sides[name] = python
    return sides, missing


def table(found: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """Write the sides as a Markdown table; the ratio, of each round, is ours to theirs: below 1 where we are faster."""
    lines = [
        f"| {title} | median s | lowest–highest | ours / theirs | peak MB | of it after loading |",
        "| --- " * 6 + "|",
    ]
    for name, row in found.items():
        ratios = [ours / theirs for ours, theirs in zip(found["ours"]["runs"], row["runs"], strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if name != "ours" else ""
        spread = f"{row['low']:.3g}–{row['high']:.3g}"
        lines.append(
            f"| {name} | {row['median']:.3g} | {spread} | {ratio} | {row['peak_mb']:,.0f} | {row['loaded_mb']:,.0f} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """Name the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(names: Sequence[str]) -> dict[str, str]:
    """Give the versions of packages, of those that are installed here."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {name: pins[0].partition("==")[2] for name, pins in PINS.items() if name in names}


def write(name: str, folder: Path, values: Mapping[str, Any], packages: Sequence[str]) -> None:
    """Write what was found, with the moment, the machine, how busy it was, and the versions, as `{name}.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "benchmark": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]},
        "versions": versions(packages),
        **values,
    }
    (folder / f"{name}.json").write_text(json.dumps(said, indent=2) + "\n")


def arguments(text: str) -> argparse.ArgumentParser:
    """Give a parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each side")
    parser.add_argument("--out", type=Path, default=OUT, help="where the JSON goes")
    return parser


def peer_arguments(parser: argparse.ArgumentParser, peers: Mapping[str, str]) -> None:
    """Add what a benchmark against peers takes."""
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="that each side may use")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", nargs="*", choices=list(peers), default=list(peers))
    parser.add_argument("--install", action="store_true", help="make the environments of peers that are missing")


def draw_keys(rng: np.random.Generator, rows: int, keys: int) -> np.ndarray:
    """Draw keys by a Zipf law with exponent 0.8, (rows,) int32; which key is frequent is random too."""
    weight = np.arange(1, keys + 1) ** -0.8
    place = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(rows), side="right")
    drawn: np.ndarray = rng.permutation(keys).astype(np.int32)[np.minimum(place, keys - 1)]
    return drawn


def read(file: Path) -> Any:
    """Read a Parquet file as an Arrow table of whole columns, one by one: no more than one of them is held twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pq.read_schema(file).names
    columns = {name: pq.read_table(file, columns=[name])[name].combine_chunks() for name in names}
    pa.default_memory_pool().release_unused()
    return pa.table(columns)


def serve_side(module: str, function: str, inputs: str, answer: str) -> None:
    """Be the process of a `Side`: answer each line of the standard input with one of JSON."""
    sys.path.insert(0, str(HERE))
    prepared: Prepared | None = None
    result: Any = None
    for line in sys.stdin:
        began = time.perf_counter()
        if line.strip() == "load":
            prepared = getattr(importlib.import_module(module), function)(Path(inputs))
        elif prepared is None:
            raise SystemExit("load comes first")
        elif line.strip() == "run":
            result = None  # the memory of the last result is not held beside the new one
            began = time.perf_counter()
            result = prepared[0]()
        else:
            np.savez(answer, **prepared[1](result))
        seconds = time.perf_counter() - began
        peak = _mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(json.dumps({"seconds": seconds, "peak_mb": peak}), flush=True)


if __name__ == "__main__":
    serve_side(*sys.argv[1:])
