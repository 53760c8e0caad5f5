"""A store in Redis or Valkey: one MGET for a read, and Lua for what must look and change at once.

Rows are strings under prefix:1:r:length:group:key. Marks are the hash prefix:5:marks:, and their names in order the
sorted set prefix:5:names:. It is written for one server, with replicas if need be; a cluster refuses scripts that touch
keys of several slots, and is not supported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from bottega.features.stores.network import Address, chunks, missing
from bottega.features.stores.protocol import Found, Rows, check_amounts, check_rows, check_swap, no_amount

T = TypeVar("T")
_READ, _WRITTEN = 10_000, 1_000  # keys in one command: while it runs the server answers nobody else

_SWAP = """
local told = {}
for i, key in ipairs(KEYS) do
  local row, there = redis.call('GET', key), string.byte(ARGV[1], i) == 49
  if (there and row == ARGV[2 * i + 1]) or not (there or row) then
    if ARGV[2] == '' then
      redis.call('SET', key, ARGV[2 * i + 2])
    else
      redis.call('SET', key, ARGV[2 * i + 2], 'PX', ARGV[2])
    end
    told[i] = 1
  else
    told[i] = 0
  end
end
return told
"""
_ADD = """
for i = 3, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then return 'marked' end
end
local held, fits, all = {}, {}, true
for i = 1, #KEYS - 2 do
  local key, at = KEYS[i + 2], 8 * i - 7
  if not held[key] then
    local row = redis.call('GET', key) or string.rep('\\0', 8)
    if #row ~= 8 then return 'no number' end
    held[key] = struct.unpack('<d', row)
  end
  local total = held[key] + struct.unpack('<d', ARGV[1], at)
  if ARGV[2] ~= '' and total > struct.unpack('<d', ARGV[2], at) then
    fits[i], all = '0', false
  else
    fits[i], held[key] = '1', total
  end
end
if all then
  for key, total in pairs(held) do redis.call('SET', key, struct.pack('<d', total)) end
  for i = 3, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('ZADD', KEYS[2], 0, ARGV[i])
  end
