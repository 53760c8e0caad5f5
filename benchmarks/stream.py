"""Events from the event log into LMDB, each once: how many a second one process applies, all work included.

A design with windows of 1 h, 1 d and 7 d by user, by item and by query: each event changes three records. The events
are read from the log's files, decoded, checked, joined to their records, compared and swapped; offsets are committed
after each batch. Beforehand the store is filled by a batch of as many events; afterwards every value is compared with
what a batch over all events computes, at the end and a day later. A raw client stands beside it: the same lines read
from the same files and decoded to dictionaries, and nothing else.

    python benchmarks/stream.py
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from common import arguments, write

import bottega as bt
from bottega.data.log import Log
from bottega.data.streams.file import FileStream
from bottega.data.streams.messages import Decoder
from bottega.data.streams.writing import events_of
from bottega.features.applying import Applier
from bottega.features.filling import fill
from bottega.features.records import Codec
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore
from bottega.features.tracked import layout
from bottega.serving.prometheus import Meters
from bottega.serving.streaming import Consumer

EVENTS, USERS, ITEMS, QUERIES = 1_000_000, 50_000, 20_000, 5_000
DAY = 86_400_000_000
START = 1_700_000_000_000_000


class Moment:
    """A clock that is set."""

    stands = False

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def design() -> bt.Design:
    """Give the design whose features the stream keeps."""
    values = {"views": "count(*)", "spent": "sum(price)", "dear": "max(price)"}
    return bt.Design(
        name="stream",
        scope=bt.Scope(question="?", decision="?", objective=bt.Objective("clicks", "up")),
        data=bt.Data(
            tables=[bt.Table("views", "views.parquet", time="at")],
            examples=bt.Logged("views", request=["user", "query"], candidate="item"),
            labels=[bt.Label("clicked", matures_after="1h")],
            split=bt.TimeSplit(validate="1d", test="1d"),
        ),
        features=[
            bt.Window("views", by=by, over=["1h", "1d", "7d"], values=values) for by in ("user", "item", "query")
        ],
        models={"rank": [bt.HistoricalRate(by="item")]},
        evaluation=bt.Evaluation(primary="log_loss"),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show()]),
    )


def events(count: int, seed: int) -> Log:
    """Draw events of six fields over ten days, users and items by a Zipf law."""
    rng = np.random.default_rng(seed)
    time_ = np.sort(rng.integers(START, START + 10 * DAY, count))

    def zipf(prefix: str, size: int) -> pa.Array:
        weight = 1 / np.arange(1, size + 1) ** 0.8
        drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count))
        return pa.array([f"{prefix}{number}" for number in range(size)]).take(pa.array(np.minimum(drawn, size - 1)))

    rows = pa.table(
        {
            "at": pa.array(time_).view(pa.timestamp("us", "UTC")),
            "user": zipf("u", USERS),
            "item": zipf("i", ITEMS),
            "query": zipf("q", QUERIES),
            "price": np.round(rng.lognormal(1, 1, count), 2),
            "clicked": rng.integers(0, 2, count),
        }
    )
    return Log("views", rows, time_, time_)


def run(count: int, seed: int, folder: Path, sync: bool) -> dict[str, Any]:
    """Stream the second half of the events into a store filled with the first, and compare the whole."""
    made, log = design(), events(2 * count, seed)
    groups = layout(made, {"views": log})
    border, end = int(log.time[count]), int(log.time[-1]) + 1  # type: ignore[index]
    rest = log.take(slice(count, 2 * count))
    (folder / "events").mkdir()
    with (folder / "events" / "events-0-1.jsonl").open("wb") as file:
        for body, at in zip(events_of(rest.rows, made.data.tables[0]), rest.time.tolist(), strict=True):  # type: ignore[union-attr]
            file.write(b'{"time":%d,"request_id":"0","event":%b}\n' % (at, body))
    store = LmdbStore(folder / "store", sync=sync)
    fill(store, made, {"views": log.take(log.time < border)}, groups, border)  # type: ignore[operator]
    stream = FileStream(folder / "events", "bench")
    applier = Applier(store, groups, made)
    applier.warm()
    decoder = Decoder(made.data.tables, {"views": log.rows.schema})
    consumer = Consumer(
        stream, store, applier, decoder, made.data.tables, None, Moment(end), Meters(folder / "meters"), print,  # type: ignore[arg-type]
    )  # fmt: skip
    done, batches, worst = 0, 0, 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    while done < count:
        began = time.perf_counter()
        done += consumer.turn().messages
        batches, worst = batches + 1, max(worst, time.perf_counter() - began)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    truth = MemoryStore()
    fill(truth, made, {"views": log}, groups, end)
    for group in groups:
        codec, names = Codec(group), [name.encode() for name in log.column(group.by[0]).unique().to_pylist()]
        for at in (end, end + 3_600_000_000, end + DAY):
            left, right = (codec.values(side.read(group.name, names), at).numbers for side in (store, truth))
            if not np.allclose(left, right, rtol=1e-9, atol=0, equal_nan=True):
                raise SystemExit(f"{group.name} differs from the batch")
    size = sum(path.stat().st_size for path in (folder / "store").iterdir())
    stream.close()
    store.close()
    raw = time.perf_counter()
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with (folder / "events" / "events-0-1.jsonl").open("rb") as file:
        for line in file:
            decode(line)
    raw = time.perf_counter() - raw
    return {
        "events_per_s": count / wall, "events_per_cpu_s": count / cpu, "batches": batches, "longest_batch_s": worst,
        "store_mb": size / 1e6, "read_and_decode_per_s": count / raw, "sync": sync,
    }  # fmt: skip


def main() -> None:
    """Run it some times, with and without waiting for the disk at each write."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--events", type=int, default=EVENTS)
    given = parser.parse_args()
    found = []
    for number in range(given.runs):
        for sync in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                found.append(run(given.events, number, Path(folder), sync))
                print(json.dumps(found[-1]), file=sys.stderr)
    for sync in (True, False):
        mine = [one for one in found if one["sync"] == sync]
        for name in ("events_per_s", "events_per_cpu_s", "longest_batch_s", "read_and_decode_per_s"):
            runs = [one[name] for one in mine]
            print(f"sync {sync!s:5}  {name:22} median {np.median(runs):12,.3f}   {min(runs):,.3f} to {max(runs):,.3f}")
    packages = ("numpy", "numba", "pyarrow", "msgspec", "lmdb")
    write("stream", given.out, {"events": given.events, "runs": found}, packages)


if __name__ == "__main__":
    main()
