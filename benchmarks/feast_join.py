"""A point-in-time join beside Feast's: for each example the four features of its key that were newest before it.

Feast reads the feature rows from a Parquet file whenever it is asked, so ours does too here; the examples are in
memory. Both of Feast's stores for one machine join every example with every row of its key before they choose, so a
frequent key costs the square of its rows: keys are uniform here, a hundred rows each. Feast also takes a row at the
very moment of an example, and ours does not: rows stand at even microseconds, examples at odd ones. Where all rows of
a key come after its example, Feast may leave the example out, which counts as null.

    python benchmarks/feast_join.py --install                        # 200,000 examples, 2 M feature rows
    python benchmarks/feast_join.py --rows 10_000_000 --examples 1_000_000 --runs 1
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, differs, peer_arguments, table, write

PEERS = {"feast_file": "feast", "feast_duckdb": "feast"}
FEATURES = ("f0", "f1", "f2", "f3")


def make(folder: Path, rows: int, examples: int, seed: int) -> None:
    """Write feature rows and examples; an example in a hundred has a key without any row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    keys = max(rows // 100, 5)
    names = pa.array([f"c{number:08d}" for number in range(keys + 1)])
    time = 2 * np.cumsum(rng.integers(1, 250_000, rows)) + 1_700_000_000_000_000
    asked = np.sort(rng.integers(time[0], time[-1], examples)) // 2 * 2 + 1
    key = rng.integers(0, keys, examples)
    key[rng.random(examples) < 0.01] = keys
    moments = pa.timestamp("us", "UTC")
    columns = {"id": names.take(pa.array(rng.integers(0, keys, rows))), "t": pa.array(time, moments)}
    pq.write_table(pa.table({**columns, **{name: rng.random(rows) for name in FEATURES}}), folder / "rows.parquet")
    pq.write_table(
        pa.table({"id": names.take(pa.array(key)), "t": pa.array(asked, moments)}), folder / "examples.parquet"
    )


def ours(folder: Path) -> Prepared:
    """A `Lookup`, as a design declares it, over rows that are read each time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bottega.data.log import Log
    from bottega.design.features import Lookup
    from bottega.design.tables import Table
    from bottega.features.lookups import lookup_columns

    examples = pq.read_table(folder / "examples.parquet").combine_chunks()
    at, keys = examples["t"].cast(pa.int64()).to_numpy(), {"id": examples["id"].chunk(0)}

    def run() -> dict[str, Any]:
        rows = pq.read_table(folder / "rows.parquet")
        time = rows["t"].cast(pa.int64()).to_numpy()
        log = Log("rows", rows, time, time)
        return lookup_columns(Lookup("rows", "id", list(FEATURES)), Table("rows", time="t"), log, keys, at)

    return run, lambda made: {name: np.asarray(made[f"id_{name}"]) for name in FEATURES}


def _feast(folder: Path, offline: str) -> Prepared:
    os.environ["FEAST_USAGE"] = "False"
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    home = folder / offline
    home.mkdir()
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(home / "registry.db"),
            offline_store={"type": offline},
            online_store={"type": "sqlite", "path": str(home / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(name="id", join_keys=["id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="rows",
        entities=[entity],
        schema=[Field(name=name, dtype=Float64) for name in FEATURES],
        source=FileSource(path=str(folder / "rows.parquet"), timestamp_field="t"),
        ttl=timedelta(0),  # for ever
        online=False,
    )
    store.apply([entity, view])
    examples = pd.read_parquet(folder / "examples.parquet").rename(columns={"t": "event_timestamp"})
    examples["place"] = np.arange(len(examples))
    wanted = [f"rows:{name}" for name in FEATURES]

    def run() -> Any:
        return store.get_historical_features(entity_df=examples, features=wanted).to_df()

    def answer(made: Any) -> Answer:
        found = made.set_index("place").reindex(range(len(examples)))
        return {name: found[name].to_numpy(np.float64) for name in FEATURES}

    return run, answer


def feast_file(folder: Path) -> Prepared:
    """Feast's store of files, by Dask and pandas: what a new project of Feast has."""
    return _feast(folder, "dask")


def feast_duckdb(folder: Path) -> Prepared:
    """Feast's store on DuckDB."""
    return _feast(folder, "duckdb")


def check(ours: Answer, theirs: Answer) -> str:
    """The same row, so the same bits."""
    return differs(ours, theirs, relative=0, absolute=0)


def main() -> None:
    """Measure, print the table, write it to `feast-join-{rows}.json`."""
    parser = arguments("point-in-time join: ours, Feast")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--examples", type=int, default=200_000)
    peer_arguments(parser, PEERS)
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), chosen.rows, chosen.examples, chosen.seed)
        found = compare("feast_join", sides, Path(folder), chosen.runs, chosen.threads, check)
    print(table(found, f"as-of join, {chosen.examples:,} × {chosen.rows:,} rows, {chosen.threads} threads"))
    for line in missing:
        print(line)
    values = {
        "rows": chosen.rows, "examples": chosen.examples, "threads": chosen.threads, "seed": chosen.seed,
        "sides": found, "missing": missing,
    }  # fmt: skip
    write(f"feast-join-{chosen.rows}", chosen.out, values, ["bottega", "numpy", "numba", "pyarrow", "feast"])


if __name__ == "__main__":
    sys.exit(main())
