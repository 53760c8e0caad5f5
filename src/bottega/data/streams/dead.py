"""Dead letters: the messages that are no rows, kept with the reason, in a file or in a topic."""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bottega.data.streams.messages import Refused
from bottega.errors import ServeError

FULL_BYTES = 64 * 2**20


class DeadLetters(Protocol):
    """Keeps what was refused. A message that comes again after a crash may be kept twice."""

    def add(self, refused: Sequence[Refused]) -> None:
        """Keep messages durably before it returns; to be called before their offsets are committed.

        Raises `ServeError` where they cannot be kept; it may be repeated, and some may then stand twice.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; closing twice is harmless."""
        ...


def letter(refused: Refused) -> bytes:
    r"""Write one refused message as a line of JSON, without its end.

    `table` (null where it names none), `partition`, `offset`, `arrival` (microseconds since 1970 UTC, −1 where nobody
    knows), `reason`, and `body`: the text, or `body_base64` where the bytes are no UTF-8.

    >>> from bottega.data.streams.protocol import Message
    >>> letter(Refused(Message(0, 7, 5, b"?"), None, "no JSON"))
    b'{"table":null,"partition":0,"offset":7,"arrival":5,"reason":"no JSON","body":"?"}'
    """
    message = refused.message
    value: dict[str, Any] = {
        "table": refused.table,
        "partition": message.partition,
        "offset": message.offset,
        "arrival": message.time,
        "reason": refused.reason,
    }
    try:
        value["body"] = message.body.decode()
    except UnicodeDecodeError:
        value["body_base64"] = base64.b64encode(message.body).decode()
    return msgspec.json.encode(value)


class DeadFile:
    """Dead letters as lines of `folder/dead-<n>.jsonl`, written by any number of processes.

    A file that is full is never touched again: an operator moves or removes it.

    folder: made when missing. full_bytes: size from which the next letters go into a new file.
    """

    def __init__(self, folder: Path, full_bytes: int = FULL_BYTES) -> None:
        self._folder, self._full = folder, full_bytes

    def add(self, refused: Sequence[Refused]) -> None:
        """Append letters, and return when they are on the disk."""
        if not refused:
            return
        data = b"".join(letter(item) + b"\n" for item in refused)
        try:
            self._append(data)
        except OSError as error:
            raise ServeError(
                str(self._folder), f"dead letters cannot be written: {error}", "room and rights for them"
            ) from error

    def close(self) -> None:
        """Do nothing: the files are open only while they are written."""

    def _append(self, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            path = self._path()
            is_new = not path.exists()
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                _write(file, data)
            finally:
                os.close(file)
            if is_new:
                os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self) -> Path:
        numbers = [int(path.stem.removeprefix("dead-")) for path in self._folder.glob("dead-[0-9]*.jsonl")]
        number = max(numbers, default=1)
        path = self._folder / f"dead-{number}.jsonl"
        if path.exists() and path.stat().st_size >= self._full:
            return self._folder / f"dead-{number + 1}.jsonl"
        return path


def _write(file: int, data: bytes) -> None:
    """Append whole lines, or none; what a killed writer left of a line keeps a line of its own."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        data = b"\n" + data
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise
