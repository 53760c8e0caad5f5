"""Lines of an event log, and streams that read them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bottega.data.streams.file import FileStream
from bottega.data.streams.protocol import Message


def line(number: int, at: int = 1) -> bytes:
    return b'{"time":%d,"request_id":"r","event":{"table":"t","n":%d}}\n' % (at, number)


def number_of(message: Message) -> int:
    return msgspec.json.decode(message.body)["n"]


def poll_all(stream: FileStream, most: int = 1000) -> list[Message]:
    found: list[Message] = []
    while some := stream.poll(most, 0):
        assert len(some) <= most
        found += some
    return found


@contextlib.contextmanager
def following(folder: Path, name: str = "g", start: int | None = None) -> Iterator[FileStream]:
    stream = FileStream(folder, name, start)
    try:
        yield stream
    finally:
        stream.close()
