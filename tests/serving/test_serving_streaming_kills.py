"""From the log's files into the store by several: nothing is lost or counts twice, whoever is killed whenever."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path as Folder

import msgspec
import numpy as np
from parity_world import DAY, START
from stream_world import POISON, Event, Refusals, consumer, differing, events, kill, nursery, write

from bottega.data.streams.event_files import ROOM
from bottega.data.streams.file import FileStream
from bottega.data.streams.opening import PARTITIONS
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore

NOW = START + 3 * DAY
KILLS = 110


def test_two_consumers_of_one_group_share_the_writers_and_nothing_counts_twice(tmp_path: Folder) -> None:
    rows = events(300)
    for place, row in enumerate(rows):
        write(tmp_path, [row], writer=place % 3)
    store = MemoryStore()
    streams = [FileStream(tmp_path, "shop") for _ in range(2)]
    both = [consumer(tmp_path, store, stream) for stream in streams]
    taken = [0, 0]
    deadline = time.monotonic() + 30
    while sum(taken) < len(rows) and time.monotonic() < deadline:
        for place, own in enumerate(both):
            taken[place] += own.turn(most=7, wait_s=0.05).messages
    assert min(taken) > 0
    for stream in streams:
        stream.close()
    assert differing(store, rows, NOW) == []


def test_two_streams_into_one_store_do_not_hide_each_other(tmp_path: Folder) -> None:
    """Equal partitions and offsets of two streams are different events."""
    store, every = MemoryStore(), []
    for number, origin in enumerate([0, 7]):
        folder = tmp_path / str(number)
        rows = events(40, seed=number)
        write(folder, rows)
        every += rows
        own = consumer(folder, store)
        own._first = origin * PARTITIONS
        own.turn(wait_s=1)
        own._stream.close()
    assert differing(store, every, NOW) == []


def committed(folder: Folder) -> dict[int, int]:
    return {
        int(path.stem): json.loads(path.read_text())["next"] for path in (folder / "log" / "shop.group").glob("*.json")
    }


def waits(folder: Folder, writer: int, offset: int) -> int:
    """Count the lines of a writer that lie behind an offset."""
    return (folder / "log" / f"events-{writer}-1.jsonl").read_bytes()[offset % ROOM :].count(b"\n")


def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(tmp_path: Folder) -> None:
    """One or two consumers are killed again and again while events, some of them poison, go on to come."""
    rng = np.random.default_rng(7)
    store = LmdbStore(tmp_path / "store", sync=False)
    store.close()
    every: list[Event] = []
    kills, midway, rounds, longest = 0, 0, 0, 0.15
    with nursery() as start:
        while kills < KILLS or midway < 5:  # some kills must meet a consumer at work, however fast the machine is
            new = events(int(rng.integers(100, 400)), seed=kills)
            every += new
            for place, row in enumerate([*new, POISON[kills % len(POISON)]]):
                write(tmp_path / "log", [row], writer=place % 2)
            rounds += 1
            before = committed(tmp_path)
            lives = [start(tmp_path) for _ in range(1 + kills % 2)]
            moment = time.monotonic() + rng.uniform(0, longest)
            while time.monotonic() < moment:
                time.sleep(0.002)
            for process in rng.permutation(lives).tolist():
                kill(process)
                kills += 1
            after = committed(tmp_path)
            left = any(waits(tmp_path, writer, offset) > 1 for writer, offset in after.items())
            midway += left and before != after
            longest *= 1.3 if before == after else 0.8 if not left else 1.0
    store = LmdbStore(tmp_path / "store", sync=False)
    letters = Refusals()
    stream = FileStream(tmp_path / "log", "shop")
    last = consumer(tmp_path / "log", store, stream, letters)
    while last.turn(wait_s=1.2).messages:
        pass
    stream.close()
    assert differing(store, every, NOW) == []
    laid = {(one.message.partition, one.message.offset) for one in letters.kept}
    for path in (tmp_path / "dead").glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):  # half a letter, of one who was killed while it wrote
                one = msgspec.json.decode(line)
                laid.add((one["partition"], one["offset"]))
    assert len(laid) == rounds
    store.close()
