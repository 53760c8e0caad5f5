"""Online features in process: 500 keys × 51 window columns out of live records, as the service reads them.

Records of 20,000 items over ten days: 17 aggregates over 1 h, 1 d and 7 d. Each read asks for 500 items that are drawn
anew by a Zipf law, at a later moment. It is measured with nothing remembered (each read follows a write), and with
what the reader remembers between two writes. A raw client stands beside it: the same rows out of LMDB, not decoded.
The values of some reads are compared with a batch's. Goal: under 1 ms at p99.

    python benchmarks/reader.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import numpy as np
import pyarrow as pa
import stream
from common import arguments, draw_keys, write

import bottega as bt
from bottega.features.filling import fill
from bottega.features.frame import Frame
from bottega.features.reader import Reader
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.protocol import mark
from bottega.features.tracked import layout
from bottega.features.windows import window_columns
from bottega.features.words import Known

EVENTS, KEYS = 1_000_000, 500
HOUR = 3_600_000_000
NUMBERS = ("price", "clicked", "price * price", "price + clicked")


def design() -> bt.Design:
    """Give a design with 51 window columns of an item."""
    values = {"n": "count(*)"} | {
        f"{kind}{place}": f"{kind}({text})"
        for place, text in enumerate(NUMBERS)
        for kind in ("sum", "avg", "min", "max")
    }
    window = bt.Window("views", by="item", over=["1h", "1d", "7d"], values=values)
    made = stream.design()
    data = msgspec.structs.replace(made.data, labels=[bt.Label("bought", matures_after="1h")])
    return msgspec.structs.replace(made, data=data, features=[window])


def run(events: int, reads: int, seed: int, folder: Path) -> dict[str, Any]:
    """Read again and again, and give milliseconds of each way."""
    made, log = design(), stream.events(events, seed)
    (window,) = made.features
    groups = layout(made, {"views": log})
    end = int(log.time[-1]) + 1  # type: ignore[index]
    store = LmdbStore(folder / "store", sync=False)
    fill(store, made, {"views": log}, groups, end)
    rng = np.random.default_rng(seed)
    asked = [draw_keys(rng, KEYS, stream.ITEMS) for _ in range(reads)]
    moments = np.sort(rng.integers(end, end + HOUR, reads)).tolist()
    names = np.array([f"i{number}" for number in range(stream.ITEMS)], object)
    known = Known()
    frames = [
        Frame({}, np.array([at]), np.zeros(KEYS, np.int64), {"item": known.column(names[places].tolist())})
        for places, at in zip(asked, moments, strict=True)
    ]
    reader, took = Reader(store, groups), {"nothing remembered": [], "between writes": []}
    for way, each in took.items():
        for number, frame in enumerate(frames):
            if way == "nothing remembered":
                mark(store, "tick", str(number).encode())
            began = time.perf_counter()
            found = reader.read(frame)
            each.append(time.perf_counter() - began)
            if number % 200 == 0:
                keys = {"item": pa.array(names[asked[number]].tolist())}
                wanted = window_columns(window, log, keys, np.full(KEYS, moments[number]))
                for name, column in wanted.items():
                    np.testing.assert_allclose(found.row[name], column, rtol=1e-9, err_msg=name)
    size = float(np.mean([len(row or b"") for row in store.read(groups[0].name, [name.encode() for name in names])]))
    store.close()
    raw = []
    with lmdb.open(str(folder / "store"), readonly=True, lock=False) as base, base.begin() as txn:
        places = {key[-len(name) :]: key for key, _ in txn.cursor() if (name := key.rpartition(b"i")[2])}
        every = [places[name.encode()[1:]] for name in names if name.encode()[1:] in places]
        for drawn in asked:
            began = time.perf_counter()
            _ = [txn.get(every[place % len(every)]) for place in drawn.tolist()]
            raw.append(time.perf_counter() - began)
    both = {**took, "py-lmdb, rows alone": raw}
    quantiles = {way: [1000 * float(np.quantile(each, at)) for at in (0.5, 0.99)] for way, each in both.items()}
    return {"ms": quantiles, "bytes_a_record": size, "columns": len(groups[0].columns)}


def main() -> None:
    """Measure some times, print p50 and p99, write them to `reader.json`."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--reads", type=int, default=3_000)
    given = parser.parse_args()
    found = []
    for number in range(given.runs):
        with tempfile.TemporaryDirectory() as folder:
            found.append(run(given.events, given.reads, number, Path(folder)))
    size, columns = found[0]["bytes_a_record"], found[0]["columns"]
    print(f"{KEYS} keys × {columns} columns, {size:,.0f} bytes a record\n")
    print("| | p50 ms | lowest–highest | p99 ms | lowest–highest |\n| --- | --- | --- | --- | --- |")
    for way in found[0]["ms"]:
        cells = []
        for place in (0, 1):
            runs = [one["ms"][way][place] for one in found]
            cells.append(f"{np.median(runs):.3f} | {min(runs):.3f}–{max(runs):.3f}")
        print(f"| {way} | {' | '.join(cells)} |")
    write("reader", given.out, {"events": given.events, "runs": found}, ("numpy", "numba", "pyarrow", "lmdb"))


if __name__ == "__main__":
    sys.exit(main())
