"""Opening a store by its URL: the operator says where it is, the design never does."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from bottega.errors import BuildError, ServeError, nearest
from bottega.features.stores.protocol import Store

_ALLOWED = (
    "memory: (one process), lmdb: (in the build's folder), lmdb:/path, redis://host:port/database, "
    "dynamodb://region/table, cassandra://host:port/keyspace"
)
_NETWORK = ("redis", "rediss", "unix", "dynamodb", "cassandra")


def open_store(url: str, folder: Path, readonly: bool = False) -> Store:
    """Open a store; docs/stores.md has the URLs of each kind. Another URL is a `BuildError` by name.

    folder: of `lmdb:`, which lies in its `store`. readonly: for serving; a writer may go on beside it. A store in
    memory is always new and empty; one on a network is not asked for anything yet. Beside what the kinds raise:
    `ServeError` for a folder that cannot be made.

    >>> open_store("memory:", Path("build")).describe()["kind"]
    'memory'
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and colon and not rest:
        from bottega.features.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "lmdb" and colon:
        from bottega.features.stores.lmdb import LmdbStore

        place = rest.removeprefix("//") if rest.startswith("///") else rest
        where = Path(place) if place else folder / "store"
        if not readonly:
            _make(where)
        return LmdbStore(where, readonly)
    if rest.startswith("//") and scheme in ("redis", "rediss", "unix"):
        from bottega.features.stores.redis import RedisStore

        return RedisStore(url, readonly)
    if rest.startswith("//") and scheme == "dynamodb":
        from bottega.features.stores.dynamodb import DynamoStore

        return DynamoStore(url, readonly)
    if rest.startswith("//") and scheme == "cassandra":
        from bottega.features.stores.cassandra import CassandraStore

        return CassandraStore(url, readonly)
    found = url.rpartition("@")[2] or url  # what stands before it may be a password
    known = ["memory", "lmdb", *_NETWORK]
    raise BuildError(f"--store {found}", f"the kind of store {scheme!r}", _ALLOWED, nearest(scheme, known))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServeError(
            f"--store lmdb:{folder}", f"the folder cannot be made: {error.strerror}",
            "a place on this machine's disk that may be written", "name another one: --store lmdb:/path",
        ) from error  # fmt: skip


def within(url: str, name: str) -> str:
    """Give the URL of a store of its own inside another one, such as a build's: no row of the one is one of the other.

    >>> within("lmdb:/data/store", "b7"), within("memory:", "b7")
    ('lmdb:/data/store/b7', 'memory:')
    >>> within("redis://host/0?timeout_ms=90&prefix=shop", "b7")
    'redis://host/0?timeout_ms=90&prefix=shop/b7'
    """
    scheme, _, rest = url.partition(":")
    if scheme == "lmdb" and rest:
        return f"{url}/{name}"
    if scheme not in _NETWORK:
        return url
    place, _, query = url.partition("?")
    given = [part for part in query.split("&") if part]
    prefix = next((part for part in given if part.startswith("prefix=")), "prefix=bottega")
    others = [part for part in given if not part.startswith("prefix=")]
    return f"{place}?{'&'.join([*others, f'{prefix}/{quote(name)}'])}"
