"""A store in a table of Amazon DynamoDB: rows are read by BatchGetItem, and changed if they are still what they were.

A row is an item: `p` prefix:1:r:length:group:key, `s` a zero byte, `v` the row, and `t` the second from which on it is
no longer there, which is the table's TTL attribute. Marks are the items of one partition, `p` prefix:5:marks:, with
their names in `s`, so that they can be found in order. All reads are consistent ones.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from bottega.errors import BuildError
from bottega.features.stores.network import Address, chunks, missing
from bottega.features.stores.protocol import Found, Rows, check_rows, check_swap, totals

T = TypeVar("T")
Item = dict[str, Any]
_ROW = b"\0"  # the sort key of a row
_LONGEST_KEY, _LARGEST_ITEM, _SUM = 2_048, 400 * 1024, 100  # what DynamoDB allows: bytes, bytes, items at once
_THREADS = 16
_LATER = (
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
)
_THERE = "attribute_not_exists(t) OR t > :now"
_NOT_THERE = "attribute_not_exists(p) OR t <= :now"


class DynamoStore:
    """A table that `make_table`, or a person, made. Nothing is asked before the first operation.

    url: `dynamodb://region/table[?endpoint=http://…&prefix=…&timeout_ms=…]`; who asks is found as the AWS tools do it,
    by environment, profile or role. readonly: refuses writes. Errors, beside those of `Store`: `BuildError` for a row
    over 400 KB with its key, and for an `add` of over 100 amounts and marks, which no transaction takes.
    """

    def __init__(self, url: str, readonly: bool = False) -> None:
        self.address, self.readonly = Address.of(url, ("endpoint",)), readonly
        self.table = self.address.path
        self._client, self._errors = _connected(self.address)
        self._threads = ThreadPoolExecutor(_THREADS, "dynamodb")
        self._marks = self.address.name("marks")

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys, a hundred by one call, all calls at once; see `Store`."""
        places = self._places(group, keys)
        found = self._reading(lambda: self._rows(places))
        return [found.get(place) for place in places]

    def _rows(self, places: Sequence[bytes]) -> dict[bytes, bytes]:
        now, found = time.time(), {}
        for items in self._at_once(self._batch, [*chunks(list(dict.fromkeys(places)), 100)]):
            for item in items:
                if "t" not in item or float(item["t"]["N"]) > now:
                    found[item["p"]["B"]] = item["v"]["B"]
        return found

    def _batch(self, places: Sequence[bytes]) -> list[Item]:
        found: list[Item] = []
        left: Any = {self.table: {"Keys": [_key(place) for place in places], "ConsistentRead": True}}

        def some() -> bool:
            nonlocal left
            told = self._client.batch_get_item(RequestItems=left)
            found.extend(told["Responses"].get(self.table, ()))
            left = told.get("UnprocessedKeys")
            return not left

        self._until_done(some)
        return found

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows, 25 by one call, some calls at once, and afterwards the marks; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        items = [
            self._item(place, row, keep_s)
            for place, row in dict(zip(self._places(group, keys), rows, strict=True)).items()
        ]
        marked = [_item(self._marks, b"m" + name.encode(), bytes(value)) for name, value in (marks or {}).items()]

        def work() -> None:
            for part in (items, marked):
                self._at_once(self._change, [*chunks([{"PutRequest": {"Item": item}} for item in part], 25)])

        self._writing(work)

    def _change(self, requests: Sequence[Item]) -> None:
        left: Any = {self.table: list(requests)}

        def some() -> bool:
            nonlocal left
            left = self._client.batch_write_item(RequestItems=left).get("UnprocessedItems")
            return not left

        self._until_done(some)

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Put each row under the condition that the old one stands there, some at once; see `Store`."""
        check_swap(group, keys, before, after, keep_s)
        parts = [
            {"Item": self._item(place, row, keep_s), **_condition(was)}
            for place, was, row in zip(self._places(group, keys), before, after, strict=True)
        ]
        return self._writing(lambda: self._at_once(self._put, parts))

    def _put(self, part: Item) -> bool:
        def once() -> bool:
            self._client.put_item(TableName=self.table, **part)
            return True

        try:
            return self._until_done(once)
        except self._errors.ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of one number, by a transaction that all rows and marks must let pass; see `Store`."""
        places = self._places(group, keys)
        marked = {b"m" + name.encode(): bytes(value) for name, value in (marks or {}).items()}
        if len(set(places)) + len(marked) > _SUM:
            raise BuildError(
                self.address.told, f"{len(set(places)) + len(marked)} amounts and marks", f"{_SUM} at once"
            )
        told: list[Found | None] = []

        def once() -> bool:
            if any(self._mark(name) is not None for name in marked):
                told.append(None)
                return True
            found = self._rows(places)
            held = [found.get(place) for place in places]
            after, fits = totals(group, places, amounts, limits, held)
            puts = [{"Item": _item(place, _ROW, row), **_condition(found.get(place))} for place, row in after.items()]
            puts += [{"Item": _item(self._marks, *mark), **_condition(None)} for mark in marked.items()]
            if not fits.all() or not puts or self._together(puts):
                told.append(fits)
            return bool(told)

        self._writing(lambda: self._until_done(once))
        return told[0]

    def _together(self, puts: Sequence[Item]) -> bool:
        """Put all items, or none and give False where a condition of one does not hold any more."""
        try:
            self._client.transact_write_items(TransactItems=[{"Put": {"TableName": self.table, **put}} for put in puts])
        except self._errors.ClientError as error:
            if _code(error) in ("TransactionCanceledException", "TransactionConflictException"):
                return False
            raise
        return True

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Find the first marks by a query, and drop them; see `Store`."""
        low, high = b"m" + begin.encode(), b"m" + end.encode()

        def work() -> int:
            names = self._marks_between(low, high, most) if low < high else []
            gone = [{"DeleteRequest": {"Key": _key(self._marks, name)}} for name in names]
            self._at_once(self._change, [*chunks(gone, 25)])
            return len(names)

        return self._writing(work)

    def _marks_between(self, low: bytes, high: bytes, most: int) -> list[bytes]:
        names: list[bytes] = []
        asked: Item = {
            "TableName": self.table, "ConsistentRead": True, "ProjectionExpression": "s",
            "KeyConditionExpression": "p = :p AND s BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":p": {"B": self._marks}, ":low": {"B": low}, ":high": {"B": high}},
        }  # fmt: skip
        while len(names) < most:
            told = self._until_done(partial(self._client.query, **asked, Limit=most - len(names)))
            names += [item["s"]["B"] for item in told["Items"] if item["s"]["B"] != high]
            if "LastEvaluatedKey" not in told:
                break
            asked["ExclusiveStartKey"] = told["LastEvaluatedKey"]
        return names

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Do nothing: readers pass over such rows, and DynamoDB drops them within days; see `Store`."""
        del now, most
        return self._writing(lambda: 0)

    def version(self) -> int | None:
        """Say nothing: asking takes as long as reading; see `Store`."""
        return None

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._reading(lambda: self._mark(b"m" + name.encode()))

    def _mark(self, name: bytes) -> bytes | None:
        key = _key(self._marks, name)
        told = self._until_done(lambda: self._client.get_item(TableName=self.table, Key=key, ConsistentRead=True))
        return told["Item"]["v"]["B"] if "Item" in told else None

    def describe(self) -> dict[str, Any]:
        """Say which table it is, with its items and bytes as DynamoDB counted them last, within some hours."""
        told = self._reading(lambda: self._client.describe_table(TableName=self.table))["Table"]
        return {
            "kind": "dynamodb",
            "url": self.address.told,
            "bytes": told["TableSizeBytes"],
            "items": told["ItemCount"],
        }

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown()
        self._client.close()

    def _places(self, group: str, keys: Sequence[bytes]) -> list[bytes]:
        short, long = self.address.name("r", group), self.address.name("h", group)
        longest = _LONGEST_KEY - len(short)
        return [
            short + key if len(key) <= longest else long + hashlib.blake2b(key, digest_size=16).digest() for key in keys
        ]

    def _item(self, place: bytes, row: bytes, keep_s: float | None) -> Item:
        size = len(place) + len(row) + 64
        if size > _LARGEST_ITEM:
            raise BuildError(self.address.told, f"a row of {len(row):,} bytes", f"{_LARGEST_ITEM:,} with its key")
        return _item(place, _ROW, row, keep_s)

    def _at_once(self, work: Callable[[Any], T], parts: Sequence[Any]) -> list[T]:
        return list(self._threads.map(work, parts)) if len(parts) > 1 else [work(part) for part in parts]

    def _until_done(self, work: Callable[[], T]) -> T:
        """Do something until it gives what counts as true, with growing pauses, also where DynamoDB says later."""
        pause, error = 0.01, TimeoutError("it is asked too much at once")
        end = time.monotonic() + 10 * self.address.timeout_s
        while time.monotonic() < end:
            try:
                if told := work():
                    return told
            except self._errors.ClientError as later:
                if _code(later) not in _LATER:
                    raise
                error = later
            time.sleep(pause * random.random())
            pause = min(2 * pause, 0.2)
        raise self.address.gone(error)

    def _reading(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (self._errors.ClientError, self._errors.BotoCoreError) as error:
            raise self.address.gone(error) from error

    def _writing(self, work: Callable[[], T]) -> T:
        if self.readonly:
            raise self.address.readonly()
        try:
            return work()
        except self._errors.ClientError as error:
            raise self.address.refused(error, "docs/stores.md has the table and the rights that it needs") from error
        except self._errors.BotoCoreError as error:
            raise self.address.gone(error) from error


def make_table(url: str) -> None:
    """Make the table of a URL, paid by request, with its TTL attribute; done once, by somebody who may.

    Errors: `BuildError` where DynamoDB refuses, such as for a table that is there.
    """
    store = DynamoStore(url)
    parts = [("p", "HASH"), ("s", "RANGE")]

    def work() -> None:
        store._client.create_table(
            TableName=store.table, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in parts],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "B"} for name, _ in parts],
        )  # fmt: skip
        store._client.get_waiter("table_exists").wait(TableName=store.table)
        store._client.update_time_to_live(
            TableName=store.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "t"}
        )

    store._writing(work)
    store.close()


