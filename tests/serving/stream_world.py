"""A shop window's events as a stream: files that grow, consumers of them, and the store that a batch makes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as Folder
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from parity_world import DAY, HOUR, MINUTE, START, small_design

import bottega as bt
from bottega.data.log import Log
from bottega.data.streams.dead import DeadFile
from bottega.data.streams.file import FileStream
from bottega.data.streams.messages import Decoder, Refused
from bottega.data.streams.opening import open_stream
from bottega.data.streams.protocol import Message, Stream
from bottega.features.applying import Applier
from bottega.features.filling import records
from bottega.features.records import Codec
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Store
from bottega.features.tracked import layout
from bottega.serving.prometheus import Meters, exposition
from bottega.serving.service import worker_environment
from bottega.serving.streaming import Consumer, Letters, Timed

DESIGN = small_design()
TABLES = DESIGN.data.tables
TIME = pa.timestamp("us", "UTC")
SCHEMAS = {
    "shown": pa.schema({"at": TIME, "user": pa.string(), "item": pa.string(), "clicked": pa.int64()}),
    "visits": pa.schema(
        {
            "visit": pa.string(),
            "when": TIME,
            "told": TIME,
            "user": pa.string(),
            "amount": pa.float64(),
            "what": pa.string(),
        }
    ),
    "profiles": pa.schema({"since": TIME, "user": pa.string(), "city": pa.string(), "points": pa.float64()}),
    "items": pa.schema({"item": pa.string(), "colour": pa.string()}),
}
EMPTY = {
    table.name: Log(
        table.name,
        SCHEMAS[table.name].empty_table(),
        *([None] * 2 if table.time is None else [np.zeros(0, np.int64)] * 2),
    )
    for table in TABLES
}
GROUPS = layout(DESIGN, EMPTY)
Event = dict[str, Any]
POISON = [
    b'"?"',
    b"[1]",
    b'{"table":"nothing"}',
    b'{"table":"visits","time":true}',
    b'{"table":"shown","clicked":"much"}',
]
"""Bodies that are no events."""


def events(count: int, seed: int = 0, begin: int = START) -> list[Event]:
    """Give events of all tables in the order of their arrival, no two at one time; a few visits are sent twice."""
    rng = np.random.default_rng(seed)
    times = begin + np.sort(rng.choice(2 * DAY // 1000, count, replace=False)) * 1000 + seed
    found: list[Event] = []
    for number, moment in enumerate(times.tolist()):
        user, item = f"u{rng.integers(6)}", f"i{rng.integers(4)}"
        kind = int(rng.integers(10))
        if kind < 5:
            late = int(rng.choice([0, 0, MINUTE, HOUR]))
            amount = None if rng.random() < 0.1 else round(float(rng.normal(0, 50)), 2)
            found.append({"table": "visits", "time": moment - late, "told": moment, "visit": f"v{seed}-{number}",
                          "user": user, "amount": amount, "what": f"kind {rng.integers(4)}"})  # fmt: skip
            if rng.random() < 0.05:
                found.append(found[-1])
        elif kind < 8:
            found.append(
                {"table": "shown", "time": moment, "user": user, "item": item, "clicked": int(rng.integers(2))}
            )
        else:
            city, points = f"city {rng.integers(5)}", float(rng.random())
            found.append({"table": "profiles", "time": moment, "user": user, "city": city, "points": points})
    return found


def write(folder: Folder, rows: Sequence[Event | bytes], writer: int = 0, arrived: int = START) -> None:
    """Append events to a writer's log, as the service does; bytes are a body that is no event."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"events-{writer}-1.jsonl").open("ab") as file:
        for row in rows:
            body = row if isinstance(row, bytes) else msgspec.json.encode(row)
            file.write(b'{"time":%d,"request_id":"r","event":%s}\n' % (arrived, body))


def of_batch(rows: Sequence[Event], now: int, design: bt.Design = DESIGN) -> dict[str, dict[bytes, bytes]]:
    """Give the records that a batch makes of events, each id once."""
    once: dict[Any, Event] = {}
    for row in rows:
        once.setdefault(row.get("visit", id(row)), row)
    messages = [Message(0, at, START, msgspec.json.encode(row)) for at, row in enumerate(once.values())]
    decoded = Decoder(TABLES, SCHEMAS, 2**62).decode(messages, START)
    assert decoded.refused == []
    logs = dict(EMPTY)
    for name, arrived in decoded.tables.items():
        static = EMPTY[name].time is None
        logs[name] = Log(name, arrived.rows, *((None, None) if static else (arrived.time, arrived.known)))
    return {group.name: records(design, logs, group, now) for group in GROUPS}


