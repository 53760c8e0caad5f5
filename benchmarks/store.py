"""The online read: 100 keys × 20 features, 500 × 50. Our stores, beside what their libraries do by themselves.

LMDB: py-lmdb gets each key in one read transaction; a dictionary with NumPy in the process that reads is what no store
can beat. Redis, in a server that the benchmark starts where one is installed: redis-py asks for all keys
by one MGET. All sides join the rows to one array. Keys are drawn anew for each read, by a Zipf law, from 100,000.

    python benchmarks/store.py
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from common import arguments, differs, draw_keys, write

from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.opening import open_store

Read = Callable[[Sequence[bytes]], np.ndarray]
Readers = Callable[[Path, Sequence[bytes], np.ndarray], Mapping[str, Read]]
SHAPES = ((100, 20), (500, 50))


def joined(rows: Sequence[bytes | None]) -> np.ndarray:
    """Give packed rows as one array, (n, width)."""
    return np.frombuffer(b"".join(rows), "<f8").reshape(len(rows), -1)  # type: ignore[arg-type]


def readers_of_lmdb(folder: Path, names: Sequence[bytes], rows: np.ndarray) -> dict[str, Read]:
    """Fill each side with the same rows, and give what reads from it."""
    store = LmdbStore(folder / "ours")
    store.write("item", names, [row.tobytes() for row in rows])
    store.close()
    ours = LmdbStore(folder / "ours", readonly=True)
    (folder / "raw").mkdir()
    raw = lmdb.open(str(folder / "raw"), map_size=1 << 30, readahead=False)
    with raw.begin(write=True) as txn:
        for name, row in zip(names, rows, strict=True):
            txn.put(name, row.tobytes())
    places = {name: place for place, name in enumerate(names)}

    def read_raw(keys: Sequence[bytes]) -> np.ndarray:
        with raw.begin() as txn:
            return joined([txn.get(key) for key in keys])

    def read_dictionary(keys: Sequence[bytes]) -> np.ndarray:
        return rows[[places[key] for key in keys]]

    return {"ours": lambda keys: joined(ours.read("item", keys)), "py-lmdb": read_raw, "dict + NumPy": read_dictionary}


@contextlib.contextmanager
def redis_port(program: str) -> Iterator[int]:
    """Run a Redis or Valkey that keeps all in memory, and give its port."""
    with socket.socket() as asking, tempfile.TemporaryDirectory() as folder:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
        asking.close()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                yield port
            finally:
                server.kill()


def readers_of_redis(port: int) -> Readers:
    """Give what fills a server with the rows, and reads them: through our store, and by redis-py's own MGET."""

    def readers(folder: Path, names: Sequence[bytes], rows: np.ndarray) -> dict[str, Read]:
        import redis

        raw = redis.Redis(port=port, protocol=2, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 100))
        raw.flushall()
        raw.mset({name: row.tobytes() for name, row in zip(names, rows, strict=True)})
        store = open_store(f"redis://127.0.0.1:{port}/1?timeout_ms=5000", folder)
        store.write("item", names, [row.tobytes() for row in rows])
        return {"ours": lambda keys: joined(store.read("item", keys)), "redis-py": lambda keys: joined(raw.mget(keys))}

    return readers


def measure(readers: Readers, keys: int, width: int, stored: int, reads: int, runs: int) -> dict[str, dict[str, Any]]:
    """Time single reads, the sides in turn in every round; give the median of the rounds' p50 and p99, in ms."""
    rng = np.random.default_rng(0)
    names = [f"c{number:08d}".encode() for number in range(stored)]
    rows = rng.random((stored, width))
    with tempfile.TemporaryDirectory() as folder:
        sides = readers(Path(folder), names, rows)
        places = draw_keys(rng, keys * reads, stored).reshape(reads, keys)
        drawn = [[names[place] for place in chosen] for chosen in places]
        for name, read in sides.items():
            wrong = differs({"rows": rows[places[0]]}, {"rows": read(drawn[0])}, relative=0, absolute=0)
            if wrong:
                raise SystemExit(f"{name} gives another answer: {wrong}")
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(runs):
            for name, read in sides.items():
                spent = np.empty(reads)
                for place, wanted in enumerate(drawn):
                    began = time.perf_counter()
                    read(wanted)
                    spent[place] = time.perf_counter() - began
                p50, p99 = np.quantile(spent, (0.5, 0.99)) * 1e3
                seen[name].append((float(p50), float(p99)))
    found = {}
    for name, pairs in seen.items():
        p50, p99 = np.array(pairs).T
        ratio = np.median(np.array(seen["ours"])[:, 0] / p50)
        found[name] = {
            "p50_ms": float(np.median(p50)), "low": float(p50.min()), "high": float(p50.max()),
            "p99_ms": float(np.median(p99)), "ours_to_it": float(ratio),
        }  # fmt: skip
    return found


def table(title: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Write the sides as a Markdown table."""
    lines = [f"| {title} | p50 ms | lowest–highest | p99 ms | ours / it |\n| --- | --- | --- | --- | --- |"]
    for name, row in found.items():
        spread = f"{row['low']:.3f}–{row['high']:.3f}"
        lines.append(f"| {name} | {row['p50_ms']:.3f} | {spread} | {row['p99_ms']:.3f} | {row['ours_to_it']:.2f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print the tables, write them to `store.json`."""
    parser = arguments("online read: ours, py-lmdb, dictionary; ours, redis-py")
    parser.add_argument("--keys", type=int, default=100_000, help="that are stored")
    parser.add_argument("--reads", type=int, default=3_000, help="in each run")
    chosen = parser.parse_args()
    found: dict[str, dict[str, Any]] = {"tables": {}, "redis": {}}

    def each(kind: str, where: str, readers: Readers) -> None:
        for keys, width in SHAPES:
            title = f"{keys} keys × {width} features"
            found[kind][title] = measure(readers, keys, width, chosen.keys, chosen.reads, chosen.runs)
            print(table(f"{where}: {title}", found[kind][title]))

    each("tables", "LMDB", readers_of_lmdb)
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        print("redis: neither redis-server nor valkey-server is installed, so it is left out")
    else:
        with redis_port(program) as port:
            each("redis", "Redis", readers_of_redis(port))
    packages = ["bottega", "lmdb", "numpy", "redis", "hiredis"]
    write("store", chosen.out, {"stored": chosen.keys, **found}, packages)


if __name__ == "__main__":
    sys.exit(main())
