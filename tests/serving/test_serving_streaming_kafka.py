"""From a topic into the store: members are killed, the group divides anew, the connection is cut; nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path as Folder

import msgspec
import numpy as np
import pytest
from parity_world import DAY, START
from stream_world import Event, Refusals, consumer, differing, events, kill, nursery

from bottega.data.streams.kafka import KafkaStream
from bottega.data.streams.kafka_sender import KafkaSender
from bottega.features.stores.lmdb import LmdbStore
from kafka_cluster import Cluster, Proxy

pytest.importorskip("confluent_kafka", reason="Kafka's client is not installed: pip install 'bottega[kafka]'")

NOW = START + 3 * DAY
QUICK = "?session.timeout.ms=6000&heartbeat.interval.ms=500"  # the mock lets members join after 3 s
PATIENCE_S = 60
ROUNDS = 7


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    proxy = Proxy(cluster.port)
    yield proxy
    proxy.close()


def test_kills_and_cuts_lose_nothing_and_count_nothing_twice(cluster: Cluster, proxy: Proxy, tmp_path: Folder) -> None:
    """Two members of a group at a time; in each round one is killed and replaced, or all connections are cut."""
    rng = np.random.default_rng(3)
    url = proxy.url("shop") + QUICK
    LmdbStore(tmp_path / "store", sync=False).close()
    (tmp_path / "log").mkdir()
    sender = KafkaSender(cluster.url("shop"))
    every: list[Event] = []
    with nursery() as start:
        lives = [start(tmp_path, url) for _ in range(2)]
        for number in range(ROUNDS):
            new = events(300, seed=number)
            every += new
            for part in range(0, len(new), 10):
                sender.send([msgspec.json.encode(row) for row in new[part : part + 10]])
            time.sleep(rng.uniform(2, 9))
            if number % 3 == 2:
                proxy.cut()
                time.sleep(rng.uniform(0.1, 1))
                proxy.mend()
            else:
                kill(lives.pop(int(rng.integers(2))))
                lives.append(start(tmp_path, url))
        for process in lives:
            kill(process)
    sender.send([b"[poison"])
    sender.close()
    assert proxy.cuts > 0
    store = LmdbStore(tmp_path / "store", sync=False)
    stream = KafkaStream(url, "shop")
    letters = Refusals()
    last = consumer(tmp_path / "log", store, stream, letters)
    end = time.monotonic() + PATIENCE_S
    taken = 0
    while not (len(stream.assigned()) == 4 and letters.kept and not sum(stream.lag().values())):
        taken += last.turn(wait_s=0.2).messages
        assert time.monotonic() < end, (stream.assigned(), stream.lag(), stream.fault())
    stream.close()
    assert taken < len(every)  # those who are gone had applied and committed the rest
    assert differing(store, every, NOW) == []
    store.close()
