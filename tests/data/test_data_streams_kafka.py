"""A topic as a stream, on the client's own mock cluster: groups, starts, kills, and a connection that is cut."""

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bottega.data.streams.kafka import KafkaStream
from bottega.data.streams.kafka_sender import KafkaSender
from bottega.data.streams.messages import Refused
from bottega.data.streams.opening import open_dead_letters, open_stream
from bottega.data.streams.protocol import Message, Stream
from bottega.errors import ServeError
from kafka_cluster import Cluster, Proxy

pytest.importorskip("confluent_kafka", reason="Kafka's client is not installed: pip install 'bottega[kafka]'")

QUICK = "?session.timeout.ms=6000&heartbeat.interval.ms=500"
PATIENCE = 60  # seconds until a test gives up; a member joins after 3


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


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a broker's answer for one second only."""
    monkeypatch.setattr("bottega.data.streams.kafka._COMMIT_S", 1.0)
    monkeypatch.setattr("bottega.data.streams.kafka._CLOSE_S", 1.0)


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("[", "-").replace("]", "")


@contextlib.contextmanager
def member(url: str, name: str = "g", start: int | None = None) -> Iterator[KafkaStream]:
    stream = KafkaStream(url + QUICK, name, start)
    try:
        yield stream
    finally:
        stream.close()


def send(url: str, numbers: range) -> None:
    sender = KafkaSender(url)
    sender.send([b"%d" % number for number in numbers])
    sender.close()


def poll_until(done: Callable[[list[Message]], bool], *streams: Stream) -> list[Message]:
    """Poll one after the other until enough came."""
    found: list[Message] = []
    end = time.monotonic() + PATIENCE
    while not done(found) and time.monotonic() < end:
        for stream in streams:
            found += stream.poll(50, 0.05)
    assert done(found), f"{len(found)} messages, {[stream.fault() for stream in streams]}"
    return found


def numbers(messages: list[Message]) -> list[int]:
    return sorted(int(message.body) for message in messages)


def has(count: int) -> Callable[[list[Message]], bool]:
    return lambda found: len(set(found)) >= count


def next_offsets(messages: list[Message]) -> dict[int, int]:
    return {message.partition: message.offset + 1 for message in messages}


