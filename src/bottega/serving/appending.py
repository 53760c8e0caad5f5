"""Files that only grow: whole records at the end, on the disk before `append` returns; a new file when one is full."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROTATE_BYTES = 64 * 2**20


class Appending:
    """Appends to `folder/<name>-<worker>-<n>.jsonl`, beginning a new n at every start and every `rotate_bytes`.

    A file that was rotated is never touched again: an operator moves or removes it, but leaves the writer's newest one,
    from which the next number follows. A process that is killed leaves at most a torn last line at the end of its last
    file. Room is taken before lines are written: a zero byte is one that is not written yet. No place of a file holds
    one line and later another, so that a file can be followed while it grows.

    folder: made when missing. name: of the log. worker: the writer's number; two writers never share one.
    rotate_bytes: size from which the next record goes into a new file; larger makes fewer files.
    """

    def __init__(self, folder: Path, name: str, worker: int, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.folder, self._stem, self._rotate = folder, f"{name}-{worker}-", rotate_bytes
        self._file: int | None = None
        self._size = 0

    def append(self, data: bytes) -> None:
        """Put whole records on the disk; on an `OSError` (a full disk) none stays, and the next call tries anew."""
        if not data:
            return
        if self._file is None or self._size >= self._rotate:
            self.close()
            self._file = self._open()
            self._size = 0
        try:
            os.posix_fallocate(self._file, self._size, len(data))  # a full disk is told before any line can be seen
        except OSError:
            self._cut(self._file)
            raise
        try:
            self._write(self._file, data)
        except OSError:
            self._cut(self._file)
            self.close()  # its lines could be seen: the next ones take places in another file
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; `append` begins a new one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = [path for path in self.folder.iterdir() if path.name.startswith(self._stem)]
        number = max((place[2] for path in mine if (place := placed(path))), default=0)
        path = self.folder / f"{self._stem}{number + 1}.jsonl"
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return opened

    def _write(self, file: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.pwrite(file, left, self._size + len(data) - len(left)) :]
        os.fsync(file)

    def _cut(self, file: int) -> None:
        try:
            os.ftruncate(file, self._size)
        except OSError:
            self.close()  # what is torn stays the end of its file


def placed(path: Path) -> tuple[str, int, int] | None:
    """Read a log file's name: the log, the worker, the number; nothing for other files.

    >>> placed(Path("decisions-1-12.jsonl")), placed(Path("service.log"))
    (('decisions', 1, 12), None)
    """
    found = re.fullmatch(r"([a-z]+)-(\d+)-(\d+)\.jsonl", path.name)
    return (found[1], int(found[2]), int(found[3])) if found else None
