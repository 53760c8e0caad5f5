"""Servers for the stores on a network: each a process on a free port, which a test may kill and start again."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bottega.features.stores.opening import open_store, within
from bottega.features.stores.protocol import Store

HERE = Path(__file__).parent
WAIT_MS = 30_000
"""For tests that are not about a server that does not answer."""


class Server:
    """A process that listens on a port of this machine, within a `with`; after `kill`, `start` brings it back."""

    def __init__(self, command: Sequence[str | Path], port: int, folder: Path) -> None:
        self.command, self.port, self.folder = command, port, folder
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> Server:
        log = self.folder / "server.log"
        with log.open("ab") as file:
            self.process = subprocess.Popen([str(part) for part in self.command], stdout=file, stderr=file)
        end = time.monotonic() + 60
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.command[0]} does not run: {log.read_text()}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def signal(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


def redis_server(folder: Path, *more: str) -> Server:
    """Give a Redis or Valkey that keeps all that it was told, or skip the test by name where none is installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("neither redis-server nor valkey-server is on the PATH: apt-get install redis-server")
    port = free_port()
    kept = ("--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always")
    return Server([program, "--port", str(port), "--bind", "127.0.0.1", *kept, *more], port, folder)


def dynamodb_server(folder: Path) -> Server:
    port = free_port()
    return Server([sys.executable, HERE / "dynamodb_server.py", str(port)], port, folder)


def cassandra_server(folder: Path, delay_s: float = 0.0) -> Server:
    """Give the stand-in. delay_s: by how long each answer is late."""
    port = free_port()
    return Server([sys.executable, HERE / "cql_server.py", str(port), str(delay_s)], port, folder)


def open_at(url: str, folder: Path, readonly: bool = False) -> Store:
    """Open the store that belongs to a folder, as the contract has it."""
    name = hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return open_store(within(url, name), folder, readonly)
