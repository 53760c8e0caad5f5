"""A store in a table of Apache Cassandra: rows by prepared statements, changed under conditions (`IF row = ?`).

The table has `place blob, slot blob, row blob, PRIMARY KEY (place, slot)`. A row stands at the place
prefix:1:r:length:group:key and the slot 00. Conditions over several rows, which `add` needs, hold within one partition
only; so all sums and marks of a store stand in one, its ledger, at the place prefix:6:ledger:, where `m` + name is a
mark, `k` + group says whether a group holds rows or sums, and `s` + length:group:key is a sum (`h` for a long key).
"""

from __future__ import annotations

import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from bottega.errors import BuildError
from bottega.features.stores.network import Address, chunks, missing
from bottega.features.stores.protocol import Found, Rows, check_amounts, check_rows, check_swap, totals

T = TypeVar("T")
_SLOT = b"\0"
_LONGEST_KEY = 60_000  # Cassandra's own limit for a place is 65,535 bytes
_AT_ONCE = 256  # statements under way
_STATEMENTS = {
    "get": "SELECT row FROM {} WHERE place = ? AND slot = ?",
    "put": "UPDATE {} USING TTL ? SET row = ? WHERE place = ? AND slot = ?",
    "swap": "UPDATE {} USING TTL ? SET row = ? WHERE place = ? AND slot = ? IF row = ?",
    "some": "SELECT slot, row FROM {} WHERE place = ? AND slot IN ?",
    "names": "SELECT slot FROM {} WHERE place = ? AND slot >= ? AND slot < ? LIMIT ?",
    "drop": "DELETE FROM {} WHERE place = ? AND slot = ?",
}


