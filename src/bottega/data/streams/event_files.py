"""The files of one writer of the event log, read as one sequence of lines that does not change when files rotate."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from bottega.data.streams.protocol import UNKNOWN
from bottega.errors import ServeError

ROOM = 2**40
"""Offsets that a file has room for: a line's offset is the file's number × `ROOM` + the place of its first byte."""

_BLOCK = 2**20


def writers(folder: Path) -> dict[int, list[int]]:
    """Find the writers of a folder and the numbers of each one's files, ascending: `events-<writer>-<number>.jsonl`."""
    found: dict[int, list[int]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if place := re.fullmatch(r"events-(\d+)-(\d+)\.jsonl", path.name):
            found.setdefault(int(place[1]), []).append(int(place[2]))
    return {writer: sorted(numbers) for writer, numbers in sorted(found.items())}


class Lines:
    """Reads one writer's lines in blocks, from an offset on.

    A line without its end, or with a zero byte before it, is not read while its file is the writer's last one: it is
    still being written. In an older file it was torn when its writer was killed, and is read as it is.

    folder: of the log. writer: its number. offset: where to begin; an offset inside a line means the next line.
    """

    def __init__(self, folder: Path, writer: int, offset: int = 0) -> None:
        self._folder, self._writer = folder, writer
        self._number, self._position = divmod(offset, ROOM)
        self._file: int | None = None
        self._inside = self._position > 0
        self._listed = 0

    @property
    def offset(self) -> int:
        """Give where the next block begins."""
        return self._number * ROOM + self._position

    def block(self) -> tuple[int, list[bytes]]:
        """Give the lines of the next block, without their ends, and the offset of the first; none: there are none yet.

        Raises `ServeError` where all files are older than the offset: their numbers began anew.
        """
        while self._file is not None or self._open():
            data = self._whole()
            if not data:  # only a file after this one says that no more will come
                after = self._after()
                if after is None:
                    break
                data = self._whole() or self._rest()
                if not data:
                    self.close()
                    self._number, self._position, self._inside = after, 0, False
                    continue
            offset = self.offset
            self._position += len(data)
            lines = data.split(b"\n")
            if not lines[-1]:
                lines.pop()
            if self._inside:
                self._inside = False
                offset += len(lines.pop(0)) + 1
            if lines:
                return offset, lines
        return 0, []

    def close(self) -> None:
        """Close the file at hand."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> bool:
        numbers = writers(self._folder).get(self._writer, [])
        if not numbers:
            return False
        if numbers[-1] < self._number:
            raise ServeError(
                str(self._path(numbers[-1])),
                f"the writer's last file, and events were read up to file {self._number}: the numbers began anew",
                "numbers that only grow",
                "put the writer's newest file back beside it, or stream into a new store",
            )
        number = next(number for number in numbers if number >= self._number)
        if number > self._number:
            self._number, self._position, self._inside = number, 0, False
        try:
            self._file = os.open(self._path(number), os.O_RDONLY)
        except FileNotFoundError:  # moved away since it was listed
            return False
        if self._inside:
            self._position -= 1  # a line's end right before the offset: the line at the offset is whole
        return True

    def _whole(self) -> bytes:
        """Give whole lines from the position on: at least one, however long, or nothing."""
        size = _BLOCK
        while True:
            data = self._bytes(size)
            if end := data.rfind(b"\n") + 1:
                return data[:end]
            if len(data) < size:
                return b""
            size *= 2

    def _rest(self) -> bytes:
        return b"" if self._file is None else self._bytes(os.fstat(self._file).st_size)

    def _bytes(self, size: int) -> bytes:
        data = b"" if self._file is None else os.pread(self._file, size, self._position)
        return data.partition(b"\0")[0] if b"\0" in data else data

    def _after(self) -> int | None:
        """Give the writer's next file; it is asked for often, and the folder may hold many files."""
        if self._path(self._number + 1).exists():
            return self._number + 1
        changed = self._folder.stat().st_mtime_ns
        if changed == self._listed:
            return None
        self._listed = changed
        numbers = writers(self._folder).get(self._writer, [])
        return next((number for number in numbers if number > self._number), None)

    def _path(self, number: int) -> Path:
        return self._folder / f"events-{self._writer}-{number}.jsonl"


def start_of(folder: Path, writer: int, moment: int, arrival: Callable[[bytes], int]) -> int:
    """Give an offset at or before a writer's first line that arrived after a moment, and near it: that of a file.

    arrival: from a line to when it arrived, microseconds since 1970 UTC, or `UNKNOWN`.
    """
    begin = 0
    for number in writers(folder).get(writer, []):
        with (folder / f"events-{writer}-{number}.jsonl").open("rb") as file:
            first = arrival(file.readline())
            if first > moment or first == UNKNOWN:
                break
        begin = number * ROOM
    return begin