end
return table.concat(fits)
"""
_FORGET = """
local names = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
for _, name in ipairs(names) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
return #names
"""


class RedisStore:
    """A Redis or Valkey server. Nothing is asked before the first operation, and each looks for the server anew.

    url: `redis://[user:password@]host[:port][/database][?prefix=…&timeout_ms=…]`, `rediss://…[?ca=file]` with TLS, or
    `unix:///path/of/socket[?db=…]`. readonly: refuses writes.
    """

    def __init__(self, url: str, readonly: bool = False) -> None:
        address = Address.of(url, {"unix": ("db",), "rediss": ("ca",)}.get(url.partition("://")[0], ()))
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise missing("redis", error) from error
        self.address, self.readonly, self._errors = address, readonly, redis.exceptions
        place: dict[str, Any] = {"host": address.host, "port": address.port or 6379}
        database = address.path or "0"
        if url.startswith("unix:"):
            place, database = {"unix_socket_path": f"/{address.path}"}, address.options.get("db", "0")
        elif url.startswith("rediss:"):
            place |= {"ssl": True, "ssl_ca_certs": address.options.get("ca")}
        if not database.isdecimal():
            raise address.unknown(f"the database {database!r}", "a number")
        self._redis: Any = redis.Redis(
            **place, db=int(database), username=address.user, password=address.password, protocol=2,
            socket_timeout=address.timeout_s, socket_connect_timeout=address.timeout_s, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        self._marks, self._names = address.name("marks"), address.name("names")
        scripts: list[Any] = [self._redis.register_script(text) for text in (_SWAP, _ADD, _FORGET)]
        self._swap, self._add, self._forget = scripts

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Give the rows of many keys, by one MGET; see `Store`."""
        prefix = self.address.name("r", group)
        parts = chunks(keys, _READ)

        def work() -> Rows:
            rows: Rows = []
            for part in parts:
                rows += self._redis.execute_command("MGET", *[prefix + key for key in part])
            return rows

        return self._reading(work)

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Put rows, a thousand in one transaction, and the marks in the last one; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        parts = [*chunks(list(zip(self._places(group, keys), rows, strict=True)), _WRITTEN)]

        def work() -> None:
            for place, part in enumerate(parts or [[]], 1):
                with self._redis.pipeline(transaction=True) as pipe:
                    if part and keep_s is None:
                        pipe.mset(dict(part))
                    else:
                        for name, row in part:
                            pipe.set(name, row, px=_milliseconds(keep_s))
                    if marks and place >= len(parts):
                        pipe.hset(self._marks, mapping={name.encode(): bytes(value) for name, value in marks.items()})
                        pipe.zadd(self._names, {name.encode(): 0 for name in marks})
                    pipe.execute()

        self._writing(work)

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Replace the rows that are still what was read, by a script for a thousand of them; see `Store`."""
        check_swap(group, keys, before, after, keep_s)
        kept = "" if keep_s is None else _milliseconds(keep_s)

        def work() -> list[bool]:
            told: list[bool] = []
            for part in chunks(list(zip(self._places(group, keys), before, after, strict=True)), _WRITTEN):
                there = bytes(48 + (row is not None) for _, row, _ in part)
                rows = [one or b"" for _, *pair in part for one in pair]
                told += map(bool, self._swap([place for place, _, _ in part], [there, kept, *rows]))
            return told

        return self._writing(work)

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Add to rows of one number by one script; see `Store`."""
        check_amounts(group, keys, amounts)
        numbers = [_floats(amounts), b"" if limits is None else _floats(limits)]
        named = [part for name, value in (marks or {}).items() for part in (name.encode(), bytes(value))]
        places = [self._marks, self._names, *self._places(group, keys)]
        told = self._writing(lambda: self._add(places, [*numbers, *named]))
        if told == b"marked":
            return None
        if told == b"no number":
            raise no_amount(group)
        return np.array([each == ord("1") for each in told], bool)

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Drop marks by one script; see `Store`."""
        asked = [b"[" + begin.encode(), b"(" + end.encode(), most]
        return int(self._writing(lambda: self._forget([self._marks, self._names], asked)))

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Do nothing: the server drops rows by itself; see `Store`."""
        del now, most
        return self._writing(lambda: 0)

    def version(self) -> int | None:
        """Say nothing: asking takes as long as reading; see `Store`."""
        return None

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        value: bytes | None = self._reading(lambda: self._redis.hget(self._marks, name.encode()))
        return value

    def describe(self) -> dict[str, Any]:
        """Say which server it is, and how much memory that uses for all that it holds."""
        told = self._reading(self._redis.info)
        server = f"{told.get('server_name', 'redis')} {told.get('valkey_version') or told['redis_version']}"
        return {"kind": "redis", "url": self.address.told, "server": server, "bytes": told["used_memory"]}

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _places(self, group: str, keys: Sequence[bytes]) -> list[bytes]:
        prefix = self.address.name("r", group)
        return [prefix + key for key in keys]

    def _reading(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._errors.RedisError as error:
            raise self.address.gone(error) from error

    def _writing(self, work: Callable[[], T]) -> T:
        if self.readonly:
            raise self.address.readonly()
        try:
            return work()
        except (self._errors.ConnectionError, self._errors.TimeoutError) as error:
            raise self.address.gone(error) from error
        except self._errors.RedisError as error:
            raise self.address.refused(
                error, "CONFIG GET maxmemory, ACL WHOAMI and the server's log say more"
            ) from error


def _milliseconds(keep_s: float | None) -> int | None:
    return None if keep_s is None else math.ceil(1000 * keep_s)


def _floats(numbers: Sequence[float]) -> bytes:
    return np.asarray(numbers, "<f8").tobytes()
