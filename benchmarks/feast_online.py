"""The online read beside Feast's SDK: 100 keys × 20 features, from embedded stores and from one Redis.

Both sides are asked by a program in its own process and give numbers: ours an array of the packed rows of a store,
Feast columns by `get_online_features(…).to_dict()`. Keys are drawn anew for each read, by a Zipf law. A run is many
reads, and its figure their mean.

    python benchmarks/feast_online.py --install
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, differs, draw_keys, peer_arguments, write

PEERS = {"feast_sqlite": "feast", "feast_redis": "feast"}
SAME_KIND = {"feast_sqlite": "ours", "feast_redis": "ours_redis"}
KEYS, WIDTH = 100, 20


def make(folder: Path, stored: int, reads: int, seed: int) -> None:
    """Write the rows, and which of them each read asks for."""
    rng = np.random.default_rng(seed)
    asked = draw_keys(rng, KEYS * reads, stored).reshape(reads, KEYS)
    np.savez(folder / "rows.npz", rows=rng.random((stored, WIDTH)), asked=asked)


def _given(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "rows.npz") as file:
        return file["rows"], file["asked"]


def _port(folder: Path) -> int:
    return int((folder / "port").read_text())


def _ours(folder: Path, store: Any) -> Prepared:
    rows, asked = _given(folder)
    names = [f"c{number:08d}".encode() for number in range(len(rows))]
    store.write("item", names, [row.tobytes() for row in rows])
    drawn = [[names[place] for place in places] for places in asked]

    def run() -> list[Any]:
        made = []
        for keys in drawn:
            packed = b"".join(store.read("item", keys))
            made.append(np.frombuffer(packed, "<f8").reshape(KEYS, WIDTH))
        return made

    return run, lambda made: {f"f{place}": np.concatenate(made)[:, place] for place in range(WIDTH)}


def ours(folder: Path) -> Prepared:
    """Our LMDB store."""
    from bottega.features.stores.lmdb import LmdbStore

    return _ours(folder, LmdbStore(folder / "ours"))


def ours_redis(folder: Path) -> Prepared:
    """Our Redis store."""
    from bottega.features.stores.opening import open_store

    return _ours(folder, open_store(f"redis://127.0.0.1:{_port(folder)}/1?timeout_ms=5000", folder))


def _feast(folder: Path, online: dict[str, Any]) -> Prepared:
    os.environ["FEAST_USAGE"] = "False"
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    rows, asked = _given(folder)
    names = [f"c{number:08d}" for number in range(len(rows))]
    columns = [f"f{place}" for place in range(WIDTH)]
    home = folder / online["type"]
    home.mkdir()
    frame = pd.DataFrame(rows, columns=columns).assign(id=names, t=datetime.now(UTC))
    frame.to_parquet(home / "rows.parquet")
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry={"path": str(home / "registry.db"), "cache_ttl_seconds": 0},  # for ever
            offline_store={"type": "dask"},
            online_store=online,
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(name="id", join_keys=["id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="rows",
        entities=[entity],
        schema=[Field(name=name, dtype=Float64) for name in columns],
        source=FileSource(path=str(home / "rows.parquet"), timestamp_field="t"),
        ttl=timedelta(0),  # for ever
    )
    store.apply([entity, view])
    store.write_to_online_store("rows", frame)
    drawn = [[names[place] for place in places] for places in asked]
    wanted = [f"rows:{name}" for name in columns]

    def run() -> list[Any]:
        return [store.get_online_features(features=wanted, entity_rows={"id": keys}).to_dict() for keys in drawn]

    return run, lambda made: {name: np.concatenate([one[name] for one in made]) for name in columns}


def feast_sqlite(folder: Path) -> Prepared:
    """Feast's embedded store."""
    return _feast(folder, {"type": "sqlite", "path": str(folder / "sqlite" / "online.db")})


def feast_redis(folder: Path) -> Prepared:
    """Feast on the same Redis."""
    return _feast(folder, {"type": "redis", "connection_string": f"127.0.0.1:{_port(folder)}"})


def check(ours: Answer, theirs: Answer) -> str:
    """Numbers pass through a store without a change."""
    return differs(ours, theirs, relative=0, absolute=0)


def main() -> None:
    """Measure, print the table in milliseconds a read, write it to `feast-online.json`."""
    from store import redis_port

    parser = arguments("online read: ours, Feast")
    parser.add_argument("--keys", type=int, default=10_000, help="that are stored")
    parser.add_argument("--reads", type=int, default=100, help="in each run")
    peer_arguments(parser, PEERS)
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        make(Path(folder), chosen.keys, chosen.reads, chosen.seed)
        if program is None:
            missing.append("no redis-server, so Redis is left out on both sides")
            sides.pop("feast_redis", None)
        else:
            (Path(folder) / "port").write_text(str(stack.enter_context(redis_port(program))))
            sides["ours_redis"] = sides["ours"]
        found = compare("feast_online", sides, Path(folder), chosen.runs, chosen.threads, check)
    for row in found.values():
        row.update({name: row[name] / chosen.reads * 1e3 for name in ("median", "low", "high")})
        row["runs"] = [seconds / chosen.reads * 1e3 for seconds in row["runs"]]
    print(f"| {KEYS} keys × {WIDTH} features | median ms | lowest–highest | it / ours of its kind |\n{'| --- ' * 4}|")
    for name, row in found.items():
        beside = found.get(SAME_KIND.get(name, name), row)["runs"]
        ratios = [theirs / ours for ours, theirs in zip(beside, row["runs"], strict=True)]
        ratio = f"{statistics.median(ratios):.0f} ({min(ratios):.0f}–{max(ratios):.0f})" if name in SAME_KIND else ""
        print(f"| {name} | {row['median']:.3g} | {row['low']:.3g}–{row['high']:.3g} | {ratio} |")
    for line in missing:
        print(line)
    values = {"stored": chosen.keys, "reads": chosen.reads, "seed": chosen.seed, "ms": found, "missing": missing}
    write("feast-online", chosen.out, values, ["bottega", "lmdb", "numpy", "redis", "feast"])


if __name__ == "__main__":
    sys.exit(main())
