"""DynamoDB, as moto serves it: what is not done at once, too large, too much, not there, and gone for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from store_servers import WAIT_MS, dynamodb_server

from bottega.errors import BuildError, ServeError
from bottega.features.stores.dynamodb import DynamoStore, make_table
from bottega.features.stores.opening import within

NAMES = [b"%d" % number for number in range(130)]


@pytest.fixture
def store(dynamodb_url: str, tmp_path: Path) -> Iterator[DynamoStore]:
    opened = DynamoStore(within(dynamodb_url, tmp_path.name))
    yield opened
    opened.close()


class Busy:
    """A client that leaves the second half of each batch undone, and is now and then asked too much."""

    def __init__(self, client: Any) -> None:
        self.client, self.calls = client, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def _later(self) -> None:
        self.calls += 1
        if self.calls % 3 == 0:
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "any")

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        self._later()
        (table, asked), *_ = RequestItems.items()
        half = (len(asked["Keys"]) + 1) // 2
        told = self.client.batch_get_item(RequestItems={table: {**asked, "Keys": asked["Keys"][:half]}})
        left = {table: {**asked, "Keys": asked["Keys"][half:]}} if asked["Keys"][half:] else {}
        return {**told, "UnprocessedKeys": left}

    def batch_write_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        self._later()
        (table, asked), *_ = RequestItems.items()
        half = (len(asked) + 1) // 2
        told = self.client.batch_write_item(RequestItems={table: asked[:half]})
        return {**told, "UnprocessedItems": {table: asked[half:]} if asked[half:] else {}}

    def put_item(self, **asked: Any) -> Any:
        self._later()
        return self.client.put_item(**asked)


def test_what_is_left_undone_is_asked_for_again(store: DynamoStore) -> None:
    store._client = Busy(store._client)
    store.write("g", NAMES, NAMES, {"done": b"1"})
    assert store.read("g", [*NAMES, b"none"]) == [*NAMES, None]
    assert all(store.swap("g", NAMES[:20], NAMES[:20], NAMES[1:21]))
    assert store.marked("done") == b"1"
    assert store._client.calls > 20


def test_who_is_asked_too_much_for_too_long_is_given_up(dynamodb_url: str) -> None:
    short = DynamoStore(dynamodb_url.replace(f"timeout_ms={WAIT_MS}", "timeout_ms=50"))

    def never(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "any")

    short._client.batch_get_item = never
    with pytest.raises(ServeError, match="ThrottlingException"):
        short.read("g", NAMES)
    short.close()


def test_a_row_that_no_item_holds(store: DynamoStore) -> None:
    store.write("g", [b"a"], [bytes(400_000)])
    assert store.read("g", [b"a"]) == [bytes(400_000)]
    calls: list[Callable[[], object]] = [
        lambda: store.write("g", [b"a", b"b"], [b"1", bytes(410_000)], {"done": b"1"}),
        lambda: store.swap("g", [b"b", b"a"], [None, bytes(400_000)], [b"1", bytes(410_000)]),
    ]
    for call in calls:
        with pytest.raises(BuildError, match="410,000 bytes"):
            call()
    assert store.read("g", [b"a", b"b"]) == [bytes(400_000), None]
    assert store.marked("done") is None


def test_more_sums_than_a_transaction_takes(store: DynamoStore) -> None:
    assert store.add("sums", NAMES[:99], [1.0] * 99, marks={"m": b""}) is not None
    with pytest.raises(BuildError, match="101 amounts and marks"):
        store.add("sums", NAMES[:100], [1.0] * 100, marks={"n": b""})
    assert store.marked("n") is None


def test_a_table_that_is_not_there_and_one_that_is(store: DynamoStore, dynamodb_url: str) -> None:
    missing = DynamoStore(dynamodb_url.replace("/rows?", "/others?"))
    with pytest.raises(ServeError, match="ResourceNotFoundException"):
        missing.read("g", [b"a"])
    with pytest.raises(BuildError, match="ResourceNotFoundException"):
        missing.write("g", [b"a"], [b"1"])
    with pytest.raises(BuildError, match="already exists"):
        make_table(dynamodb_url)
    missing.close()
    told = store.describe()
    assert (told["kind"], told["url"]) == ("dynamodb", store.address.told)
    ttl = store._client.describe_time_to_live(TableName="rows")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "t")


@pytest.mark.usefixtures("aws")
def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with dynamodb_server(tmp_path) as server:
        url = f"dynamodb://eu-west-1/rows?endpoint=http://127.0.0.1:{server.port}&timeout_ms={WAIT_MS}"
        make_table(url)
        store = DynamoStore(url)
        store.write("g", [b"a"], [b"1"])
        server.kill()
        calls: list[Callable[[], object]] = [
            lambda: store.read("g", NAMES),
            lambda: store.write("g", NAMES, NAMES),
            lambda: store.swap("g", [b"a"], [b"1"], [b"2"]),
            lambda: store.add("sums", [b"a"], [1.0]),
            lambda: store.marked("m"),
            store.describe,
        ]
        for call in calls:
            with pytest.raises(ServeError, match="does not answer"):
                call()
        server.start()
        make_table(url)  # moto keeps nothing
        server.signal(signal.SIGSTOP)
        silent = DynamoStore(url.replace(f"timeout_ms={WAIT_MS}", "timeout_ms=300"))
        with pytest.raises(ServeError, match="ReadTimeoutError"):
            silent.read("g", [b"a"])
        server.signal(signal.SIGCONT)
        silent.close()
        store.write("g", [b"a"], [b"3"])
        assert store.read("g", [b"a"]) == [b"3"]
        store.close()