def differing(store: Store, rows: Sequence[Event], now: int) -> list[str]:
    """Name what a store tells otherwise than a batch of these events, at any of several moments."""
    found = []
    for group, wanted in zip(GROUPS, of_batch(rows, now).values(), strict=True):
        codec, held = Codec(group), store.read(group.name, [*wanted, b"nobody"])
        for later in (0, 1, 30 * MINUTE, HOUR, DAY, 9 * DAY):
            left, right = codec.values(held, now + later), codec.values([*wanted.values(), None], now + later)
            for place, (name, kind) in enumerate(zip(group.columns, codec.kinds, strict=True)):
                if kind == "text":
                    texts = [[of.words.texts[at] for at in of.places] for of in (left.texts[name], right.texts[name])]
                    same = texts[0] == texts[1]
                else:
                    near = 1e-6 if "spent" in name or "ctr" in name else 0.0
                    same = np.allclose(left.numbers[:, place], right.numbers[:, place], 0, near, equal_nan=True)
                if not same:
                    found.append(f"{name}, {later / MINUTE:g} min later")
    return found


@dataclass
class Moment:
    """A clock that is set."""

    at: int = START + 3 * DAY
    stands: bool = False

    def __call__(self) -> int:
        return self.at


@dataclass
class Refusals:
    """Letters that are kept in memory."""

    kept: list[Refused] = field(default_factory=list)

    def add(self, refused: Sequence[Refused]) -> None:
        self.kept += refused


def consumer(
    folder: Folder,
    store: Store,
    stream: Stream | None = None,
    letters: Letters | None = None,
    clock: Timed | None = None,
    say: Callable[[str], None] = lambda _: None,
    design: bt.Design = DESIGN,
) -> Consumer:
    """Give a consumer of the events in a folder."""
    return Consumer(
        stream or FileStream(folder, "shop"), store, Applier(store, GROUPS, design), Decoder(TABLES, SCHEMAS),
        design.data.tables, letters or Refusals(), clock or Moment(), Meters(folder / f"meters-{os.getpid()}"), say,
    )  # fmt: skip


def meters_of(folder: Folder) -> Mapping[str, float]:
    """Give what was counted, by name and labels."""
    lines = exposition(sorted(folder.glob("meters-*"))).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def _consume(folder: Folder, url: str) -> None:
    """Consume for ever, in small steps: what a kill is to interrupt."""
    store = LmdbStore(folder / "store", sync=False)
    stream = open_stream(url, folder / "log", "shop")
    own = consumer(folder / "log", store, stream, letters=DeadFile(folder / "dead"))
    while True:
        own.turn(most=20, wait_s=0.01)


def _nursery() -> None:
    """Fork a consumer for each line that comes, a folder and a stream's URL, and say its process id.

    What it needs is loaded once.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who was killed is forgotten at once
    with tempfile.TemporaryDirectory() as folder:
        write(Folder(folder), events(50))
        consumer(Folder(folder), MemoryStore()).turn(wait_s=1)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if not process:
            try:
                place, url = line.split("\t")
                _consume(Folder(place), url.strip())
            except BaseException:  # else the fork would go on as its parent
                traceback.print_exc()
                os._exit(1)
        print(process, flush=True)


@contextmanager
def nursery() -> Iterator[Callable[[Folder, str], int]]:
    """Give what starts a consumer in a process of its own, and says its id. Its store and letters are in a folder."""
    paths = os.pathsep.join([str(Folder(__file__).parent), worker_environment()["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**worker_environment(), "PYTHONPATH": paths}, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    told, ask = process.stdout, process.stdin

    def start(folder: Folder, url: str = "file:") -> int:
        ask.write(f"{folder}\t{url}\n")
        ask.flush()
        return int(told.readline())

    try:
        assert told.readline() == "ready\n"
        yield start
    finally:
        ask.close()
        process.wait(30)
        told.close()


def kill(process: int) -> None:
    """Kill a process, and return when it is gone."""
    os.kill(process, signal.SIGKILL)
    while True:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.001)


if __name__ == "__main__":
    _nursery()
