"""`bottega stream`: the consumers that bring events into the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bottega.design.design import Design
from bottega.errors import ServeError
from bottega.runs.releases import current_build
from bottega.serving.service import Settings
from bottega.serving.workers import serve as run_processes
from bottega.verbs.finding import find_design, find_workspace


def stream(
    design: str | Path | Design,
    *,
    workspace: str | Path | None = None,
    source: str = "file:",
    store: str = "lmdb:",
    workers: int = 1,
    build: str | None = None,
    clock: str = "auto",
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Apply a stream's events to the store of a design's release until SIGTERM or Ctrl-C, each event once.

    A later release is followed: its store takes all events since its batch. A service beside it is started with
    `--stream none`; it shows lag and throughput in its `/metrics`.

    source: of events: `file:` is the log of `POST /events`, `kafka://host:port/topic`. store: where the records are.
    workers: processes, each with a share of the stream's partitions. build: this one, whatever is current. clock: of
    the service. ready: is called when all have begun.
    Errors: `BuildError` where nothing was released yet, `ServeError` for a stream or a store that cannot be opened.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    if build is None:
        current_build(space)  # says what to type where nothing was released yet
    if workers < 1:
        raise ServeError("--workers", str(workers), "at least 1", "--workers 1")
    settings = Settings(
        space.folder, workers=0, build=build, store=store, stream=source, streamers=workers, clock=clock
    )
    run_processes(settings, lambda _: ready())
