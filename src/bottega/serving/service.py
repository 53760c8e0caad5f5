"""The settings of a service, and what its processes tell each other."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from bottega.data.warehouse import masked
from bottega.errors import BottegaError, ServeError
from bottega.serving.appending import ROTATE_BYTES
from bottega.serving.decision_log import INTERVAL

log = logging.getLogger("bottega.service")

THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA", "BLIS")


class Settings(msgspec.Struct, frozen=True):
    """Everything that a service is started with."""

    folder: Path
    """The design's folder in the workspace: `builds/`, `log/` and the pointer `current`."""
    workers: int = 2
    """Processes that answer; larger answers more at once, up to the number of cores. 0: nothing is answered, and events
    alone are applied."""
    host: str = "127.0.0.1"
    """The address; 0.0.0.0 lets other machines in."""
    port: int = 8000
    """0: any free one."""
    build: str | None = None
    """Serve this build, and do not follow the pointer."""
    store: str = "lmdb:"
    """The URL of the online store."""
    stream: str = "file:"
    """The URL of the stream of events: `file:` is the service's own log of them; `none`: nothing is applied here."""
    streamers: int = 1
    """Processes that apply events to the store; larger applies more, up to the number of the stream's partitions."""
    clock: str = "auto"
    """What time it is for features: `now`, `log` or `auto`, see `Clock`."""
    log: bool = True
    """Write each answer to the decision log."""
    loader: str = "bottega.serving.answerer:load_path"
    """The function that loads a build, `module:function`."""
    drain_s: float = 10.0
    """Seconds that requests in flight may take after SIGTERM, 0 or more."""
    poll_s: float = 0.3
    """Seconds between two looks at the pointer, above 0; larger follows a release later."""
    log_interval_s: float = INTERVAL
    """Seconds between two writes of the decision log; larger loses more at a SIGKILL."""
    log_rotate_bytes: int = ROTATE_BYTES
    """Size at which a log goes on in a new file."""

    @property
    def pointer(self) -> Path:
        """The file that names the current release."""
        return self.folder / "current"

    @property
    def log_folder(self) -> Path:
        """Where the decision log, the event log and the service's own log are."""
        return self.folder / "log"

    @property
    def accounts(self) -> Path:
        """Where it stands what advertisers have spent; it outlives every build."""
        return self.folder / "spending"

    @property
    def streams(self) -> int:
        """How many processes apply events: none without a stream, or into a store that each process has for itself."""
        return 0 if self.stream == "none" or self.store == "memory:" else self.streamers

    @property
    def meters(self) -> Path:
        """Where streamers that run by themselves count."""
        return self.folder / "stream"

    def check(self) -> None:
        """Refuse what cannot be served, before a process is started."""
        if self.workers < 0 or self.streamers < 0 or not 0 <= self.port < 65_536:
            found = f"workers {self.workers}, streamers {self.streamers}, port {self.port}"
            raise ServeError("service", found, "workers and streamers from 0, port 0 to 65535", "change it")
        if not self.workers and not self.streams:
            found = f"no worker, and --stream {masked(self.stream)} into --store {masked(self.store)}"
            raise ServeError("service", found, "a stream, and a store that other processes see", "--store lmdb:")
        if self.build is None and not self.pointer.is_file():
            name = self.folder.name
            raise ServeError(str(self.folder), "no release", "a design with a release", f"bottega run {name}")
        if self.build is not None and not (self.folder / "builds" / self.build).is_dir():
            raise ServeError(
                str(self.folder),
                f"no build {self.build!r}",
                "a build of this design",
                "look at the builds folder, or leave --build out",
            )


class Worker(msgspec.Struct, frozen=True):
    """What a worker is started with."""

    settings: Settings
    number: int
    """From 0; a worker that is started again has the number of the one before."""
    port: int
    meters: Path
    """The folder of all workers' counters."""
    all_ready: Path
    """A file that is there when every worker has been ready once."""
    again: bool
    """Started again after one had died: it takes requests only when it has loaded."""
    pipe: int
    """The file descriptor on which it tells its state."""


class State(msgspec.Struct, frozen=True):
    """What a worker tells the supervisor, and the supervisor whoever started it."""

    ready: bool
    url: str = ""
    error: tuple[str, str, str, str] | None = None
    """Where, found, allowed, fix."""

    @classmethod
    def failed(cls, error: BottegaError) -> State:
        """Give the state of a process that an error keeps from beginning."""
        return cls(False, error=(error.where, str(error.found), error.allowed, error.fix))

    def raised(self) -> ServeError:
        """Give the error that was told."""
        return ServeError(*(self.error or ("service", "it ended before it was ready", "", "read service.log")))


Told = TypeVar("Told", Settings, Worker, State)


def to_text(value: Settings | Worker | State) -> str:
    """Write what goes to another process.

    >>> from_text(to_text(Settings(Path("shop"))), Settings).log_folder.as_posix()
    'shop/log'
    """
    return msgspec.json.encode(value, enc_hook=str).decode()


def from_text(text: str | bytes, kind: type[Told]) -> Told:
    """Read what `to_text` wrote."""
    return msgspec.json.decode(text, type=kind, dec_hook=lambda made, plain: made(plain))


def tell(worker: Worker, state: State) -> None:
    """Tell the supervisor of a process its state, if there still is one."""
    try:
        os.write(worker.pipe, f"{to_text(state)}\n".encode())
    except OSError:
        log.info("the supervisor is gone")


def worker_environment() -> dict[str, str]:
    """Give the environment of a worker: one thread for each numerical library, set before any of them is imported."""
    limits = {f"{name}_NUM_THREADS": "1" for name in THREADS}
    path = os.pathsep.join(part for part in sys.path if part)
    return {**os.environ, **limits, "PYTHONPATH": path}


def reserve(host: str, port: int) -> socket.socket:
    """Take a port, without listening: workers listen on it side by side, and no other service can take it.

    Errors: `ServeError` when something listens there already, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))  # not shared: refused where anybody listens
            port = probe.getsockname()[1]
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        fix = "name another port with --port, or end what listens there"
        raise ServeError(f"{host}:{port}", error.strerror or str(error), "a free port of this machine", fix) from None
    return held
