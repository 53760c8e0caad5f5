"""The supervisor: it starts the workers, starts one again that died, and ends them all."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bottega.errors import ServeError
from bottega.serving.answerer import find_loader
from bottega.serving.prometheus import Meters
from bottega.serving.service import Settings, State, Worker, from_text, reserve, to_text, worker_environment

_QUICK = 2.0  # seconds; a worker that lives shorter is started again only after a pause, twice as long each time
_LONGEST_PAUSE = 30.0
_METERS, _READY = "meters", "ready"  # in the folder that the workers share


class _Process:
    """One process, a worker or, with a number beyond theirs, a streamer, and the pipe on which it tells its state."""

    def __init__(self, settings: Settings, number: int, port: int, shared: Path, again: bool, errors: int) -> None:
        reading, writing = os.pipe()
        told = Worker(settings, number, port, shared / _METERS, shared / _READY, again, writing)
        module = "worker" if number < settings.workers else "streamer"
        self.number, self.pipe, self.began = number, reading, time.monotonic()
        self.ready = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"bottega.serving.{module}", to_text(told)],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            pass_fds=(writing,),
            env=worker_environment(),
            start_new_session=True,  # Ctrl-C is for the supervisor, which drains them
        )
        os.close(writing)
        self._got = b""

    def read(self) -> list[State] | None:
        """Give what it told since; nothing when its end of the pipe is closed."""
        data = os.read(self.pipe, 65_536)
        if not data:
            return None
        *lines, self._got = (self._got + data).split(b"\n")
        return [from_text(line, State) for line in lines]

    def close(self) -> None:
        os.close(self.pipe)
        if self.process.stdin is not None:
            self.process.stdin.close()


class _Supervisor:
    def __init__(self, settings: Settings, ready: Callable[[str], None]) -> None:
        self.settings, self._say_ready = settings, ready
        self.ending = False
        self._was_ready = False
        self._processes: dict[int, _Process] = {}
        self._later: list[tuple[float, int]] = []  # when to start which worker again
        self._pause = 0.0
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        settings = self.settings
        settings.check()
        find_loader(settings.loader)
        settings.log_folder.mkdir(parents=True, exist_ok=True)
        with (
            reserve(settings.host, settings.port) if settings.workers else socket.socket() as held,
            tempfile.TemporaryDirectory(prefix="bottega-") as shared,
            (settings.log_folder / "service.log").open("ab") as errors,
        ):
            self._port: int = held.getsockname()[1] if settings.workers else 0
            self._shared, self._errors = Path(shared), errors.fileno()
            (self._shared / _METERS).mkdir()
            if not settings.workers:  # the service that answers shows what is counted here
                (self._shared / _METERS).rmdir()
                settings.meters.mkdir(exist_ok=True)
                (self._shared / _METERS).symlink_to(settings.meters.absolute())
            self._own = Meters(self._shared / _METERS / "supervisor")
            try:
                for number in range(settings.workers + settings.streams):
                    self._start(number, again=False)
                while not self.ending:
                    self._look()
            finally:
                self._end()

    def _start(self, number: int, again: bool) -> None:
        process = _Process(self.settings, number, self._port, self._shared, again, self._errors)
        self._processes[number] = process
        self._selector.register(process.pipe, selectors.EVENT_READ, process)

    def _look(self) -> None:
        for key, _ in self._selector.select(0.1):
            process: _Process = key.data
            states = process.read()
            if states is None:
                self._buried(process)
                continue
            for state in states:
                process.ready = process.ready or state.ready
                if not state.ready and not self._was_ready:
                    raise state.raised()
        if not self._was_ready and all(process.ready for process in self._processes.values()):
            self._was_ready = True
            (self._shared / _READY).touch()
            self._say_ready(self.url)
        now = time.monotonic()
        for due in [due for due in self._later if due[0] <= now]:
            self._later.remove(due)
            self._start(due[1], again=True)

    def _buried(self, process: _Process) -> None:
        self._selector.unregister(process.pipe)
        process.close()
        process.process.wait()
        del self._processes[process.number]
        if not self._was_ready:
            log = self.settings.log_folder / "service.log"
            raise ServeError("service", "a worker ended before it was ready", "", f"read {log}")
        self._own.add("bottega_restarts_total")
        lived = time.monotonic() - process.began
        self._pause = min(max(0.25, 2 * self._pause), _LONGEST_PAUSE) if lived < _QUICK else 0.0
        self._later.append((time.monotonic() + self._pause, process.number))

    @property
    def url(self) -> str:
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def _end(self) -> None:
        for process in self._processes.values():
            process.process.terminate()
        limit = time.monotonic() + self.settings.drain_s
        for process in self._processes.values():
            try:
                process.process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.process.kill()
                process.process.wait()
            process.close()
        self._selector.close()


def serve(settings: Settings, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or Ctrl-C, then let the requests in flight finish.

    Workers share the port and the pages of the bundle's files. One that dies is started again and takes requests when
    it has loaded; when this process dies, they end as well. What they say goes into `log/service.log`.

    settings: of the service. ready: is given the URL when every worker has loaded.
    Errors: `ServeError` for a port in use, no release, or a first build that cannot be loaded.
    """
    supervisor = _Supervisor(settings, ready)

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        supervisor.ending = True

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        supervisor.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def running(settings: Settings, wait_s: float = 60.0) -> Iterator[str]:
    """Run a service in processes of its own, and give its URL, such as `http://127.0.0.1:41325`, when it is ready.

    settings: with `port=0` for any free port. wait_s: seconds until it has to be ready.
    Errors: what `serve` raises.
    """
    command = [sys.executable, "-m", "bottega.serving.workers", to_text(settings)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=worker_environment(), start_new_session=True
    )
    try:
        yield _wait_ready(process, wait_s)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(settings.drain_s + 5)
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _wait_ready(process: subprocess.Popen[bytes], wait_s: float) -> str:
    stream = process.stdout
    if stream is None:
        raise ServeError("service", "no way to hear of it")
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if not selector.select(wait_s):
            raise ServeError("service", f"not ready after {wait_s:g} s", "", "read log/service.log in its folder")
    line = stream.readline()
    state = from_text(line, State) if line else State(False)
    if not state.ready:
        raise state.raised()
    return state.url


def _main(text: str) -> int:
    """Be the supervisor of `running`: tell the state on standard output, and end when whoever started us is gone."""

    def tell(state: State) -> None:
        print(to_text(state), flush=True)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        serve(from_text(text, Settings), lambda url: tell(State(True, url)))
    except ServeError as error:
        tell(State(False, error=(error.where, str(error.found), error.allowed, error.fix)))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
