"""Events by a topic of Kafka: the service puts them there, its streamer or a `bottega stream` brings them back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from test_verbs_stream import bought, counted, order, post, scores, service, until
from tiny_shop import Built, Command

from bottega.data.streams.kafka import KafkaStream
from bottega.data.streams.kafka_sender import KafkaSender
from kafka_cluster import Cluster, Proxy

pytest.importorskip("confluent_kafka", reason="Kafka's client is not installed: pip install 'bottega[kafka]'")

__all__ = ["bought"]
QUICK = "?session.timeout.ms=6000&heartbeat.interval.ms=500"  # the mock lets members join after 3 s


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    proxy = Proxy(cluster.port)
    yield proxy
    proxy.close()


def test_events_go_by_the_topic_and_a_cut_and_a_kill_lose_none(
    cluster: Cluster, proxy: Proxy, workspace: Path, bought: tuple[str, str]
) -> None:
    with service(workspace, stream=proxy.url("shop") + QUICK) as url:
        before = scores(url, *bought)
        post(url, "/events", order(*bought, "new 1"))
        until(lambda: counted(url, "bottega_stream_events_total") == 1, 60)
        first = scores(url, *bought)
        assert first != before
        post(url, "/events", [order(*bought, f"new {number}") for number in range(2, 8)])
        assert until(lambda: scores(url, *bought) != first) < 1.0
        proxy.cut()
        straight = KafkaSender(cluster.url("shop"))  # another producer, whose way is not cut
        straight.send([msgspec.json.encode(order(*bought, f"cut {number}")) for number in range(5)])
        time.sleep(1)
        assert counted(url, "bottega_stream_events_total") == 7
        assert scores(url, *bought) > 0  # what was read is old, and the service answers
        proxy.mend()
        until(lambda: counted(url, "bottega_stream_events_total") == 12, 60)
        streamers = [one for one in psutil.process_iter() if "bottega.serving.streamer" in " ".join(words(one))]
        own = [one.pid for one in streamers if str(workspace) in " ".join(words(one))]
        assert len(own) == 1
        os.kill(own[0], signal.SIGKILL)
        straight.send([msgspec.json.encode(order(*bought, f"kill {number}")) for number in range(5)])
        straight.send([b"{poison"])
        straight.close()
        until(lambda: counted(url, "bottega_stream_refused_total") == 1, 60)
        until(lambda: counted(url, "bottega_stream_lag") == 0, 60)
        moved = scores(url, *bought)
    dead = KafkaStream(cluster.url("shop.dead") + QUICK, "reader")
    end = time.monotonic() + 60
    letters: list[bytes] = []
    while not letters and time.monotonic() < end:
        letters += [message.body for message in dead.poll(10, 0.2)]
    dead.close()
    assert b"poison" in letters[0]
    with service(workspace, stream="none") as url:
        assert scores(url, *bought) == moved


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []


def test_several_members_share_a_topic_beside_a_service(
    cluster: Cluster, built: Built, workspace: Path, bought: tuple[str, str], tmp_path: Path
) -> None:
    topic = cluster.url("shared") + QUICK
    straight = KafkaSender(topic)
    straight.send([msgspec.json.encode(order(*bought, f"early {number}")) for number in range(40)])
    command = Command(
        "stream", built.design, "--workspace", workspace, "--stream", topic, "--workers", "2",
        folder=tmp_path / "said",
    )  # fmt: skip
    try:
        with service(workspace, stream="none") as url:
            until(lambda: counted(url, "bottega_stream_events_total") == 40, 60)
            straight.send([msgspec.json.encode(order(*bought, f"late {number}")) for number in range(40)])
            until(lambda: counted(url, "bottega_stream_events_total") == 80, 60)
            assert counted(url, "bottega_stream_lag") == 0
    finally:
        straight.close()
        os.kill(command.pid, signal.SIGTERM)
        said = command.wait()
    assert "Traceback" not in said.err
