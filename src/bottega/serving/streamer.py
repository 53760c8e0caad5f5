"""One process that streams: `python -m bottega.serving.streamer SETTINGS`, started and watched by the supervisor."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bottega.data.keys import identifiers
from bottega.data.streams.messages import Decoder
from bottega.data.streams.opening import open_dead_letters, open_stream, origin_of
from bottega.design.design import Design
from bottega.design.serving import Nearest
from bottega.errors import BottegaError
from bottega.features.applying import Applier
from bottega.features.filling import AS_OF
from bottega.features.keyed import in_order, looks_up
from bottega.features.stores.protocol import Store
from bottega.serving.additions import PictureApplier
from bottega.serving.arrivals import ArrivalWriter
from bottega.serving.bundle import read_design, read_facts, read_schemas
from bottega.serving.clock import CHOSEN, Clock, kept
from bottega.serving.manifest import verify
from bottega.serving.nearest import load_encoder
from bottega.serving.online import FILLED, open_online
from bottega.serving.prometheus import Meters
from bottega.serving.service import Settings, State, Worker, from_text, tell
from bottega.serving.streaming import Consumer

log = logging.getLogger("bottega.stream")

_PAUSE_S = 5.0
_GROUP = re.compile(r"(?<=[?&]group=)[^&]+")


def main(text: str) -> None:
    """Stream until SIGTERM, or until the supervisor is gone."""
    worker = from_text(text, Worker)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s stream {worker.number} (%(process)d) %(levelname)s %(message)s",
    )
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=_watch_parent, args=(ending, worker.settings.drain_s), daemon=True).start()
    meters = Meters(worker.meters / f"{worker.number}-stream")
    ready = False
    while not ending.is_set():
        try:
            build = build_of(worker.settings)
            with consumer_of(worker.settings, build, meters, log.warning) as consumer:
                log.info("streaming into the store of build %s", build.name)
                if not ready:
                    tell(worker, State(True))
                    ready = True
                while not ending.is_set() and build_of(worker.settings) == build:
                    consumer.turn(ending=ending.is_set)
        except BottegaError as error:
            log.error("%s", error)
            if not ready:
                tell(worker, State.failed(error))
                return
            ending.wait(_PAUSE_S)


def build_of(settings: Settings) -> Path:
    """Give the folder of the build whose store takes the events: the named one, else that of the release."""
    return settings.folder / "builds" / (settings.build or settings.pointer.read_text("utf-8").strip())


@contextmanager
def consumer_of(settings: Settings, build: Path, meters: Meters, say: Callable[[str], None]) -> Iterator[Consumer]:
    """Open everything that one consumer of a build needs, and close it again.

    settings: of the service. build: its folder. meters: of this consumer alone. say: is told of trouble.
    Errors: `ServeError`, `BuildError` for a build that is damaged, a store or a stream that cannot be opened.
    """
    verify(build)
    design = read_design(build)
    store = open_online(settings.store, build, clock=settings.clock)
    try:
        as_of = int(store.marked(AS_OF) or 0)
        clock = Clock(settings.clock, as_of, kept(store), store.marked(CHOSEN))
        whose = f"{build.name}-{(store.marked(FILLED) or b'').decode()}"  # each store takes all events since its batch
        url = _GROUP.sub(rf"\g<0>-{whose}", settings.stream)
        stream = open_stream(url, settings.log_folder, f"{design.name}-{whose}", as_of - 1)
        letters = open_dead_letters(settings.stream, settings.log_folder)
        try:
            decoder = Decoder(in_order(design), read_schemas(build), clock.ahead, identifiers(design))
            applier = applier_of(build, design, store, clock)
            yield Consumer(
                stream, store, applier, decoder, design.data.tables, letters, clock, meters, say,
                origin_of(settings.stream), looks_up(design.features),
            )  # fmt: skip
        finally:
            letters.close()
            stream.close()
    finally:
        store.close()


def applier_of(build: Path, design: Design, store: Store, clock: Clock) -> Applier | PictureApplier:
    """Give what brings the events of a build into its store, warm: into records, or into a gallery of pictures."""
    applier: Applier | PictureApplier
    if any(isinstance(stage, Nearest) for stage in design.serving.path):
        applier = PictureApplier(store, design, load_encoder(build, design)[1])
    else:
        beside = ArrivalWriter(store, design) if design.models.get("retrieve") else None
        applier = Applier(store, read_facts(build).groups, design, for_ever=clock.stands, beside=beside)
    applier.warm()
    return applier


def _watch_parent(ending: threading.Event, grace: float) -> None:
    """The supervisor holds the other end of our standard input: when that closes, it is gone, and so are we."""
    while os.read(0, 1024):
        pass
    ending.set()
    time.sleep(grace)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
