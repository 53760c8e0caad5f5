"""The use of Cassandra's driver: servers that are gone, slow, or without the table. The server is a stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_servers import WAIT_MS, cassandra_server, free_port

from bottega.errors import BuildError, ServeError
from bottega.features.stores.cassandra import CassandraStore, make_table
from bottega.features.stores.opening import within

NAMES = [b"%d" % number for number in range(600)]


@pytest.fixture
def store(cassandra_url: str, tmp_path: Path) -> Iterator[CassandraStore]:
    opened = CassandraStore(within(cassandra_url, tmp_path.name))
    yield opened
    opened.close()


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with cassandra_server(tmp_path) as server:
        url = f"cassandra://127.0.0.1:{server.port}/k?timeout_ms={WAIT_MS}"
        make_table(url)
        store = CassandraStore(url)
        store.write("g", [b"a"], [b"1"])
        for _ in range(2):
            server.kill()
            calls: list[Callable[[], object]] = [
                lambda: store.read("g", NAMES),
                lambda: store.write("g", NAMES, NAMES),
                lambda: store.swap("g", [b"a"], [b"1"], [b"2"]),
                lambda: store.add("sums", [b"a"], [1.0]),
            ]
            for call in calls:
                with pytest.raises(ServeError, match="does not answer"):
                    call()
            server.start()
            make_table(url)  # the stand-in keeps nothing
            until_done(lambda: store.write("g", [b"a"], [b"1"]))
            assert store.read("g", [b"a", b"b"]) == [b"1", None]
        store.close()


def until_done(work: Callable[[], object]) -> None:
    """Try for half a minute: the driver looks for a lost server twice a second."""
    end = time.monotonic() + 30
    while True:
        try:
            work()
            return
        except ServeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_a_server_that_is_slow_is_given_up(tmp_path: Path) -> None:
    with cassandra_server(tmp_path, delay_s=3.0) as server:
        make_table(f"cassandra://127.0.0.1:{server.port}/k?timeout_ms={WAIT_MS}")
        store = CassandraStore(f"cassandra://127.0.0.1:{server.port}/k?timeout_ms=300")
        with pytest.raises(ServeError, match="OperationTimedOut"):
            store.read("g", NAMES[:3])
        store.close()


def test_what_is_wrong_is_told_once_and_not_by_the_driver(caplog: pytest.LogCaptureFixture) -> None:
    store = CassandraStore(f"cassandra://127.0.0.1:{free_port()}/k?timeout_ms={WAIT_MS}")
    with pytest.raises(ServeError, match="does not answer"):
        store.read("g", [b"a"])
    store.close()
    assert caplog.messages == []


def test_a_table_that_is_not_there(cassandra_url: str) -> None:
    store = CassandraStore(f"{cassandra_url}&table=others")
    with pytest.raises(ServeError, match="does not exist"):
        store.read("g", [b"a"])
    with pytest.raises(BuildError, match="does not exist"):
        store.write("g", [b"a"], [b"1"])
    make_table(f"{cassandra_url}&table=others")
    store.write("g", [b"a"], [b"1"])
    assert store.read("g", [b"a"]) == [b"1"]
    store.close()


def test_rows_and_sums_are_kept_apart(store: CassandraStore, cassandra_url: str, tmp_path: Path) -> None:
    other = CassandraStore(within(cassandra_url, tmp_path.name))
    assert other.read("sums", [b"a"]) == [None]
    store.add("sums", [b"a"], [1.0])
    store.write("g", [b"a"], [b"1"])
    assert other.read("sums", [b"a"]) == [bytes(6) + b"\xf0\x3f"]
    calls: list[Callable[[], object]] = [
        lambda: other.add("g", [b"a"], [1.0], marks={"m": b""}),
        lambda: other.write("sums", [b"a"], [b"1"], {"m": b""}),
        lambda: other.swap("sums", [b"a"], [None], [b"1"]),
    ]
    for call in calls:
        with pytest.raises(BuildError, match="kept apart"):
            call()
    assert other.marked("m") is None
    other.close()


def test_many_rows_at_once(store: CassandraStore) -> None:
    store.write("g", NAMES, NAMES)
    assert store.read("g", [*NAMES, b"none"]) == [*NAMES, None]
    assert store.describe()["kind"] == "cassandra"


def test_keys_too_long_for_cassandra_are_told_apart(store: CassandraStore) -> None:
    names = [b"a" * 70_000, b"a" * 69_999 + b"b", b"a" * 60_000]
    store.write("g", names, [b"1", b"2", b"3"])
    assert store.read("g", names) == [b"1", b"2", b"3"]
    store.add("sums", names, [1.0, 2.0, 4.0])
    assert store.read("sums", names[:1]) == [bytes(6) + b"\xf0\x3f"]
