"""A lock that one process holds, and that the system frees when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bottega.errors import BuildError, BusyError

_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


@contextmanager
def hold(path: Path, wait: bool, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lock of the file `path` inside the block; the folder of the file must exist.

    It is an advisory `flock`: it keeps out whoever asks for it, on one machine; on a network file system it is as
    good as that system's locks. It is bound to the open file, so a forked child that outlives its parent keeps it.

    path: the lock file; it is never removed, because a removed one could be held twice.
    wait: wait until it is free, instead of refusing.
    say: is told once whom it waits for.
    Raises `BusyError` with process id, start and command of the holder.

    >>> import tempfile
    >>> with hold(Path(tempfile.mkdtemp()) / "lock", wait=False):
    ...     pass
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _no_lock(path, error) from error
    try:
        _take(handle, path, wait, say)
        try:
            os.pwrite(handle, json.dumps(_myself()).encode(), 0)
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, path: Path, wait: bool, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(path)
        if not wait:
            raise BusyError(
                str(path.parent),
                f"in use by {holder}",
                "one run at a time in the workspace of a design",
                "wait for its end, as `bottega run --wait` does, or name another folder with --workspace DIR",
            ) from None
        say(f"waiting for {holder}")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        raise _no_lock(path, error) from error
    os.ftruncate(handle, 0)  # a killed holder left its name


def _no_lock(path: Path, error: OSError) -> BuildError:
    return BuildError(
        str(path),
        f"cannot be locked: {error.strerror}",
        "a file system with locks, on which you may write",
        "name another folder with --workspace DIR",
    )


def _myself() -> dict[str, object]:
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {
        "pid": os.getpid(),
        "started": f"{started:%Y-%m-%d %H:%M:%S} UTC",
        "command": _PASSWORD.sub("***@", command),  # a store's or a warehouse's URL may hold one
    }


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_bytes())
        pid = int(said["pid"])
        text = f"process {pid}, started {said['started']}: {said['command']}"
    except (ValueError, KeyError, TypeError):  # the holder is about to write its name
        return "another process"
    return text if psutil.pid_exists(pid) else f"a child left behind by {text}"
