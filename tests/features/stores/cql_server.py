"""A stand-in for Cassandra: a process that speaks its wire protocol, version 4, and keeps the rows in a dictionary.

The real driver talks to it, so what is tested is the driver's use: connecting, preparing, binding, many statements
under way, errors, timeouts. What the statements mean was written here by hand, after Cassandra's documentation:
conditions are judged one statement at a time, a batch's all together, and times to live end at whole seconds. Of
replicas, Paxos, clocks, consistency and what Cassandra makes of a statement's text it says nothing.

    python cql_server.py PORT [SECONDS]       # SECONDS: how long each answer to a prepared statement is held back
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import struct
import sys
import time
from collections.abc import Sequence

BLOB, BOOLEAN, INT, UUID, TEXT, INET, LIST, SET = 3, 4, 9, 12, 13, 16, 32, 34
READY, SUPPORTED, RESULT, ERROR = 2, 6, 8, 0
VOID, ROWS, KEYSPACE, PREPARED, SCHEMA = 1, 2, 3, 4, 5
PROTOCOL, INVALID, UNPREPARED = 0x0A, 0x2200, 0x2500
LOCAL = {
    "key": (TEXT, b"local"), "cluster_name": (TEXT, b"stand-in"), "data_center": (TEXT, b"dc1"), "rack": (TEXT, b"r1"),
    "partitioner": (TEXT, b"org.apache.cassandra.dht.Murmur3Partitioner"), "release_version": (TEXT, b"0.0.0"),
    "host_id": (UUID, bytes(16)), "schema_version": (UUID, bytes(16)), "rpc_address": (INET, bytes([127, 0, 0, 1])),
    "tokens": (SET, struct.pack(">ii", 1, 1) + b"0"),
}  # fmt: skip
Value = bytes | None
Name = tuple[bytes, bytes]

table: dict[Name, tuple[bytes, float]] = {}
made: set[str] = set()
prepared: dict[bytes, str] = {}


class RefusedError(Exception):
    """An error for the client: its code and message."""


def parse(text: str) -> tuple[str, str, list[tuple[str, int]]]:
    """Give the kind of a statement, its table, and the names and types of its markers."""
    place, slot, row, ttl = ("place", BLOB), ("slot", BLOB), ("row", BLOB), ("[ttl]", INT)
    known = {
        r"SELECT row FROM (\w+) WHERE place = \? AND slot = \?": ("get", [place, slot]),
        r"SELECT slot, row FROM (\w+) WHERE place = \? AND slot IN \?": ("some", [place, ("in(slot)", LIST)]),
        r"SELECT slot FROM (\w+) WHERE place = \? AND slot >= \? AND slot < \? LIMIT \?": (
            "names", [place, slot, slot, ("[limit]", INT)]
        ),
        r"UPDATE (\w+) USING TTL \? SET row = \? WHERE place = \? AND slot = \?": ("put", [ttl, row, place, slot]),
        r"UPDATE (\w+) USING TTL \? SET row = \? WHERE place = \? AND slot = \? IF row = \?": (
            "swap", [ttl, row, place, slot, row]
        ),
        r"DELETE FROM (\w+) WHERE place = \? AND slot = \?": ("drop", [place, slot]),
    }  # fmt: skip
    for pattern, (kind, markers) in known.items():
        if found := re.fullmatch(pattern, text):
            return kind, found[1], markers
    raise RefusedError(INVALID, f"no such statement here: {text}")


def held(name: Name) -> Value:
    row, until = table.get(name, (None, 0.0))
    return row if int(time.time()) < until else None


def put(ttl: bytes, row: bytes, *name: bytes) -> None:
    seconds = struct.unpack(">i", ttl)[0]
    table[name] = row, int(time.time()) + seconds if seconds else float("inf")  # type: ignore[index]


def execute(kind: str, values: Sequence[Value]) -> tuple[Sequence[tuple[str, int]], list[Sequence[Value]]]:
    """Give the columns and rows that a statement answers with."""
    if kind == "get":
        row = held(tuple(values))  # type: ignore[arg-type]
        return [("row", BLOB)], [] if row is None else [[row]]
    if kind == "some":
        place, slots = values
        wanted, at = [], 4
        while at < len(slots):
            size = struct.unpack_from(">i", slots, at)[0]
            wanted.append(slots[at + 4 : at + 4 + size])
            at += 4 + size
        found = [[slot, row] for slot in sorted(set(wanted)) if (row := held((place, slot))) is not None]
        return [("slot", BLOB), ("row", BLOB)], found
    if kind == "names":
        place, low, high, limit = values
        slots = sorted(
            slot for at, slot in table if at == place and low <= slot < high and held((at, slot)) is not None
        )
        return [("slot", BLOB)], [[slot] for slot in slots[: struct.unpack(">i", limit)[0]]]
    if kind == "put":
        put(*values)
    elif kind == "drop":
        table.pop(tuple(values), None)  # type: ignore[arg-type]
    else:
        return together([values])
    return [], []


def together(swaps: Sequence[Sequence[Value]]) -> tuple[Sequence[tuple[str, int]], list[Sequence[Value]]]:
    """Change all rows or none: a condition that fails, fails the batch."""
    applied = all(held(tuple(values[2:4])) == values[4] for values in swaps)
    if len({values[2] for values in swaps}) > 1:
        raise RefusedError(INVALID, "Batch with conditions cannot span multiple partitions")
    for values in swaps if applied else ():
        put(*values[:4])
    return [("[applied]", BOOLEAN)], [[bytes([applied])]]


class Reader:
    """A frame's body, read from its beginning."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.body[self.at - size : self.at]

    def number(self, code: str) -> int:
        return int(struct.unpack(code, self.take(struct.calcsize(code)))[0])

    def value(self) -> Value:
        size = self.number(">i")
        return None if size < 0 else self.take(size)

    def values(self) -> list[Value]:
        return [self.value() for _ in range(self.number(">H"))]


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def columns(names: Sequence[tuple[str, int]]) -> bytes:
    inner = {LIST: struct.pack(">H", BLOB), SET: struct.pack(">H", TEXT)}
    return b"".join(string(name) + struct.pack(">H", kind) + inner.get(kind, b"") for name, kind in names)


