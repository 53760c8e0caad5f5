"""`bottega serve`: the HTTP service of the current release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bottega.design.design import Design
from bottega.runs.releases import current_build
from bottega.serving.service import Settings
from bottega.serving.workers import serve as serve_workers
from bottega.verbs.finding import find_design, find_workspace


def serve(
    design: str | Path | Design,
    *,
    workspace: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int | None = None,
    build: str | None = None,
    store: str = "lmdb:",
    stream: str = "file:",
    clock: str = "auto",
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a design's release until SIGTERM or Ctrl-C; a later release or rollback is followed without a lost request.

    host: 0.0.0.0 lets other machines in. port: 0 is any free one. workers: processes; nothing: what the design says.
    build: serve this one, whatever is current. store: the URL of the online store. stream:
    of events that change the features: `file:` is the log of `POST /events`, `kafka://host:port/topic`, `none` leaves
    them to `bottega stream`. clock: what time it is for features, see `Clock`. ready: is given the address.
    Errors: `BuildError` where nothing was released yet; `ServeError` for a port in use, or a build that is damaged.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    if build is None:
        current_build(space)  # says what to type where nothing was released yet
    many = found.serving.workers if workers is None else workers
    settings = Settings(
        space.folder,
        workers=many,
        host=host,
        port=port,
        build=build,
        store=store,
        stream=stream,
        clock=clock,
        log=found.serving.log,
    )
    serve_workers(settings, ready)
