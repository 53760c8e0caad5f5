"""`file:`: the service's own event log as a stream; each writer of the log is a partition."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bottega.data.streams.event_files import Lines, start_of, writers
from bottega.data.streams.protocol import UNKNOWN, Message
from bottega.data.streams.sharing import Sharing
from bottega.errors import BuildError, ServeError
from bottega.files import read_json, write_json

log = logging.getLogger("bottega.streams")

_DIVIDE_S = 0.2
_IDLE_S = 0.005


class _Line(msgspec.Struct, gc=False):
    time: int
    event: msgspec.Raw


_read = msgspec.json.Decoder(_Line).decode


class FileStream:
    """Follows a folder of event files; several members of a group on one machine divide the writers among them.

    Each line is `{"time": µs since 1970 UTC, "event": {…}}`, and may have more fields. A line that is none is given
    whole, with an unknown time. How far the group has come, and its locks, lie in `<folder>/<name>.group`.

    folder: of the event log; it need not exist yet. name: of the group. start: where nothing is committed, begin with
    a writer's first line that arrived after this moment, microseconds since 1970 UTC; None: with its first line.
    """

    def __init__(self, folder: Path, name: str, start: int | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
            raise BuildError(f"file:{folder}", f"the group {name!r}", "letters, digits, dots, dashes and _")
        self._folder, self._start = folder, start
        self._group = folder / f"{name}.group"
        self._sharing = Sharing(self._group)
        self._readers: dict[int, _Reader] = {}
        self._faults: dict[int, str] = {}
        self._divided = -_DIVIDE_S
        self._turn = 0

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """Give up to `most` messages, the writers in turn; none after `wait_s` seconds."""
        end = time.monotonic() + wait_s
        while True:
            self._divide()
            found = self._take(most)
            left = end - time.monotonic()
            if found or most <= 0 or left <= 0:
                return found
            time.sleep(min(_IDLE_S, left))

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Write down how far each writer's lines are done, each in a file of its own, whole or not at all."""
        for partition, offset in offsets.items():
            if partition in self._readers:
                path = self._group / f"{partition}.json"
                try:
                    write_json(path, {"next": offset})
                except (OSError, BuildError) as error:
                    raise ServeError(str(path), f"cannot be written: {error}", "a place that can be written") from error

    def lag(self) -> dict[int, int]:
        """Count the lines that wait; after a long stop the first calls count only a part of them."""
        found = {}
        for partition, reader in self._readers.items():
            with contextlib.suppress(OSError, ServeError):  # `poll` says so
                found[partition] = reader.lag()
        return found

    def assigned(self) -> frozenset[int]:
        """Name the writers whose lines come to this member."""
        return frozenset(self._readers)

    def fault(self) -> str | None:
        """Say which files cannot be read, and why; the other writers go on."""
        return "; ".join(self._faults.values()) or None

    def close(self) -> None:
        """Close the files and leave the group."""
        while self._readers:
            self._readers.popitem()[1].close()
        self._sharing.close()

    def _divide(self) -> None:
        now = time.monotonic()
        if now - self._divided < _DIVIDE_S:
            return
        self._divided = now
        held = self._sharing.divide(writers(self._folder))
        for partition in self._readers.keys() - held:
            self._readers.pop(partition).close()
            self._faults.pop(partition, None)
        for partition in sorted(held - self._readers.keys()):
            self._readers[partition] = self._reader(partition)

    def _reader(self, partition: int) -> _Reader:
        path = self._group / f"{partition}.json"
        if path.exists():
            return _Reader(self._folder, partition, int(read_json(path)["next"]), None)
        offset = 0 if self._start is None else start_of(self._folder, partition, self._start, _arrival)
        return _Reader(self._folder, partition, offset, self._start)

    def _take(self, most: int) -> list[Message]:
        order = sorted(self._readers)
        self._turn = self._turn % len(order) if order else 0
        order = order[self._turn :] + order[: self._turn]
        self._turn += 1
        found: list[Message] = []
        for rank, partition in enumerate(order):
            share = -(-(most - len(found)) // (len(order) - rank))
            try:
                found += self._readers[partition].take(share)
                self._faults.pop(partition, None)
            except (OSError, ServeError) as error:
                self._say(partition, f"events-{partition}: {error}")
        return found

    def _say(self, partition: int, fault: str) -> None:
        if self._faults.get(partition) != fault:
            log.warning("%s", fault)
        self._faults[partition] = fault


class _Reader:
    """One writer's messages, and how many wait."""

    def __init__(self, folder: Path, partition: int, offset: int, start: int | None) -> None:
        self._folder, self._partition, self._start = folder, partition, start
        self._lines, self._ahead = Lines(folder, partition, offset), Lines(folder, partition, offset)
        self._block: list[bytes] = []
        self._at, self._offset = 0, 0
        self._seen = self._given = 0

    def take(self, most: int) -> list[Message]:
        found: list[Message] = []
        while len(found) < most:
            if self._at == len(self._block):
                self._offset, self._block = self._lines.block()
                self._at = 0
                if not self._block:
                    break
            found += self._messages(most - len(found))
        return found

    def lag(self) -> int:
        read = self._given + len(self._block) - self._at
        if self._seen < read:
            self._ahead.close()
            self._ahead = Lines(self._folder, self._partition, self._lines.offset)
            self._seen = read
        for _ in range(_COUNTED_BLOCKS):
            _, lines = self._ahead.block()
            if not lines:
                break
            self._seen += len(lines)
        return self._seen - self._given

    def close(self) -> None:
        self._lines.close()
        self._ahead.close()

    def _messages(self, most: int) -> list[Message]:
        partition, offset, found = self._partition, self._offset, []
        lines = self._block[self._at : self._at + most]
        for line in lines:
            try:
                event = _read(line)
                found.append(Message(partition, offset, event.time, bytes(event.event)))
            except (msgspec.DecodeError, UnicodeDecodeError):
                if line:
                    found.append(Message(partition, offset, UNKNOWN, line))
            offset += len(line) + 1
        self._offset = offset
        self._at += len(lines)
        self._given += len(lines)
        if self._start is not None:
            found = self._after_start(found, self._start)
        return found

    def _after_start(self, found: list[Message], start: int) -> list[Message]:
        first = next((place for place, message in enumerate(found) if message.time > start), len(found))
        if first < len(found):
            self._start = None
        return found[first:]


_COUNTED_BLOCKS = 64


def _arrival(line: bytes) -> int:
    try:
        return _read(line).time
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UNKNOWN
