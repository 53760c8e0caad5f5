"""The online read: 100 keys × 20 features, 500 × 50. Our LMDB store, py-lmdb by itself, and a dictionary with NumPy.

py-lmdb gets each key in one read transaction and joins the rows to one array, as ours does. The dictionary lives in the
process that reads, and is what no store can beat. Keys are drawn anew for each read, by a Zipf law, from 100,000.

    python benchmarks/store.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from common import arguments, differs, draw_keys, write

from bottega.features.packing import unpack
from bottega.features.stores.lmdb import LmdbStore

Read = Callable[[Sequence[bytes]], np.ndarray]
SHAPES = ((100, 20), (500, 50))


def readers(folder: Path, names: Sequence[bytes], rows: np.ndarray) -> dict[str, Read]:
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
    empty = np.full(rows.shape[1], np.nan)
    width, places = rows.shape[1], {name: place for place, name in enumerate(names)}

    def read_raw(keys: Sequence[bytes]) -> np.ndarray:
        with raw.begin() as txn:
            found = [txn.get(key) for key in keys]
        return np.frombuffer(b"".join(found), "<f8").reshape(len(found), width)

    def read_dictionary(keys: Sequence[bytes]) -> np.ndarray:
        return rows[[places[key] for key in keys]]

    def read_ours(keys: Sequence[bytes]) -> np.ndarray:
        return unpack(ours.read("item", keys), empty)

    return {"ours": read_ours, "py-lmdb": read_raw, "dict + NumPy": read_dictionary}


def measure(keys: int, width: int, stored: int, reads: int, runs: int) -> dict[str, dict[str, Any]]:
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


def main() -> None:
    """Measure, print the tables, write them to `store.json`."""
    parser = arguments("online read: ours, py-lmdb, dictionary")
    parser.add_argument("--keys", type=int, default=100_000, help="that are stored")
    parser.add_argument("--reads", type=int, default=3_000, help="in each run")
    chosen = parser.parse_args()
    found = {}
    for keys, width in SHAPES:
        title = f"{keys} keys × {width} features"
        found[title] = measure(keys, width, chosen.keys, chosen.reads, chosen.runs)
        print(f"| {title} | p50 ms | lowest–highest | p99 ms | ours / it |\n| --- | --- | --- | --- | --- |")
        for name, row in found[title].items():
            spread = f"{row['low']:.3f}–{row['high']:.3f}"
            print(f"| {name} | {row['p50_ms']:.3f} | {spread} | {row['p99_ms']:.3f} | {row['ours_to_it']:.2f} |")
        print()
    write("store", chosen.out, {"stored": chosen.keys, "tables": found}, ["bottega", "lmdb", "numpy"])


if __name__ == "__main__":
    sys.exit(main())
