"""Opening a stream by its URL: the operator says where it is, the design never does."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bottega.data.streams.dead import DeadFile, DeadLetters
from bottega.data.streams.protocol import Stream
from bottega.errors import BuildError, nearest

PARTITIONS = 2**20
"""More than any stream has."""
_ALLOWED = "file: (the service's event log), file:/path, kafka://host:port/topic"


def open_stream(url: str, folder: Path, name: str, start: int | None = None) -> Stream:
    """Open `file:` (the event log in `folder`), `file:/path`, or `kafka://host:port[,host:port]/topic?group=…`.

    name: of the group of consumers, where the URL names none. start: where the group has committed nothing, begin with
    the first message that arrived after this moment, microseconds since 1970 UTC; None: with the first one there is.
    Raises `BuildError` for another kind of URL, or a client that is not installed.
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "file" and colon:
        from bottega.data.streams.file import FileStream

        place = rest.removeprefix("//") if rest.startswith("///") else rest
        return FileStream(Path(place) if place else folder, name, start)
    if scheme == "kafka" and colon:
        from bottega.data.streams.kafka import KafkaStream

        return KafkaStream(url, name, start)
    raise _unknown(url)


def open_dead_letters(url: str, folder: Path) -> DeadLetters:
    """Open the place for what a stream refuses: `folder/dead-<n>.jsonl`, or the topic `<topic>.dead` of a `kafka:` URL.

    Raises `BuildError` as `open_stream` does.
    """
    scheme, colon, _ = url.partition(":")
    if scheme == "kafka" and colon:
        from bottega.data.streams.dead_topic import DeadTopic

        return DeadTopic(url)
    if scheme == "file" and colon:
        return DeadFile(folder)
    raise _unknown(url)


def origin_of(url: str) -> int:
    """Number a stream by where it is, 31 bits, so that a store keeps the offsets of several apart: 0 for `file:`.

    Of a topic its name counts alone: a cluster has many addresses. Two of n streams meet with probability below
    n² / 2³².

    >>> origin_of("file:"), origin_of("kafka://a:9092/t?group=x") == origin_of("kafka://b:9092/t")
    (0, True)
    """
    scheme, _, rest = url.partition("?")[0].partition(":")
    if scheme == "file" and not rest:
        return 0
    name = f"file:{Path(rest).absolute()}" if scheme == "file" else f"{scheme}:{rest.rpartition('/')[2]}"
    return 1 + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little") % (2**31 - 1)


def _unknown(url: str) -> BuildError:
    scheme = url.partition(":")[0]  # the rest may hold a password
    return BuildError(f"--stream {scheme}:", "no such kind of stream", _ALLOWED, nearest(scheme, ["file", "kafka"]))