def rows(names: Sequence[tuple[str, int]], found: Sequence[Sequence[Value]]) -> bytes:
    if not names:
        return struct.pack(">i", VOID)
    head = struct.pack(">iii", ROWS, 1, len(names)) + string("k") + string("t") + columns(names)
    cells = (b"\xff" * 4 if cell is None else struct.pack(">i", len(cell)) + cell for row in found for cell in row)
    return head + struct.pack(">i", len(found)) + b"".join(cells)


def query(text: str) -> bytes:
    if "system.local" in text:
        return rows([(name, kind) for name, (kind, _) in LOCAL.items()], [[value for _, value in LOCAL.values()]])
    if "FROM system" in text:
        return rows([("none", TEXT)], [])
    if found := re.fullmatch(r'USE "?(\w+)"?', text):
        return struct.pack(">i", KEYSPACE) + string(found[1])
    if found := re.match(r"CREATE TABLE IF NOT EXISTS (\w+) \(place blob, slot blob, row blob, PRIMARY KEY", text):
        made.add(found[1])
        return struct.pack(">i", SCHEMA) + string("CREATED") + string("TABLE") + string("k") + string(found[1])
    raise RefusedError(INVALID, f"no such query here: {text}")


def prepare(text: str) -> bytes:
    _, name, markers = parse(text)
    if name not in made:
        raise RefusedError(INVALID, f"table {name} does not exist")
    number = hashlib.md5(text.encode()).digest()
    prepared[number] = text
    at = [name for name, _ in markers].index("place")
    head = struct.pack(">iiiH", 1, len(markers), 1, at)
    return struct.pack(">i", PREPARED) + string(number) + head + string("k") + string("t") + columns(markers) + (
        struct.pack(">ii", 4, 0)
    )  # fmt: skip


def statement(body: Reader) -> str:
    number = body.take(body.number(">H"))
    if number not in prepared:
        raise RefusedError(UNPREPARED, number)
    return parse(prepared[number])[0]


def answer(opcode: int, body: Reader) -> tuple[int, bytes]:
    if opcode == 5:  # OPTIONS
        return SUPPORTED, struct.pack(">H", 2) + b"".join(
            string(name) + struct.pack(">H", len(values)) + b"".join(map(string, values))
            for name, values in (("CQL_VERSION", ["3.4.5"]), ("COMPRESSION", []))
        )
    if opcode in (1, 11):  # STARTUP, REGISTER
        return READY, b""
    if opcode == 7:
        return RESULT, query(body.take(body.number(">i")).decode())
    if opcode == 9:
        return RESULT, prepare(body.take(body.number(">i")).decode())
    if opcode == 10:
        kind = statement(body)
        body.take(2)
        return RESULT, rows(*execute(kind, body.values() if body.number(">B") & 1 else []))
    if opcode == 13:
        body.take(1)
        swaps = []
        for _ in range(body.number(">H")):
            if body.number(">B") != 1 or statement(body) != "swap":
                raise RefusedError(INVALID, "only swaps are batched here")
            swaps.append(body.values())
        return RESULT, rows(*together(swaps))
    raise RefusedError(PROTOCOL, f"no such opcode here: {opcode}")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    try:
        while True:
            version, _, stream, opcode, size = struct.unpack(">BBhBi", await reader.readexactly(9))
            body = await reader.readexactly(size)
            if delay and opcode in (10, 13):
                await asyncio.sleep(delay)
            try:
                if version != 4:
                    raise RefusedError(PROTOCOL, "Invalid or unsupported protocol version (5); highest supported is 4")
                code, told = answer(opcode, Reader(body))
            except RefusedError as error:
                number, said = error.args
                code = ERROR
                told = struct.pack(">i", number) + (
                    string("unprepared") + string(said) if number == UNPREPARED else string(said)
                )
            writer.write(struct.pack(">BBhBi", 0x84, 0, stream, code, len(told)) + told)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int, delay: float) -> None:
    server = await asyncio.start_server(lambda r, w: serve(r, w, delay), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
