"""Following the release pointer: a new build is loaded beside the old one, and takes its place in one step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bottega.errors import BottegaError
from bottega.serving.answerer import Loader, Served
from bottega.serving.service import Settings

log = logging.getLogger("bottega.service")

_FIRST_WAIT, _LONGEST_WAIT = 5.0, 60.0


class Follower(threading.Thread):
    """A thread that loads what the pointer names; a build that cannot be loaded leaves the one before in place.

    A failed build is tried again after 5 s, then twice as long each time, up to a minute, until the pointer moves.

    settings: of the service. load: loads a build. swap: is given each build that was loaded. fail: each fault.
    """

    def __init__(
        self,
        settings: Settings,
        load: Loader,
        swap: Callable[[Served], None],
        fail: Callable[[BottegaError], None],
    ) -> None:
        super().__init__(name="follower", daemon=True)
        self._settings, self._load, self._swap, self._fail = settings, load, swap, fail
        self._stop_asked = threading.Event()
        self._loaded: str | None = None

    def run(self) -> None:
        """Look at the pointer until `stop`."""
        seen: object = None
        retry, wait = float("inf"), _FIRST_WAIT
        while True:
            mark = self._mark()
            if mark != seen or time.monotonic() >= retry:
                wait = _FIRST_WAIT if mark != seen else min(2 * wait, _LONGEST_WAIT)
                seen = mark
                retry = float("inf") if self._follow() else time.monotonic() + wait
            if self._stop_asked.wait(self._settings.poll_s):
                return

    def stop(self) -> None:
        """End at the next look."""
        self._stop_asked.set()

    def _follow(self) -> bool:
        try:
            build = self._settings.build or self._settings.pointer.read_text("utf-8").strip()
            if build != self._loaded:
                settings = self._settings
                self._swap(self._load(self._folder(build), settings.store, settings.accounts, settings.clock))
                self._loaded = build
        except BottegaError as error:
            log.error("the build cannot be loaded: %s", error)
            self._fail(error)
        except Exception as error:  # whatever a broken build does to a reader, the old one goes on serving
            log.exception("the build cannot be loaded")
            self._fail(
                BottegaError("build", f"{type(error).__name__}: {error}", "a whole build", "run the design again")
            )
        else:
            return True
        return False

    def _folder(self, build: str) -> Path:
        return self._settings.folder / "builds" / build

    def _mark(self) -> object:
        if self._settings.build is not None:
            return self._settings.build
        try:
            state = self._settings.pointer.stat()
        except OSError:
            return "missing"
        return state.st_mtime_ns, state.st_ino, state.st_size