def test_each_message_comes_once_in_order_and_a_group_goes_on_where_it_committed(cluster: Cluster, topic: str) -> None:
    url = cluster.url(topic)
    before = time.time_ns() // 1_000_000 * 1000
    send(url, range(300))
    with member(url) as stream:
        assert stream.assigned() == set()
        found = poll_until(has(100), stream)
        assert sum(stream.lag().values()) == 300 - len(found)
        stream.commit(next_offsets(found))
        rest = poll_until(has(300 - len(found)), stream)
        assert numbers(found + rest) == list(range(300))
        assert stream.assigned() == {0, 1, 2, 3}
        assert stream.lag() == {0: 0, 1: 0, 2: 0, 3: 0}
        for partition in range(4):
            offsets = [message.offset for message in found + rest if message.partition == partition]
            assert offsets == list(range(len(offsets)))
        assert all(before <= message.time <= time.time_ns() // 1000 for message in found)
        assert stream.fault() is None
    with member(url) as stream:
        assert numbers(poll_until(has(len(rest)), stream)) == numbers(rest)


def test_a_start_is_the_first_message_that_arrived_later(cluster: Cluster, topic: str) -> None:
    url = cluster.url(topic)
    send(url, range(100))
    time.sleep(0.01)
    start = time.time_ns() // 1000
    time.sleep(0.01)
    with member(url, "quiet", start) as quiet:  # nothing arrived later yet
        poll_until(lambda _: bool(quiet.assigned()), quiet)
        send(url, range(100, 150))
        assert numbers(poll_until(has(50), quiet)) == list(range(100, 150))
    with member(url, "late", start) as late:
        assert numbers(poll_until(has(50), late)) == list(range(100, 150))


def test_with_most_0_nothing_comes_and_nothing_is_lost(cluster: Cluster, topic: str) -> None:
    url = cluster.url(topic)
    send(url, range(400))
    with member(url) as stream:
        found = poll_until(has(50), stream)
        for _ in range(30):
            assert stream.poll(0, 0.1) == []
            time.sleep(0.02)
        assert stream.assigned() == {0, 1, 2, 3}
        found += poll_until(has(400 - len(found)), stream)
        assert numbers(found) == list(range(400))


def _consume(url: str, told: Path) -> None:
    """Poll, write down what came, and commit, until killed."""
    stream = KafkaStream(url + QUICK, "g")
    with told.open("ab", buffering=0) as file:
        while True:
            found = stream.poll(5, 0.05)
            file.write(b"".join(message.body + b"\n" for message in found))
            with contextlib.suppress(ServeError):  # others join and leave meanwhile
                stream.commit(next_offsets(found))


def test_killed_members_lose_nothing_and_others_go_on(cluster: Cluster, topic: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    url, count = cluster.url(topic), 600
    names = [tmp_path / f"told-{number}" for number in range(3)]
    members = [context.Process(target=_consume, args=(url, name), daemon=True) for name in names]

    def told() -> list[int]:
        return [int(row) for name in names if name.exists() for row in name.read_text().split("\n")[:-1]]

    def wait(done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < end:
            time.sleep(0.05)
        assert done()

    for process in members[:2]:
        process.start()
    for part in range(3):
        send(url, range(part * 200, part * 200 + 200))
        wait(lambda part=part: len(set(told())) > part * 200 + 20)
        if part < 2:
            os.kill(members[part].pid or 0, signal.SIGKILL)
        if part == 0:
            members[2].start()
    wait(lambda: set(told()) == set(range(count)))
    for process in members:
        process.kill()
        process.join()


def test_members_divide_the_partitions_and_one_that_leaves_gives_its_own_back(cluster: Cluster, topic: str) -> None:
    url = cluster.url(topic)
    send(url, range(100))
    with member(url) as one:
        found = poll_until(has(100), one)
        one.commit(next_offsets(found))
        with member(url) as two:
            poll_until(lambda _: (len(one.assigned()), len(two.assigned())) == (2, 2), one, two)
            assert one.assigned() | two.assigned() == {0, 1, 2, 3}
            send(url, range(100, 200))
            assert numbers(poll_until(has(100), one, two)) == list(range(100, 200))
            gone = next(iter(two.assigned()))
            one.commit({gone: 0})  # not its own: left out
        poll_until(lambda _: len(one.assigned()) == 4, one)


@pytest.mark.usefixtures("hasty")
def test_a_cut_connection_loses_nothing_and_is_told(
    cluster: Cluster, proxy: Proxy, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    send(cluster.url(topic), range(100))
    caplog.set_level(logging.WARNING, "bottega.streams")
    with member(proxy.url(topic)) as stream:
        found = poll_until(has(100), stream)
        stream.commit(next_offsets(found))
        for turn in range(1, 4):
            proxy.cut()
            send(cluster.url(topic), range(100 * turn, 100 * turn + 100))  # others still reach the broker
            poll_until(lambda _: stream.fault() is not None, stream)
            with pytest.raises(ServeError, match="no answer"):
                stream.commit(next_offsets(found))
            proxy.mend()
            found += poll_until(has(100), stream)
            poll_until(lambda _: stream.fault() is None, stream)
            stream.commit(next_offsets(found))
        assert proxy.cuts > 3
    assert set(numbers(found)) == set(range(400))
    times = Counter(found)
    assert sum(times.values()) < 800, "most came once"
    said = " ".join(record.getMessage() for record in caplog.records)
    assert proxy.url(topic) in said
    assert "all is well again" in said


@pytest.mark.usefixtures("hasty")
def test_a_broker_that_says_nothing_keeps_nobody_for_ever(cluster: Cluster, topic: str) -> None:
    send(cluster.url(topic), range(10))
    with member(cluster.url(topic)) as stream:
        found = poll_until(has(10), stream)
        with cluster.silent():
            for _ in range(2):
                with pytest.raises(ServeError, match="no answer"):
                    stream.commit(next_offsets(found))
            assert stream.poll(5, 0.05) == []
            begun = time.monotonic()
            stream.close()
            assert time.monotonic() - begun < 30
            assert stream.poll(5, 0) == []
        sender = KafkaSender("kafka://127.0.0.1:1/nobody", wait_s=0.5)
        with pytest.raises(ServeError, match="not sent"):
            sender.send([b"a"] * 3)
        sender.close()


def test_a_topic_that_began_anew_is_told_and_not_read(cluster: Cluster, topic: str) -> None:
    url = cluster.url(topic)
    send(url, range(20))
    with member(url) as stream:
        poll_until(has(20), stream)
        stream.commit({2: 1000})  # as if another topic of this name had been read so far
    with member(url) as stream:
        found = poll_until(lambda _: stream.fault() is not None, stream)
        assert "partition 2 ends at" in str(stream.fault())
        assert "was read up to 1000: the topic began anew" in str(stream.fault())
        assert 2 not in {message.partition for message in found} | stream.assigned()


def test_dead_letters_are_in_a_topic_of_their_own(cluster: Cluster, topic: str, tmp_path: Path) -> None:
    url = cluster.url(topic)
    letters = open_dead_letters(url, tmp_path)
    letters.add([])
    letters.add([Refused(Message(3, number, 9, b"%d" % number), "t", "x: missing") for number in range(20)])
    letters.close()
    stream = open_stream(cluster.url(topic + ".dead") + QUICK + "&group=other", tmp_path, "g")
    found = [msgspec.json.decode(message.body) for message in poll_until(has(20), stream)]
    stream.close()
    assert sorted(int(item["body"]) for item in found) == list(range(20))
    assert {(item["table"], item["partition"], item["reason"]) for item in found} == {("t", 3, "x: missing")}
    assert list(tmp_path.iterdir()) == []


def test_much_is_sent_whole_by_several_threads_at_once(cluster: Cluster, topic: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    sender = KafkaSender(cluster.url(topic))
    parts = [[b"%d" % number for number in range(start, start + 2000)] for start in range(0, 8000, 2000)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sender.send, parts))
    sender.close()
    with member(cluster.url(topic)) as stream:
        assert numbers(poll_until(has(8000), stream)) == list(range(8000))
