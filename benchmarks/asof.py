"""A point-in-time join: for each example the four features of its key that were newest before it.

Keys are texts, drawn by a Zipf law; feature rows stand in the order of time, no two at once, and none at the moment of
an example counts for it. All sides hold the same two tables in memory before they begin.

    python benchmarks/asof.py                                        # 1 M examples, 10 M feature rows
    python benchmarks/asof.py --rows 1_000_000 --examples 100_000
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, differs, draw_keys, peer_arguments, read, table, write

PEERS = {"polars": "polars", "duckdb": "duckdb", "pandas": "pandas"}
FEATURES = ("f0", "f1", "f2", "f3")


def make(folder: Path, rows: int, examples: int, seed: int) -> None:
    """Write feature rows and examples; an example in a hundred has a key without any row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    keys = max(rows // 100, 5)
    names = pa.array([f"c{number:08d}" for number in range(keys + keys // 100 + 1)])
    time = np.cumsum(rng.integers(1, 500_000, rows)) + 1_700_000_000_000_000
    asked = np.sort(rng.choice(time, examples))  # each at the moment of some row, which must not count
    key = draw_keys(rng, examples, keys)
    key[rng.random(examples) < 0.01] = keys
    features = {name: rng.random(rows) for name in FEATURES}
    pq.write_table(
        pa.table({"id": names.take(pa.array(draw_keys(rng, rows, keys))), "t": time, **features}),
        folder / "rows.parquet",
    )
    pq.write_table(pa.table({"id": names.take(pa.array(key)), "t": asked}), folder / "examples.parquet")


def ours(folder: Path) -> Prepared:
    """A `Lookup`, as a design declares it."""
    from bottega.data.log import Log
    from bottega.design.features import Lookup
    from bottega.design.tables import Table
    from bottega.features.lookups import lookup_columns

    rows, examples = read(folder / "rows.parquet"), read(folder / "examples.parquet")
    time, at = rows["t"].to_numpy(), examples["t"].to_numpy()
    log, keys = Log("rows", rows, time, time), {"id": examples["id"].chunk(0)}

    def run() -> dict[str, Any]:
        return lookup_columns(Lookup("rows", "id", list(FEATURES)), Table("rows", time="t"), log, keys, at)

    return run, lambda made: {name: np.asarray(made[f"id_{name}"]) for name in FEATURES}


def polars(folder: Path) -> Prepared:
    """`join_asof`, strictly before."""
    import polars as pl

    warnings.filterwarnings("ignore", "Sortedness")  # both sides are in the order of time
    rows = pl.read_parquet(folder / "rows.parquet").rechunk().set_sorted("t")
    examples = pl.read_parquet(folder / "examples.parquet").rechunk().set_sorted("t")

    def run() -> pl.DataFrame:
        return examples.join_asof(rows, on="t", by="id", strategy="backward", allow_exact_matches=False)

    return run, lambda made: {name: made[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in FEATURES}


def duckdb(folder: Path) -> Prepared:
    """ASOF LEFT JOIN, strictly before."""
    import duckdb as engine

    database = engine.connect(config={"threads": int(os.environ["SIDE_THREADS"]), "preserve_insertion_order": False})
    database.execute(f"create table features as select * from '{folder / 'rows.parquet'}'")
    database.execute(
        "create table examples as select *, file_row_number as r "
        f"from read_parquet('{folder / 'examples.parquet'}', file_row_number=true)"
    )
    query = (
        f"select e.r, {', '.join(f'f.{name}' for name in FEATURES)} "
        "from examples e asof left join features f on e.id = f.id and e.t > f.t"
    )

    def run() -> Any:
        result = database.execute(query).arrow()
        return result if hasattr(result, "column_names") else result.read_all()

    def answer(made: Any) -> Answer:
        order = np.argsort(made["r"].to_numpy())
        return {name: made[name].to_numpy()[order] for name in FEATURES}

    return run, answer


def pandas(folder: Path) -> Prepared:
    """`merge_asof`, strictly before."""
    import pandas as pd

    rows, examples = pd.read_parquet(folder / "rows.parquet"), pd.read_parquet(folder / "examples.parquet")

    def run() -> Any:
        return pd.merge_asof(examples, rows, on="t", by="id", allow_exact_matches=False)

    return run, lambda made: {name: made[name].to_numpy() for name in FEATURES}


def check(ours: Answer, theirs: Answer) -> str:
    """The same row, so the same bits."""
    return differs(ours, theirs, relative=0, absolute=0)


def main() -> None:
    """Measure, print the table, write it to `asof-{rows}.json`."""
    parser = arguments("point-in-time join: ours, Polars, DuckDB, pandas")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--examples", type=int, default=1_000_000)
    peer_arguments(parser, PEERS)
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), chosen.rows, chosen.examples, chosen.seed)
        found = compare("asof", sides, Path(folder), chosen.runs, chosen.threads, check)
    print(table(found, f"as-of join, {chosen.examples:,} × {chosen.rows:,} rows, {chosen.threads} threads"))
    for line in missing:
        print(line)
    values = {
        "rows": chosen.rows, "examples": chosen.examples, "threads": chosen.threads, "seed": chosen.seed,
        "sides": found, "missing": missing,
    }  # fmt: skip
    write(
        f"asof-{chosen.rows}",
        chosen.out,
        values,
        ["bottega", "numpy", "numba", "pyarrow", *sorted(set(PEERS.values()))],
    )


if __name__ == "__main__":
    sys.exit(main())
