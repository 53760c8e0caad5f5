"""One process that answers: `python -m bottega.serving.worker SETTINGS`, started and watched by the supervisor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import uvloop

from bottega.errors import BottegaError
from bottega.serving.answerer import Served, find_loader
from bottega.serving.app import App, Current
from bottega.serving.decision_log import DecisionLog
from bottega.serving.events import EventLog, EventTopic
from bottega.serving.follower import Follower
from bottega.serving.prometheus import Meters
from bottega.serving.service import State, Worker, from_text, tell

log = logging.getLogger("bottega.service")

BACKLOG = 2048


def main(text: str) -> None:
    """Serve until SIGTERM, or until the supervisor is gone."""
    worker = from_text(text, Worker)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s worker {worker.number} (%(process)d) %(levelname)s %(message)s",
    )
    uvloop.run(_serve(worker))
    logging.shutdown()
    os._exit(0)  # the server's own threads live on: one that asks for Python while it is torn down aborts the process


async def _serve(worker: Worker) -> None:
    settings = worker.settings
    meters = Meters(worker.meters / str(worker.number))
    loaded = Meters(worker.meters / f"{worker.number}-loaded")  # written by the follower's thread alone
    written = Meters(worker.meters / f"{worker.number}-log")  # and by the log's
    try:
        events = _events_of(worker)
    except BottegaError as error:
        log.error("%s", error)
        tell(worker, State.failed(error))
        return
    decisions = None
    if settings.log:
        decisions = DecisionLog(
            settings.log_folder,
            worker.number,
            written,
            settings.log_interval_s,
            settings.log_rotate_bytes,
            say=log.error,
        )
    folders = worker.meters, settings.meters
    app = App(worker.number, meters, lambda: _files(*folders), events, decisions, worker.all_ready.exists)
    loop = asyncio.get_running_loop()
    first = asyncio.Event()
    ending = asyncio.Event()

    def swap(served: Served) -> None:
        if app.current is None:
            gc.collect()  # not at a later swap: it holds up all requests for as long as it takes
        gc.freeze()  # a collection that walked all of the build would hold up a request by a tenth of a second
        before, app.current, app.fault = app.current, Current.of(served), None
        if before is not None:
            loaded.set("bottega_version_info", 0, ("version", before.served.path.version))
            loaded.add("bottega_swaps_total")
        loaded.set("bottega_version_info", 1, ("version", served.path.version))
        log.info("serving build %s", served.path.version)
        loop.call_soon_threadsafe(first.set)

    def fail(error: BottegaError) -> None:
        app.fault = str(error)
        loaded.add("bottega_load_failures_total")
        tell(worker, State.failed(error))
        loop.call_soon_threadsafe(first.set)

    _forget_versions(loaded)
    follower = Follower(settings, find_loader(settings.loader), swap, fail)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    threading.Thread(target=_watch_parent, args=(loop, ending, settings.drain_s), daemon=True).start()
    follower.start()
    telling = asyncio.create_task(_told_when_ready(worker, app, first))
    if worker.again:
        await _either(first, ending)
    if not ending.is_set():
        await _listen(app, worker, ending)
    telling.cancel()
    follower.stop()
    events.close()
    if decisions is not None:
        decisions.close()


def _events_of(worker: Worker) -> EventLog | EventTopic:
    settings = worker.settings
    if settings.stream.startswith("kafka:"):
        return EventTopic(settings.stream)
    return EventLog(settings.log_folder, worker.number, settings.log_rotate_bytes)


async def _listen(app: App, worker: Worker, ending: asyncio.Event) -> None:
    from granian.constants import HTTPModes
    from granian.server.embed import Server

    server = Server(
        app,
        address=worker.settings.host,
        port=worker.port,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not serving.done():
        log.info("draining")
        server.stop()  # type: ignore[no-untyped-call]
    await serving


async def _told_when_ready(worker: Worker, app: App, first: asyncio.Event) -> None:
    await first.wait()
    me = psutil.Process()
    while app.current is None or not _listens(me, worker.port):
        await asyncio.sleep(0.02)
    tell(worker, State(True))


def _listens(me: psutil.Process, port: int) -> bool:
    """Granian binds the port in a thread of its own, and says nothing when it has."""
    open_sockets = me.net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in open_sockets)


async def _either(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _forget_versions(loaded: Meters) -> None:
    """A worker that is started again serves nothing yet, whatever the one before it served."""
    for name, labels in loaded.names():
        if name == "bottega_version_info":
            loaded.set(name, 0, *labels)


def _files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())


def _watch_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event, grace: float) -> None:
    """The supervisor holds the other end of our standard input: when that closes, it is gone, and so are we."""
    while os.read(0, 1024):
        pass
    loop.call_soon_threadsafe(ending.set)
    time.sleep(grace)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
