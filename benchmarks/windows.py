"""Windows of 1 h, 1 d and 7 d before each event of its own key: count, sum and mean, at every event.

A window is [t − span, t): the event itself is out. Keys are texts, drawn by a Zipf law, a hundred events each on
average, in 30 days; the events stand in the order of time. All sides hold the same table in memory before they begin.

    python benchmarks/windows.py --rows 1_000_000
    python benchmarks/windows.py --rows 10_000_000 --peers polars duckdb_range
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, differs, draw_keys, peer_arguments, read, table, write

SPANS = {"1h": 3600 * 10**6, "1d": 86400 * 10**6, "7d": 7 * 86400 * 10**6}  # microseconds
PEERS = {"polars": "polars", "duckdb_range": "duckdb", "duckdb_prefix": "duckdb", "pandas": "pandas"}
EXACT = [f"count_{span}" for span in SPANS]


def make(folder: Path, rows: int, seed: int) -> None:
    """Write the events."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    keys = max(rows // 100, 5)
    names = pa.array([f"c{number:08d}" for number in range(keys)])
    moments = rng.integers(0, 30 * 86400 * 10**6 - rows, rows)
    moments.sort()
    events = {
        "id": names.take(pa.array(draw_keys(rng, rows, keys))),
        "t": moments + np.arange(rows) + 1_700_000_000_000_000,  # no two at once
        "v": np.round(rng.lognormal(2, 1, rows), 2),
    }
    pq.write_table(pa.table(events), folder / "events.parquet")


def ours(folder: Path) -> Prepared:
    """A `Window` with exact tails, as a design declares it."""
    from bottega.data.log import Log
    from bottega.design.features import Window
    from bottega.features.windows import window_columns

    events = read(folder / "events.parquet")
    time = events["t"].to_numpy()
    log = Log("events", events, time, time)
    window = Window("events", "id", {"count": "count(*)", "sum": "sum(v)", "mean": "avg(v)"}, list(SPANS), hop="exact")
    keys = {"id": events["id"].chunk(0)}

    def run() -> dict[str, Any]:
        return window_columns(window, log, keys, time)

    return run, lambda made: {name.removeprefix("id_"): np.asarray(values) for name, values in made.items()}


def polars(folder: Path) -> Prepared:
    """`rolling_sum_by(…).over(id)`, much faster here than `rolling(group_by=id)`; the mean from sum and count."""
    import polars as pl

    events = pl.read_parquet(folder / "events.parquet").with_columns(pl.col("t").cast(pl.Datetime("us")), one=pl.lit(1))
    events = events.rechunk()
    columns = [
        pl.col(source).rolling_sum_by("t", span, closed="left").over("id").fill_null(0).alias(f"{name}_{span}")
        for span in SPANS
        for name, source in (("count", "one"), ("sum", "v"))
    ]
    means = [(pl.col(f"sum_{span}") / pl.col(f"count_{span}")).alias(f"mean_{span}") for span in SPANS]

    def run() -> pl.DataFrame:
        return events.select(columns).with_columns(means)

    return run, lambda made: {name: made[name].to_numpy() for name in made.columns}


def _duckdb(folder: Path, query: str) -> Prepared:
    import duckdb

    database = duckdb.connect(config={"threads": int(os.environ["SIDE_THREADS"]), "preserve_insertion_order": False})
    source = folder / "events.parquet"
    database.execute(
        f"create table events as select *, file_row_number as r from read_parquet('{source}', file_row_number=true)"
    )

    def answer(made: Any) -> Answer:
        columns = made.to_pydict() if isinstance(made, dict) else {n: made[n].to_numpy() for n in made.column_names}
        order = np.argsort(columns.pop("r"))
        return {name: values[order].astype(np.float64) for name, values in columns.items()}

    def run() -> Any:
        result = database.execute(query).arrow()
        return result if hasattr(result, "column_names") else result.read_all()

    return run, answer


