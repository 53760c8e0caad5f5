"""What a topic holds is read to its end before served features are compared; a broker that is away is an error."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from test_verbs_stream import bought, counted, order, post, service, until
from tiny_shop import Built, Said

import bottega as bt
from bottega.data.log import Log
from bottega.data.streams.kafka import KafkaStream
from bottega.data.streams.kafka_sender import KafkaSender
from bottega.errors import ServeError
from bottega.monitoring.arrived import with_events
from kafka_cluster import Cluster

pytest.importorskip("confluent_kafka", reason="Kafka's client is not installed: pip install 'bottega[kafka]'")

__all__ = ["bought"]
TABLE = bt.Table("t", event_id="id")
EMPTY = {"t": Log("t", pa.schema({"id": pa.string()}).empty_table(), None, np.zeros(0, np.int64))}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


def read(url: str, patience_s: float, start: int | None = None) -> list[str]:
    """The ids of a topic's events."""
    stream = KafkaStream(url, "reader" if start is None else "late", start)
    try:
        found = with_events(EMPTY, [TABLE], stream, time.time_ns() // 1000, patience_s=patience_s)
    finally:
        stream.close()
    return sorted(found["t"].rows.column("id").to_pylist())


def test_all_messages_of_a_topic_are_joined(cluster: Cluster) -> None:
    sent = [f"{number:05}" for number in range(50_000)]
    sender = KafkaSender(cluster.url("many"))
    sender.send([msgspec.json.encode({"table": "t", "id": name}) for name in [*sent, *sent[:9]]])
    sender.close()
    assert read(cluster.url("many"), 60) == sent


def test_a_topic_without_new_messages_ends(cluster: Cluster) -> None:
    sender = KafkaSender(cluster.url("old"))
    sender.send([b'{"table": "t", "id": "old"}'])
    sender.close()
    assert read(cluster.url("old"), 60, start=time.time_ns() // 1000) == []


def test_a_broker_that_is_away_is_an_error() -> None:
    with pytest.raises(ServeError, match=r"--stream.*for 3 s") as caught:
        read("kafka://127.0.0.1:1/nothing", 3)
    assert "_TRANSPORT" in str(caught.value.found) or "_ALL_BROKERS_DOWN" in str(caught.value.found)


def test_what_was_served_with_a_topic_is_what_a_batch_computes(
    cluster: Cluster, built: Built, workspace: Path, bought: tuple[str, str], bottega: Callable[..., Said]
) -> None:
    customer, product = bought
    with service(workspace, stream=cluster.url("shop")) as url:
        for number in range(3):
            post(url, "/rank", {"customer": customer, "k": 5})
            post(url, "/events", order(customer, product, f"new {number}"))
            until(lambda number=number: counted(url, "bottega_stream_events_total") == number + 1, 60)
        post(url, "/rank", {"customer": customer, "k": 5})
    typed = ("consistency", built.design, "--workspace", workspace, "--json")
    said = bottega(*typed, "--stream", cluster.url("shop"))
    found = json.loads(said.out)
    assert (said.code, found["mismatches"], found["decisions"]) == (0, 0, 4), said.err + said.out
    assert bottega(*typed, "--stream", "none").code == 4, "the events are needed"


def test_where_the_clock_stands_the_time_of_the_broker_is_not_that_of_arrival(cluster: Cluster) -> None:
    sender = KafkaSender(cluster.url("stands"))
    sender.send([b'{"table": "t", "time": 1000}'])
    sender.send([b'{"table": "t", "time": 2000}'], [3000])  # by the service, which says when it arrived
    sender.close()
    rows = pa.schema({"at": pa.timestamp("us", "UTC")}).empty_table()
    none = np.zeros(0, np.int64)
    for shown, wanted in ((5_000_000, {1000: 1000, 2000: 3001}), (None, {2000: 3001})):
        stream = KafkaStream(cluster.url("stands"), f"reader of {shown}")
        logs, tables = {"t": Log("t", rows, none, none)}, [bt.Table("t", time="at")]
        found = with_events(logs, tables, stream, time.time_ns() // 1000, patience_s=60, shown=shown)["t"]
        stream.close()
        assert found.time is not None
        assert found.known is not None
        known = dict(zip(found.time.tolist(), found.known.tolist(), strict=True))
        assert known.keys() == {1000, 2000}
        assert wanted.items() <= known.items()
        assert shown is not None or known[1000] > 1_700_000_000_000_000