def _connected(address: Address) -> tuple[Any, Any]:
    if not address.host or not address.path:
        raise address.unknown("no region or no table", "dynamodb://region/table")
    try:
        import botocore.exceptions
        from boto3.session import Session
        from botocore.config import Config
    except ImportError as error:
        raise missing("dynamodb", error) from error
    config = Config(
        connect_timeout=address.timeout_s, read_timeout=address.timeout_s, retries={"total_max_attempts": 1},
        max_pool_connections=_THREADS,
    )  # fmt: skip
    client = Session().client(
        "dynamodb", region_name=address.host, endpoint_url=address.options.get("endpoint"), config=config
    )
    return client, botocore.exceptions


def _item(place: bytes, second: bytes, row: bytes, keep_s: float | None = None) -> Item:
    until = {} if keep_s is None else {"t": {"N": str(math.ceil(time.time() + keep_s))}}
    return {**_key(place, second), "v": {"B": row}, **until}


def _key(place: bytes, second: bytes = _ROW) -> Item:
    return {"p": {"B": place}, "s": {"B": second}}


def _condition(before: bytes | None) -> Item:
    """Give the condition that this row stands there, or none does."""
    now = {":now": {"N": str(time.time())}}
    if before is None:
        return {"ConditionExpression": _NOT_THERE, "ExpressionAttributeValues": now}
    return {
        "ConditionExpression": f"v = :before AND ({_THERE})",
        "ExpressionAttributeValues": {":before": {"B": before}, **now},
    }


def _code(error: Any) -> str:
    return str(error.response["Error"]["Code"])
