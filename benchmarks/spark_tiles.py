"""Tiles of a log, made by Spark, by DuckDB and by the embedded engine: how time, memory and shuffle grow with events.

One key with a hundred events on average, drawn by a Zipf law, in 30 days; a window of 1, 7 and 30 days with count, sum,
mean and maximum, so tiles of an hour and of a day. Each side reads the events from Parquet. Spark and DuckDB write the
tables of tiles as Parquet; the embedded engine makes the records that a store holds. All answers are compared.

    python benchmarks/spark_tiles.py --rows 1_000_000 3_000_000 10_000_000

Spark needs `pip install 'bottega[spark]'` and Java 17.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import arguments, draw_keys, run_alone, write

DAY = 86_400_000_000
BEGIN = 1_700_006_400_000_000  # a midnight
END = BEGIN + 30 * DAY
SIDES = ("embedded", "duckdb", "spark")
SPARK = {
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
}


def make(folder: Path, rows: int, seed: int) -> None:
    """Write the events, in the order of time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bottega.data.log import Log
    from bottega.features.ibis_windows import events_table

    rng = np.random.default_rng(seed)
    keys = max(rows // 100, 5)
    names = pa.array([f"c{number:08d}" for number in range(keys)])
    moments = np.sort(rng.integers(BEGIN, END, rows))
    events = pa.table(
        {
            "id": names.take(pa.array(draw_keys(rng, rows, keys))),
            "t": pa.array(moments, pa.timestamp("us", "UTC")),
            "v": np.round(rng.lognormal(2, 1, rows), 2),
        }
    )
    log = Log("events", events, moments, moments)
    pq.write_table(events_table(log, "id"), folder / "events.parquet", row_group_size=500_000)


def design() -> Any:
    """The window as a design declares it."""
    import bottega as bt

    return bt.Window(
        "events", "id", {"n": "count(*)", "sum": "sum(v)", "mean": "avg(v)", "most": "max(v)"}, ["1d", "7d", "30d"]
    )


def tracks() -> list[Any]:
    """What is kept of the events."""
    from bottega.features.tracks import window_tracks

    return window_tracks(design(), (), lambda *_: "number")


def duckdb(folder: Path) -> Callable[[], None]:
    """The expressions on DuckDB with two threads."""
    import ibis

    from bottega.features.ibis_tiles import state_expression

    engine = ibis.duckdb.connect(threads=2)

    def run() -> None:
        events = engine.read_parquet(folder / "events.parquet")
        for place, track in enumerate(tracks()):
            engine.to_parquet(state_expression(track, ["id"], events, END), folder / f"duckdb-{place}")

    return run


def spark(folder: Path) -> Callable[[], None]:
    """The same expressions on Spark with two threads in one process."""
    import ibis
    from pyspark.sql import SparkSession

    from bottega.features.ibis_tiles import state_expression

    (folder / "log").mkdir()
    builder = SparkSession.builder.master("local[2]").config("spark.eventLog.dir", str(folder / "log"))
    for name, value in SPARK.items():
        builder = builder.config(name, value)
    engine = ibis.pyspark.connect(builder.getOrCreate())

    def run() -> None:
        events = engine.read_parquet(folder / "events.parquet")
        for place, track in enumerate(tracks()):
            rows = engine.raw_sql(engine.compile(state_expression(track, ["id"], events, END)))
            rows.write.mode("overwrite").parquet(str(folder / f"spark-{place}"))

    return run


def embedded(folder: Path) -> Callable[[], Any]:
    """The records of a store, by the kernels that fold the stream too."""
    import pyarrow.parquet as pq

    import bottega as bt
    from bottega.data.log import Log
    from bottega.features.filling import records
    from bottega.features.tracks import Group

    whole: Any = SimpleNamespace(data=SimpleNamespace(tables=[bt.Table("events", time="t")], labels=[]))
    group = Group("id", ("id",), tuple(tracks()))

    def run() -> Any:
        rows = pq.read_table(folder / "events.parquet").combine_chunks()
        moments = rows["event_us"].to_numpy()
        return records(whole, {"events": Log("events", rows, moments, moments)}, group, END)

    return run


def answer(folder: Path, side: str, made: Any) -> dict[str, float]:
    """Give what all sides must agree on: of each column of the window at the end, its sum over all keys."""
    window, names = design(), ("n", "sum", "mean", "most")
    if side == "embedded":
        from bottega.features.records import Codec
        from bottega.features.tracks import Group

        group = Group("id", ("id",), tuple(tracks()))
        columns = np.nansum(Codec(group).values(list(made.values()), END).numbers, axis=0)
        return dict(zip(group.columns, columns.tolist(), strict=True))
    import polars as pl

    found = {}
    for place, track in enumerate(tracks()):
        tiles = table_of(folder / f"{side}-{place}")
        for span in {cell.length: cell for cell in track.cells}.values():
            inside = tiles.filter(pl.col("bucket") * track.hop >= (END - (span.length or 0)) // span.hop * span.hop)
            keys = inside.group_by("id").agg(pl.sum("rows", "sum_0", "count_0"), pl.max("max_0"))
            mean = (keys["sum_0"] / keys["count_0"]).sum()
            values = (keys["rows"].sum(), keys["sum_0"].sum(), mean, keys["max_0"].sum())
            text = next(text for text in window.over if span.column.endswith(f"_{text}"))
            found |= {f"id_{name}_{text}": float(value) for name, value in zip(names, values, strict=True)}
    return found


def table_of(path: Path) -> Any:
    """Give a table of tiles: DuckDB writes a file, Spark a folder."""
    import polars as pl

    return pl.read_parquet(path / "*.parquet" if path.is_dir() else path)


def family() -> list[Any]:
    """Give this process and its children: Spark works in one of them."""
    import psutil

    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def worked() -> float:
    """Give the seconds of processors that they have taken so far."""
    return sum(sum(process.cpu_times()[:2]) for process in family())


def peak_mb() -> float:
    """Give the largest memory of each so far, summed, in MiB."""
    said = [Path(f"/proc/{process.pid}/status").read_text().splitlines() for process in family()]
    return sum(float(line.split()[1]) for lines in said for line in lines if line.startswith("VmHWM")) / 1024


def shuffled(folder: Path) -> float:
    """Give the bytes that Spark's tasks wrote for others to read, in MiB."""
    total = 0
    for path in (path for path in folder.rglob("*") if path.is_file()):
        for line in path.read_text().splitlines():
            event = json.loads(line) if line.startswith('{"Event":"SparkListenerTaskEnd"') else {}
            total += event.get("Task Metrics", {}).get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return total / 2**20


def serve(side: str, folder: Path, runs: int) -> None:
    """Be a side: run, and print its seconds, by the clock and of processors, its memory and what it found."""
    run = {"embedded": embedded, "duckdb": duckdb, "spark": spark}[side](folder)
    seconds, processors, made = [], [], None
    for _ in range(runs + 1):
        made, began, before = None, time.perf_counter(), worked()
        made = run()
        seconds.append(time.perf_counter() - began)
        processors.append(worked() - before)
    said: dict[str, Any] = {
        "first": seconds[0],
        "runs": seconds[1:],
        "cpu": processors[1:],
        "peak_mb": peak_mb(),
        "shuffle_mb": 0.0,
    }
    if side == "spark":
        from pyspark.sql import SparkSession

        SparkSession.builder.getOrCreate().stop()
        said["shuffle_mb"] = shuffled(folder / "log") / (runs + 1)
    if side != "embedded":
        said["tiles"] = [table_of(folder / f"{side}-{place}").height for place, _ in enumerate(tracks())]
    print(json.dumps({**said, "answer": answer(folder, side, made)}))


def measure(rows: int, seed: int, runs: int, sides: list[str]) -> dict[str, Any]:
    """Run the sides one after another on the same events, and compare what they found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, rows, seed)
        found: dict[str, Any] = {"input_mb": (folder / "events.parquet").stat().st_size / 2**20}
        for side in sides:
            said, used = run_alone(sys.executable, __file__, "--side", side, "--folder", folder, "--runs", str(runs))
            first = found[sides[0]]["answer"] if side != sides[0] else said["answer"]
            if any(abs(said["answer"][key] - value) > 1e-9 * abs(value) for key, value in first.items()):
                raise SystemExit(f"{side} gives {said['answer']} in place of {first}")
            found[side] = {**said, **used, "median": statistics.median(said["runs"])}
            print(
                f"{rows:>12,}  {side:<9} {found[side]['median']:8.2f} s, lowest {min(said['runs']):.2f} s, "
                f"processors {statistics.median(said['cpu']):.2f} s, first {said['first']:.2f} s, "
                f"{said['peak_mb']:,.0f} MB, shuffle {said['shuffle_mb']:.1f} MB",
                flush=True,
            )
    return found


def main() -> None:
    """Read the command line, measure, and write `spark_tiles.json`."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--side", choices=SIDES, help="for the processes that this one starts")
    parser.add_argument("--folder", type=Path, help="for them too")
    given = parser.parse_args()
    if given.side:
        serve(given.side, given.folder, given.runs)
        return
    found = {str(rows): measure(rows, given.seed, given.runs, given.sides) for rows in given.rows}
    write("spark_tiles", given.out, {"sizes": found}, ["pyspark", "duckdb", "ibis-framework", "pyarrow", "numba"])


if __name__ == "__main__":
    main()