def duckdb_range(folder: Path) -> Prepared:
    """Window functions over RANGE frames."""
    columns = ", ".join(
        f"count(*) over w{span} as count_{span}, coalesce(sum(v) over w{span}, 0) as sum_{span}, "
        f"avg(v) over w{span} as mean_{span}"
        for span in SPANS
    )
    frames = ", ".join(
        f"w{span} as (partition by id order by t range between {length} preceding and 1 preceding)"
        for span, length in SPANS.items()
    )
    return _duckdb(folder, f"select r, {columns} from events window {frames}")


def duckdb_prefix(folder: Path) -> Prepared:
    """Running sums of each key, and an ASOF join for each border."""
    parts = [
        f"(h.n - coalesce(p{span}.n, 0)) as count_{span}, (h.s - coalesce(p{span}.s, 0)) as raw_{span}"
        for span in SPANS
    ]
    joins = " ".join(
        f"asof left join sums p{span} on h.id = p{span}.id and h.t - {length} > p{span}.t"
        for span, length in SPANS.items()
    )
    out = ", ".join(
        f"count_{span}, case when count_{span} > 0 then raw_{span} else 0 end as sum_{span}, "
        f"case when count_{span} > 0 then raw_{span} / count_{span} end as mean_{span}"
        for span in SPANS
    )
    query = f"""
        with sums as materialized (
            select id, t, count(*) over k as n, sum(v) over k as s from events
            window k as (partition by id order by t rows unbounded preceding)
        ), before as (
            select id, t, r, count(*) over k as n, coalesce(sum(v) over k, 0) as s from events
            window k as (partition by id order by t rows between unbounded preceding and 1 preceding)
        ), both_ends as (select h.r, {", ".join(parts)} from before h {joins})
        select r, {out} from both_ends"""
    return _duckdb(folder, query)


def pandas(folder: Path) -> Prepared:
    """`groupby(id).rolling(span, on=t)`."""
    import pandas as pd

    events = pd.read_parquet(folder / "events.parquet")
    events["t"] = pd.to_datetime(events["t"], unit="us")
    events["r"] = np.arange(len(events))

    def run() -> Any:
        groups = events.groupby("id", sort=False)
        made = {span: groups.rolling(span, on="t", closed="left")["v"].agg(["count", "sum", "mean"]) for span in SPANS}
        return groups["r"].apply(np.asarray), made

    def answer(result: Any) -> Answer:
        rows, made = result
        order = np.argsort(np.concatenate(list(rows)))
        columns = {}
        for span, frame in made.items():
            for name in ("count", "sum", "mean"):
                values = frame[name].to_numpy()[order]
                columns[f"{name}_{span}"] = values if name == "mean" else np.nan_to_num(values)
        return columns

    return run, answer


def check(ours: Answer, theirs: Answer) -> str:
    """Counts are equal; sums and means within 1e-6 + 1e-9 of the value."""
    counts = {name: values.astype(np.float64) for name, values in theirs.items() if name in EXACT}
    # A mean of nothing is null for us, and 0/0 or null for others.
    return differs(ours, {**theirs, **counts}, EXACT)


def main() -> None:
    """Measure, print the table, write it to `windows-{rows}.json`."""
    parser = arguments("windows: ours, Polars, DuckDB, pandas")
    parser.add_argument("--rows", type=int, default=1_000_000)
    peer_arguments(parser, PEERS)
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), chosen.rows, chosen.seed)
        found = compare("windows", sides, Path(folder), chosen.runs, chosen.threads, check)
    print(table(found, f"windows, {chosen.rows:,} events, {chosen.threads} threads"))
    for line in missing:
        print(line)
    values = {"rows": chosen.rows, "threads": chosen.threads, "seed": chosen.seed, "sides": found, "missing": missing}
    write(
        f"windows-{chosen.rows}",
        chosen.out,
        values,
        ["bottega", "numpy", "numba", "pyarrow", *sorted(set(PEERS.values()))],
    )


if __name__ == "__main__":
    sys.exit(main())