class CassandraStore:
    """A table that `make_table`, or a person, made. The first operation connects, and so does each one until one can.

    url: `cassandra://[user:password@]host[,host][:port]/keyspace[?table=…&dc=…&prefix=…&timeout_ms=…]`; table:
    `bottega` by default; dc: the data centre that is asked, by default the first host's. readonly: refuses writes. Open
    it after forking. Errors, beside those of `Store`: `BuildError` where rows are added to, or sums written.
    """

    def __init__(self, url: str, readonly: bool = False) -> None:
        self.address, self.readonly = Address.of(url, ("table", "dc")), readonly
        self.table = self.address.options.get("table", "bottega")
        if not self.address.host or not self.address.path.isidentifier() or not self.table.isidentifier():
            raise self.address.unknown(
                "no host, or no name of a keyspace or table", "cassandra://host/keyspace?table=name"
            )
        try:
            import cassandra
            import cassandra.cluster
            import cassandra.query
        except ImportError as error:
            raise missing("cassandra", error) from error
        self._driver, self._gone = cassandra, (cassandra.DriverException, cassandra.cluster.NoHostAvailable, OSError)
        self._cluster: Any = None
        self._session: Any = None
        self._prepared: dict[str, Any] = {}
        self._connecting = threading.Lock()
        self._ledger = self.address.name("ledger")
        self._sums: dict[str, bool] = {}

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys, by a statement for each, many under way at once; see `Store`."""
        return self._reading(lambda: self._read(group, keys))

    def _read(self, group: str, keys: Sequence[bytes]) -> Rows:
        if keys and self._is_sums(group):
            return self._ledger_rows([_sum(group, key) for key in keys])
        places = self._places(group, keys)
        return [rows[0][0] if rows else None for rows in self._at_once("get", ((place, _SLOT) for place in places))]

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows, many at once, and afterwards the marks; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        puts = dict(zip(self._places(group, keys), rows, strict=True))

        def work() -> None:
            self._claim(group, sums=False) if puts else None
            self._at_once("put", ((_seconds(keep_s), row, place, _SLOT) for place, row in puts.items()))
            named = ((0, bytes(value), self._ledger, b"m" + name.encode()) for name, value in (marks or {}).items())
            self._at_once("put", named)

        self._writing(work)

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Replace each row by a lightweight transaction of its own, many at once; see `Store`."""
        check_swap(group, keys, before, after, keep_s)
        parts = list(zip(self._places(group, keys), before, after, strict=True))

        def work() -> list[bool]:
            self._claim(group, sums=False) if parts else None
            asked = ((_seconds(keep_s), row, place, _SLOT, was) for place, was, row in parts)
            return [bool(rows[0][0]) for rows in self._at_once("swap", asked)]

        return self._writing(work)

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to sums of the ledger, by one lightweight transaction over all of them and the marks; see `Store`."""
        check_amounts(group, keys, amounts)
        slots = [_sum(group, key) for key in keys]
        marked = {b"m" + name.encode(): bytes(value) for name, value in (marks or {}).items()}

        def work() -> Found | None:
            self._claim(group, sums=True) if slots else None
            end, pause = time.monotonic() + 10 * self.address.timeout_s, 0.01
            while time.monotonic() < end:
                known = self._ledger_rows([*marked, *slots])
                if any(mark is not None for mark in known[: len(marked)]):
                    return None
                held = dict(zip(slots, known[len(marked) :], strict=True))
                after, fits = totals(group, slots, amounts, limits, list(map(held.get, slots)))
                changes = [(slot, held[slot], row) for slot, row in after.items()]
                changes += [(slot, None, value) for slot, value in marked.items()]
                if not fits.all() or not changes or self._together(changes):
                    return fits
                time.sleep(pause * random.random())
                pause = min(2 * pause, 0.3)
            raise self.address.gone(TimeoutError("others change the same sums all the time"))

        return self._writing(work)

    def _together(self, changes: Iterable[tuple[bytes, bytes | None, bytes]]) -> bool:
        """Change rows of the ledger, or none and give False where one is not what it was."""
        batch = self._driver.query.BatchStatement(
            batch_type=self._driver.query.BatchType.UNLOGGED,
            consistency_level=self._driver.ConsistencyLevel.LOCAL_QUORUM,
            serial_consistency_level=self._driver.ConsistencyLevel.LOCAL_SERIAL,
        )
        session = self._connected()
        for slot, before, after in changes:
            batch.add(self._prepared["swap"], (0, after, self._ledger, slot, before))
        return bool(session.execute(batch).one()[0])

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Find the first marks in the ledger, and drop them; see `Store`."""
        low, high = b"m" + begin.encode(), b"m" + end.encode()

        def work() -> int:
            found = self._at_once("names", [(self._ledger, low, high, most)] if low < high and most > 0 else [])
            slots = [row[0] for rows in found for row in rows]
            self._at_once("drop", ((self._ledger, slot) for slot in slots))
            return len(slots)

        return self._writing(work)

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Do nothing: Cassandra drops such rows by itself; see `Store`."""
        del now, most
        return self._writing(lambda: 0)

    def version(self) -> int | None:
        """Say nothing: asking takes as long as reading; see `Store`."""
        return None

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._reading(lambda: self._ledger_rows([b"m" + name.encode()])[0])

    def describe(self) -> dict[str, Any]:
        """Say which servers are known, and their versions."""

        def work() -> dict[str, Any]:
            self._connected()
            hosts = self._cluster.metadata.all_hosts()
            return {str(host.endpoint): str(host.release_version) for host in hosts}

        return {"kind": "cassandra", "url": self.address.told, "servers": self._reading(work)}

    def close(self) -> None:
        """Close the connections."""
        with self._connecting:
            if self._cluster is not None:
                self._cluster.shutdown()
            self._cluster = self._session = None

    def _places(self, group: str, keys: Sequence[bytes]) -> list[bytes]:
        short, long = self.address.name("r", group), self.address.name("h", group)
        return [short + key if len(key) <= _LONGEST_KEY else long + _hash(key) for key in keys]

    def _ledger_rows(self, slots: Sequence[bytes]) -> Rows:
        parts = [*chunks(list(dict.fromkeys(slots)), 100)]
        found = {
            slot: row for rows in self._at_once("some", ((self._ledger, part) for part in parts)) for slot, row in rows
        }
        return [found.get(slot) for slot in slots]

    def _is_sums(self, group: str) -> bool:
        """Say whether a group is known to hold sums; one that nobody has written yet may become either."""
        if group not in self._sums:
            kind = self._ledger_rows([b"k" + group.encode()])[0]
            if kind is None:
                return False
            self._sums[group] = kind == b"sums"
        return self._sums[group]

    def _claim(self, group: str, sums: bool) -> None:
        """Write down what a group holds, once; refuse where it holds the other."""
        kind = b"sums" if sums else b"rows"
        if group not in self._sums and self._together([(b"k" + group.encode(), None, kind)]):
            self._sums[group] = sums
        if self._is_sums(group) != sums:
            raise BuildError(
                f"store, group {group!r}",
                "rows in one call and sums in another",
                "one of them: they are kept apart",
            )

    def _at_once(self, name: str, values: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """Execute a statement for each list of values, many at once; gives the rows of each."""
        session = self._connected()
        statement, found = self._prepared[name], []
        for part in chunks(list(values), _AT_ONCE):
            found += [answer.result() for answer in [session.execute_async(statement, each) for each in part]]
        return [list(rows) for rows in found]

    def _connected(self) -> Any:
        with self._connecting:
            if self._session is None:
                self._cluster, cluster = None, _cluster(self.address)
                try:
                    session = cluster.connect(self.address.path)
                    self._prepared = {
                        name: session.prepare(text.format(self.table)) for name, text in _STATEMENTS.items()
                    }
                except BaseException:
                    cluster.shutdown()
                    raise
                self._cluster, self._session = cluster, session
            return self._session

    def _reading(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._gone as error:
            raise self.address.gone(error) from error

    def _writing(self, work: Callable[[], T]) -> T:
        if self.readonly:
            raise self.address.readonly()
        try:
            return work()
        except self._driver.RequestValidationException as error:
            raise self.address.refused(error, "docs/stores.md has the table and the rights that it needs") from error
        except self._gone as error:
            raise self.address.gone(error) from error


def make_table(url: str) -> None:
    """Make the table of a URL in its keyspace, which must be there; one that is there stays as it is."""
    store = CassandraStore(url)
    cluster = _cluster(store.address)

    def work() -> None:
        session = cluster.connect(store.address.path)
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {store.table} (place blob, slot blob, row blob, PRIMARY KEY (place, slot))",
            timeout=20 * store.address.timeout_s,
        )

    try:
        store._writing(work)
    finally:
        cluster.shutdown()


def _cluster(address: Address) -> Any:
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
    from cassandra.query import tuple_factory

    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what goes wrong is told by errors, without a traceback
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(address.options.get("dc", ""))),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=address.timeout_s,
        row_factory=tuple_factory,
    )
    who = None if address.user is None else PlainTextAuthProvider(address.user, address.password)
    return Cluster(
        address.host.split(","), port=address.port or 9042, auth_provider=who, connect_timeout=address.timeout_s,
        control_connection_timeout=address.timeout_s, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(0.5, max_attempts=None),
    )  # fmt: skip


def _sum(group: str, key: bytes) -> bytes:
    name, short = group.encode(), len(key) <= _LONGEST_KEY
    return b"%b%d:%b:%b" % (b"s" if short else b"h", len(name), name, key if short else _hash(key))


def _hash(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=16).digest()


def _seconds(keep_s: float | None) -> int:
    """Give the whole seconds that keep a row long enough for a server that cuts its clock to seconds; 0: for ever."""
    return 0 if keep_s is None else math.ceil(keep_s) + 1
