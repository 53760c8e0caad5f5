"""What the service needs of a loaded design, and how a worker finds the function that loads it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bottega.data.streams.event_times import EventTimes
from bottega.design.design import Design
from bottega.errors import ServeError, nearest
from bottega.serving.spending import Clicked
from bottega.serving.wire import Answer


class Answerer(Protocol):
    """Answers requests of one build; it changes nothing of it while it does, so that a swap needs no lock."""

    version: str
    request_type: type[msgspec.Struct]

    def answer(self, request: Any) -> Answer:
        """Answer a request; `wire.RequestError` for one that asks for something impossible."""

    def click(self, request_id: str, item: str) -> Clicked | None:
        """Charge a click on something that an answer sold, once; nothing where no such sale is known."""


@dataclass(frozen=True)
class Served:
    """A loaded build: the design's name, the tables of which events are accepted with their times, and what answers."""

    design: str
    tables: Mapping[str, EventTimes]
    path: Answerer
    now: Callable[[], int] = lambda: time.time_ns() // 1000
    """The moment that an event gets which says none, microseconds since 1970 UTC."""


Loader = Callable[[Path, str, Path, str], Served]
"""From a build's folder, the URL of its store, the folder of the accounts and the kind of clock to what is served."""


def load_path(folder: Path, store: str, accounts: Path, clock: str = "auto") -> Served:
    """Load a build as `bottega serve` does: its bundle, checked, and its path, which has answered once.

    folder: the build. store: the URL of its online store. accounts: what advertisers spent, which all builds and
    workers share; made where the path has an auction. clock: for features, see `Clock`.
    """
    from bottega.design.serving import Auction, Nearest
    from bottega.serving.bundle import load_bundle, read_design
    from bottega.serving.nearest import NearestPath, load_pictures
    from bottega.serving.path import Path as RequestPath
    from bottega.serving.spending import Spending

    if any(isinstance(stage, Nearest) for stage in read_design(folder).serving.path):
        pictures = load_pictures(folder, store, clock)
        nearest = NearestPath(pictures)
        nearest.warm()
        return Served(pictures.design.name, times_of(folder, pictures.design), nearest, pictures.clock)
    bundle = load_bundle(folder, store, clock)
    sells = any(isinstance(stage, Auction) for stage in bundle.design.serving.path)
    path = RequestPath(bundle, Spending.open(accounts) if sells else None)
    path.warm()
    path.follow()
    told = bundle.clock
    return Served(bundle.design.name, times_of(folder, bundle.design), path, Served.now if told is None else told)


def times_of(folder: Path, design: Design) -> dict[str, EventTimes]:
    """Give how the times of events are read, by table of a design.

    folder: of its build.
    """
    from bottega.serving.bundle import read_schemas

    schemas = read_schemas(folder)
    return {table.name: EventTimes(table, schemas[table.name].names) for table in design.data.tables}


def find_loader(name: str) -> Loader:
    """Import a loader by its name, `module:function`.

    >>> find_loader("bottega.serving.answerer:load_path") is load_path
    True
    """
    module, _, function = name.partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ServeError("loader", f"{name!r} cannot be imported: {error}", "module:function") from None
    loader: Loader | None = getattr(found, function, None)
    if loader is None:
        raise ServeError("loader", f"{name!r} does not exist", "module:function", nearest(function, vars(found)))
    return loader
